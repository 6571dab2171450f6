//! Delivered and read.

use connexus_e2e::{TestApp, User, eventually, nobody};
use serde_json::{Value, json};

use crate::common::{assert_keys, assert_time, id, items};

async fn receipt(viewer: &User, group: &str, of: &User) -> Value {
    let list = items(
        &viewer
            .get(&format!("/v1/conversations/{group}/receipts"))
            .await
            .expect(200),
    );
    let found = list
        .into_iter()
        .find(|receipt| receipt["user_id"] == of.id.as_str());
    found.expect("a receipt of every member")
}

fn seqs(receipt: &Value) -> (i64, i64) {
    (
        receipt["delivered_seq"].as_i64().unwrap(),
        receipt["read_seq"].as_i64().unwrap(),
    )
}

#[tokio::test]
async fn reading_moves_forward_only_and_is_told() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let mut messages = Vec::new();
    for n in 0..5 {
        messages.push(ann.say(&group, &format!("{n}")).await);
    }
    let mut anns = ann.ws().await;
    let mut bobs_other = bob.ws().await;
    let path = format!("/v1/conversations/{group}/read");
    let rev = ann.conversation(&group).await["rev"].clone();

    let read = bob.put(&path, json!({"seq": 2})).await.expect(200);
    assert_eq!(seqs(&read), (2, 2), "read is delivered, too");
    assert_time(&read["read_at"]);
    for socket in [&mut anns, &mut bobs_other] {
        let event = socket
            .expect_event_where("receipt.updated", |event| event["data"]["read_seq"] == 2)
            .await;
        assert_eq!(event["conversation_id"], group.as_str());
        assert_eq!(event["data"]["user_id"], bob.id.as_str());
    }
    let me = bob.conversation(&group).await["me"].clone();
    assert_eq!(
        (&me["read_seq"], &me["unread_count"]),
        (&json!(2), &json!(3))
    );

    assert_eq!(
        seqs(&bob.put(&path, json!({"seq": 1})).await.expect(200)).1,
        2,
        "never back"
    );
    let by_id = bob
        .put(&path, json!({"message_id": id(&messages[3])}))
        .await
        .expect(200);
    assert_eq!(by_id["read_seq"], 4);
    let mut bobs = bob.ws().await;
    let by_socket = bobs
        .ok(
            "conversation.read",
            json!({"conversation_id": group, "seq": 1_000}),
        )
        .await;
    assert_eq!(seqs(&by_socket), (5, 5), "never past the newest");
    let event = anns
        .expect_event_where("receipt.updated", |event| event["data"]["read_seq"] == 5)
        .await;
    assert_eq!(event["data"]["delivered_seq"], 5);
    assert_eq!(bob.conversation(&group).await["me"]["unread_count"], 0);
    assert_eq!(
        ann.conversation(&group).await["rev"],
        rev,
        "reading is no change of the conversation"
    );

    let list = items(
        &ann.get(&format!("/v1/conversations/{group}/receipts"))
            .await
            .expect(200),
    );
    assert_eq!(list.len(), 2);
    assert_keys(
        &list[0],
        &[
            "conversation_id",
            "user_id",
            "delivered_seq",
            "delivered_at",
            "read_seq",
            "read_at",
        ],
    );
    assert_eq!(
        seqs(&receipt(&bob, &group, &ann).await),
        (5, 5),
        "the sender has read the own words"
    );
}

#[tokio::test]
async fn a_read_must_name_a_place_in_the_conversation() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    ann.say(&group, "here").await;
    let elsewhere = id(&ann.say(&ann.direct(&bob).await, "elsewhere").await);
    let path = format!("/v1/conversations/{group}/read");
    bob.put(&path, json!({"seq": -1})).await.refuses(&["seq"]);
    for body in [json!({}), json!({"seq": null})] {
        bob.put(&path, body).await.problem(400);
    }
    bob.put(&path, json!({"message_id": elsewhere}))
        .await
        .problem(404);
    bob.put(&path, json!({"message_id": nobody()}))
        .await
        .problem(404);
    let mut bobs = bob.ws().await;
    bobs.refused(
        "conversation.read",
        json!({"conversation_id": group, "message_id": elsewhere}),
    )
    .await;
    bobs.refused(
        "conversation.read",
        json!({"conversation_id": nobody(), "seq": 1}),
    )
    .await;
    bobs.refused("conversation.read", json!({"conversation_id": group}))
        .await;
    assert_eq!(bob.conversation(&group).await["me"]["read_seq"], 0);
}

#[tokio::test]
async fn what_a_socket_was_given_is_delivered() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob, &cleo]).await;
    let mut anns = ann.ws().await;
    let mut bobs = bob.ws().await;
    let sent = ann.say(&group, "delivered").await;
    bobs.expect_event("message.created").await;
    let told = anns
        .expect_event_where("receipt.updated", |event| {
            event["data"]["user_id"] == bob.id.as_str()
        })
        .await;
    assert_eq!(seqs(&told["data"]), (sent["seq"].as_i64().unwrap(), 0));
    assert_eq!(seqs(&receipt(&ann, &group, &bob).await), (1, 0));
    assert_eq!(
        seqs(&receipt(&ann, &group, &cleo).await),
        (0, 0),
        "cleo is not here"
    );

    // what is fetched after a while away is delivered as well
    cleo.post("/v1/sync", json!({"conversations": {}}))
        .await
        .expect(200);
    let told = anns
        .expect_event_where("receipt.updated", |event| {
            event["data"]["user_id"] == cleo.id.as_str()
        })
        .await;
    assert_eq!(seqs(&told["data"]), (1, 0));
    eventually("cleo's receipt", async || {
        (seqs(&receipt(&ann, &group, &cleo).await) == (1, 0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_does_not_tell_what_was_read_shows_delivery_alone() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    bob.patch("/v1/users/me", json!({"privacy": {"read_receipts": false}}))
        .await
        .expect(200);
    let mut anns = ann.ws().await;
    let mut bobs = bob.ws().await;
    let mut bobs_other = bob.ws().await;
    ann.say(&group, "did you read this?").await;
    bobs.expect_event("message.created").await;
    bobs.ok(
        "conversation.read",
        json!({"conversation_id": group, "seq": 1}),
    )
    .await;
    assert_eq!(seqs(&receipt(&ann, &group, &bob).await), (1, 0));
    assert_eq!(
        seqs(&receipt(&bob, &group, &bob).await),
        (1, 1),
        "oneself knows"
    );
    bobs_other
        .expect_event_where("receipt.updated", |event| event["data"]["read_seq"] == 1)
        .await;
    bob.say(&group, "perhaps").await;
    let seen = anns
        .events_until(|event| event["data"]["body"] == "perhaps")
        .await;
    let told = |event: &&Value| {
        event["event"] == "receipt.updated" && event["data"]["user_id"] == bob.id.as_str()
    };
    let reads: Vec<&Value> = seen.iter().filter(told).collect();
    let delivered = |event: &&Value| event["data"]["delivered_seq"] == 1;
    assert!(
        reads.iter().any(delivered),
        "that it came is told: {seen:?}"
    );
    assert!(
        reads.iter().all(|event| event["data"]["read_seq"] == 0),
        "{reads:?}"
    );
}
