//! Direct conversations and groups: making, listing, changing, deleting.

use connexus_e2e::{TestApp, nobody};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{CONVERSATION_KEYS, assert_keys, assert_time, id, items, keys, texts};

#[tokio::test]
async fn a_pair_has_one_direct_conversation_however_many_ask_at_once() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let replies = join_all((0..16).map(async |n| {
        let (from, to) = if n % 2 == 0 {
            (&ann, &bob)
        } else {
            (&bob, &ann)
        };
        from.post(
            "/v1/conversations",
            json!({"kind": "direct", "user_id": to.id}),
        )
        .await
    }))
    .await;
    let first = id(&replies[0].body);
    assert!(
        replies
            .iter()
            .all(|reply| reply.body["id"] == first.as_str())
    );
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    let existed = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((created, existed), (1, 15));
    for (user, peer) in [(&ann, &bob), (&bob, &ann)] {
        let list = items(&user.get("/v1/conversations").await.expect(200));
        assert_eq!(texts(&list, "id"), [first.as_str()]);
        assert_eq!(list[0]["peer"]["id"], peer.id.as_str());
        assert_eq!(list[0]["member_count"], 2);
    }
}

#[tokio::test]
async fn a_direct_conversation_is_as_it_was_made() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let direct = ann.direct(&bob).await;
    let seen = ann.conversation(&direct).await;
    assert_keys(&seen, &CONVERSATION_KEYS);
    assert_keys(
        &seen["me"],
        &[
            "role",
            "read_seq",
            "delivered_seq",
            "unread_count",
            "unread_capped",
            "muted_until",
            "archived",
            "pinned",
            "joined_at",
        ],
    );
    assert_eq!(seen["kind"], "direct");
    assert_eq!(
        [
            &seen["slug"],
            &seen["name"],
            &seen["description"],
            &seen["last_message"]
        ],
        [&Value::Null; 4]
    );
    assert_eq!(seen["last_seq"], 0);
    assert_eq!(seen["rev"], 3, "the conversation and its two members");
    assert_eq!(seen["created_by"], ann.id.as_str());
    assert_eq!(seen["me"]["role"], "member");
    for time in [
        &seen["created_at"],
        &seen["last_activity_at"],
        &seen["me"]["joined_at"],
    ] {
        assert_time(time);
    }
    assert!(!keys(&seen["peer"]).contains("email"));

    let path = format!("/v1/conversations/{direct}");
    ann.patch(&path, json!({"name": "another"}))
        .await
        .problem_code(403, "fixed_conversation");
    ann.delete(&path)
        .await
        .problem_code(403, "fixed_conversation");
    ann.post(&format!("{path}/members"), json!({"user_ids": [cleo.id]}))
        .await
        .problem_code(403, "fixed_conversation");
    ann.delete(&format!("{path}/members/{}", ann.id))
        .await
        .problem_code(403, "fixed_conversation");
    ann.delete(&format!("{path}/members/{}", bob.id))
        .await
        .problem_code(403, "fixed_conversation");
    ann.patch(
        &format!("{path}/members/{}", bob.id),
        json!({"role": "owner"}),
    )
    .await
    .problem_code(403, "fixed_conversation");

    let open = async |user_id: &str| {
        ann.post(
            "/v1/conversations",
            json!({"kind": "direct", "user_id": user_id}),
        )
        .await
    };
    open(&ann.id).await.refuses(&["user_id"]);
    open(&nobody()).await.problem(404);
}

#[tokio::test]
async fn a_group_begins_with_its_members() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let mut sockets = [bob.ws().await, cleo.ws().await];
    let body = json!({"kind": "group", "name": " The team ", "member_ids": [bob.id, cleo.id, bob.id, ann.id]});
    let group = ann.post("/v1/conversations", body).await.expect(201);
    assert_keys(&group, &CONVERSATION_KEYS);
    assert_eq!(
        (&group["kind"], &group["name"]),
        (&json!("group"), &json!("The team"))
    );
    assert_eq!(group["member_count"], 3, "each once");
    assert_eq!(group["me"]["role"], "owner");
    assert_eq!(group["rev"], 4, "the conversation and its three members");
    assert_eq!([&group["peer"], &group["slug"]], [&Value::Null; 2]);
    for socket in &mut sockets {
        let event = socket.expect_event("conversation.created").await;
        assert_eq!(event["conversation_id"], group["id"]);
        assert_eq!(event["data"]["name"], "The team");
        assert_eq!(event["data"]["me"]["role"], "member");
    }

    let make = async |name: &str, members: Value| {
        ann.post(
            "/v1/conversations",
            json!({"kind": "group", "name": name, "member_ids": members}),
        )
        .await
    };
    make("", json!([bob.id])).await.refuses(&["name"]);
    make(&"n".repeat(101), json!([bob.id]))
        .await
        .refuses(&["name"]);
    make("g", json!([bob.id, nobody()])).await.problem(404);
    let list = items(&bob.get("/v1/conversations").await.expect(200));
    assert_eq!(
        texts(&list, "id"),
        [id(&group)],
        "nothing was made of those"
    );
}

#[tokio::test]
async fn conversations_are_listed_by_latest_activity() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(ann.group([&bob]).await);
    }
    for group in [&made[3], &made[0], &made[4]] {
        // times are in milliseconds, and the list is by time
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        bob.say(group, "news").await;
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ann
            .get(&format!("/v1/conversations?limit=2{cursor}"))
            .await
            .expect(200);
        found.extend(items(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let ids = texts(&found, "id");
    assert_eq!(
        ids[..3],
        [made[4].clone(), made[0].clone(), made[3].clone()]
    );
    assert_eq!(ids.len(), 5);
    assert_eq!(found[0]["last_message"]["body"], "news");
    assert_eq!(found[0]["last_message"]["sender_id"], bob.id.as_str());
    assert_eq!(
        found[0]["last_activity_at"],
        found[0]["last_message"]["created_at"]
    );
    ann.get("/v1/conversations?cursor=nonsense")
        .await
        .refuses(&["cursor"]);
}

#[tokio::test]
async fn preferences_are_a_members_own() {
    let app = TestApp::shared().await;
    let [ann, bob, stranger] = app.users(["ann", "bob", "stranger"]).await;
    let (first, second) = (ann.group([&bob]).await, ann.group([&bob]).await);
    let path = format!("/v1/conversations/{first}/preferences");
    let rev = ann.conversation(&first).await["rev"].clone();
    let until = "2099-01-02T03:04:05.678Z";
    let body = json!({"archived": true, "pinned": true, "muted_until": until});
    let me = ann.patch(&path, body).await.expect(200)["me"].clone();
    assert_eq!(
        [&me["archived"], &me["pinned"], &me["muted_until"]],
        [&json!(true), &json!(true), &json!(until)]
    );
    let bobs = bob.conversation(&first).await;
    assert_eq!(
        [&bobs["me"]["archived"], &bobs["me"]["pinned"]],
        [&json!(false); 2]
    );
    assert_eq!(bobs["rev"], rev, "nobody else's business, so no change");

    let list = async |query: &str| {
        let mut ids = texts(
            &items(
                &ann.get(&format!("/v1/conversations{query}"))
                    .await
                    .expect(200),
            ),
            "id",
        );
        ids.sort();
        ids
    };
    assert_eq!(list("?archived=true").await, [first.as_str()]);
    assert_eq!(list("?archived=false").await, [second.as_str()]);
    assert_eq!(list("").await.len(), 2);

    let me = ann
        .patch(&path, json!({"muted_until": null}))
        .await
        .expect(200)["me"]
        .clone();
    assert_eq!(
        [&me["archived"], &me["muted_until"]],
        [&json!(true), &Value::Null]
    );
    ann.patch(&path, json!({"muted_until": "tomorrow"}))
        .await
        .refuses(&["muted_until"]);
    stranger
        .patch(&path, json!({"archived": true}))
        .await
        .problem_code(403, "not_member");
}

#[tokio::test]
async fn a_group_is_renamed_by_its_admins_and_everybody_hears_of_it() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob, &cleo]).await;
    let path = format!("/v1/conversations/{group}");
    ann.patch(
        &format!("{path}/members/{}", bob.id),
        json!({"role": "admin"}),
    )
    .await
    .expect(200);
    let mut cleos = cleo.ws().await;

    cleo.patch(&path, json!({"name": "mine"}))
        .await
        .problem_code(403, "role_too_low");
    let before = ann.conversation(&group).await["rev"].as_i64().unwrap();
    let change =
        json!({"name": "renamed", "description": "two\nlines", "avatar_url": "/pictures/1"});
    let changed = bob.patch(&path, change).await.expect(200);
    assert_eq!(changed["rev"], before + 1);
    let event = cleos.expect_event("conversation.updated").await;
    assert_eq!(event["rev"], before + 1);
    for key in ["name", "description", "avatar_url"] {
        assert_eq!(event["data"][key], changed[key]);
    }
    // nothing new: no change
    let same = bob
        .patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    assert_eq!(same["rev"], before + 1);
    let changed = ann
        .patch(&path, json!({"description": null}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["description"], &changed["name"]),
        (&Value::Null, &json!("renamed"))
    );
    ann.patch(&path, json!({"name": "", "description": "d".repeat(501)}))
        .await
        .refuses(&["name", "description"]);
}

#[tokio::test]
async fn a_group_is_deleted_by_its_owner_for_everybody() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}");
    let message = id(&ann.say(&group, "last words").await);
    ann.patch(
        &format!("{path}/members/{}", bob.id),
        json!({"role": "admin"}),
    )
    .await
    .expect(200);
    let mut bobs = bob.ws().await;
    bob.delete(&path).await.problem_code(403, "role_too_low");
    ann.delete(&path).await.expect(204);

    let event = bobs.expect_event("conversation.deleted").await;
    assert_eq!(event["conversation_id"], group.as_str());
    for user in [&ann, &bob] {
        user.get(&path).await.problem(404);
        user.get(&format!("{path}/messages")).await.problem(404);
        user.post(&format!("{path}/messages"), json!({"body": "hello?"}))
            .await
            .problem(404);
        user.get(&format!("/v1/messages/{message}"))
            .await
            .problem(404);
        assert!(items(&user.get("/v1/conversations").await.expect(200)).is_empty());
    }
    ann.delete(&path).await.problem(404);
}

#[tokio::test]
async fn a_conversation_is_for_its_members() {
    let app = TestApp::shared().await;
    let [ann, bob, stranger] = app.users(["ann", "bob", "stranger"]).await;
    let group = ann.group([&bob]).await;
    let message = id(&ann.say(&group, "secret words").await);
    let path = format!("/v1/conversations/{group}");
    for part in ["", "/members", "/messages", "/receipts"] {
        stranger
            .get(&format!("{path}{part}"))
            .await
            .problem_code(403, "not_member");
    }
    stranger
        .post(&format!("{path}/messages"), json!({"body": "hi"}))
        .await
        .problem_code(403, "not_member");
    stranger
        .post(
            &format!("{path}/members"),
            json!({"user_ids": [stranger.id]}),
        )
        .await
        .problem_code(403, "not_member");
    stranger
        .patch(&path, json!({"name": "mine"}))
        .await
        .problem_code(403, "not_member");
    stranger.delete(&path).await.problem_code(403, "not_member");
    stranger
        .put(&format!("{path}/read"), json!({"seq": 1}))
        .await
        .problem_code(403, "not_member");
    // what a message is may not even be guessed from its id
    let message = format!("/v1/messages/{message}");
    stranger.get(&message).await.problem(404);
    stranger
        .get(&format!("{message}/thread"))
        .await
        .problem(404);
    stranger
        .patch(&message, json!({"body": "mine"}))
        .await
        .problem(404);
    stranger.delete(&message).await.problem(404);
    stranger
        .put(&format!("{message}/reactions/%F0%9F%91%8D"), Value::Null)
        .await
        .problem(404);
    let gone = format!("/v1/conversations/{}", nobody());
    for part in ["", "/members", "/messages", "/receipts"] {
        ann.get(&format!("{gone}{part}")).await.problem(404);
    }
}
