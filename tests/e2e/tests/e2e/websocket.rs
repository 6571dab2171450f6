//! Opening a socket: who may, and how it is proven.

use connexus_e2e::{Socket, TestApp, User, connect};
use serde_json::{Value, json};

use crate::common::{assert_keys, assert_time};

async fn works(mut socket: Socket) {
    socket.ok("ping", json!({})).await;
}

/// A refusal is told by a close code, since a browser is not shown the status of a failed handshake.
async fn refused(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    connect(&app.address(), headers)
        .await
        .expect("a handshake")
        .closed_with()
        .await
}

fn protocols(user: &User) -> String {
    format!("connexus.v1, bearer.{}", user.access_token)
}

#[tokio::test]
async fn three_ways_to_say_who_one_is() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let bearer = format!("Bearer {}", ann.access_token);
    works(
        connect(&app.address(), &[("authorization", &bearer)])
            .await
            .unwrap(),
    )
    .await;

    let offered = protocols(&ann);
    let socket = connect(&app.address(), &[("sec-websocket-protocol", &offered)])
        .await
        .unwrap();
    assert_eq!(
        socket.protocol.as_deref(),
        Some("connexus.v1"),
        "the token is not repeated"
    );
    works(socket).await;

    let mut socket = app.stranger().await;
    let greeting = socket.ok("auth", json!({"token": ann.access_token})).await;
    assert_keys(
        &greeting,
        &[
            "user_id",
            "session_id",
            "connection_id",
            "server_time",
            "heartbeat_s",
        ],
    );
    assert_eq!(
        (&greeting["user_id"], &greeting["session_id"]),
        (&json!(ann.id), &json!(ann.session_id))
    );
    assert!(
        greeting["connection_id"]
            .as_str()
            .is_some_and(|id| id.len() == 36)
    );
    assert!(
        greeting["heartbeat_s"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert_time(&greeting["server_time"]);
    works(socket).await;
}

#[tokio::test]
async fn who_proves_nothing_is_refused() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    assert_eq!(
        refused(&app, &[("authorization", "Bearer garbage")]).await,
        4401
    );
    assert_eq!(
        refused(
            &app,
            &[("sec-websocket-protocol", "connexus.v1, bearer.garbage")]
        )
        .await,
        4401
    );
    let gone = ann.on_another_device("gone").await;
    gone.post("/v1/auth/logout", json!({})).await.expect(204);
    let bearer = format!("Bearer {}", gone.access_token);
    assert_eq!(refused(&app, &[("authorization", &bearer)]).await, 4401);
    assert_eq!(
        refused(&app, &[("sec-websocket-protocol", &protocols(&gone))]).await,
        4401
    );

    for token in ["garbage", gone.access_token.as_str(), ""] {
        let mut socket = app.stranger().await;
        let error = socket.refused("auth", json!({"token": token})).await;
        assert!(
            matches!(
                error["code"].as_str(),
                Some("token_invalid" | "session_revoked")
            ),
            "{error}"
        );
        assert_eq!(socket.closed_with().await, 4401, "{token}");
    }
    // nothing is done for who has not said who it is
    for op in ["ping", "sync", "message.send", "status.set"] {
        let mut socket = app.stranger().await;
        assert_eq!(
            socket.refused(op, json!({"conversations": {}})).await["code"],
            "token_missing"
        );
        assert_eq!(socket.closed_with().await, 4401, "{op}");
    }
    // a slip is answered, and proves nothing
    for first in [
        "nonsense",
        "{}",
        r#"{"op":"auth"}"#,
        r#"{"op":"auth","token":{"$ne":null}}"#,
    ] {
        let mut socket = app.stranger().await;
        socket.send_text(first).await;
        assert_eq!(socket.next_answer().await.value["ok"], false, "{first}");
        socket.send_text(r#"{"op":"ping"}"#).await;
        assert_eq!(socket.closed_with().await, 4401, "{first}");
    }
}

#[tokio::test]
async fn a_token_in_the_address_is_worth_nothing() {
    let app = TestApp::with(&[("CONNEXUS__WS__AUTH_TIMEOUT_MS", "300")]).await;
    let ann = app.user("ann").await;
    for query in ["token", "access_token", "bearer", "authorization"] {
        let url = format!("ws://{}/v1/ws?{query}={}", app.address(), ann.access_token);
        let mut socket = connexus_e2e::connect_to(&url).await;
        assert_eq!(socket.closed_with().await, 4408, "{query}");
    }
}

#[tokio::test]
async fn who_says_nothing_in_time_is_refused() {
    let app = TestApp::with(&[("CONNEXUS__WS__AUTH_TIMEOUT_MS", "300")]).await;
    assert_eq!(app.stranger().await.closed_with().await, 4408);
    // who did is not asked again
    let ann = app.user("ann").await;
    let mut late = app.stranger().await;
    let mut early = ann.ws().await;
    assert_eq!(late.closed_with().await, 4408);
    early.ok("ping", json!({})).await;
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket() {
    let app = TestApp::with(&[("FRONTEND_URL", "https://chat.example.org")]).await;
    let ann = app.user("ann").await;
    let bearer = format!("Bearer {}", ann.access_token);
    for origin in [
        "https://evil.example",
        "https://chat.example.org.evil.example",
        "http://chat.example.org",
        "https://chat.example.org:8443",
        "null",
    ] {
        let headers = [("origin", origin), ("authorization", bearer.as_str())];
        assert_eq!(refused(&app, &headers).await, 4403, "{origin}");
    }
    let headers = [
        ("origin", "https://chat.example.org"),
        ("authorization", bearer.as_str()),
    ];
    works(connect(&app.address(), &headers).await.unwrap()).await;
    // who is no page sends no origin
    works(ann.ws().await).await;
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_a_problem() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let reply = ann.get("/v1/ws").await;
    assert!(
        matches!(reply.status, 400 | 426),
        "{} {}",
        reply.status,
        reply.text
    );
    let status = reply.status;
    reply.problem(status);
}

#[tokio::test]
async fn the_server_pings_and_answers_pings() {
    let app = TestApp::with(&[("CONNEXUS__WS__PING_INTERVAL_MS", "200")]).await;
    let ann = app.user("ann").await;
    let mut socket = ann.ws().await;
    assert_eq!(
        socket.protocol_ping(b"are you there?").await,
        b"are you there?"
    );
    socket.pinged().await;
    socket.pinged().await;
    assert_eq!(socket.ok("ping", json!({})).await, Value::Null);
}

#[tokio::test]
async fn who_does_not_answer_pings_is_gone() {
    let app = TestApp::with(&[("CONNEXUS__WS__PING_INTERVAL_MS", "200")]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    let of_ann = |event: &Value| event["data"]["user_id"] == ann.id.as_str();
    // a socket that nobody reads from answers no pings
    let _silent = ann.ws().await;
    let here = bobs.expect_event_where("presence.updated", of_ann).await;
    assert_eq!(here["data"]["status"], "online");
    let gone = bobs.expect_event_where("presence.updated", of_ann).await;
    assert_eq!(gone["data"]["status"], "offline");
}
