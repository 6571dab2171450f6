//! Who writes.

use connexus_e2e::{Socket, TestApp, nobody};
use serde_json::{Value, json};

async fn typing(socket: &mut Socket) -> Value {
    socket.expect_event("typing").await
}

#[tokio::test]
async fn writing_is_told_to_the_others_once() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    let here = json!({"conversation_id": group});
    // three starts within three seconds are told once: the stop is the next
    for _ in 0..3 {
        anns.ok("typing.start", here.clone()).await;
    }
    anns.ok("typing.stop", here.clone()).await;
    for expected in [true, false] {
        let event = typing(&mut bobs).await;
        assert_eq!(event["conversation_id"], group.as_str());
        assert_eq!(
            event["data"],
            json!({"conversation_id": group, "user_id": ann.id, "typing": expected})
        );
        assert_eq!(event.get("rev"), None, "nothing of it is stored");
    }
    // nobody is told of the own writing
    bob.say(&group, "go on").await;
    let seen = anns
        .events_until(|event| event["data"]["body"] == "go on")
        .await;
    assert!(
        seen.iter().all(|event| event["event"] != "typing"),
        "{seen:?}"
    );
    assert_eq!(
        ann.conversation(&group).await["rev"],
        4,
        "two members and a message"
    );
}

#[tokio::test]
async fn writing_ends_with_the_message() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    anns.ok("typing.start", json!({"conversation_id": direct}))
        .await;
    assert_eq!(typing(&mut bobs).await["data"]["typing"], true);
    anns.ok(
        "message.send",
        json!({"conversation_id": direct, "body": "done"}),
    )
    .await;
    assert_eq!(typing(&mut bobs).await["data"]["typing"], false);
}

#[tokio::test]
async fn who_writes_on_after_a_message_is_told_to_later() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let here = json!({"conversation_id": direct});
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    anns.ok("typing.start", here.clone()).await;
    anns.ok(
        "message.send",
        json!({"conversation_id": direct, "body": "first"}),
    )
    .await;
    anns.ok("typing.start", here).await;
    for expected in [true, false, true] {
        assert_eq!(typing(&mut bobs).await["data"]["typing"], expected);
    }
}

#[tokio::test]
async fn writing_ends_by_itself() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let (mut anns, mut bobs) = (ann.ws().await, bob.ws().await);
    anns.ok("typing.start", json!({"conversation_id": direct}))
        .await;
    assert_eq!(typing(&mut bobs).await["data"]["typing"], true);
    assert_eq!(
        typing(&mut bobs).await["data"]["typing"],
        false,
        "though nobody said so"
    );
}

#[tokio::test]
async fn only_members_write() {
    let app = TestApp::shared().await;
    let [ann, bob, stranger] = app.users(["ann", "bob", "stranger"]).await;
    let direct = ann.direct(&bob).await;
    let mut strangers = stranger.ws().await;
    for op in ["typing.start", "typing.stop"] {
        strangers
            .refused(op, json!({"conversation_id": direct}))
            .await;
        strangers
            .refused(op, json!({"conversation_id": nobody()}))
            .await;
        strangers.refused(op, json!({})).await;
    }
    ann.put(&format!("/v1/users/me/blocks/{}", bob.id), Value::Null)
        .await
        .expect(204);
    bob.ws()
        .await
        .refused("typing.start", json!({"conversation_id": direct}))
        .await;
}
