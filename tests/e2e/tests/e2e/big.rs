//! Conversations with so many members that not everything is told to everybody.

use connexus_e2e::{Socket, TestApp, User, eventually};
use serde_json::{Value, json};

use crate::common::{items, numbers};

/// A server for which four members are many.
async fn small_server() -> TestApp {
    TestApp::with(&[
        ("CONNEXUS__DELIVERY__CHATTER_MAX_MEMBERS", "3"),
        ("CONNEXUS__PRESENCE__MAX_MEMBERS", "3"),
        ("CONNEXUS__DELIVERY__RECEIPT_FLUSH_MS", "20"),
    ])
    .await
}

/// What was told up to a message that says "the end".
async fn told(socket: &mut Socket) -> Vec<String> {
    let seen = socket
        .events_until(|event| event["data"]["body"] == "the end")
        .await;
    seen.iter()
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect()
}

async fn chatter(by: &User, others: &User, group: &str) {
    let mut socket = by.ws().await;
    socket
        .ok("typing.start", json!({"conversation_id": group}))
        .await;
    socket
        .ok(
            "conversation.read",
            json!({"conversation_id": group, "seq": 1}),
        )
        .await;
    others.say(group, "the end").await;
}

#[tokio::test]
async fn chatter_is_told_in_small_conversations_alone() {
    let app = small_server().await;
    let users = app.crowd(4).await;
    let (small, big) = (
        users[0].group(&users[1..3]).await,
        users[0].group(&users[1..]).await,
    );
    for (group, expected) in [(&small, true), (&big, false)] {
        users[0].say(group, "first").await;
        let mut reader = users[2].ws().await;
        chatter(&users[1], &users[0], group).await;
        let told = told(&mut reader).await;
        assert_eq!(told.contains(&"typing".to_owned()), expected, "{told:?}");
        assert_eq!(
            told.contains(&"receipt.updated".to_owned()),
            expected,
            "{told:?}"
        );
    }
    // what is not told can be asked
    let receipt = async |of: &User| {
        let path = format!("/v1/conversations/{big}/receipts");
        items(&users[2].get(&path).await.expect(200))
            .into_iter()
            .find(|receipt| receipt["user_id"] == of.id.as_str())
            .unwrap()
    };
    assert_eq!(receipt(&users[1]).await["read_seq"], 1);
    eventually("what was delivered", async || {
        (receipt(&users[2]).await["delivered_seq"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_and_their_changes_are_told_in_all() {
    let app = small_server().await;
    let users = app.crowd(4).await;
    let big = users[0].group(&users[1..]).await;
    let mut reader = users[3].ws().await;
    let message = users[1].say(&big, "hello").await;
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    users[1]
        .patch(&path, json!({"body": "hi"}))
        .await
        .expect(200);
    users[2]
        .put(&format!("{path}/reactions/%F0%9F%91%8D"), Value::Null)
        .await
        .expect(200);
    users[1].delete(&path).await.expect(200);
    users[0].say(&big, "the end").await;
    let seen = reader
        .events_until(|event| event["data"]["body"] == "the end")
        .await;
    let changes: Vec<Value> = seen
        .into_iter()
        .filter(|event| event.get("rev").is_some())
        .collect();
    let revs = numbers(&changes, "rev");
    let first = message["rev"].as_i64().unwrap();
    assert_eq!(revs, (first..first + 5).collect::<Vec<i64>>());
}

#[tokio::test]
async fn presence_is_not_told_to_a_crowd_but_can_be_asked() {
    let app = small_server().await;
    let users = app.crowd(5).await;
    users[0].group(&users[1..4]).await;
    users[4].direct(&users[3]).await;
    let mut reader = users[3].ws().await;
    let _crowd = users[0].ws().await;
    // told later than what is not told would have been
    let _friend = users[4].ws().await;
    let seen = reader
        .events_until(|event| event["data"]["user_id"] == users[4].id.as_str())
        .await;
    assert!(
        seen.iter()
            .all(|event| event["data"]["user_id"] != users[0].id.as_str()),
        "{seen:?}"
    );
    let online = items(&users[3].get("/v1/presence").await.expect(200));
    assert!(
        online
            .iter()
            .any(|one| one["user_id"] == users[0].id.as_str()),
        "{online:?}"
    );
}
