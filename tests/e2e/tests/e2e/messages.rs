//! Sending, editing, deleting.

use std::collections::BTreeSet;

use connexus_e2e::{TestApp, User, nobody, unique};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{MESSAGE_KEYS, assert_keys, assert_time, id, numbers, texts};

#[tokio::test]
async fn a_message_is_as_it_was_sent() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let rev = ann.conversation(&group).await["rev"].as_i64().unwrap();
    let body = "  Zeile 1\r\n\tline 2 — 東京 👩🏽‍💻 </script> \"'\\ ";
    let path = format!("/v1/conversations/{group}/messages");
    let sent = ann
        .post(&path, json!({"body": body, "client_id": "my-key"}))
        .await
        .expect(201);
    assert_keys(&sent, &MESSAGE_KEYS);
    assert_eq!(sent["body"], body, "kept as it is");
    assert_eq!((&sent["seq"], &sent["rev"]), (&json!(1), &json!(rev + 1)));
    assert_eq!(
        (&sent["kind"], &sent["client_id"]),
        (&json!("text"), &json!("my-key"))
    );
    assert_eq!(
        (&sent["conversation_id"], &sent["sender_id"]),
        (&json!(group), &json!(ann.id))
    );
    assert_eq!(
        (
            &sent["attachments"],
            &sent["reactions"],
            &sent["reply_count"]
        ),
        (&json!([]), &json!([]), &json!(0))
    );
    for empty in ["reply_to", "thread_id", "edited_at", "deleted_at"] {
        assert_eq!(sent[empty], Value::Null, "{empty}");
    }
    assert_time(&sent["created_at"]);
    let path = format!("/v1/messages/{}", id(&sent));
    assert_eq!(bob.get(&path).await.expect(200), sent);
    assert_eq!(bob.history(&group).await, [sent]);
}

#[tokio::test]
async fn what_is_not_a_message_is_refused() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}/messages");
    let elsewhere = id(&ann.say(&ann.direct(&bob).await, "elsewhere").await);
    let cases: [(&str, Value); 14] = [
        ("body", json!({})),
        ("body", json!({"body": ""})),
        ("body", json!({"body": null})),
        ("body", json!({"body": " \n\t"})),
        ("body", json!({"body": "x".repeat(8_001)})),
        ("body", json!({"body": "nul\u{0}"})),
        ("body", json!({"body": "bell\u{7}"})),
        ("kind", json!({"body": "x", "kind": "system"})),
        ("kind", json!({"body": "x", "kind": "poem"})),
        ("client_id", json!({"body": "x", "client_id": ""})),
        (
            "client_id",
            json!({"body": "x", "client_id": "k".repeat(129)}),
        ),
        ("client_id", json!({"body": "x", "client_id": "with space"})),
        ("reply_to", json!({"body": "x", "reply_to": elsewhere})),
        ("thread_id", json!({"body": "x", "thread_id": nobody()})),
    ];
    let mut socket = ann.ws().await;
    for (field, body) in cases {
        ann.post(&path, body.clone()).await.refuses(&[field]);
        let mut call = body;
        call["conversation_id"] = json!(group);
        let error = socket.refused("message.send", call).await;
        assert_eq!(
            connexus_e2e::failing_fields(&error),
            BTreeSet::from([field.to_owned()]),
            "{error}"
        );
    }
    assert!(
        bob.history(&group).await.is_empty(),
        "nothing was stored, no number was used"
    );
    let longest = "ä".repeat(8_000);
    assert_eq!(
        ann.say(&group, &longest).await["seq"],
        1,
        "characters are counted, not bytes"
    );
}

#[tokio::test]
async fn concurrent_senders_fill_the_numbers_without_a_hole() {
    let app = TestApp::shared().await;
    let users = app.crowd(6).await;
    let group = users[0].group(&users[1..]).await;
    let mut sockets = join_all(users[..3].iter().map(User::ws)).await;
    let over_sockets = join_all(sockets.iter_mut().map(async |socket| {
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(
                socket
                    .start(
                        "message.send",
                        json!({"conversation_id": group, "body": format!("ws {n}")}),
                    )
                    .await,
            );
        }
        let mut sent = Vec::new();
        for id in ids {
            let answer = socket.answer(&id).await.value;
            assert_eq!(answer["ok"], true, "{answer}");
            sent.push(answer["data"].clone());
        }
        sent
    }));
    let over_rest = join_all((0..60).map(|n| users[3 + n % 3].say(&group, "rest")));
    let (over_sockets, over_rest) = tokio::join!(over_sockets, over_rest);

    // a sender's own messages keep the order in which they were sent
    for sent in &over_sockets {
        assert!(
            numbers(sent, "seq").is_sorted(),
            "{:?}",
            numbers(sent, "seq")
        );
    }
    let mut all: Vec<Value> = over_sockets
        .into_iter()
        .flatten()
        .chain(over_rest)
        .collect();
    all.sort_by_key(|message| message["seq"].as_i64());
    assert_eq!(numbers(&all, "seq"), (1..=120).collect::<Vec<i64>>());
    let first = all[0]["rev"].as_i64().unwrap();
    assert_eq!(
        numbers(&all, "rev"),
        (first..first + 120).collect::<Vec<i64>>()
    );
    assert!(
        texts(&all, "created_at").is_sorted(),
        "time follows the numbers"
    );
    assert_eq!(users[5].conversation(&group).await["last_seq"], 120);
}

#[tokio::test]
async fn the_same_key_and_content_is_the_same_message() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}/messages");
    let key = unique("key");
    let first = ann
        .post(&path, json!({"body": "once", "client_id": key}))
        .await
        .expect(201);
    assert_eq!(
        ann.post(&path, json!({"body": "once", "client_id": key}))
            .await
            .expect(200),
        first
    );
    // the header is the same as the field
    let with_header = async |body: Value| {
        let request = ann
            .request(reqwest::Method::POST, &path)
            .header("Idempotency-Key", &key)
            .json(&body);
        ann.send(request).await
    };
    assert_eq!(
        with_header(json!({"body": "once"})).await.expect(200),
        first
    );
    assert_eq!(
        with_header(json!({"body": "once", "client_id": key}))
            .await
            .expect(200),
        first
    );
    let mut socket = ann.ws().await;
    let call = json!({"conversation_id": group, "body": "once", "client_id": key});
    assert_eq!(socket.ok("message.send", call).await, first);

    let other = ann
        .post(&path, json!({"body": "other words", "client_id": key}))
        .await
        .problem_code(409, "idempotency_mismatch");
    assert_eq!(
        with_header(json!({"body": "other words"}))
            .await
            .problem(409)["code"],
        other["code"]
    );
    let call = json!({"conversation_id": group, "body": "other words", "client_id": key});
    assert_eq!(
        socket.refused("message.send", call).await["code"],
        other["code"]
    );
    ann.post(
        &path,
        json!({"body": "once", "kind": "image", "client_id": key}),
    )
    .await
    .problem_code(409, "idempotency_mismatch");

    // the key is the sender's own, in one conversation
    assert_eq!(
        bob.post(&path, json!({"body": "once", "client_id": key}))
            .await
            .expect(201)["seq"],
        2
    );
    let direct = format!("/v1/conversations/{}/messages", ann.direct(&bob).await);
    assert_eq!(
        ann.post(&direct, json!({"body": "once", "client_id": key}))
            .await
            .expect(201)["seq"],
        1
    );

    // the content is what was sent, whatever became of it
    let message = format!("/v1/messages/{}", id(&first));
    let edited = ann
        .patch(&message, json!({"body": "edited"}))
        .await
        .expect(200);
    assert_eq!(
        ann.post(&path, json!({"body": "once", "client_id": key}))
            .await
            .expect(200),
        edited
    );
    ann.post(&path, json!({"body": "edited", "client_id": key}))
        .await
        .problem_code(409, "idempotency_mismatch");
}

#[tokio::test]
async fn simultaneous_sends_with_one_key_make_one_message() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}/messages");
    let body = json!({"body": "once", "client_id": "k"});
    let replies = join_all((0..24).map(|_| ann.post(&path, body.clone()))).await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 201).count(),
        1
    );
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        23
    );
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!(bob.history(&group).await.len(), 1);
    assert_eq!(
        ann.say(&group, "next").await["seq"],
        2,
        "no number was lost"
    );
}

#[tokio::test]
async fn a_sender_edits_the_own_words() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let first = bob.say(&group, "frist").await;
    ann.say(&group, "second").await;
    let path = format!("/v1/messages/{}", id(&first));
    let mut anns = ann.ws().await;

    ann.patch(&path, json!({"body": "not mine"}))
        .await
        .problem_code(403, "not_sender");
    for wrong in ["", " ", "nul\u{0}", &"x".repeat(8_001)] {
        bob.patch(&path, json!({"body": wrong}))
            .await
            .refuses(&["body"]);
    }
    let edited = bob.patch(&path, json!({"body": "first"})).await.expect(200);
    let rev = first["rev"].as_i64().unwrap();
    assert_eq!(
        (&edited["body"], &edited["seq"], &edited["rev"]),
        (&json!("first"), &json!(1), &json!(rev + 2))
    );
    assert_time(&edited["edited_at"]);
    assert_eq!(edited["created_at"], first["created_at"]);
    let event = anns.expect_event("message.edited").await;
    assert_eq!((&event["data"], &event["rev"]), (&edited, &edited["rev"]));
    // the same words again: no change
    assert_eq!(
        bob.patch(&path, json!({"body": "first"})).await.expect(200),
        edited
    );

    let mut bobs = bob.ws().await;
    let again = bobs
        .ok(
            "message.edit",
            json!({"message_id": id(&first), "body": "1st"}),
        )
        .await;
    assert_eq!(
        (&again["body"], &again["rev"]),
        (&json!("1st"), &json!(rev + 3))
    );
    anns.refused(
        "message.edit",
        json!({"message_id": id(&first), "body": "no"}),
    )
    .await;
    bobs.refused(
        "message.edit",
        json!({"message_id": nobody(), "body": "no"}),
    )
    .await;
    bob.patch(&format!("/v1/messages/{}", nobody()), json!({"body": "no"}))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_deleted_message_leaves_a_tombstone() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob, &cleo]).await;
    let first = bob.say(&group, "regretted").await;
    let second = cleo.say(&group, "kept").await;
    let path = format!("/v1/messages/{}", id(&first));
    cleo.put(&format!("{path}/reactions/%F0%9F%91%8D"), Value::Null)
        .await
        .expect(200);
    let mut anns = ann.ws().await;

    cleo.delete(&path).await.problem_code(403, "role_too_low");
    bob.delete(&path).await.expect(200);
    let tombstone = cleo.get(&path).await.expect(200);
    assert_keys(&tombstone, &MESSAGE_KEYS);
    for kept in ["id", "conversation_id", "seq", "sender_id", "created_at"] {
        assert_eq!(tombstone[kept], first[kept], "{kept}");
    }
    assert_eq!(
        (&tombstone["body"], &tombstone["reactions"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(
        tombstone["rev"].as_i64().unwrap(),
        second["rev"].as_i64().unwrap() + 2
    );
    assert_time(&tombstone["deleted_at"]);
    let event = anns.expect_event("message.deleted").await;
    assert_eq!(
        (&event["data"], &event["rev"]),
        (&tombstone, &tombstone["rev"])
    );

    // again: no change; and nothing more is done to it
    bob.delete(&path).await.expect(200);
    assert_eq!(bob.get(&path).await.expect(200), tombstone);
    bob.patch(&path, json!({"body": "back"})).await.problem(404);
    ann.put(&format!("{path}/reactions/%F0%9F%91%8D"), Value::Null)
        .await
        .problem(404);
    assert_eq!(
        numbers(&ann.history(&group).await, "seq"),
        [2, 1],
        "no hole"
    );
    assert_eq!(ann.say(&group, "next").await["seq"], 3);

    // an owner or admin deletes what others said
    let mut cleos = cleo.ws().await;
    let deleted = anns
        .ok("message.delete", json!({"message_id": id(&second)}))
        .await;
    assert_eq!(
        (&deleted["body"], &deleted["seq"]),
        (&Value::Null, &json!(2))
    );
    assert_eq!(cleos.expect_event("message.deleted").await["data"], deleted);
    cleos
        .refused("message.delete", json!({"message_id": nobody()}))
        .await;
}
