//! What no client should send: each of it is a problem of the client's, none of the server's.

use connexus_e2e::{Http, Reply, TestApp, User, nobody, unique};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::id;

/// Every route that takes a body, with one that it would take.
async fn routes_with_bodies(ann: &User, bob: &User) -> Vec<(Method, String, Value)> {
    let group = ann.group([bob]).await;
    let message = id(&ann.say(&group, "hello").await);
    let conversation = format!("/v1/conversations/{group}");
    let name = unique("new");
    let text = |path: &str| path.to_owned();
    vec![
        (
            Method::POST,
            text("/v1/auth/register"),
            json!({"username": name, "email": format!("{name}@b.example"), "password": "correct horse", "display_name": "N"}),
        ),
        (
            Method::POST,
            text("/v1/auth/login"),
            json!({"identifier": "x", "password": "x", "device": "x"}),
        ),
        (
            Method::POST,
            text("/v1/auth/refresh"),
            json!({"refresh_token": "x"}),
        ),
        (
            Method::PUT,
            text("/v1/auth/password"),
            json!({"current_password": "x", "new_password": "correct horse"}),
        ),
        (
            Method::PATCH,
            text("/v1/users/me"),
            json!({"display_name": "x", "bio": "x", "avatar_url": "/x", "status": "busy", "status_text": "x", "privacy": 1}),
        ),
        (
            Method::POST,
            text("/v1/conversations"),
            json!({"kind": "direct", "user_id": bob.id}),
        ),
        (
            Method::POST,
            text("/v1/conversations"),
            json!({"kind": "group", "name": "x", "member_ids": []}),
        ),
        (
            Method::POST,
            text("/v1/conversations"),
            json!({"kind": "room", "slug": unique("room"), "name": "x"}),
        ),
        (
            Method::PATCH,
            conversation.clone(),
            json!({"name": "x", "description": "x", "avatar_url": "/x"}),
        ),
        (
            Method::POST,
            format!("{conversation}/members"),
            json!({"user_ids": []}),
        ),
        (
            Method::PATCH,
            format!("{conversation}/members/{}", bob.id),
            json!({"role": "admin"}),
        ),
        (
            Method::PATCH,
            format!("{conversation}/preferences"),
            json!({"archived": true, "muted_until": null, "pinned": true}),
        ),
        (
            Method::PUT,
            format!("{conversation}/read"),
            json!({"seq": 1}),
        ),
        (
            Method::PUT,
            format!("{conversation}/read"),
            json!({"message_id": message}),
        ),
        (
            Method::POST,
            format!("{conversation}/messages"),
            json!({"body": "x", "kind": "text", "attachment_ids": [], "reply_to": null, "thread_id": null, "client_id": "x"}),
        ),
        (
            Method::PATCH,
            format!("/v1/messages/{message}"),
            json!({"body": "x"}),
        ),
        (
            Method::POST,
            text("/v1/sync"),
            json!({"conversations": {}, "limit": 1}),
        ),
    ]
}

async fn raw(
    user: &User,
    method: &Method,
    path: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Reply {
    user.send(
        user.request(method.clone(), path)
            .header("content-type", kind)
            .body(body),
    )
    .await
}

/// Checks that the answer is a problem with one of these statuses.
#[track_caller]
fn is_refused(reply: Reply, statuses: &[u16], what: &str) {
    let (status, text) = (reply.status, reply.text.clone());
    assert!(
        statuses.contains(&status),
        "{} with {what:.200} → {status}: {text}",
        reply.what
    );
    reply.problem(status);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_everywhere() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_inside = format!(
        r#"{{"body":{}1{}}}"#,
        r#"{"a":"#.repeat(20_000),
        "}".repeat(20_000)
    );
    for (method, path, body) in routes_with_bodies(&ann, &bob).await {
        for text in [
            "",
            "{",
            "nonsense",
            "{\"a\":}",
            "{\"a\":\"\\ud800\"}",
            "{'a':1}",
            "\u{0}",
            deep.as_str(),
            deep_inside.as_str(),
        ] {
            is_refused(
                raw(&ann, &method, &path, "application/json", text.to_owned()).await,
                &[400],
                text,
            );
        }
        is_refused(
            raw(
                &ann,
                &method,
                &path,
                "application/json",
                b"\"\xff\xfe\"".to_vec(),
            )
            .await,
            &[400],
            "no UTF-8",
        );
        for other in [json!([]), json!("x"), json!(42), Value::Null] {
            is_refused(
                raw(&ann, &method, &path, "application/json", other.to_string()).await,
                &[400],
                &other.to_string(),
            );
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/xml",
        ] {
            is_refused(
                raw(&ann, &method, &path, kind, body.to_string()).await,
                &[415],
                kind,
            );
        }
    }
}

#[tokio::test]
async fn nothing_but_its_own_type_is_taken_for_a_field() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let operators = [
        json!({"$ne": null}),
        json!({"$gt": ""}),
        json!({"$where": "sleep(1000)"}),
        json!([["x"]]),
        json!(-1.5),
        json!(1e300),
    ];
    for (method, path, body) in routes_with_bodies(&ann, &bob).await {
        for field in body.as_object().unwrap().keys() {
            for value in &operators {
                // an object is what privacy is; its own fields come below
                if field == "privacy" && value.is_object() {
                    continue;
                }
                let mut changed = body.clone();
                changed[field] = value.clone();
                let reply = ann
                    .send(ann.request(method.clone(), &path).json(&changed))
                    .await;
                is_refused(reply, &[400], &changed.to_string());
            }
            let mut changed = body.clone();
            changed[field] = json!("nul\u{0}");
            let reply = ann
                .send(ann.request(method.clone(), &path).json(&changed))
                .await;
            is_refused(reply, &[400, 401], &changed.to_string());
        }
    }
    for field in ["presence", "read_receipts", "searchable"] {
        for value in &operators {
            let reply = ann
                .patch("/v1/users/me", json!({"privacy": {field: value}}))
                .await;
            is_refused(reply, &[400], field);
        }
    }
}

#[tokio::test]
async fn a_huge_body_is_refused_everywhere() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let huge = json!({"body": "x".repeat(3_000_000)}).to_string();
    for (method, path, _) in routes_with_bodies(&ann, &bob).await {
        let request = ann
            .request(method.clone(), &path)
            .header("content-type", "application/json")
            .body(huge.clone());
        // a server that has said no need not read on: then the connection ends while the client still sends
        if let Ok(reply) = ann.try_send(request).await {
            is_refused(reply, &[413], "3 MB");
        }
    }
    ann.get("/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn a_compressed_body_is_refused_before_it_is_unpacked() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let login = json!({"identifier": ann.username, "password": ann.password}).to_string();
    // the dialects' routes go through the same layers
    for path in ["/v1/auth/login", "/v1/auth/register", "/api/auth/login"] {
        for coding in ["br", "gzip", "deflate", "zstd", "GZIP", "identity, br"] {
            let request = app
                .anonymous()
                .request(Method::POST, path)
                .header("content-type", "application/json")
                .header("content-encoding", coding)
                .body(login.clone());
            is_refused(app.anonymous().send(request).await, &[415], coding);
        }
    }
    let request = app
        .anonymous()
        .request(Method::POST, "/v1/auth/login")
        .header("content-type", "application/json")
        .header("content-encoding", "identity")
        .body(login);
    app.anonymous().send(request).await.expect(200);
}

const IDS: [&str; 10] = [
    "not-a-uuid",
    "0",
    "-1",
    "%00",
    "%27%20OR%201%3D1--",
    "%7B%22%24ne%22%3Anull%7D",
    "..%2f..%2fetc%2fpasswd",
    "00000000-0000-0000-0000-00000000000g",
    "%ff",
    "undefined",
];

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let long = "x".repeat(2_000);
    for id in IDS.into_iter().chain([long.as_str()]) {
        let gets = [
            format!("/v1/users/{id}"),
            format!("/v1/users/{id}/presence"),
            format!("/v1/conversations/{id}"),
            format!("/v1/conversations/{id}/members"),
            format!("/v1/conversations/{id}/messages"),
            format!("/v1/conversations/{id}/receipts"),
            format!("/v1/messages/{id}"),
            format!("/v1/messages/{id}/thread"),
            format!("/v1/search/messages?q=x&conversation_id={id}"),
            format!("/v1/search/messages?q=x&sender_id={id}"),
            format!("/v1/search/messages?q=x&before={id}"),
        ];
        for path in gets {
            is_refused(ann.get(&path).await, &[400, 404], &path);
        }
        let deletes = [
            format!("/v1/auth/sessions/{id}"),
            format!("/v1/users/me/blocks/{id}"),
            format!("/v1/conversations/{id}"),
            format!("/v1/conversations/{id}/members/{}", bob.id),
            format!("/v1/conversations/{group}/members/{id}"),
            format!("/v1/messages/{id}"),
            format!("/v1/messages/{id}/reactions/%F0%9F%91%8D"),
        ];
        for path in deletes {
            is_refused(ann.delete(&path).await, &[400, 404], &path);
        }
        for field in ["user_id", "kind"] {
            let mut body = json!({"kind": "direct", "user_id": bob.id});
            body[field] = json!(id);
            is_refused(ann.post("/v1/conversations", body).await, &[400], id);
        }
        is_refused(
            ann.put(&format!("/v1/users/me/blocks/{id}"), Value::Null)
                .await,
            &[400, 404],
            id,
        );
    }
    assert_eq!(ann.conversation(&group).await["member_count"], 2);
}

#[tokio::test]
async fn a_query_keeps_its_rules() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    for path in [
        "/v1/users?limit=%00".to_owned(),
        "/v1/users?limit[$gt]=1&limit=0".to_owned(),
        "/v1/users?query=nul%00".to_owned(),
        format!("/v1/users?query={}", "x".repeat(5_000)),
        "/v1/users?cursor=%00".to_owned(),
        "/v1/users?cursor=e30".to_owned(),
        "/v1/conversations?archived=perhaps".to_owned(),
        "/v1/conversations?cursor=%27%3B--".to_owned(),
        "/v1/conversations?limit=99999999999999999999".to_owned(),
        format!("/v1/conversations/{group}/messages?before=%7B%7D"),
        format!("/v1/conversations/{group}/messages?before=-1&limit=0"),
        format!("/v1/conversations/{group}/members?cursor=x"),
        format!("/v1/conversations/{group}/members?limit=0"),
        format!("/v1/search/messages?q={}", "x".repeat(5_000)),
        "/v1/search/messages".to_owned(),
    ] {
        is_refused(ann.get(&path).await, &[400], &path);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    for path in [
        "/nowhere",
        "/v1",
        "/v1/",
        "/v2/users/me",
        "/v1/users/me/nothing",
        "/v1/auth",
        "/v1/auth/register/x",
        "/.env",
        "/v1/../etc/passwd",
        "/v1/%2e%2e/etc/passwd",
        "//v1/users/me",
        "/%00",
        "/v1/users/me%00",
    ] {
        is_refused(ann.get(path).await, &[400, 404], path);
        is_refused(ann.post(path, json!({})).await, &[400, 404, 405], path);
    }
}

#[tokio::test]
async fn another_method_is_not_allowed() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    let some = nobody();
    for (path, allowed) in [
        ("/v1/auth/register".to_owned(), "POST"),
        ("/v1/auth/login".to_owned(), "POST"),
        ("/v1/auth/refresh".to_owned(), "POST"),
        ("/v1/auth/logout".to_owned(), "POST"),
        ("/v1/auth/password".to_owned(), "PUT"),
        ("/v1/auth/sessions".to_owned(), "GET"),
        (format!("/v1/auth/sessions/{some}"), "DELETE"),
        ("/v1/users/me".to_owned(), "GET PATCH"),
        ("/v1/users".to_owned(), "GET"),
        (format!("/v1/users/{some}/presence"), "GET"),
        ("/v1/presence".to_owned(), "GET"),
        (format!("/v1/users/me/blocks/{some}"), "PUT DELETE"),
        ("/v1/conversations".to_owned(), "GET POST"),
        (format!("/v1/conversations/{some}"), "GET PATCH DELETE"),
        (format!("/v1/conversations/{some}/members"), "GET POST"),
        (
            format!("/v1/conversations/{some}/members/{some}"),
            "PATCH DELETE",
        ),
        ("/v1/rooms/some/join".to_owned(), "POST"),
        (format!("/v1/conversations/{some}/preferences"), "PATCH"),
        (format!("/v1/conversations/{some}/read"), "PUT"),
        (format!("/v1/conversations/{some}/receipts"), "GET"),
        (format!("/v1/conversations/{some}/messages"), "GET POST"),
        (format!("/v1/messages/{some}"), "GET PATCH DELETE"),
        (
            format!("/v1/messages/{some}/reactions/%F0%9F%91%8D"),
            "PUT DELETE",
        ),
        (format!("/v1/messages/{some}/thread"), "GET"),
        ("/v1/search/messages".to_owned(), "GET"),
        ("/v1/sync".to_owned(), "POST"),
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            if !allowed.split(' ').any(|word| word == method.as_str()) {
                let reply = send(&ann, &method, &path).await;
                // which ones are allowed must be said (RFC 9110, 15.5.6)
                let said: Vec<String> = reply
                    .header("allow")
                    .split(',')
                    .map(|word| word.trim().to_owned())
                    .collect();
                for word in allowed.split(' ') {
                    assert!(
                        said.iter().any(|one| one == word),
                        "{method} {path}: allow: {said:?}, {}",
                        reply.text
                    );
                }
                is_refused(reply, &[405], method.as_str());
            }
        }
    }
}

async fn send(user: &Http, method: &Method, path: &str) -> Reply {
    user.send(user.request(method.clone(), path).json(&json!({})))
        .await
}
