//! The devices of a user.

use std::time::Duration;

use connexus_e2e::{TestApp, nobody};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
async fn who_logs_out_and_is_gone_at_once_is_logged_out_everywhere() {
    let app = TestApp::shared().await;
    let mut ended = 0;
    for (n, ann) in (0..).zip(app.crowd(30).await) {
        let mut socket = ann.ws().await;
        let mut leaving = TcpStream::connect(app.address()).await.unwrap();
        let request = format!(
            "POST /v1/auth/logout HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
            ann.access_token
        );
        leaving.write_all(request.as_bytes()).await.unwrap();
        // as long as it takes to begin, and mostly not as long as it takes to end
        tokio::time::sleep(Duration::from_micros(100 * (n % 10))).await;
        drop(leaving);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let refresh = json!({"refresh_token": ann.refresh_token});
        let refreshed = app.anonymous().post("/v1/auth/refresh", refresh).await;
        // one that was gone too soon was never heard
        if refreshed.status != 200 {
            refreshed.problem(401);
            assert_eq!(socket.closed_with().await, 4409);
            ended += 1;
        }
    }
    assert!(ended > 0, "none was heard");
}

#[tokio::test]
async fn no_login_with_a_former_password_outlives_its_change() {
    let app = TestApp::shared().await;
    for ann in app.crowd(5).await {
        let login = json!({"identifier": ann.username, "password": ann.password});
        // one after the other, until the password is another
        let logins = (0..4).map(async |_| {
            let mut refreshes = Vec::new();
            loop {
                let reply = app.anonymous().post("/v1/auth/login", login.clone()).await;
                if reply.status != 200 {
                    reply.problem(401);
                    return refreshes;
                }
                let tokens = reply.expect(200);
                refreshes.push(json!({"refresh_token": tokens["refresh_token"]}));
            }
        });
        let change = json!({"current_password": ann.password, "new_password": "another password"});
        let (refreshes, changed) =
            tokio::join!(join_all(logins), ann.put("/v1/auth/password", change));
        changed.expect(204);
        for refresh in refreshes.into_iter().flatten() {
            let refreshed = app.anonymous().post("/v1/auth/refresh", refresh).await;
            refreshed.problem(401);
        }
    }
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
