//! Blocking somebody.

use connexus_e2e::{TestApp, User, nobody};
use serde_json::{Value, json};

use crate::common::{id, items, texts};

async fn block(by: &User, whom: &User) {
    by.put(&format!("/v1/users/me/blocks/{}", whom.id), Value::Null)
        .await
        .expect(204);
}

async fn unblock(by: &User, whom: &User) {
    by.delete(&format!("/v1/users/me/blocks/{}", whom.id))
        .await
        .expect(204);
}

async fn blocked_by(user: &User) -> Vec<String> {
    texts(
        &items(&user.get("/v1/users/me/blocks").await.expect(200)),
        "id",
    )
}

#[tokio::test]
async fn blocks_are_listed_and_idempotent() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    assert!(blocked_by(&ann).await.is_empty());
    block(&ann, &bob).await;
    block(&ann, &bob).await;
    block(&ann, &cleo).await;
    let mut ids = blocked_by(&ann).await;
    ids.sort();
    let mut expected = vec![bob.id.clone(), cleo.id.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    assert!(
        blocked_by(&bob).await.is_empty(),
        "one's blocks are one's own"
    );
    unblock(&ann, &bob).await;
    unblock(&ann, &bob).await;
    assert_eq!(blocked_by(&ann).await, [cleo.id.as_str()]);

    ann.put(&format!("/v1/users/me/blocks/{}", ann.id), Value::Null)
        .await
        .refuses(&["user_id"]);
    ann.put(&format!("/v1/users/me/blocks/{}", nobody()), Value::Null)
        .await
        .problem(404);
}

#[tokio::test]
async fn neither_of_a_blocked_pair_writes_to_the_other() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let direct = ann.direct(&bob).await;
    let messages = format!("/v1/conversations/{direct}/messages");
    let said = id(&ann.say(&direct, "before").await);
    let told = id(&bob.say(&direct, "before, too").await);
    let sign = format!("/v1/messages/{said}/reactions/%F0%9F%91%8D");
    bob.put(&sign, Value::Null).await.expect(200);
    let mut sockets = [ann.ws().await, bob.ws().await];
    block(&ann, &bob).await;

    for (user, socket) in [&ann, &bob].into_iter().zip(&mut sockets) {
        let problem = user
            .post(&messages, json!({"body": "no"}))
            .await
            .problem_code(403, "blocked");
        let error = socket
            .refused(
                "message.send",
                json!({"conversation_id": direct, "body": "no"}),
            )
            .await;
        assert_eq!(error["code"], problem["code"]);
    }
    // nor by other words for what was said, nor by a sign on it; what is there may be taken back
    bob.patch(&format!("/v1/messages/{told}"), json!({"body": "no"}))
        .await
        .problem_code(403, "blocked");
    bob.delete(&sign).await.expect(200);
    bob.put(&sign, Value::Null)
        .await
        .problem_code(403, "blocked");
    // nor by a new conversation, nor by being put into a group
    bob.post(
        "/v1/conversations",
        json!({"kind": "direct", "user_id": ann.id}),
    )
    .await
    .problem_code(403, "blocked");
    bob.post(
        "/v1/conversations",
        json!({"kind": "group", "name": "g", "member_ids": [cleo.id, ann.id]}),
    )
    .await
    .problem_code(403, "blocked");
    assert_eq!(
        texts(&bob.history(&direct).await, "body"),
        ["before, too", "before"],
        "what was said stays"
    );

    // in a group that both are in already, others are not made to choose
    unblock(&ann, &bob).await;
    let group = cleo.group([&ann, &bob]).await;
    block(&ann, &bob).await;
    ann.say(&group, "to all").await;
    bob.say(&group, "to all as well").await;

    unblock(&ann, &bob).await;
    bob.say(&direct, "after").await;
    ann.say(&direct, "after").await;
}

#[tokio::test]
async fn a_block_hides_presence() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let _socket = ann.ws().await;
    let presence = format!("/v1/users/{}/presence", ann.id);
    assert_eq!(bob.get(&presence).await.expect(200)["status"], "online");
    block(&ann, &bob).await;
    let hidden = bob.get(&presence).await.expect(200);
    assert_eq!(
        (&hidden["status"], &hidden["last_seen_at"]),
        (&json!("offline"), &Value::Null)
    );
    let online = texts(
        &items(&bob.get("/v1/presence").await.expect(200)),
        "user_id",
    );
    assert!(!online.contains(&ann.id));
}

#[tokio::test]
async fn who_comes_to_a_group_is_not_shown_to_those_with_a_block() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = cleo.group([&bob]).await;
    let _here = ann.ws().await;
    block(&ann, &bob).await;
    let (mut bobs, mut cleos) = (bob.ws().await, cleo.ws().await);
    cleo.post(
        &format!("/v1/conversations/{group}/members"),
        json!({"user_ids": [ann.id]}),
    )
    .await
    .expect(201);
    for (socket, status) in [(&mut bobs, "offline"), (&mut cleos, "online")] {
        let told = socket.expect_event("member.joined").await;
        let user = &told["data"]["user"];
        assert_eq!(
            (&user["id"], &user["status"]),
            (&json!(ann.id), &json!(status))
        );
    }
}
