//! The start and the end of a server.

use connexus_e2e::{SECRET, Socket, TestApp, User, run_to_exit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::items;

#[tokio::test]
async fn a_server_that_is_asked_to_end_says_goodbye() {
    let app = TestApp::with(&[]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let sent = ann.say(&direct, "kept").await;
    let mut sockets = [ann.ws().await, bob.ws().await];
    app.terminate();
    for socket in &mut sockets {
        assert_eq!(socket.closed_with().await, 1012);
    }
    let status = app.ended().await;
    assert_eq!(status.code(), Some(0), "{}", app.log());
    assert!(
        !app.log().to_lowercase().contains("panick"),
        "{}",
        app.log()
    );

    app.restart().await;
    assert_eq!(bob.history(&direct).await, [sent]);
    let mut again = bob.ws().await;
    again.ok("ping", json!({})).await;
}

#[tokio::test]
async fn also_who_has_not_said_who_it_is_is_told_to_come_back() {
    let app = TestApp::with(&[]).await;
    let mut socket = app.stranger().await;
    app.terminate();
    assert_eq!(socket.closed_with().await, 1012);
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
}

#[tokio::test]
async fn nobody_waits_for_idle_connections() {
    let hour = ("CONNEXUS__SERVER__SHUTDOWN_TIMEOUT_MS", "3600000");
    let app = TestApp::with(&[hour]).await;
    let mut idle = TcpStream::connect(app.address()).await.unwrap();
    let request = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    for _ in 0..2 {
        idle.write_all(request.as_bytes()).await.unwrap();
        let answered = idle.read(&mut [0; 4096]).await.unwrap();
        assert!(answered > 0, "kept for the next request");
    }
    app.terminate();
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
}

#[tokio::test]
async fn what_was_begun_before_the_end_is_finished() {
    let app = TestApp::with(&[]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let mut socket = ann.ws().await;
    let mut calls = Vec::new();
    for n in 0..200 {
        let call = json!({"conversation_id": direct, "body": format!("{n}")});
        calls.push(socket.start("message.send", call).await);
    }
    let first = socket.answer(&calls[0]).await.value;
    assert_eq!(first["ok"], true);
    app.terminate();
    let (acknowledged, code) = socket.into_answers().await;
    assert_eq!(code, Some(1012));
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
    app.restart().await;
    let last = bob.conversation(&direct).await["last_seq"]
        .as_u64()
        .unwrap();
    let said_yes = acknowledged
        .iter()
        .filter(|answer| answer.value["ok"] == true)
        .count() as u64
        + 1;
    assert_eq!(
        last, said_yes,
        "all that is stored was acknowledged, and the other way round"
    );
}

/// Nothing is written before the end.
const MINUTE: (&str, &str) = ("CONNEXUS__DELIVERY__RECEIPT_FLUSH_MS", "60000");

#[tokio::test]
async fn what_was_delivered_last_is_known_after_the_end() {
    // also in conversations that are too big for telling it
    for few in ["2", "1"] {
        let app = TestApp::with(&[MINUTE, ("CONNEXUS__DELIVERY__CHATTER_MAX_MEMBERS", few)]).await;
        let [ann, bob] = app.users(["ann", "bob"]).await;
        let direct = ann.direct(&bob).await;
        let mut socket = five_delivered(&ann, &bob, &direct).await;
        app.terminate();
        assert_eq!(socket.closed_with().await, 1012);
        drop(socket);
        assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
        app.restart().await;
        assert_eq!(delivered(&ann, &bob, &direct).await, 5, "{}", app.log());
    }
}

#[tokio::test]
async fn who_holds_on_to_a_connection_is_in_nobodys_way() {
    let grace = ("CONNEXUS__SERVER__SHUTDOWN_TIMEOUT_MS", "3000");
    let app = TestApp::with(&[MINUTE, grace]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let silent = five_delivered(&ann, &bob, &direct).await;
    let mut slow = TcpStream::connect(app.address()).await.unwrap();
    let begun = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 100\r\n\r\n{";
    slow.write_all(begun.as_bytes()).await.unwrap();
    app.anonymous().get("/health").await.expect(200);
    app.terminate();
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
    drop((silent, slow));
    app.restart().await;
    assert_eq!(delivered(&ann, &bob, &direct).await, 5, "{}", app.log());
}

/// A socket of `to`'s that has got five messages.
async fn five_delivered(from: &User, to: &User, direct: &str) -> Socket {
    let mut socket = to.ws().await;
    for n in 0..5 {
        from.say(direct, &format!("{n}")).await;
        from.history(direct).await;
    }
    let is_last = |event: &Value| event["data"]["seq"] == 5;
    socket.expect_event_where("message.created", is_last).await;
    socket
}

/// How far `of` has got, as `asker` sees it.
async fn delivered(asker: &User, of: &User, direct: &str) -> Value {
    let path = format!("/v1/conversations/{direct}/receipts");
    let receipts = items(&asker.get(&path).await.expect(200));
    let receipt = receipts
        .iter()
        .find(|receipt| receipt["user_id"] == of.id.as_str());
    receipt.unwrap()["delivered_seq"].clone()
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_a_line_that_names_it() {
    for (key, value, named) in [
        ("CONNEXUS__SERVER__BIND", "nonsense", "server.bind"),
        (
            "CONNEXUS__STORAGE__URL",
            "carrier-pigeon://coop",
            "storage.url",
        ),
        ("CONNEXUS__LIMITS__PROFILE", "relaxed", "limits.profile"),
        ("CONNEXUS__LOG__LEVEL", "everything=please=", "log.level"),
        (
            "CONNEXUS__AUTH__ARGON2_ITERATIONS",
            "many",
            "auth.argon2_iterations",
        ),
        (
            "CONNEXUS__WS__PING_INTERVAL_MS",
            "-1",
            "ws.ping_interval_ms",
        ),
        ("CONNEXUS__SERVER__NO_SUCH_KEY", "1", "no_such_key"),
        ("CONNEXUS__NO_SUCH_SECTION__KEY", "1", "no_such_section"),
    ] {
        let exit = run_to_exit(&[(key, value)], &[]).await;
        assert!(!exit.status.success(), "{key}={value} was taken");
        let lines: Vec<&str> = exit
            .stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        assert_eq!(lines.len(), 1, "{key}: {}", exit.stderr);
        assert!(lines[0].contains(named), "{key}: {}", lines[0]);
    }
    let exit = run_to_exit(&[("CONNEXUS__LIMITS__PROFILE", "relaxed")], &[]).await;
    for word in ["relaxed", "off", "normal", "strict"] {
        assert!(
            exit.stderr.contains(word),
            "what it was and what it may be: {}",
            exit.stderr
        );
    }
}

#[tokio::test]
async fn production_needs_a_secret_of_its_own() {
    let production = ("CONNEXUS__ENVIRONMENT", "production");
    let secret = |value| ("CONNEXUS__AUTH__JWT_SECRET", value);
    let page = |origin| ("FRONTEND_URL", origin);
    let known = page("https://chat.example.org");
    for (settings, named) in [
        (vec![production, known], "auth.jwt_secret"),
        (vec![production, known, secret("short")], "auth.jwt_secret"),
        (
            vec![
                production,
                known,
                secret("your_super_secret_jwt_key_of_the_tutorial"),
            ],
            "auth.jwt_secret",
        ),
        (vec![production, page("*"), secret(SECRET)], "cors.origins"),
        (vec![production, secret(SECRET)], "cors.origins"),
    ] {
        let exit = run_to_exit(&settings, &[]).await;
        assert!(!exit.status.success(), "{settings:?}");
        assert!(exit.stderr.contains(named), "{settings:?}: {}", exit.stderr);
        assert!(!exit.stderr.contains(SECRET));
    }
}

#[tokio::test]
async fn the_effective_configuration_is_printed_without_secrets() {
    let secret = ("CONNEXUS__AUTH__JWT_SECRET", SECRET);
    let exit = run_to_exit(
        &[secret, ("CONNEXUS__SERVER__BIND", "127.0.0.1:4321")],
        &["config"],
    )
    .await;
    assert!(exit.status.success(), "{}", exit.stderr);
    assert!(exit.stdout.contains("127.0.0.1:4321"), "{}", exit.stdout);
    assert!(!exit.stdout.contains(SECRET));
}

#[tokio::test]
async fn the_settings_of_former_servers_are_understood() {
    // an `.env` of theirs wins over the native names
    let secret = "the secret of a former server, long enough";
    let settings = [
        ("CONNEXUS__SERVER__BIND", "127.0.0.1:4321"),
        ("PORT", "4322"),
        ("JWT_SECRET", secret),
    ];
    let exit = run_to_exit(&settings, &["config"]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    assert!(
        exit.stdout.contains("4322") && !exit.stdout.contains("4321"),
        "{}",
        exit.stdout
    );
    assert!(!exit.stdout.contains(secret));
    let exit = run_to_exit(&[("PORT", "a harbour")], &["config"]).await;
    assert!(!exit.status.success());
    assert!(exit.stderr.contains("PORT"), "{}", exit.stderr);
}
