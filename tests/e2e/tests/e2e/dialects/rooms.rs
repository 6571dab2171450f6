//! The dialect `rooms`.

mod connections;
mod files;
mod messages;
mod sockets;

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{PASSWORD, Person};

const MESSAGE: [&str; 14] = [
    "_id",
    "content",
    "createdAt",
    "editedAt",
    "fileName",
    "fileSize",
    "fileUrl",
    "isEdited",
    "messageType",
    "reactions",
    "readBy",
    "room",
    "sender",
    "updatedAt",
];
const USER: [&str; 7] = [
    "_id",
    "avatar",
    "createdAt",
    "email",
    "isOnline",
    "lastSeen",
    "username",
];

async fn people<const N: usize>(app: &TestApp, stems: [&str; N]) -> [Person; N] {
    let mut found = Vec::new();
    for stem in stems {
        found.push(Person::register(app, "rooms", stem).await);
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

fn refusal(message: &str) -> Value {
    json!({"success": false, "message": message})
}

/// Sends over REST: the message.
async fn say(person: &Person, room: &str, content: &str) -> Value {
    let body = json!({"content": content, "room": room});
    let sent = person.post("/rooms/api/messages", body).await.expect(201);
    assert_eq!(keys(&sent), ["data", "message", "success"]);
    assert_eq!(keys(&sent["data"]), ["message"]);
    sent["data"]["message"].clone()
}

/// `data` of one page of a room's messages.
async fn history(person: &Person, query: &str) -> Value {
    let path = format!("/rooms/api/messages?{query}");
    let page = person.get(&path).await.expect(200);
    assert_eq!(
        keys(&page["data"]),
        ["messages", "pagination", "unreadCount"]
    );
    page["data"].clone()
}

fn contents(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect()
}

/// A path of one message.
fn message_path(message: &Value, rest: &str) -> String {
    format!(
        "/rooms/api/messages/{}{rest}",
        message["_id"].as_str().unwrap()
    )
}

#[tokio::test]
async fn registering_and_logging_in() {
    // POST /api/auth/register, POST /api/auth/login, GET /api/auth/me
    let app = TestApp::shared().await;
    let anybody = app.anonymous();
    // the README's own example does at the root: nobody else's clients send a username alone
    for base in ["", "/rooms"] {
        let name = unique("test");
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": "test123"});
        let path = format!("{base}/api/auth/register");
        let made = anybody.post(&path, body.clone()).await.expect(201);
        assert_eq!(keys(&made), ["data", "message", "success"], "{base}");
        assert_eq!(keys(&made["data"]), ["token", "user"]);
        assert_eq!(keys(&made["data"]["user"]), USER);
        assert_eq!(made["data"]["user"]["username"], name);
        let again = anybody.post(&path, body.clone()).await.expect(400);
        assert_eq!(again["success"], false);
        let mut taken = body;
        taken["email"] = json!(format!("x{email}"));
        let again = anybody.post(&path, taken).await.expect(400);
        assert_eq!(again, refusal("Username already exists"));
        let token = made["data"]["token"].as_str().unwrap();
        let me = app
            .bearing(token)
            .get(&format!("{base}/api/auth/me"))
            .await
            .expect(200);
        assert_eq!(keys(&me["data"]), ["user"]);
        assert_eq!(me["data"]["user"]["email"], email);
    }
    let [ann] = people(&app, ["ann"]).await;
    let credentials = json!({"email": ann.email, "password": PASSWORD});
    let login = anybody
        .post("/rooms/api/auth/login", credentials.clone())
        .await
        .expect(200);
    assert_eq!(keys(&login["data"]), ["token", "user"]);
    assert_eq!(login["data"]["user"]["_id"], ann.id.as_str());
    // at the root another dialect may answer; the token is good here all the same
    let login = anybody
        .post("/api/auth/login", credentials)
        .await
        .expect(200);
    let token = login["data"]["token"].as_str().unwrap();
    let me = app.bearing(token).get("/api/auth/me").await.expect(200);
    assert_eq!(me["data"]["user"]["_id"], ann.id.as_str());
    for wrong in [ann.email.as_str(), "nobody@example.org"] {
        let wrong = json!({"email": wrong, "password": "not it"});
        let refused = anybody.post("/rooms/api/auth/login", wrong).await;
        assert_eq!(refused.expect(401), refusal("Invalid email or password"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_said() {
    let app = TestApp::shared().await;
    let good = json!({"username": unique("ann"), "email": "x@example.org", "password": PASSWORD});
    for (field, value, said) in [
        (
            "username",
            json!("ab"),
            "username must have 3 to 30 characters",
        ),
        (
            "username",
            json!("x".repeat(60)),
            "username must have 3 to 30 characters",
        ),
        ("username", Value::Null, "username must be a string"),
        (
            "email",
            json!("nonsense"),
            "email must be an e-mail address",
        ),
        ("email", json!({"$gt": ""}), "email must be a string"),
        (
            "password",
            json!("12345"),
            "password must have at least 6 characters",
        ),
        ("password", json!([1]), "password must be a string"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refused = app.anonymous().post("/rooms/api/auth/register", body).await;
        assert_eq!(refused.expect(400), refusal(said));
    }
    let login = json!({"email": {"$gt": ""}, "password": {"$gt": ""}});
    let refused = app.anonymous().post("/rooms/api/auth/login", login).await;
    assert_eq!(refused.expect(400), refusal("email must be a string"));
    let refused = app
        .anonymous()
        .post("/rooms/api/auth/login", json!({}))
        .await;
    assert_eq!(refused.expect(400), refusal("email is required"));
}

#[tokio::test]
async fn every_signed_route_wants_a_token() {
    let app = TestApp::shared().await;
    let routes = [
        ("GET", "/api/auth/me"),
        ("GET", "/api/messages"),
        ("POST", "/api/messages"),
        ("PUT", "/api/messages/0"),
        ("DELETE", "/api/messages/0"),
        ("POST", "/api/messages/0/read"),
        ("POST", "/api/messages/0/react"),
        ("GET", "/api/users/online"),
        ("GET", "/api/users/profile"),
        ("PUT", "/api/users/profile"),
        ("GET", "/api/users/search"),
        ("POST", "/api/users/status"),
        ("GET", "/api/users/0"),
        ("POST", "/api/users/avatar"),
        ("POST", "/api/files/upload"),
        ("GET", "/api/files/media/general"),
        ("GET", "/api/files/stats/general"),
        ("DELETE", "/api/files/0"),
    ];
    for (method, path) in routes {
        for (client, said) in [
            (app.anonymous(), "Access token required"),
            (app.bearing("nonsense"), "Invalid token"),
        ] {
            let path = format!("/rooms{path}");
            let request = client.request(method.parse().unwrap(), &path);
            let answer = client.send(request).await.expect(401);
            assert_eq!(answer, refusal(said), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn profiles_are_read_changed_and_found() {
    // GET /api/users/profile, PUT /api/users/profile, GET /api/users/search, GET /api/users/:id
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let profile = ann.get("/rooms/api/users/profile").await.expect(200);
    assert_eq!(keys(&profile["data"]), ["user"]);
    assert_eq!(keys(&profile["data"]["user"]), USER);
    let name = unique("anna");
    let path = "/rooms/api/users/profile";
    let changed = ann
        .put(path, json!({"username": name, "_id": bob.id}))
        .await
        .expect(200);
    assert_eq!(changed["data"]["user"]["username"], name);
    assert_eq!(changed["data"]["user"]["_id"], ann.id.as_str());
    for (body, said) in [
        (json!({"username": bob.name}), "Username already exists"),
        (json!({}), "No valid fields to update"),
        (json!({"username": null}), "No valid fields to update"),
        (
            json!({"username": "ab"}),
            "username must have 3 to 30 characters",
        ),
        (json!({"username": 12_345}), "username must be a string"),
    ] {
        let refused = ann.put(path, body).await.expect(400);
        assert_eq!(refused, refusal(said));
    }
    let seen = bob
        .get(&format!("/rooms/api/users/{}", ann.id))
        .await
        .expect(200);
    assert_eq!(keys(&seen["data"]["user"]), USER);
    assert_eq!(seen["data"]["user"]["username"], name);
    for nobody in [nobody(), "nonsense".to_owned()] {
        let path = format!("/rooms/api/users/{nobody}");
        let refused = bob.get(&path).await.expect(404);
        assert_eq!(refused, refusal("User not found"));
    }
    for query in [&name, &ann.email] {
        let path = format!("/rooms/api/users/search?q={query}&limit=5");
        let found = bob.get(&path).await.expect(200);
        assert_eq!(found["data"]["count"], 1);
        assert_eq!(found["data"]["users"][0]["_id"], ann.id.as_str());
        assert_eq!(keys(&found["data"]["users"][0]), USER);
    }
    for query in ["", "?q=a", "?q=%20a%20"] {
        let path = format!("/rooms/api/users/search{query}");
        let refused = bob.get(&path).await.expect(400);
        assert_eq!(
            refused,
            refusal("Search query must be at least 2 characters")
        );
    }
}

#[tokio::test]
async fn the_server_is_healthy() {
    // GET /health
    let app = TestApp::shared().await;
    let health = app.anonymous().get("/health").await.expect(200);
    assert_eq!(health["success"], true);
    assert_eq!(health["message"], "Server is healthy");
    assert_eq!(health["database"], "connected");
    for field in ["timestamp", "environment"] {
        assert!(health[field].is_string(), "{field}: {health}");
    }
}
