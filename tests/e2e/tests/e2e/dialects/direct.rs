//! The dialect `direct`: its accounts here, its messages and its sockets beside.

mod files;
mod live;
mod messages;
mod presence;

use connexus_e2e::{SioSocket, TestApp, connect_socketio, nobody, unique};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PASSWORD, Person};

async fn people<const N: usize>(app: &TestApp, stems: [&str; N]) -> [Person; N] {
    let mut found = Vec::new();
    for stem in stems {
        found.push(Person::register(app, "direct", stem).await);
    }
    found.try_into().unwrap_or_else(|_| unreachable!())
}

/// The keys of an object, in order.
fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

const USER: [&str; 11] = [
    "_id",
    "bio",
    "createdAt",
    "email",
    "id",
    "isActive",
    "lastSeen",
    "profilePicture",
    "status",
    "updatedAt",
    "username",
];

/// Sends over REST: the answer's data.
async fn send(from: &Person, to: &Person, content: &str) -> Value {
    let body = json!({"to": to.id, "content": content});
    let sent = from.post("/direct/api/messages/send", body).await;
    sent.expect(201)["data"].clone()
}

/// A group of these, made by the first.
async fn group(of: &[&Person], name: &str) -> String {
    let ids: Vec<&str> = of[1..].iter().map(|person| person.id.as_str()).collect();
    let body = json!({"kind": "group", "name": name, "member_ids": ids});
    let made = of[0].post("/v1/conversations", body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn log_in(app: &TestApp, who: &Person) -> Value {
    let body = json!({"identifier": who.email, "password": PASSWORD});
    let answer = app.anonymous().post("/direct/api/auth/login", body).await;
    answer.expect(200)["data"].clone()
}

/// A socket of a session of its own.
async fn another_device(app: &TestApp, who: &Person) -> SioSocket {
    let auth = json!({"token": log_in(app, who).await["token"]});
    connect_socketio(&app.address(), &who.socket_path(), auth)
        .await
        .unwrap()
}

#[tokio::test]
async fn registering_and_logging_in() {
    // POST "/api/auth/register", POST "/api/auth/login"
    let app = TestApp::shared().await;
    let anyone = app.anonymous();
    for base in ["", "/direct"] {
        let name = unique("ann");
        let email = format!("{name}@example.org");
        let path = format!("{base}/api/auth/register");
        let body = json!({
            "username": name, "email": email, "password": PASSWORD, "confirmPassword": PASSWORD,
        });
        let made = anyone.post(&path, body.clone()).await.expect(201);
        assert_eq!(keys(&made), ["data", "message", "success"]);
        let data = &made["data"];
        let expected = ["accessToken", "expiresIn", "refreshToken", "token", "user"];
        assert_eq!(keys(data), expected);
        assert_eq!(data["token"], data["accessToken"]);
        assert_eq!(data["expiresIn"], "7d");
        assert_eq!(keys(&data["user"]), USER);
        assert_eq!(data["user"]["username"], name);
        for identifier in [&name, &email] {
            let body = json!({"identifier": identifier, "password": PASSWORD});
            let path = format!("{base}/api/auth/login");
            let answer = anyone.post(&path, body).await.expect(200);
            assert_eq!(keys(&answer["data"]), expected);
            assert_eq!(answer["data"]["user"]["_id"], data["user"]["_id"]);
            // at the root, too, it is known which dialect asked
            let auth = json!({"token": answer["data"]["token"]});
            let socket = connect_socketio(&app.address(), "/socket.io/", auth).await;
            let told = socket.unwrap().expect("authenticated").await;
            assert_eq!(told["user"]["username"], name);
        }
        let mut other = body.clone();
        other["email"] = json!(format!("other-{email}"));
        let taken = anyone.post(&path, other).await.expect(400);
        assert_eq!(taken["success"], false);
        assert_eq!(taken["message"], "Username already taken");
        let mut other = body.clone();
        other["username"] = json!(unique("ann"));
        let taken = anyone.post(&path, other).await.expect(400);
        assert_eq!(taken["message"], "Email already registered");
        for (identifier, password) in [(name.as_str(), "wrong-one"), ("nobody at all", PASSWORD)] {
            let body = json!({"identifier": identifier, "password": password});
            let path = format!("{base}/api/auth/login");
            let refused = anyone.post(&path, body).await.expect(401);
            let expected = json!({"success": false, "message": "Invalid credentials"});
            assert_eq!(refused, expected);
        }
    }
}

#[tokio::test]
async fn what_registration_and_login_refuse() {
    // POST "/api/auth/register", POST "/api/auth/login"
    let app = TestApp::shared().await;
    let anyone = app.anonymous();
    let name = unique("ann");
    let good = json!({
        "username": name,
        "email": format!("{name}@example.org"),
        "password": PASSWORD,
        "confirmPassword": PASSWORD,
    });
    let mut unlike = good.clone();
    unlike["confirmPassword"] = json!("Secret13");
    let refused = anyone.post("/api/auth/register", unlike).await.expect(400);
    let expected = json!({"success": false, "message": "Passwords do not match"});
    assert_eq!(refused, expected);
    for (field, value, text) in [
        (
            "username",
            json!("a b c"),
            "may contain only letters a-z, digits, '_', '.' and '-'",
        ),
        ("username", json!("ab"), "must have 3 to 30 characters"),
        ("username", json!({"$gt": ""}), "must be a string"),
        ("email", json!("nowhere"), "must be an e-mail address"),
        ("email", json!(["a@example.org"]), "must be a string"),
        ("password", json!(5), "must be a string"),
        ("confirmPassword", Value::Null, "must be a string"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = anyone
            .post("/direct/api/auth/register", body)
            .await
            .expect(400);
        assert_eq!(answer["message"], "Validation failed");
        let wrong = json!([{"field": field, "message": format!("{field} {text}")}]);
        assert_eq!(answer["errors"], wrong);
    }
    let mut body = good.clone();
    body.as_object_mut().unwrap().remove("confirmPassword");
    let answer = anyone
        .post("/direct/api/auth/register", body)
        .await
        .expect(400);
    assert_eq!(
        answer["errors"][0]["message"],
        "confirmPassword is required"
    );
    for hostile in [
        json!({}),
        json!({"identifier": {"$gt": ""}, "password": {"$gt": ""}}),
        json!({"identifier": null, "password": null}),
        json!({"identifier": ["a"], "password": 1}),
    ] {
        let path = "/direct/api/auth/login";
        let refused = anyone.post(path, hostile).await.expect(400);
        assert_eq!(refused["message"], "Validation failed");
    }
    let huge = json!({"identifier": "x".repeat(50_000), "password": "y".repeat(9_000)});
    anyone.post("/api/auth/login", huge).await.expect(401);
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    // POST "/api/auth/refresh-token"
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let first = log_in(&app, &ann).await;
    let body = json!({"refreshToken": first["refreshToken"]});
    let path = "/api/auth/refresh-token";
    let answer = app.anonymous().post(path, body.clone()).await.expect(200);
    let data = &answer["data"];
    assert_eq!(
        keys(data),
        ["accessToken", "expiresIn", "refreshToken", "token", "user"]
    );
    assert_ne!(data["refreshToken"], first["refreshToken"]);
    let bearer = app.bearing(data["token"].as_str().unwrap());
    bearer.get("/direct/api/auth/profile").await.expect(200);
    let again = app.anonymous().post(path, body).await.expect(401);
    let expected = json!({"success": false, "message": "Invalid refresh token"});
    assert_eq!(again, expected);
    for hostile in [json!({}), json!({"refreshToken": {"$gt": ""}})] {
        app.anonymous().post(path, hostile).await.expect(400);
    }
    let unknown = json!({"refreshToken": "cxr_nothing"});
    app.anonymous().post(path, unknown).await.expect(401);
}

#[tokio::test]
async fn one_s_own_profile() {
    // GET "/api/auth/profile", PUT "/api/auth/profile"
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let path = "/direct/api/auth/profile";
    let got = ann.get(path).await.expect(200);
    assert_eq!(keys(&got["data"]["user"]), USER);
    assert_eq!(got["data"]["user"]["email"], ann.email);
    let name = unique("anna");
    let body = json!({
        "username": name, "bio": "Hello", "profilePicture": "https://example.org/a.png",
        "email": ann.email, "_id": bob.id, "isActive": false,
    });
    let user = ann.put(path, body).await.expect(200)["data"]["user"].clone();
    assert_eq!(user["_id"], ann.id, "whoever the body says it is");
    assert_eq!(user["username"], name);
    assert_eq!(user["bio"], "Hello");
    assert_eq!(user["profilePicture"], "https://example.org/a.png");
    assert_eq!(user["isActive"], true);
    for (body, wrong) in [
        (
            json!({"email": "else@example.org"}),
            "email cannot be changed",
        ),
        (
            json!({"status": "dancing"}),
            "status must be online, away, busy or offline",
        ),
        (json!({"bio": 5}), "bio must be a string"),
        (
            json!({"profilePicture": "javascript:alert(1)"}),
            "profilePicture must be an http(s) address",
        ),
    ] {
        let refused = ann.put(path, body).await.expect(400);
        assert_eq!(refused["errors"][0]["message"], wrong);
    }
    let taken = ann.put(path, json!({"username": bob.name})).await;
    assert_eq!(taken.expect(400)["message"], "Username already taken");
}

#[tokio::test]
async fn a_new_password() {
    // PUT "/api/auth/change-password"
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let path = "/direct/api/auth/change-password";
    let wrong = json!({"currentPassword": "not it", "newPassword": "Secret34"});
    let refused = ann.put(path, wrong).await.expect(400);
    assert_eq!(refused["message"], "Current password is incorrect");
    let unlike = json!({
        "currentPassword": PASSWORD, "newPassword": "Secret34", "confirmPassword": "Secret35",
    });
    let refused = ann.put(path, unlike).await.expect(400);
    assert_eq!(refused["message"], "Passwords do not match");
    let short = json!({"currentPassword": PASSWORD, "newPassword": "x"});
    let refused = ann.put(path, short).await.expect(400);
    assert_eq!(refused["errors"][0]["field"], "newPassword");
    let hostile = json!({"currentPassword": {"$ne": 1}, "newPassword": []});
    ann.put(path, hostile).await.expect(400);
    // the other devices are logged out
    let mut elsewhere = another_device(&app, &ann).await;
    elsewhere.expect("authenticated").await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": "Secret34"});
    let done = ann.put(path, body).await.expect(200);
    let expected = json!({"success": true, "message": "Password changed successfully"});
    assert_eq!(done, expected);
    let told = elsewhere.expect("error").await;
    assert_eq!(told["code"], "SESSION_REVOKED");
    assert_eq!(elsewhere.ended().await, "disconnect");
    let body = json!({"identifier": ann.name, "password": "Secret34"});
    app.anonymous()
        .post("/direct/api/auth/login", body)
        .await
        .expect(200);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    // POST "/api/auth/logout"
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let mut socket = ann.socket().await;
    let path = "/direct/api/auth/logout";
    let done = ann.post(path, json!({})).await.expect(200);
    let expected = json!({"success": true, "message": "Logged out successfully"});
    assert_eq!(done, expected);
    let told = socket.expect("error").await;
    let expected = json!({"message": "Your session has ended", "code": "SESSION_REVOKED"});
    assert_eq!(told, expected);
    assert_eq!(socket.ended().await, "disconnect");
    ann.get("/direct/api/auth/profile").await.expect(401);
}

#[tokio::test]
async fn signed_routes_want_a_token() {
    let app = TestApp::shared().await;
    for (method, route) in [
        (Method::POST, "/api/auth/logout"),
        (Method::GET, "/api/auth/profile"),
        (Method::PUT, "/api/auth/profile"),
        (Method::PUT, "/api/auth/change-password"),
        (Method::POST, "/api/messages/send"),
        (Method::GET, "/api/messages/conversation/x"),
        (Method::GET, "/api/messages/chats"),
        (Method::GET, "/api/messages/search?q=x"),
        (Method::PUT, "/api/messages/x"),
        (Method::DELETE, "/api/messages/x"),
        (Method::POST, "/api/messages/mark-read"),
        (Method::GET, "/api/users/online"),
        (Method::GET, "/api/users/search?q=x"),
        (Method::GET, "/api/users/x"),
        (Method::GET, "/api/users/x/status"),
    ] {
        let path = format!("/direct{route}");
        for (http, text) in [
            (app.anonymous(), "No token provided"),
            (app.bearing("nonsense"), "Invalid token"),
        ] {
            let request = http.request(method.clone(), &path);
            let refused = http.send(request).await.expect(401);
            assert_eq!(
                refused,
                json!({"success": false, "message": text}),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn other_users() {
    // GET "/api/users/:id", GET "/api/users/:id/status", GET "/api/users/search", GET "/api/users/online"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let got = ann.get(&format!("/direct/api/users/{}", bob.id)).await;
    let user = got.expect(200)["data"]["user"].clone();
    assert_eq!(keys(&user), USER);
    assert_eq!(user["username"], bob.name);
    for id in [
        nobody(),
        "nonsense".to_owned(),
        "507f1f77bcf86cd799439011".to_owned(),
    ] {
        for route in ["", "/status"] {
            let path = format!("/direct/api/users/{id}{route}");
            let missing = ann.get(&path).await.expect(404);
            assert_eq!(missing["message"], "User not found");
        }
    }
    let path = format!("/direct/api/users/{}/status", bob.id);
    let data = ann.get(&path).await.expect(200)["data"].clone();
    let expected = json!({"userId": bob.id, "status": "offline", "lastSeen": null});
    assert_eq!(data, expected);
    send(&bob, &ann, "hello").await;
    let mut bobs = bob.socket().await;
    bobs.expect("authenticated").await;
    let data = ann.get(&path).await.expect(200)["data"].clone();
    assert_eq!(data["status"], "online");
    let online = ann.get("/direct/api/users/online").await.expect(200);
    assert_eq!(keys(&online["data"]), ["count", "users"]);
    assert_eq!(online["data"]["count"], 1);
    assert_eq!(online["data"]["users"][0]["_id"], bob.id);
    for words in [&bob.name, &bob.email] {
        let path = format!("/direct/api/users/search?q={words}");
        let found = ann.get(&path).await.expect(200)["data"].clone();
        assert_eq!(keys(&found), ["count", "users"]);
        assert_eq!(found["count"], 1);
        assert_eq!(keys(&found["users"][0]), USER);
        assert_eq!(found["users"][0]["_id"], bob.id);
    }
    let path = format!("/direct/api/users/search?q={}", eve.name);
    let own = eve.get(&path).await.expect(200);
    assert_eq!(own["data"]["count"], 0, "not oneself");
    let empty = ann.get("/direct/api/users/search?q=%20").await.expect(400);
    assert_eq!(empty["message"], "Search query is required");
    ann.get("/direct/api/users/search?q=b&limit=x")
        .await
        .expect(400);
}
