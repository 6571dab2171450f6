//! What an operator and a proxy look at.

use std::collections::HashSet;

use connexus_e2e::{Http, Reply, TestApp};
use reqwest::Method;
use serde_json::json;

const ORIGIN: &str = "https://chat.example.org";

/// The value of a metric, over all its labels.
async fn metric(client: &Http, name: &str) -> f64 {
    let text = client.get("/metrics").await.text;
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test]
async fn a_server_is_healthy_and_ready() {
    let app = TestApp::shared().await;
    for path in ["/health", "/health/ready"] {
        let reply = app.anonymous().get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
}

#[tokio::test]
async fn sent_messages_are_counted() {
    let app = TestApp::with(&[]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let client = app.anonymous();
    assert!(metric(&client, "connexus_coalescer_batch_size_sum").await < 0.5);
    for n in 0..5 {
        ann.say(&direct, &format!("{n}")).await;
    }
    ann.ws()
        .await
        .ok(
            "message.send",
            json!({"conversation_id": direct, "body": "5"}),
        )
        .await;
    assert!((metric(&client, "connexus_coalescer_batch_size_sum").await - 6.0).abs() < 0.1);
    let text = client.get("/metrics").await.text;
    assert!(
        !text.contains(&ann.id) && !text.contains(&direct),
        "no label for each user or conversation"
    );
}

#[tokio::test]
async fn metrics_may_be_kept_from_strangers() {
    let token = "monitor-0123456789abcdef";
    let app = TestApp::with(&[("CONNEXUS__METRICS__TOKEN", token)]).await;
    app.anonymous().get("/metrics").await.problem(401);
    app.bearing("garbage").get("/metrics").await.problem(401);
    let ann = app.user("ann").await;
    ann.get("/metrics").await.problem(401);
    assert_eq!(app.bearing(token).get("/metrics").await.status, 200);
}

#[tokio::test]
async fn each_request_has_an_id() {
    let app = TestApp::shared().await;
    let client = app.anonymous();
    let mut ids = HashSet::new();
    for path in ["/health", "/nowhere", "/v1/users/me", "/openapi.json"] {
        let reply = client.get(path).await;
        let id = reply.header("x-request-id").to_owned();
        assert!(!id.is_empty(), "{path}");
        assert!(ids.insert(id), "{path}: an id of another request");
    }
}

#[tokio::test]
async fn answers_tell_browsers_to_be_careful() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    for path in ["/v1/users/me", "/nowhere", "/health"] {
        let reply = ann.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
    }
    assert!(
        ann.get("/v1/users/me")
            .await
            .header("cache-control")
            .contains("no-store")
    );
}

async fn preflight(client: &Http, origin: &str, method: &str) -> Reply {
    let request = client
        .request(Method::OPTIONS, "/v1/users/me")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header(
            "access-control-request-headers",
            "authorization, content-type, idempotency-key",
        );
    client.send(request).await
}

#[tokio::test]
async fn pages_of_the_allowed_origin_may_ask() {
    let app = TestApp::with(&[("FRONTEND_URL", ORIGIN)]).await;
    let client = app.anonymous();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let reply = preflight(&client, ORIGIN, method).await;
        assert_eq!(reply.status / 100, 2, "{method}: {}", reply.text);
        assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
        let with_cookies = reply.header("access-control-allow-credentials");
        assert_eq!(with_cookies, "true");
        assert!(
            reply
                .header("access-control-allow-methods")
                .contains(method)
        );
        let headers = reply.header("access-control-allow-headers").to_lowercase();
        for name in ["authorization", "content-type", "idempotency-key"] {
            assert!(headers.contains(name), "{name} in {headers}");
        }
    }
    for other in ["https://evil.example", "null", "http://chat.example.org"] {
        let reply = preflight(&client, other, "GET").await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{other}");
        let reply = client
            .send(
                client
                    .request(Method::GET, "/health")
                    .header("origin", other),
            )
            .await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{other}");
    }
    // a problem is shown to the page, too
    let reply = client
        .send(
            client
                .request(Method::GET, "/v1/users/me")
                .header("origin", ORIGIN),
        )
        .await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (401, ORIGIN)
    );
}

/// How long a refusal says to wait, in seconds.
#[track_caller]
fn told_to_wait(refusal: Reply) -> u64 {
    let wait = refusal
        .header("retry-after")
        .parse()
        .expect("whole seconds");
    assert!((1..=3_600).contains(&wait), "{wait}");
    refusal.problem(429);
    wait
}

#[tokio::test]
async fn who_sends_too_much_is_told_when_to_come_back() {
    let app = TestApp::with(&[("CONNEXUS__LIMITS__PROFILE", "normal")]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let path = format!("/v1/conversations/{direct}/messages");
    let mut sent = 0;
    let refusal = loop {
        let reply = ann.post(&path, json!({"body": "again"})).await;
        if reply.status == 429 {
            break reply;
        }
        reply.expect(201);
        sent += 1;
        assert!(sent < 10_000, "nobody is ever stopped");
    };
    told_to_wait(refusal);
    // another user is not held up, and what was refused was not sent
    bob.say(&direct, "my turn").await;
    assert_eq!(bob.conversation(&direct).await["last_seq"], sent + 1);
    // reading goes on
    ann.history(&direct).await;
}

#[tokio::test]
async fn passwords_cannot_be_guessed_one_after_the_other() {
    let app = TestApp::with(&[("CONNEXUS__LIMITS__PROFILE", "strict")]).await;
    let ann = app.user("ann").await;
    let guess = json!({"identifier": ann.username, "password": "guessed"});
    let client = app.anonymous();
    let mut guesses = 0;
    let refusal = loop {
        let reply = client.post("/v1/auth/login", guess.clone()).await;
        if reply.status == 429 {
            break reply;
        }
        reply.problem(401);
        guesses += 1;
        assert!(guesses <= 5, "five in a quarter of an hour are enough");
    };
    told_to_wait(refusal);
    // neither a proxy's header that nobody vouches for nor the right password helps
    let right = json!({"identifier": ann.username, "password": ann.password});
    let request = client
        .request(Method::POST, "/v1/auth/login")
        .header("x-forwarded-for", "203.0.113.7")
        .json(&right);
    told_to_wait(client.send(request).await);
    // nor another spelling of the route
    for path in [
        "/%761/auth/login",
        "/v1/auth/%6cogin",
        "/%76%31/%61uth/login",
    ] {
        let again = client.post(path, guess.clone()).await;
        assert_eq!(again.header("cache-control"), "no-store", "{path}");
        told_to_wait(again);
    }
    ann.get("/v1/users/me").await.expect(200);
    // whoever watches over the server is not counted
    for _ in 0..150 {
        client.get("/health").await.expect(200);
        client.get("/health/ready").await.expect(200);
    }
}
