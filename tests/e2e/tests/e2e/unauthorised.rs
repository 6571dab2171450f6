//! No route is open by mistake.

use connexus_e2e::{Http, Reply, TestApp, nobody};
use reqwest::Method;
use serde_json::json;

use crate::openapi::operations;

/// What anybody may ask for. A route that is not here must ask who is there.
const PUBLIC: [(&str, &str); 9] = [
    ("post", "/v1/auth/register"),
    ("post", "/v1/auth/login"),
    ("post", "/v1/auth/refresh"),
    ("get", "/v1/ws"),
    ("get", "/health"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/docs"),
];

/// A path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for (n, part) in path.split('{').enumerate() {
        match part.split_once('}') {
            Some((name, rest)) if n > 0 => {
                let value = match name {
                    "emoji" => "%F0%9F%91%8D".to_owned(),
                    "slug" => "general".to_owned(),
                    _ => nobody(),
                };
                filled.push_str(&value);
                filled.push_str(rest);
            }
            _ => filled.push_str(part),
        }
    }
    filled
}

async fn ask(who: &Http, method: &str, path: &str) -> Reply {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = who.request(method.clone(), &filled(path));
    let request = if matches!(method, Method::GET | Method::DELETE) {
        request
    } else {
        request.json(&json!({}))
    };
    who.send(request).await
}

#[tokio::test]
async fn every_route_that_is_not_public_asks_who_is_there() {
    let app = TestApp::shared().await;
    let document = app.anonymous().get("/openapi.json").await.expect(200);
    let strangers = [
        ("token_missing", app.anonymous()),
        ("token_invalid", app.bearing("garbage")),
    ];
    let mut checked = 0;
    for (method, path, _) in operations(&document) {
        if PUBLIC.contains(&(method.as_str(), path.as_str())) {
            continue;
        }
        for (code, stranger) in &strangers {
            let reply = ask(stranger, &method, &path).await;
            assert_eq!(
                reply.status, 401,
                "{method} {path} with {code}: {}",
                reply.text
            );
            // how to ask must be said (RFC 9110, 15.5.2)
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{method} {path} with {code}"
            );
            reply.problem_code(401, code);
        }
        checked += 1;
    }
    assert!(
        checked >= 35,
        "only {checked} routes were found in the document"
    );
}

#[tokio::test]
async fn who_was_logged_out_is_a_stranger_everywhere() {
    let app = TestApp::shared().await;
    let document = app.anonymous().get("/openapi.json").await.expect(200);
    let gone = app.user("gone").await;
    gone.post("/v1/auth/logout", json!({})).await.expect(204);
    for (method, path, _) in operations(&document) {
        if !PUBLIC.contains(&(method.as_str(), path.as_str())) {
            ask(&gone, &method, &path)
                .await
                .problem_code(401, "session_revoked");
        }
    }
}
