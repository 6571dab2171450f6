//! What sockets say and hear: `setup`, `connected`, `join chat`, `typing`, `stop typing`, `new message`,
//! `message recieved`, `message read`, `message delivered`.

use connexus_e2e::{SioEvent, SioSocket, TestApp, connect_socketio, nobody};
use serde_json::{Value, json};

use super::{CHAT, MESSAGE, SENDER, direct, group, history, keys, people, say};
use crate::dialects::{PASSWORD, Person};

/// What the front end keeps of its user.
fn user_info(who: &Person) -> Value {
    json!({
        "_id": who.id,
        "name": who.name,
        "email": who.email,
        "isAdmin": false,
        "pic": null,
        "token": who.token,
    })
}

/// A socket as the front end opens it.
async fn set_up(who: &Person) -> SioSocket {
    let mut socket = who.silent_socket().await;
    socket.emit("setup", user_info(who)).await;
    connected(&mut socket).await;
    socket
}

async fn connected(socket: &mut SioSocket) {
    let seen = socket.until(|event| event.name == "connected").await;
    let [only] = &seen[..] else {
        panic!("something came before: {seen:?}");
    };
    assert!(only.args.is_empty(), "no payload");
}

/// Joins, and has joined when this returns.
async fn join(socket: &mut SioSocket, chat: &Value) {
    let answer = socket.call("join chat", chat.clone()).await;
    assert_eq!(answer, [json!({"success": true})]);
}

async fn refused(socket: &mut SioSocket, name: &str, payload: Value) -> String {
    socket.emit(name, payload).await;
    let complaint = socket.expect("error").await;
    assert_eq!(keys(&complaint), ["message"]);
    complaint["message"].as_str().unwrap().to_owned()
}

fn named<'a>(seen: &'a [SioEvent], name: &str) -> Vec<&'a SioEvent> {
    seen.iter().filter(|event| event.name == name).collect()
}

fn says(content: &str) -> impl Fn(&SioEvent) -> bool {
    move |event| event.name == "message recieved" && event.args[0]["content"] == content
}

#[tokio::test]
async fn setup_is_answered_by_connected() {
    let app = TestApp::shared().await;
    let ann = Person::register(&app, "mern", "ann").await;
    for path in ["/socket.io/", "/mern/socket.io/"] {
        let mut socket = connect_socketio(&app.address(), path, Value::Null)
            .await
            .unwrap();
        // what comes before is not heard, and what is wrong can be said again
        socket.emit("join chat", json!("x")).await;
        for wrong in [
            json!({"_id": ann.id, "name": ann.name}),
            json!({"_id": ann.id, "token": "nonsense"}),
            json!({"token": {"$gt": ""}}),
            json!("x".repeat(10_000)),
            json!([ann.token]),
        ] {
            let message = refused(&mut socket, "setup", wrong).await;
            assert_eq!(message, "Not authorized, token failed");
        }
        socket.emit("setup", user_info(&ann)).await;
        connected(&mut socket).await;
        socket.emit("setup", user_info(&ann)).await;
        connected(&mut socket).await;
    }
    // a token in the handshake is taken as well
    let mut socket = ann.socket().await;
    connected(&mut socket).await;
    socket.emit("setup", user_info(&ann)).await;
    connected(&mut socket).await;
}

#[tokio::test]
async fn nobody_becomes_somebody_else() {
    let app = TestApp::shared().await;
    let [ann, bob, cy] = people(&app, ["ann", "bob", "cy"]).await;
    let chat = direct(&bob, &cy).await;
    let mut lying = user_info(&ann);
    lying["_id"] = json!(bob.id);
    let mut anns = ann.silent_socket().await;
    anns.emit("setup", lying).await;
    connected(&mut anns).await;
    let message = refused(&mut anns, "setup", user_info(&bob)).await;
    assert_eq!(message, "Not authorized, token failed");
    say(&cy, &chat, "for bob").await;
    let ours = direct(&ann, &bob).await;
    say(&bob, &ours, "for ann").await;
    let seen = anns.until(says("for ann")).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_message_is_told_to_the_others_once() {
    // new message, message recieved, POST /api/message
    let app = TestApp::shared().await;
    let [ann, bob, cy] = people(&app, ["ann", "bob", "cy"]).await;
    let chat = group(&ann, &[&bob, &cy]).await;
    let (mut anns, mut bobs, mut cys) = (set_up(&ann).await, set_up(&bob).await, set_up(&cy).await);
    let (mut anns_tablet, mut bobs_tablet) = (set_up(&ann).await, set_up(&bob).await);
    // as the front end does: first over REST, then the answer as the event
    let first = say(&ann, &chat, "one").await;
    let answer = anns.call("new message", first.clone()).await;
    assert_eq!(answer, [json!({"success": true})]);
    // or the event before the answer, with what will be
    let early = json!({"content": "two", "chat": chat, "sender": {"_id": ann.id}});
    anns.call("new message", early).await;
    let second = say(&ann, &chat, "two").await;
    // nor does it tell anybody what was never sent
    let made_up = json!({"_id": nobody(), "content": "made up", "chat": chat,
        "sender": {"_id": bob.id, "name": "Bob"}});
    anns.call("new message", made_up).await;
    say(&ann, &chat, "last").await;
    for socket in [&mut bobs, &mut bobs_tablet, &mut cys] {
        let seen = socket.until(says("last")).await;
        let told = named(&seen, "message recieved");
        assert_eq!(told.len(), 3, "{seen:?}");
        let payload = &told[0].args[0];
        assert_eq!(keys(payload), MESSAGE);
        assert_eq!(keys(&payload["sender"]), SENDER);
        assert_eq!(keys(&payload["chat"]), CHAT);
        assert_eq!(payload["_id"], first["_id"]);
        assert_eq!(payload["sender"], first["sender"]);
        assert_eq!(payload["chat"]["_id"], chat["_id"]);
        assert_eq!(payload["chat"]["users"], chat["users"]);
        assert_eq!(payload["chat"]["groupAdmin"], chat["groupAdmin"]);
        assert_eq!(told[1].args[0]["_id"], second["_id"]);
    }
    say(&bob, &chat, "answer").await;
    for socket in [&mut anns, &mut anns_tablet] {
        let seen = socket.until(says("answer")).await;
        let told = named(&seen, "message recieved");
        assert_eq!(told.len(), 1, "not what ann said herself: {seen:?}");
    }
    assert_eq!(history(&ann, &chat).await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn writing_is_told_to_who_has_joined() {
    // join chat, typing, stop typing
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let chat = direct(&ann, &bob).await;
    let (mut anns, mut joined, mut apart) =
        (set_up(&ann).await, set_up(&bob).await, set_up(&bob).await);
    join(&mut anns, &chat["_id"]).await;
    join(&mut joined, &chat).await;
    for here in [&chat["_id"], &chat] {
        for name in ["typing", "stop typing"] {
            anns.emit(name, here.clone()).await;
            let seen = joined.until(|event| event.name == name).await;
            assert_eq!(seen.len(), 1, "{seen:?}");
            assert!(seen[0].args.is_empty(), "no payload");
        }
    }
    // a message ends it too
    anns.emit("typing", chat["_id"].clone()).await;
    joined.expect("typing").await;
    say(&ann, &chat, "done").await;
    joined.expect("stop typing").await;
    say(&bob, &chat, "seen").await;
    say(&ann, &chat, "end").await;
    let seen = apart.until(says("end")).await;
    let told = named(&seen, "typing").len() + named(&seen, "stop typing").len();
    assert_eq!(told, 0, "it has not joined: {seen:?}");
    let seen = anns.until(says("seen")).await;
    assert!(named(&seen, "typing").is_empty(), "not of the own writing");
    // who leaves hears no more
    let answer = joined.call("leave chat", chat["_id"].clone()).await;
    assert_eq!(answer, [json!({"success": true})]);
    anns.emit("typing", chat["_id"].clone()).await;
    anns.emit("stop typing", chat["_id"].clone()).await;
    anns.call("join chat", chat["_id"].clone()).await;
    say(&ann, &chat, "over").await;
    let seen = joined.until(says("over")).await;
    assert!(named(&seen, "typing").is_empty(), "{seen:?}");
}

#[tokio::test]
async fn receipts_are_told() {
    // message delivered, message read, GET /api/message/:chatId
    let app = TestApp::shared().await;
    let [ann, bob, cy] = people(&app, ["ann", "bob", "cy"]).await;
    let chat = group(&ann, &[&bob, &cy]).await;
    let mut anns = set_up(&ann).await;
    let first = say(&ann, &chat, "one").await;
    let receipt = |message: &Value| json!({"chatId": chat["_id"], "userId": bob.id, "messageId": message["_id"]});
    let mut bobs = set_up(&bob).await;
    bobs.expect("message recieved").await;
    assert_eq!(anns.expect("message delivered").await, receipt(&first));
    let second = say(&ann, &chat, "two").await;
    bobs.expect("message recieved").await;
    assert_eq!(anns.expect("message delivered").await, receipt(&second));

    let one = json!({"chatId": chat["_id"], "messageId": first["_id"], "userId": cy.id});
    let answer = bobs.call("message read", one).await;
    assert_eq!(answer, [json!({"success": true})]);
    assert_eq!(anns.expect("message read").await, receipt(&first));
    let all = history(&ann, &chat).await;
    assert_eq!(all[0]["readBy"], json!([bob.id]));
    assert_eq!(all[1]["readBy"], json!([]));
    // everything, in the chat as an object
    bobs.call("message read", json!({"chatId": chat})).await;
    assert_eq!(anns.expect("message read").await, receipt(&second));
    let all = history(&ann, &chat).await;
    assert_eq!(all[1]["readBy"], json!([bob.id]));
    let listed = bob.get("/mern/api/chat").await.expect(200);
    assert_eq!(listed[0]["latestMessage"]["readBy"], json!([bob.id]));
    // a second time, and of what bob said himself, there is nothing to tell
    say(&bob, &chat, "bob's own").await;
    bobs.call("message read", json!({"chatId": chat})).await;
    let all = history(&ann, &chat).await;
    assert_eq!(all[2]["readBy"], json!([]), "not by its own sender");
    say(&cy, &chat, "end").await;
    let seen = bobs.until(says("end")).await;
    assert!(named(&seen, "message read").is_empty(), "{seen:?}");
    let seen = anns.until(says("end")).await;
    assert!(named(&seen, "message read").is_empty(), "{seen:?}");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_once() {
    // setup, message recieved
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let chat = direct(&ann, &bob).await;
    let away = set_up(&bob).await;
    away.disconnect().await;
    let sent = [say(&ann, &chat, "one").await, say(&ann, &chat, "two").await];
    let mut anns = set_up(&ann).await;
    let mut bobs = set_up(&bob).await;
    for message in &sent {
        let missed = bobs.expect("message recieved").await;
        assert_eq!(missed["_id"], message["_id"]);
        assert_eq!(missed["content"], message["content"]);
        assert_eq!(missed["chat"]["users"], chat["users"]);
    }
    anns.expect("message delivered").await;
    bobs.disconnect().await;
    let login = json!({"email": bob.email, "password": PASSWORD});
    let login = bob.post("/mern/api/user/login", login).await.expect(200);
    let mut again = bob.silent_socket().await;
    again.emit("setup", login).await;
    connected(&mut again).await;
    say(&ann, &chat, "three").await;
    let seen = again.until(says("three")).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn what_sockets_are_refused() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let chat = direct(&ann, &bob).await;
    let said = say(&ann, &chat, "private").await;
    let other = direct(&ann, &eve).await;
    let mut eves = set_up(&eve).await;
    let must = "chatId must be an id or a chat";
    let hostile = [
        (json!(7), must),
        (json!({"$gt": ""}), must),
        (json!([1]), must),
        (Value::Null, "chatId is required"),
        (json!("x".repeat(10_000)), "Chat Not Found"),
        (json!(nobody()), "Chat Not Found"),
        (chat["_id"].clone(), "You are not a member of this chat"),
        (chat.clone(), "You are not a member of this chat"),
    ];
    for (payload, expected) in hostile {
        for name in ["join chat", "typing", "stop typing"] {
            let message = refused(&mut eves, name, payload.clone()).await;
            assert_eq!(message, expected, "{name} {payload}");
        }
        let read = json!({"chatId": payload});
        assert_eq!(refused(&mut eves, "message read", read).await, expected);
    }
    for payload in [json!(7), json!("x"), json!([1]), json!(null), json!({})] {
        let message = refused(&mut eves, "message read", payload).await;
        assert_eq!(message, "chatId is required");
    }
    for (id, expected) in [
        (said["_id"].clone(), "Message not found"),
        (json!("x"), "Message not found"),
        (json!(5), "messageId must be an id or a message"),
    ] {
        let read = json!({"chatId": other["_id"], "messageId": id});
        assert_eq!(refused(&mut eves, "message read", read).await, expected);
    }
    for payload in [json!(7), json!("x"), json!([1]), json!(null)] {
        let message = refused(&mut eves, "new message", payload).await;
        assert_eq!(message, "message must be a message");
    }
    let answer = eves.call("join chat", json!(nobody())).await;
    assert_eq!(answer[0]["success"], false);
    assert_eq!(answer[0]["error"], "Chat Not Found");
    // what nobody knows is ignored
    eves.emit("something else", json!({"a": 1})).await;
    join(&mut eves, &other["_id"]).await;
}

#[tokio::test]
async fn a_session_that_has_ended_is_told() {
    let app = TestApp::shared().await;
    let ann = Person::register(&app, "mern", "ann").await;
    let mut socket = set_up(&ann).await;
    let ended = ann.post("/v1/auth/logout", json!({})).await;
    assert!(ended.status < 300, "{}", ended.text);
    let told = socket.expect("error").await;
    assert_eq!(told, json!({"message": "Not authorized, token failed"}));
    assert_eq!(socket.ended().await, "disconnect");
}

#[tokio::test]
async fn what_others_say_elsewhere_is_told_here() {
    // message recieved, GET /api/chat
    let app = TestApp::shared().await;
    let ann = Person::register(&app, "mern", "ann").await;
    let native = app.user("native").await;
    let mut anns = set_up(&ann).await;
    let body = json!({"kind": "direct", "user_id": ann.id});
    let made = native.post("/v1/conversations", body).await.expect(201);
    let id = made["id"].as_str().unwrap();
    let said = native.say(id, "from afar").await;
    let told = anns.expect("message recieved").await;
    assert_eq!(told["_id"], said["id"]);
    assert_eq!(told["chat"]["_id"], id);
    assert_eq!(told["sender"]["_id"], native.id);
    // a public room looks like a group
    let room = connexus_e2e::unique("room");
    let entered = json!({"kind": "room", "slug": room});
    let made = ann.post("/v1/conversations", entered).await;
    assert!(made.status < 300, "{}", made.text);
    let chats = ann.get("/mern/api/chat").await.expect(200);
    let shown = chats.as_array().unwrap().iter();
    let rooms: Vec<&Value> = shown.filter(|chat| chat["chatName"] == room).collect();
    assert_eq!(rooms.len(), 1, "{chats}");
    assert_eq!(rooms[0]["isGroupChat"], true);
    assert_eq!(rooms[0]["groupAdmin"]["_id"], ann.id);
    assert_eq!(chats.as_array().unwrap().len(), 2);
}
