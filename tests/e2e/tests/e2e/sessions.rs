//! The devices of a user.

use connexus_e2e::{TestApp, nobody};
use serde_json::json;

use crate::common::{assert_time, items, texts};

#[tokio::test]
async fn a_user_sees_the_own_devices() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let laptop = ann.on_another_device("Ann's laptop").await;
    app.user("bob").await;

    let sessions = items(&ann.get("/v1/auth/sessions").await.expect(200));
    let mut ids = texts(&sessions, "id");
    ids.sort();
    let mut expected = vec![ann.session_id.clone(), laptop.session_id.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    let other = sessions
        .iter()
        .find(|session| session["id"] == laptop.session_id.as_str())
        .unwrap();
    assert_eq!(other["device"], "Ann's laptop");
    for time in ["created_at", "last_used_at", "expires_at"] {
        assert_time(&other[time]);
    }
    let text = serde_json::to_string(&sessions).unwrap();
    assert!(
        !text.contains(&ann.refresh_token) && !text.contains("hash"),
        "{text}"
    );
}

#[tokio::test]
async fn a_device_is_ended_from_another_one() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let laptop = ann.on_another_device("laptop").await;
    let mut socket = laptop.ws().await;
    let path = format!("/v1/auth/sessions/{}", laptop.session_id);

    bob.delete(&path).await.problem(404);
    laptop.get("/v1/users/me").await.expect(200);
    ann.delete(&path).await.expect(204);
    assert_eq!(socket.closed_with().await, 4409);
    laptop
        .get("/v1/users/me")
        .await
        .problem_code(401, "session_revoked");
    ann.delete(&path).await.problem(404);
    ann.delete(&format!("/v1/auth/sessions/{}", nobody()))
        .await
        .problem(404);
    let left = items(&ann.get("/v1/auth/sessions").await.expect(200));
    assert_eq!(texts(&left, "id"), [ann.session_id.as_str()]);
}

#[tokio::test]
async fn a_socket_is_told_before_its_session_ends() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let laptop = ann.on_another_device("laptop").await;
    let mut socket = laptop.ws().await;
    ann.delete(&format!("/v1/auth/sessions/{}", laptop.session_id))
        .await
        .expect(204);
    let event = socket.expect_event("session.revoked").await;
    assert_eq!(event["data"], json!({"session_id": laptop.session_id}));
    assert_eq!(socket.closed_with().await, 4409);
}

#[tokio::test]
async fn a_device_has_a_short_name() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let body =
        json!({"identifier": ann.username, "password": ann.password, "device": "d".repeat(101)});
    app.anonymous()
        .post("/v1/auth/login", body)
        .await
        .refuses(&["device"]);
}
