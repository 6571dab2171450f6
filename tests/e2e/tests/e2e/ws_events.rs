//! Who is told what, and in which order.

use connexus_e2e::{Socket, TestApp, User, guarded};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The messages that a socket was told, up to the one that says "the end".
async fn told(socket: &mut Socket) -> Vec<Value> {
    let seen = socket
        .events_until(|event| event["data"]["body"] == "the end")
        .await;
    let created = seen
        .into_iter()
        .filter(|event| event["event"] == "message.created");
    created.map(|event| event["data"].clone()).collect()
}

#[tokio::test]
async fn the_senders_other_devices_are_told_and_the_sending_one_is_not() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob, &cleo]).await;
    let laptop = ann.on_another_device("laptop").await;
    let (mut sending, mut second_tab) = (ann.ws().await, ann.ws().await);
    let (mut laptops, mut bobs) = (laptop.ws().await, bob.ws().await);
    let sent = sending
        .ok(
            "message.send",
            json!({"conversation_id": group, "body": "over the socket"}),
        )
        .await;
    let over_rest = ann.say(&group, "over REST").await;
    let end = cleo.say(&group, "the end").await;

    for socket in [&mut second_tab, &mut laptops, &mut bobs] {
        assert_eq!(
            told(socket).await,
            [sent.clone(), over_rest.clone(), end.clone()],
            "each once"
        );
    }
    assert_eq!(
        told(&mut sending).await,
        [over_rest, end],
        "what it was answered, it is not told"
    );
}

#[tokio::test]
async fn nobody_else_is_told() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let (private, all) = (ann.direct(&bob).await, ann.group([&bob, &cleo]).await);
    let mut cleos = cleo.ws().await;
    ann.say(&private, "between us").await;
    bob.say(&private, "as always").await;
    ann.say(&all, "the end").await;
    let seen = cleos
        .events_until(|event| event["data"]["body"] == "the end")
        .await;
    let other = |event: &&Value| event["conversation_id"] == private.as_str();
    assert_eq!(seen.iter().filter(other).count(), 0, "{seen:?}");
}

#[tokio::test]
async fn all_are_told_in_the_same_order_whoever_writes() {
    let app = TestApp::shared().await;
    let users = app.crowd(6).await;
    let group = users[0].group(&users[1..]).await;
    let mut readers = join_all(users.iter().map(User::ws)).await;
    let writing = async {
        join_all(users.iter().enumerate().map(async |(n, user)| {
            let mut socket = user.ws().await;
            for m in 0..15 {
                let call = json!({"conversation_id": group, "body": format!("{n}: {m}")});
                if m % 3 == 0 {
                    user.say(&group, &format!("{n}: {m}")).await;
                } else {
                    socket.ok("message.send", call).await;
                }
            }
        }))
        .await;
        users[0].say(&group, "the end").await;
    };
    let reading = join_all(readers.iter_mut().map(told));
    let ((), seen) = guarded("all to be told", async { tokio::join!(writing, reading) }).await;
    for messages in &seen {
        let seqs: Vec<i64> = messages
            .iter()
            .map(|message| message["seq"].as_i64().unwrap())
            .collect();
        assert_eq!(
            seqs,
            (1..=6 * 15 + 1).collect::<Vec<i64>>(),
            "in order, each once"
        );
    }
    assert!(seen.iter().all(|messages| *messages == seen[0]));
    // each writer's words come in the order in which they were written
    for n in 0..6 {
        let start = format!("{n}: ");
        let own: Vec<&str> = seen[0]
            .iter()
            .filter_map(|message| message["body"].as_str())
            .filter(|body| body.starts_with(&start))
            .collect();
        assert_eq!(
            own,
            (0..15).map(|m| format!("{n}: {m}")).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn every_change_is_told_with_its_rev_and_none_is_left_out() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}");
    let mut bobs = bob.ws().await;
    let message = ann.say(&group, "one").await;
    let at = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    ann.patch(&at, json!({"body": "1"})).await.expect(200);
    ann.put(&format!("{at}/reactions/%F0%9F%91%8D"), Value::Null)
        .await
        .expect(200);
    ann.delete(&format!("{at}/reactions/%F0%9F%91%8D"))
        .await
        .expect(200);
    ann.delete(&at).await.expect(200);
    ann.patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    ann.post(&format!("{path}/members"), json!({"user_ids": [cleo.id]}))
        .await
        .expect(201);
    ann.patch(
        &format!("{path}/members/{}", cleo.id),
        json!({"role": "admin"}),
    )
    .await
    .expect(200);
    ann.delete(&format!("{path}/members/{}", cleo.id))
        .await
        .expect(204);
    ann.delete(&path).await.expect(204);

    let seen = bobs
        .events_until(|event| event["event"] == "conversation.deleted")
        .await;
    let changes: Vec<(&str, i64)> = seen
        .iter()
        .filter(|event| event["conversation_id"] == group.as_str())
        .filter_map(|event| Some((event["event"].as_str()?, event["rev"].as_i64()?)))
        .collect();
    let names = [
        "message.created",
        "message.edited",
        "reaction.updated",
        "reaction.updated",
        "message.deleted",
        "conversation.updated",
        "member.joined",
        "member.updated",
        "member.left",
        "conversation.deleted",
    ];
    let start = message["rev"].as_i64().unwrap();
    let expected: Vec<(&str, i64)> = names.into_iter().zip(start..).collect();
    assert_eq!(changes, expected);
}
