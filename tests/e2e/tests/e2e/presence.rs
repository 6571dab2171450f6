//! Who is there.

use connexus_e2e::{Socket, TestApp, User, eventually};
use serde_json::{Value, json};

use crate::common::{assert_time, items, texts};

async fn presence(viewer: &User, of: &User) -> Value {
    viewer
        .get(&format!("/v1/users/{}/presence", of.id))
        .await
        .expect(200)
}

async fn told(socket: &mut Socket, of: &User) -> Value {
    let event = socket.expect_event_where("presence.updated", |event| {
        event["data"]["user_id"] == of.id.as_str()
    });
    event.await["data"].clone()
}

#[tokio::test]
async fn coming_and_going_is_told_to_those_who_share_a_conversation() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    assert_eq!(presence(&bob, &ann).await["status"], "offline");

    let anns = ann.ws().await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "online");
    assert_eq!(presence(&bob, &ann).await["status"], "online");
    let online = items(&bob.get("/v1/presence").await.expect(200));
    assert_eq!(texts(&online, "user_id"), [ann.id.as_str()]);
    assert_eq!(texts(&online, "status"), ["online"]);

    anns.close().await;
    let gone = told(&mut bobs, &ann).await;
    assert_eq!(gone["status"], "offline");
    assert_time(&gone["last_seen_at"]);
    let seen = presence(&bob, &ann).await;
    assert_eq!(seen["status"], "offline");
    assert_eq!(seen["last_seen_at"], gone["last_seen_at"]);
    assert!(items(&bob.get("/v1/presence").await.expect(200)).is_empty());
}

#[tokio::test]
async fn a_users_own_sockets_are_told_of_a_status_and_not_that_it_came() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    let (mut first, mut second) = (ann.ws().await, ann.ws().await);
    assert_eq!(told(&mut bobs, &ann).await["status"], "online");
    first.ok("status.set", json!({"status": "busy"})).await;
    // had they been told that ann came, it would have been before this
    assert_eq!(told(&mut second, &ann).await["status"], "busy");
    assert_eq!(told(&mut first, &ann).await["status"], "busy");
    assert_eq!(told(&mut bobs, &ann).await["status"], "busy");
}

#[tokio::test]
async fn a_user_is_online_while_one_connection_is_open() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    let (first, second) = (ann.ws().await, ann.ws().await);
    assert_eq!(told(&mut bobs, &ann).await["status"], "online");
    first.close().await;
    // were the first connection's end told, it would be told before the status that is set after it
    let mut second = second;
    second.ok("status.set", json!({"status": "away"})).await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "away");
    assert_eq!(presence(&bob, &ann).await["status"], "away");
    second.close().await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "offline");
}

#[tokio::test]
async fn a_chosen_status_is_told_and_kept() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    let mut anns = ann.ws().await;
    told(&mut bobs, &ann).await;
    anns.ok(
        "status.set",
        json!({"status": "busy", "status_text": "writing"}),
    )
    .await;
    let event = told(&mut bobs, &ann).await;
    assert_eq!(
        (&event["status"], &event["status_text"]),
        (&json!("busy"), &json!("writing"))
    );
    let seen = presence(&bob, &ann).await;
    assert_eq!(
        (&seen["status"], &seen["status_text"]),
        (&json!("busy"), &json!("writing"))
    );
    // by REST it is the same
    ann.patch(
        "/v1/users/me",
        json!({"status": "away", "status_text": null}),
    )
    .await
    .expect(200);
    let event = told(&mut bobs, &ann).await;
    assert_eq!(
        (&event["status"], &event["status_text"]),
        (&json!("away"), &Value::Null)
    );

    for wrong in ["offline", "dead"] {
        let error = anns.refused("status.set", json!({"status": wrong})).await;
        assert_eq!(
            connexus_e2e::failing_fields(&error),
            ["status".to_owned()].into()
        );
    }
    // a choice outlives the connection
    anns.close().await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "offline");
    let _again = ann.ws().await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "away");
}

#[tokio::test]
async fn a_short_absence_is_not_told() {
    let app = TestApp::with(&[("CONNEXUS__PRESENCE__GRACE_MS", "60000")]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    let anns = ann.ws().await;
    assert_eq!(told(&mut bobs, &ann).await["status"], "online");
    anns.close().await;
    assert_eq!(presence(&bob, &ann).await["status"], "online");
    let mut again = ann.ws().await;
    again.ok("status.set", json!({"status": "away"})).await;
    assert_eq!(
        told(&mut bobs, &ann).await["status"],
        "away",
        "the first that is told"
    );
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    bob.direct(&cleo).await;
    let mut bobs = bob.ws().await;
    let mut anns = ann.ws().await;
    anns.ok("status.set", json!({"status": "busy"})).await;
    // what is told of cleo, who comes later, comes later
    let _cleos = cleo.ws().await;
    let seen = bobs
        .events_until(|event| event["data"]["user_id"] == cleo.id.as_str())
        .await;
    assert!(
        seen.iter()
            .all(|event| event["data"]["user_id"] != ann.id.as_str()),
        "{seen:?}"
    );
    assert!(
        !texts(
            &items(&bob.get("/v1/presence").await.expect(200)),
            "user_id"
        )
        .contains(&ann.id)
    );
}

#[tokio::test]
async fn presence_is_seen_by_whom_the_user_chose() {
    let app = TestApp::shared().await;
    let [ann, friend, stranger] = app.users(["ann", "friend", "stranger"]).await;
    ann.direct(&friend).await;
    let _socket = ann.ws().await;
    let statuses = async || {
        [
            presence(&friend, &ann).await["status"].clone(),
            presence(&stranger, &ann).await["status"].clone(),
        ]
    };
    for (who, expected) in [
        ("everyone", ["online", "online"]),
        ("contacts", ["online", "offline"]),
        ("nobody", ["offline", "offline"]),
    ] {
        ann.patch("/v1/users/me", json!({"privacy": {"presence": who}}))
            .await
            .expect(200);
        eventually(&format!("presence for {who}"), async || {
            (statuses().await == expected).then_some(())
        })
        .await;
    }
    assert_eq!(presence(&friend, &ann).await["last_seen_at"], Value::Null);
    let seen = friend
        .get(&format!("/v1/users/{}", ann.id))
        .await
        .expect(200);
    assert_eq!(seen["status"], "offline");
    assert!(items(&friend.get("/v1/presence").await.expect(200)).is_empty());
    assert_eq!(
        ann.get("/v1/users/me").await.expect(200)["status"],
        "online",
        "oneself sees oneself"
    );
}
