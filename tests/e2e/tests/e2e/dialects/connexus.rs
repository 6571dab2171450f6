//! The dialect `connexus`.

mod chats;
mod files;
mod sockets;

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{PASSWORD, Person};

async fn people<const N: usize>(app: &TestApp, stems: [&str; N]) -> [Person; N] {
    let mut found = Vec::new();
    for stem in stems {
        found.push(Person::register(app, "connexus", stem).await);
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

async fn direct(one: &Person, other: &Person) -> String {
    let body = json!({"participantId": other.id});
    let answer = one
        .post("/connexus/api/chat/conversations/direct", body)
        .await
        .expect(201);
    answer["data"]["_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn registering_and_logging_in() {
    // POST /api/auth/register, POST /api/auth/login
    let app = TestApp::shared().await;
    let name = unique("Ann Example");
    let email = format!("{}@example.org", unique("ann"));
    let body = json!({"name": name, "email": email, "password": PASSWORD});
    for base in ["", "/connexus"] {
        let path = format!("{base}/api/auth/register");
        let mut body = body.clone();
        body["email"] = json!(format!("{base}x{email}").replace('/', ""));
        let made = app.anonymous().post(&path, body.clone()).await.expect(201);
        assert_eq!(keys(&made), ["data", "message", "success"]);
        assert_eq!(keys(&made["data"]), ["expiresIn", "token", "user"]);
        assert_eq!(made["data"]["expiresIn"], "7d");
        assert_eq!(made["data"]["user"]["name"], name);
        let again = app.anonymous().post(&path, body.clone()).await.expect(400);
        assert_eq!(again["success"], false);
        assert_eq!(again["message"], "Email already registered");
    }
    let unknown = json!({"name": "Ann", "email": email, "password": PASSWORD, "admin": true});
    let refused = app
        .anonymous()
        .post("/api/auth/register", unknown)
        .await
        .expect(400);
    assert_eq!(refused["errors"][0]["field"], "admin");
    let short = json!({"name": "Ann", "email": "x@example.org", "password": "12345"});
    let refused = app
        .anonymous()
        .post("/api/auth/register", short)
        .await
        .expect(400);
    assert_eq!(refused["errors"][0]["field"], "password");
    let login = format!("connexusx{email}");
    for (password, status) in [(PASSWORD, 200), ("wrong one", 401)] {
        let body = json!({"email": login, "password": password});
        let answer = app
            .anonymous()
            .post("/connexus/api/auth/login", body)
            .await
            .expect(status);
        if status == 401 {
            assert_eq!(
                answer,
                json!({"success": false, "message": "Invalid credentials"})
            );
        }
    }
}

#[tokio::test]
async fn every_signed_route_wants_a_token() {
    let app = TestApp::shared().await;
    let routes = [
        ("PUT", "/api/auth/password"),
        ("POST", "/api/auth/logout"),
        ("GET", "/api/users/me"),
        ("PUT", "/api/users/me"),
        ("GET", "/api/users/search"),
        ("GET", "/api/chat/users/search"),
        ("GET", "/api/users/0"),
        ("GET", "/api/chat/conversations"),
        ("POST", "/api/chat/conversations/direct"),
        ("POST", "/api/chat/conversations/group"),
        ("PUT", "/api/chat/conversations/0"),
        ("PUT", "/api/chat/conversations/0/read"),
        ("PUT", "/api/chat/conversations/0/archive"),
        ("POST", "/api/chat/conversations/0/leave"),
        ("POST", "/api/chat/conversations/0/participants"),
        ("PUT", "/api/chat/conversations/0/participants/role"),
        ("DELETE", "/api/chat/conversations/0/participants/0"),
        ("GET", "/api/chat/conversations/0/messages"),
        ("POST", "/api/chat/messages"),
        ("PUT", "/api/chat/messages/edit"),
        ("POST", "/api/chat/messages/reactions"),
        ("POST", "/api/chat/messages/reactions/remove"),
        ("DELETE", "/api/chat/messages/0"),
        ("POST", "/api/chat/attachments"),
        ("POST", "/api/users/me/avatar"),
    ];
    for (method, path) in routes {
        for (client, said) in [
            (app.anonymous(), "No token provided"),
            (app.bearing("nonsense"), "Invalid token"),
        ] {
            let path = format!("/connexus{path}");
            let request = client.request(method.parse().unwrap(), &path);
            let answer = client.send(request).await.expect(401);
            assert_eq!(
                answer,
                json!({"success": false, "message": said}),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_profile_is_read_and_changed() {
    // GET /api/users/me, PUT /api/users/me, GET /api/users/:id
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let me = ann.get("/connexus/api/users/me").await.expect(200);
    let fields = [
        "_id",
        "avatar",
        "bio",
        "blockedUsers",
        "contactsCount",
        "createdAt",
        "email",
        "isActive",
        "lastSeen",
        "location",
        "name",
        "phone",
        "socialLinks",
        "status",
        "updatedAt",
    ];
    for field in fields {
        assert!(me["data"].get(field).is_some(), "{field}: {me}");
    }
    let change = json!({"name": "Ann the Second", "bio": "hello"});
    let changed = ann.put("/connexus/api/users/me", change).await.expect(200);
    assert_eq!(changed["data"]["name"], "Ann the Second");
    let path = format!("/connexus/api/users/{}", ann.id);
    let seen = bob.get(&path).await.expect(200);
    assert_eq!(seen["data"]["bio"], "hello");
    for nobody in [nobody(), "nonsense".to_owned()] {
        let path = format!("/connexus/api/users/{nobody}");
        let answer = bob.get(&path).await.expect(404);
        assert_eq!(
            answer,
            json!({"success": false, "message": "User not found"})
        );
    }
}

#[tokio::test]
async fn passwords_change_and_sessions_end() {
    // PUT /api/auth/password, POST /api/auth/logout
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let wrong = json!({"currentPassword": "nope", "newPassword": "Another1"});
    ann.put("/connexus/api/auth/password", wrong)
        .await
        .expect(401);
    let right = json!({"currentPassword": PASSWORD, "newPassword": "Another1"});
    ann.put("/connexus/api/auth/password", right)
        .await
        .expect(200);
    let mut socket = ann.socket().await;
    socket.expect("current_online_users").await;
    ann.post("/connexus/api/auth/logout", Value::Null)
        .await
        .expect(200);
    assert_eq!(socket.expect("error").await["code"], "SESSION_REVOKED");
    assert_eq!(socket.ended().await, "disconnect");
    ann.get("/connexus/api/users/me").await.expect(401);
}

#[tokio::test]
async fn users_are_found() {
    // GET /api/users/search, GET /api/chat/users/search
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    for route in [
        "/connexus/api/users/search",
        "/connexus/api/chat/users/search",
    ] {
        for query in [&bob.name, &bob.email] {
            let found = ann.get(&format!("{route}?q={query}")).await.expect(200);
            assert_eq!(found["data"][0]["_id"], bob.id.as_str(), "{query}");
            assert_eq!(found["data"].as_array().unwrap().len(), 1);
        }
        let own = ann
            .get(&format!("{route}?q={}", ann.name))
            .await
            .expect(200);
        assert_eq!(own["data"], json!([]));
        let short = ann.get(&format!("{route}?q=a")).await.expect(400);
        assert_eq!(short["message"], "Query too short");
    }
}

#[tokio::test]
async fn health_is_told() {
    // GET /api/health
    let app = TestApp::shared().await;
    let health = app
        .anonymous()
        .get("/connexus/api/health")
        .await
        .expect(200);
    assert_eq!(
        (&health["success"], &health["database"]),
        (&json!(true), &json!("connected"))
    );
}
