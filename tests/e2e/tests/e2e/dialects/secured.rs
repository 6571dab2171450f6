//! The dialect `secured`: its routes here, its sockets beside.

mod live;

use connexus_e2e::{SioSocket, TestApp, eventually, nobody, unique};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PASSWORD, Person};

async fn people<const N: usize>(app: &TestApp, stems: [&str; N]) -> [Person; N] {
    let mut found = Vec::new();
    for stem in stems {
        found.push(Person::register(app, "secured", stem).await);
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

const USER: [&str; 6] = ["_id", "avatar", "email", "id", "name", "username"];
const MESSAGE: [&str; 6] = [
    "_id",
    "createdAt",
    "isRead",
    "message",
    "receiver",
    "sender",
];

async fn log_in(app: &TestApp, who: &Person) -> String {
    let body = json!({"email": who.email, "password": PASSWORD});
    let answer = app.anonymous().post("/api/v1/users/login", body).await;
    let answer = answer.expect(200);
    answer["data"]["token"].as_str().unwrap().to_owned()
}

/// A registered socket of this session.
async fn device(who: &Person, token: &str) -> SioSocket {
    let mut socket = who.silent_socket().await;
    socket.emit("register_user", json!({"token": token})).await;
    let told = socket.expect("registration_success").await;
    assert_eq!(told, json!({"userId": who.id}));
    socket
}

/// Sends over REST: the message.
async fn send(from: &Person, to: &Person, message: &str) -> Value {
    let body = json!({"receiverId": to.id, "message": message});
    let sent = from.post("/api/v1/messages", body).await.expect(201);
    sent["data"]["message"].clone()
}

async fn history(who: &Person, with: &str) -> Value {
    let path = format!("/api/v1/messages/history/{with}");
    who.get(&path).await.expect(200)
}

#[tokio::test]
async fn registering_and_logging_in() {
    // POST "/api/v1/users/register", POST "/api/v1/users/login"
    let app = TestApp::shared().await;
    let anyone = app.anonymous();
    for base in ["", "/secured"] {
        let name = unique("ann");
        let email = format!("{name}@example.org");
        let path = format!("{base}/api/v1/users/register");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        let made = anyone.post(&path, body.clone()).await.expect(201);
        assert_eq!(keys(&made), ["data", "message", "status"]);
        assert_eq!(made["status"], "success");
        assert_eq!(keys(&made["data"]), ["token", "user"]);
        let user = &made["data"]["user"];
        assert_eq!(keys(user), USER);
        assert_eq!(user["username"], name);
        assert_eq!(user["id"], user["_id"]);
        assert_eq!(user["avatar"], "");
        let mut other = body.clone();
        other["email"] = json!(format!("other-{email}"));
        let taken = anyone.post(&path, other).await.expect(400);
        let expected = json!({"status": "fail", "message": "Username already taken"});
        assert_eq!(taken, expected);
        let by_name = json!({"name": "Ann Example", "email": email, "password": PASSWORD});
        let taken = anyone.post(&path, by_name).await.expect(400);
        let expected = json!({"status": "fail", "message": "Email already registered"});
        assert_eq!(taken, expected);
        let path = format!("{base}/api/v1/users/login");
        let body = json!({"email": email, "password": PASSWORD});
        let answer = anyone.post(&path, body).await.expect(200);
        assert_eq!(keys(&answer["data"]), ["token", "user"]);
        assert_eq!(&answer["data"]["user"], user);
        for (email, password) in [(email.as_str(), "wrong-one"), ("no@example.org", PASSWORD)] {
            let body = json!({"email": email, "password": password});
            let refused = anyone.post(&path, body).await.expect(400);
            let expected = json!({"status": "fail", "message": "Invalid email or password"});
            assert_eq!(refused, expected);
        }
    }
    // who has no username gets one
    let email = format!("{}@example.org", unique("ann"));
    let body = json!({"name": "Ann Example", "email": email, "password": PASSWORD});
    let made = anyone
        .post("/api/v1/users/register", body)
        .await
        .expect(201);
    let user = &made["data"]["user"];
    assert_eq!(user["name"], "Ann Example");
    let username = user["username"].as_str().unwrap();
    assert!(username.starts_with("ann_example"), "{username}");
}

#[tokio::test]
async fn what_registration_and_login_refuse() {
    // POST "/api/v1/users/register", POST "/api/v1/users/login"
    let app = TestApp::shared().await;
    let anyone = app.anonymous();
    let email = format!("{}@example.org", unique("ann"));
    for (body, text) in [
        (json!({}), "email is required"),
        (
            json!({"email": email, "password": PASSWORD}),
            "username is required",
        ),
        (
            json!({"username": "a", "email": "nowhere", "password": ""}),
            "username must have 3 to 30 characters, email must be an e-mail address, password must have at least 6 characters",
        ),
        (
            json!({"username": {"$gt": ""}, "email": email, "password": PASSWORD}),
            "username must be a string",
        ),
        (
            json!({"name": [1], "email": email, "password": PASSWORD}),
            "name must be a string",
        ),
        (
            json!({"name": " ", "email": email, "password": PASSWORD}),
            "name must not be empty",
        ),
    ] {
        let refused = anyone.post("/api/v1/users/register", body).await;
        let expected = json!({"status": "fail", "message": text});
        assert_eq!(refused.expect(400), expected);
    }
    for (body, text) in [
        (json!({}), "email is required"),
        (
            json!({"email": {"$gt": ""}, "password": {"$gt": ""}}),
            "email must be a string",
        ),
        (
            json!({"email": email, "password": 5}),
            "password must be a string",
        ),
        (
            json!({"email": "x".repeat(50_000), "password": "x"}),
            "Invalid email or password",
        ),
    ] {
        let refused = anyone.post("/api/v1/users/login", body).await;
        let expected = json!({"status": "fail", "message": text});
        assert_eq!(refused.expect(400), expected);
    }
    let request = anyone.request(Method::POST, "/api/v1/users/login");
    let refused = anyone.send(request.body("{not json")).await.expect(400);
    assert_eq!(refused["status"], "fail");
}

#[tokio::test]
async fn signed_routes_want_a_token() {
    let app = TestApp::shared().await;
    for (method, path) in [
        (Method::GET, "/api/v1/users"),
        (Method::POST, "/api/v1/messages"),
        (Method::POST, "/api/v1/messages/send"),
        (Method::GET, "/api/v1/messages/history/x"),
    ] {
        for (http, text) in [
            (app.anonymous(), "No token provided"),
            (app.bearing("nonsense"), "Invalid token"),
        ] {
            let request = http.request(method.clone(), path);
            let refused = http.send(request).await.expect(401);
            assert_eq!(
                refused,
                json!({"status": "fail", "message": text}),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn contacts() {
    // GET "/api/v1/users"
    // a server of its own: on the shared one there are too many to list them all
    let app = TestApp::with(&[]).await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let listed = ann.get("/api/v1/users").await.expect(200);
    assert_eq!(keys(&listed), ["data", "results", "status"]);
    assert_eq!(listed["status"], "success");
    assert_eq!(listed["results"], 2);
    let users = listed["data"]["users"].as_array().unwrap();
    let ids: Vec<&str> = users
        .iter()
        .map(|user| user["_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "all but oneself");
    assert!(ids.contains(&bob.id.as_str()) && ids.contains(&eve.id.as_str()));
    assert_eq!(keys(&users[0]), USER);
    let path = format!("/api/v1/users?search={}", bob.name);
    let found = ann.get(&path).await.expect(200)["data"]["users"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["_id"], bob.id);
    let long = format!("/api/v1/users?search={}", "x".repeat(200));
    assert_eq!(ann.get(&long).await.expect(400)["status"], "fail");
    // more than one page of them
    for number in 0..105 {
        let name = format!("many-{number}");
        let email = format!("{name}@example.org");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        let made = app.anonymous().post("/api/v1/users/register", body).await;
        made.expect(201);
    }
    let listed = ann.get("/api/v1/users").await.expect(200);
    assert_eq!(listed["results"], 107);
    assert_eq!(listed["data"]["users"].as_array().unwrap().len(), 107);
}

#[tokio::test]
async fn sending_to_every_device_of_the_recipient() {
    // POST "/api/v1/messages", POST "/api/v1/messages/send" → new_message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let mut anns = device(&ann, &log_in(&app, &ann).await).await;
    let mut bobs = device(&bob, &bob.token).await;
    let mut phone = device(&bob, &log_in(&app, &bob).await).await;
    for path in [
        "/api/v1/messages",
        "/api/v1/messages/send",
        "/secured/api/v1/messages",
    ] {
        let body = json!({"receiverId": bob.id, "message": path, "senderId": bob.id});
        let sent = ann.post(path, body).await.expect(201);
        assert_eq!(keys(&sent), ["data", "message", "status"]);
        assert_eq!(keys(&sent["data"]), ["message"]);
        let message = &sent["data"]["message"];
        assert_eq!(keys(message), MESSAGE);
        assert_eq!(message["sender"], ann.id, "whoever the body says it is");
        assert_eq!(message["receiver"], bob.id);
        assert_eq!(message["message"], path);
        assert_eq!(message["isRead"], false);
        for socket in [&mut bobs, &mut phone] {
            let told = socket.expect("new_message").await;
            assert_eq!(
                told,
                json!({
                    "_id": message["_id"],
                    "senderId": ann.id,
                    "text": path,
                    "createdAt": message["createdAt"],
                })
            );
        }
    }
    // the sender's other device is not told what it sent, only what comes in
    send(&bob, &ann, "and you?").await;
    let seen = anns.until(|event| event.name == "new_message").await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].args[0]["text"], "and you?");
    // chats of more than two are not in this dialect
    let body = json!({"kind": "group", "name": "us", "member_ids": [bob.id]});
    let group = ann.post("/v1/conversations", body).await.expect(201);
    let path = format!(
        "/v1/conversations/{}/messages",
        group["id"].as_str().unwrap()
    );
    ann.post(&path, json!({"body": "all"})).await.expect(201);
    send(&ann, &bob, "you").await;
    assert_eq!(bobs.expect("new_message").await["text"], "you");
}

#[tokio::test]
async fn what_sending_refuses() {
    // POST "/api/v1/messages"
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    for (body, status, text) in [
        (json!({}), 400, "receiverId is required"),
        (json!({"receiverId": bob.id}), 400, "message is required"),
        (
            json!({"receiverId": 5, "message": "x"}),
            400,
            "receiverId must be a string",
        ),
        (
            json!({"receiverId": {"$gt": ""}, "message": "x"}),
            400,
            "receiverId must be a string",
        ),
        (
            json!({"receiverId": bob.id, "message": ["x"]}),
            400,
            "message must be a string",
        ),
        (
            json!({"receiverId": bob.id, "message": " \n"}),
            400,
            "message must not be empty",
        ),
        (
            json!({"receiverId": bob.id, "message": "x".repeat(1_001)}),
            400,
            "message must have at most 1000 characters",
        ),
        (
            json!({"receiverId": bob.id, "message": "\u{0}"}),
            400,
            "message must not contain control characters",
        ),
        (
            json!({"receiverId": ann.id, "message": "x"}),
            400,
            "You cannot send a message to yourself",
        ),
        (
            json!({"receiverId": nobody(), "message": "x"}),
            404,
            "User not found",
        ),
        (
            json!({"receiverId": "nonsense", "message": "x"}),
            404,
            "User not found",
        ),
    ] {
        let refused = ann.post("/api/v1/messages", body).await.expect(status);
        assert_eq!(refused, json!({"status": "fail", "message": text}));
    }
    send(&ann, &bob, &"ä".repeat(1_000)).await;
}

#[tokio::test]
async fn a_history_of_a_contact() {
    // GET "/api/v1/messages/history/:contactId"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let empty = history(&ann, &bob.id).await;
    let expected = json!({"status": "success", "results": 0, "data": {"history": []}});
    assert_eq!(empty, expected);
    let first = send(&ann, &bob, "number 0").await;
    for number in 1..120 {
        let (from, to) = if number % 2 == 0 {
            (&ann, &bob)
        } else {
            (&bob, &ann)
        };
        send(from, to, &format!("number {number}")).await;
    }
    let all = history(&bob, &ann.id).await;
    assert_eq!(all["results"], 120);
    let messages = all["data"]["history"].as_array().unwrap();
    let texts = messages
        .iter()
        .map(|message| message["message"].as_str().unwrap());
    let expected = (0..120).map(|number| format!("number {number}"));
    assert!(texts.eq(expected), "oldest first, each once");
    assert_eq!(messages[0]["_id"], first["_id"]);
    assert_eq!(keys(&messages[0]), MESSAGE);
    assert_eq!(messages[1]["sender"], bob.id);
    assert_eq!(messages[1]["receiver"], ann.id);
    let before = history(&ann, &format!("{}?page=2", bob.id)).await;
    assert_eq!(before["results"], 0);
    // who answers has read, and what was read elsewhere is shown here
    let unread = history(&ann, &bob.id).await["data"]["history"].clone();
    assert_eq!(unread[118]["isRead"], true);
    assert_eq!(unread[119]["isRead"], false, "{}", unread[119]);
    let listed = ann.get("/v1/conversations").await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}/read");
    ann.put(&path, json!({"seq": 120})).await.expect(200);
    for (who, with) in [(&ann, &bob), (&bob, &ann)] {
        let read = history(who, &with.id).await["data"]["history"].clone();
        assert_eq!(read[119]["isRead"], true, "{}", read[119]);
    }
    assert_eq!(history(&eve, &ann.id).await["results"], 0, "nobody else's");
    for id in [nobody(), "nonsense".to_owned()] {
        let missing = ann.get(&format!("/api/v1/messages/history/{id}")).await;
        let expected = json!({"status": "fail", "message": "User not found"});
        assert_eq!(missing.expect(404), expected);
    }
}

#[tokio::test]
async fn faults_show_a_stack_in_development_only() {
    for (environment, shown) in [("development", true), ("production", false)] {
        let app = TestApp::on_fragile_storage(&[
            ("CONNEXUS__ENVIRONMENT", environment),
            ("CONNEXUS__CORS__ORIGINS", "https://chat.example.org"),
            ("CONNEXUS__STORAGE__ACQUIRE_TIMEOUT_MS", "500"),
            ("CONNEXUS__STORAGE__STATEMENT_TIMEOUT_MS", "1000"),
        ])
        .await;
        let [ann, bob] = people(&app, ["ann", "bob"]).await;
        send(&ann, &bob, "before").await;
        app.lose_storage().await;
        let fault = eventually("the database to be missed", async || {
            let body = json!({"receiverId": bob.id, "message": "meanwhile"});
            let reply = ann.post("/api/v1/messages", body).await;
            (reply.status >= 500).then_some(reply.body)
        })
        .await;
        assert_eq!(fault["status"], "error", "{fault}");
        assert!(
            fault["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert_eq!(fault["stack"].is_string(), shown, "{environment}: {fault}");
        // a client's fault has none anywhere
        let refused = app.anonymous().get("/api/v1/users").await.expect(401);
        assert_eq!(keys(&refused), ["message", "status"]);
    }
}
