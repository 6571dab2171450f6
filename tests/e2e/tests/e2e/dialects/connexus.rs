//! The dialect `connexus`.

use connexus_e2e::{TestApp, connect_socketio, nobody, unique};
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
        ("POST", "/api/chat/conversations/0/participants"),
        ("PUT", "/api/chat/conversations/0/participants/role"),
        ("DELETE", "/api/chat/conversations/0/participants/0"),
        ("GET", "/api/chat/conversations/0/messages"),
        ("POST", "/api/chat/messages"),
        ("PUT", "/api/chat/messages/edit"),
        ("POST", "/api/chat/messages/reactions"),
        ("POST", "/api/chat/messages/reactions/remove"),
        ("DELETE", "/api/chat/messages/0"),
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
    // GET /api/users/search
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
async fn conversations_are_opened_and_listed() {
    // POST /api/chat/conversations/direct, POST /api/chat/conversations/group, GET /api/chat/conversations
    let app = TestApp::shared().await;
    let [ann, bob, cyn] = people(&app, ["ann", "bob", "cyn"]).await;
    let id = direct(&ann, &bob).await;
    assert_eq!(direct(&bob, &ann).await, id, "there is one for a pair");
    let path = "/connexus/api/chat/conversations/direct";
    ann.post(path, json!({"participantId": ann.id}))
        .await
        .expect(400);
    ann.post(path, json!({"participantId": nobody()}))
        .await
        .expect(404);
    ann.post(path, json!({"participantId": {"$gt": ""}}))
        .await
        .expect(400);
    let body = json!({"name": "Us", "description": "three", "participants": [bob.id, cyn.id]});
    let group = ann
        .post("/connexus/api/chat/conversations/group", body)
        .await
        .expect(201);
    let group = &group["data"];
    assert_eq!(
        (group["type"].as_str(), group["name"].as_str()),
        (Some("group"), Some("Us"))
    );
    assert_eq!(group["participants"].as_array().unwrap().len(), 3);
    let list = bob
        .get("/connexus/api/chat/conversations")
        .await
        .expect(200);
    let list = list["data"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    for field in [
        "_id",
        "type",
        "name",
        "description",
        "participants",
        "lastMessage",
        "avatar",
        "settings",
        "isActive",
        "createdBy",
        "unreadCount",
    ] {
        assert!(list[0].get(field).is_some(), "{field}: {}", list[0]);
    }
    let participant = &list[0]["participants"][0];
    assert_eq!(keys(participant), ["joinedAt", "lastRead", "role", "user"]);
}

#[tokio::test]
async fn groups_change() {
    // PUT /api/chat/conversations/:id and its participants
    let app = TestApp::shared().await;
    let [ann, bob, cyn, dan] = people(&app, ["ann", "bob", "cyn", "dan"]).await;
    let body = json!({"name": "Us", "participants": [bob.id]});
    let made = ann
        .post("/connexus/api/chat/conversations/group", body)
        .await
        .expect(201);
    let path = format!(
        "/connexus/api/chat/conversations/{}",
        made["data"]["_id"].as_str().unwrap()
    );
    let renamed = ann.put(&path, json!({"name": "We"})).await.expect(200);
    assert_eq!(renamed["data"]["name"], "We");
    bob.put(&path, json!({"name": "Me"})).await.expect(403);
    dan.put(&path, json!({"name": "Me"})).await.expect(403);
    let added = ann
        .post(&format!("{path}/participants"), json!({"userId": cyn.id}))
        .await
        .expect(200);
    assert_eq!(added["data"]["participants"].as_array().unwrap().len(), 3);
    let role = json!({"userId": cyn.id, "role": "admin"});
    ann.put(&format!("{path}/participants/role"), role)
        .await
        .expect(200);
    cyn.delete(&format!("{path}/participants/{}", bob.id))
        .await
        .expect(200);
    cyn.delete(&format!("{path}/participants/{}", ann.id))
        .await
        .expect(403);
    let archived = cyn
        .put(&format!("{path}/archive"), json!({}))
        .await
        .expect(200);
    assert_eq!(archived["data"]["settings"]["archived"], true);
    cyn.put(&format!("{path}/read"), json!({}))
        .await
        .expect(200);
}

#[tokio::test]
async fn messages_over_rest() {
    // POST /api/chat/messages, PUT /api/chat/messages/edit, DELETE /api/chat/messages/:id,
    // GET /api/chat/conversations/:id/messages
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let id = direct(&ann, &bob).await;
    let mut bobs = bob.socket().await;
    bobs.expect("current_online_users").await;
    let body = json!({"conversationId": id, "content": "hello", "type": "text"});
    let sent = ann
        .post("/connexus/api/chat/messages", body.clone())
        .await
        .expect(201);
    let message = sent["data"].clone();
    for field in [
        "_id",
        "content",
        "sender",
        "conversation",
        "type",
        "replyTo",
        "attachments",
        "reactions",
        "status",
        "readBy",
        "editedAt",
        "deletedAt",
        "isDeleted",
        "createdAt",
        "updatedAt",
    ] {
        assert!(message.get(field).is_some(), "{field}");
    }
    let told = bobs.expect("new_message").await;
    assert_eq!(told["message"]["_id"], message["_id"]);
    assert_eq!(told["message"]["sender"]["name"], ann.name.as_str());
    eve.post("/connexus/api/chat/messages", body)
        .await
        .expect(403);
    let long = json!({"conversationId": id, "content": "x".repeat(2_001)});
    ann.post("/connexus/api/chat/messages", long)
        .await
        .expect(400);
    let edit = json!({"messageId": message["_id"], "newContent": "hello you"});
    bob.put("/connexus/api/chat/messages/edit", edit.clone())
        .await
        .expect(403);
    ann.put("/connexus/api/chat/messages/edit", edit)
        .await
        .expect(200);
    let edited = bobs.expect("message_edited").await;
    assert_eq!(edited["newContent"], "hello you");
    let react = json!({"messageId": message["_id"], "emoji": "👍"});
    bob.post("/connexus/api/chat/messages/reactions", react.clone())
        .await
        .expect(200);
    let history = format!("/connexus/api/chat/conversations/{id}/messages?page=1&limit=10");
    let page = ann.get(&history).await.expect(200);
    assert_eq!(page["data"][0]["reactions"][0]["user"], bob.id.as_str());
    bob.post("/connexus/api/chat/messages/reactions/remove", react)
        .await
        .expect(200);
    eve.get(&history).await.expect(403);
    let path = format!(
        "/connexus/api/chat/messages/{}",
        message["_id"].as_str().unwrap()
    );
    bob.delete(&path).await.expect(403);
    ann.delete(&path).await.expect(200);
    let deleted = bobs.expect("message_deleted").await;
    assert_eq!(deleted["messageId"], message["_id"]);
    let page = ann.get(&history).await.expect(200);
    assert_eq!(page["data"][0]["isDeleted"], true);
}

#[tokio::test]
async fn pages_are_counted_from_the_newest() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    for n in 1..=7 {
        let body = json!({"conversationId": id, "content": n.to_string()});
        ann.post("/connexus/api/chat/messages", body)
            .await
            .expect(201);
    }
    for (page, expected) in [
        (1, vec!["5", "6", "7"]),
        (2, vec!["2", "3", "4"]),
        (3, vec!["1"]),
        (4, vec![]),
    ] {
        let path = format!("/connexus/api/chat/conversations/{id}/messages?page={page}&limit=3");
        let answer = bob.get(&path).await.expect(200);
        let bodies: Vec<&str> = answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        assert_eq!(bodies, expected, "page {page}");
    }
}

#[tokio::test]
async fn sockets_send_and_are_told() {
    // join_conversation, send_message, typing_start, typing_stop, add_reaction, remove_reaction,
    // edit_message, delete_message, mark_message_read
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    let (mut anns, mut bobs) = (ann.socket().await, bob.socket().await);
    anns.expect("current_online_users").await;
    bobs.expect("current_online_users").await;
    anns.emit("join_conversation", json!(id)).await;
    assert_eq!(
        anns.expect("joined_conversation").await,
        json!({"conversationId": id})
    );
    anns.emit("join_conversation", json!({"conversationId": id}))
        .await;
    anns.expect("joined_conversation").await;
    anns.emit("typing_start", json!({"conversationId": id}))
        .await;
    let typing = bobs.expect("user_typing").await;
    assert_eq!(typing["user"]["name"], ann.name.as_str());
    anns.emit("typing_stop", json!({"conversationId": id}))
        .await;
    assert_eq!(
        bobs.expect("user_stop_typing").await["userId"],
        ann.id.as_str()
    );
    let body = json!({"conversationId": id, "content": "hi", "tempId": "t-1"});
    anns.emit("send_message", body.clone()).await;
    let sent = anns.expect("message_sent").await;
    assert_eq!(
        (&sent["tempId"], &sent["conversationId"]),
        (&json!("t-1"), &json!(id))
    );
    let told = bobs.expect("new_message").await;
    assert_eq!(told["message"]["_id"], sent["message"]["_id"]);
    assert_eq!(keys(&told), ["conversationId", "message"]);
    // the same again is the same message, and nobody is told twice
    anns.emit("send_message", body).await;
    assert_eq!(
        anns.expect("message_sent").await["message"]["_id"],
        sent["message"]["_id"]
    );
    let message = sent["message"]["_id"].clone();
    bobs.emit("add_reaction", json!({"messageId": message, "emoji": "🎉"}))
        .await;
    let reacted = anns.expect("reaction_updated").await;
    assert_eq!(reacted["reactions"][0]["emoji"], "🎉");
    bobs.emit(
        "remove_reaction",
        json!({"messageId": message, "emoji": "🎉"}),
    )
    .await;
    assert_eq!(
        anns.expect("reaction_updated").await["reactions"],
        json!([])
    );
    bobs.emit(
        "mark_message_read",
        json!({"messageIds": [message], "conversationId": id}),
    )
    .await;
    let read = anns.expect("message_read").await;
    assert_eq!(
        (&read["conversationId"], &read["userId"]),
        (&json!(id), &json!(bob.id))
    );
    anns.emit(
        "edit_message",
        json!({"messageId": message, "newContent": "hi!"}),
    )
    .await;
    for socket in [&mut anns, &mut bobs] {
        assert_eq!(socket.expect("message_edited").await["newContent"], "hi!");
    }
    anns.emit("delete_message", json!({"messageId": message}))
        .await;
    for socket in [&mut anns, &mut bobs] {
        assert_eq!(socket.expect("message_deleted").await["messageId"], message);
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let id = direct(&ann, &bob).await;
    let mut eves = eve.socket().await;
    eves.expect("current_online_users").await;
    for (name, payload) in [
        (
            "send_message",
            json!({"conversationId": id, "content": "let me in"}),
        ),
        (
            "send_message",
            json!({"conversationId": nobody(), "content": "x"}),
        ),
        ("send_message", json!({"content": "x"})),
        ("send_message", json!("text")),
        (
            "send_message",
            json!({"conversationId": id, "content": {"$gt": ""}}),
        ),
        ("join_conversation", json!(id)),
        ("join_conversation", json!(7)),
        ("typing_start", json!({"conversationId": id})),
        (
            "add_reaction",
            json!({"messageId": nobody(), "emoji": "👍"}),
        ),
        ("add_reaction", json!({"messageId": [], "emoji": "👍"})),
        (
            "edit_message",
            json!({"messageId": nobody(), "newContent": "x"}),
        ),
        ("delete_message", json!({})),
        ("mark_message_read", json!({"conversationId": id})),
        ("mark_message_read", json!({"messageIds": ["x"]})),
    ] {
        eves.emit(name, payload.clone()).await;
        let error = eves.expect("error").await;
        assert!(error["message"].is_string(), "{name} {payload}: {error}");
    }
    let answer = eves
        .call(
            "send_message",
            json!({"conversationId": id, "content": "x"}),
        )
        .await;
    assert_eq!(answer[0]["success"], false);
}

#[tokio::test]
async fn a_handshake_without_a_good_token_is_refused() {
    let app = TestApp::shared().await;
    for (auth, said) in [
        (Value::Null, "Authentication error: No token provided"),
        (
            json!({"token": "nonsense"}),
            "Authentication error: Invalid token",
        ),
    ] {
        let refused = connect_socketio(&app.address(), "/connexus/socket.io/", auth).await;
        assert_eq!(refused.err().unwrap()["message"], said);
    }
    let [ann] = people(&app, ["ann"]).await;
    // the token's own dialect is spoken at the root, with `Bearer` before the token and without
    for token in [ann.token.clone(), format!("Bearer {}", ann.token)] {
        let auth = json!({"token": token});
        let mut socket = connect_socketio(&app.address(), "/socket.io/", auth)
            .await
            .unwrap();
        socket.expect("current_online_users").await;
    }
}

#[tokio::test]
async fn coming_and_going_is_told() {
    let app = TestApp::with(&[
        ("presence.grace_ms", "100"),
        ("presence.push_interval_ms", "100"),
    ])
    .await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    direct(&ann, &bob).await;
    let mut anns = ann.socket().await;
    assert_eq!(anns.expect("current_online_users").await, json!([]));
    let (one, two) = (bob.socket().await, bob.socket().await);
    let online = anns.expect("user_online").await;
    assert_eq!(online, json!({"userId": bob.id, "lastSeen": null}));
    one.disconnect().await;
    drop(two);
    let offline = anns.expect("user_offline").await;
    assert_eq!(offline["userId"], bob.id.as_str());
    assert!(offline["lastSeen"].is_string());
}

#[tokio::test]
async fn what_was_missed_comes_once() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    for n in 1..=3 {
        let body = json!({"conversationId": id, "content": n.to_string()});
        ann.post("/connexus/api/chat/messages", body)
            .await
            .expect(201);
    }
    let mut bobs = bob.socket().await;
    for n in 1..=3 {
        assert_eq!(
            bobs.expect("new_message").await["message"]["content"],
            n.to_string()
        );
    }
    bobs.disconnect().await;
    let mut again = bob.socket().await;
    let body = json!({"conversationId": id, "content": "4"});
    ann.post("/connexus/api/chat/messages", body)
        .await
        .expect(201);
    assert_eq!(again.expect("new_message").await["message"]["content"], "4");
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
