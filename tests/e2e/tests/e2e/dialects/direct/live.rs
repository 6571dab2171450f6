//! Messages over sockets.

use connexus_e2e::{TestApp, connect_socketio, nobody};
use serde_json::{Value, json};

use super::{another_device, group, keys, people, send};

#[tokio::test]
async fn saying_who_it_is() {
    // authenticate → authenticated, error
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let mut told = ann.socket().await;
    let user = told.expect("authenticated").await["user"].clone();
    assert_eq!(keys(&user), super::USER);
    assert_eq!(user["_id"], ann.id, "after the handshake, too");
    for path in ["/direct/socket.io/", "/socket.io/"] {
        let silent = connect_socketio(&app.address(), path, Value::Null).await;
        let mut socket = silent.unwrap();
        // nothing is heard before
        let early = json!({"to": bob.id, "content": "too early"});
        socket.emit("send_message", early).await;
        for bad in [
            json!({"token": "nonsense"}),
            json!({"token": {"$gt": ""}}),
            json!({"userId": ann.id}),
            json!([ann.token]),
            json!(17),
        ] {
            socket.emit("authenticate", bad).await;
            let error = socket.expect("error").await;
            let expected = json!({"message": "Invalid token", "code": "TOKEN_INVALID"});
            assert_eq!(error, expected);
        }
        // and it may try again
        socket
            .emit("authenticate", json!({"token": ann.token}))
            .await;
        let user = socket.expect("authenticated").await["user"].clone();
        assert_eq!(user["_id"], ann.id);
        // once more is answered once more, but it is nobody else from now on
        socket
            .emit(
                "authenticate",
                json!({"token": format!("Bearer {}", ann.token)}),
            )
            .await;
        socket.expect("authenticated").await;
        socket
            .emit("authenticate", json!({"token": bob.token}))
            .await;
        assert_eq!(socket.expect("error").await["message"], "Invalid token");
    }
    let path = format!("/direct/api/messages/conversation/{}", ann.id);
    let heard = bob.get(&path).await.expect(200)["data"]["messages"].clone();
    assert_eq!(heard, json!([]), "what was said too early was not said");
    let auth = json!({"token": "nonsense"});
    let refused = connect_socketio(&app.address(), &ann.socket_path(), auth).await;
    let refused = refused.err().expect("a refusal");
    assert_eq!(refused["message"], "Authentication error: Invalid token");
}

#[tokio::test]
async fn who_never_says_it_is_sent_away() {
    // authenticate
    let app = TestApp::with(&[("CONNEXUS__SOCKETIO__AUTH_TIMEOUT_MS", "1000")]).await;
    let [ann] = people(&app, ["ann"]).await;
    let mut silent = ann.silent_socket().await;
    silent
        .emit("authenticate", json!({"token": "nonsense"}))
        .await;
    silent.expect("error").await;
    assert_eq!(silent.ended().await, "disconnect");
}

#[tokio::test]
async fn messages_keep_their_order() {
    // send_message → message_sent, new_message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let (mut anns, mut elsewhere) = (ann.socket().await, another_device(&app, &ann).await);
    let (mut bobs, mut bobs_phone) = (bob.socket().await, another_device(&app, &bob).await);
    for number in 0..20 {
        let body = json!({"to": bob.id, "content": format!("number {number}")});
        anns.emit("send_message", body).await;
    }
    let mut ids = Vec::new();
    for number in 0..20 {
        let told = bobs.expect("new_message").await;
        assert_eq!(told["content"], format!("number {number}"));
        assert_eq!(
            keys(&told),
            [
                "chatId",
                "content",
                "isGroup",
                "messageId",
                "messageType",
                "receiver",
                "sender",
                "timestamp"
            ]
        );
        assert_eq!(keys(&told["sender"]), ["_id", "profilePicture", "username"]);
        assert_eq!(bobs_phone.expect("new_message").await, told);
        assert_eq!(elsewhere.expect("new_message").await, told);
        ids.push(told["messageId"].clone());
    }
    let mut sent = Vec::new();
    for _ in 0..20 {
        let told = anns.expect("message_sent").await;
        assert_eq!(keys(&told), ["chatId", "messageId", "timestamp"]);
        sent.push(told["messageId"].clone());
    }
    assert_eq!(sent, ids);
    let answer = anns
        .call(
            "send_message",
            json!({"to": bob.id, "content": "acknowledged"}),
        )
        .await;
    assert_eq!(answer[0]["success"], true);
    let told = anns.expect("message_sent").await;
    assert_eq!(answer[0]["messageId"], told["messageId"]);
    send(&bob, &ann, "over").await;
    let seen = anns.until(|event| event.name == "new_message").await;
    let last = &seen[seen.len() - 1];
    assert_eq!(
        last.args[0]["content"], "over",
        "its own are not told to it"
    );
}

#[tokio::test]
async fn chats_by_their_ids() {
    // send_message, join_chat
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let chat = send(&ann, &bob, "hello").await["chatId"].clone();
    let (mut anns, mut bobs, mut eves) =
        (ann.socket().await, bob.socket().await, eve.socket().await);
    bobs.expect("new_message").await;
    for target in [
        json!({"chatId": chat, "content": "by chat"}),
        json!({"to": bob.id, "chatId": chat, "content": "by both"}),
        json!({"to": {"_id": bob.id}, "chatId": null, "content": "by object"}),
    ] {
        anns.emit("send_message", target.clone()).await;
        let told = bobs.expect("new_message").await;
        assert_eq!(told["chatId"], chat);
        assert_eq!(told["content"], target["content"]);
    }
    for payload in [json!({"chatId": chat}), chat.clone()] {
        let answer = anns.call("join_chat", payload.clone()).await;
        assert_eq!(answer, [json!({"success": true, "chatId": chat})]);
        let refused = eves.call("join_chat", payload).await;
        assert_eq!(refused[0]["success"], false);
        let error = eves.expect("error").await;
        let text = "You are not a participant of this chat";
        assert_eq!(error, json!({"message": text, "code": "NOT_MEMBER"}));
    }
    for (payload, code) in [
        (json!({"chatId": chat, "content": "x"}), "NOT_MEMBER"),
        (json!({"chatId": nobody(), "content": "x"}), "NOT_FOUND"),
        (json!({"to": nobody(), "content": "x"}), "NOT_FOUND"),
        (json!({"to": eve.id, "content": "x"}), "VALIDATION_FAILED"),
        (
            json!({"to": ann.id, "chatId": chat, "content": "x"}),
            "VALIDATION_FAILED",
        ),
    ] {
        eves.emit("send_message", payload).await;
        let error = eves.expect("error").await;
        assert_eq!(keys(&error), ["code", "message"]);
        assert_eq!(error["code"], code, "{error}");
    }
    // a group is a chat as well, but of nobody in particular
    let of_three = group(&[&ann, &bob, &eve], "Three of us").await;
    let body = json!({"chatId": of_three, "content": "all of you"});
    eves.emit("send_message", body).await;
    for socket in [&mut anns, &mut bobs] {
        let told = socket.expect("new_message").await;
        assert_eq!(told["chatId"], of_three);
        assert_eq!(told["isGroup"], true);
        assert_eq!(told["groupName"], "Three of us");
        assert_eq!(told.get("receiver"), None);
        assert_eq!(told["sender"]["username"], eve.name);
    }
}

#[tokio::test]
async fn writing() {
    // typing → typing_status
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let (mut anns, mut bobs) = (ann.socket().await, bob.socket().await);
    // with whom there is no chat yet, nothing is opened and nobody told
    let body = json!({"to": bob.id, "isTyping": true});
    assert_eq!(anns.call("typing", body.clone()).await[0]["success"], true);
    let chats = bob.get("/direct/api/messages/chats").await.expect(200);
    assert_eq!(chats["data"]["chats"], json!([]));
    let chat = send(&eve, &bob, "hello").await["chatId"].clone();
    let chat_with_ann = send(&ann, &bob, "hello").await["chatId"].clone();
    for expected in [true, false] {
        let body = json!({"to": bob.id, "isTyping": expected});
        anns.emit("typing", body).await;
        let told = bobs.expect("typing_status").await;
        assert_eq!(keys(&told), ["chatId", "from", "isTyping", "timestamp"]);
        assert_eq!(told["from"], ann.id);
        assert_eq!(told["isTyping"], expected);
        assert_eq!(told["chatId"], chat_with_ann);
        assert!(told["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    let body = json!({"chatId": chat_with_ann, "isTyping": true, "from": eve.id});
    anns.emit("typing", body).await;
    let told = bobs.expect("typing_status").await;
    assert_eq!(told["from"], ann.id, "whoever the payload says it is");
    for (payload, text) in [
        (
            json!({"chatId": chat, "isTyping": true}),
            "You are not a participant of this chat",
        ),
        (json!({"to": nobody(), "isTyping": true}), "User not found"),
        (json!({"to": bob.id}), "isTyping is required"),
        (
            json!({"to": bob.id, "isTyping": "yes"}),
            "isTyping must be a boolean",
        ),
        (json!({"isTyping": true}), "to is required"),
        (json!([bob.id, chat, true]), "The payload must be an object"),
    ] {
        anns.emit("typing", payload).await;
        assert_eq!(anns.expect("error").await["message"], text);
    }
}

#[tokio::test]
async fn having_read() {
    // read_receipt → message_read
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let first = send(&ann, &bob, "first").await;
    let second = send(&ann, &bob, "second").await;
    let (mut anns, mut bobs, mut eves) =
        (ann.socket().await, bob.socket().await, eve.socket().await);
    let body = json!({"messageId": first["messageId"], "chatId": first["chatId"]});
    bobs.emit("read_receipt", body.clone()).await;
    let told = anns.expect("message_read").await;
    assert_eq!(keys(&told), ["chatId", "messageId", "readAt", "readerId"]);
    assert_eq!(told["messageId"], first["messageId"]);
    assert_eq!(told["chatId"], first["chatId"]);
    assert_eq!(told["readerId"], bob.id);
    assert!(told["readAt"].is_string());
    // all of the chat
    let all = json!({"chatId": first["chatId"]});
    let answer = bobs.call("read_receipt", all).await;
    assert_eq!(answer[0]["chatId"], first["chatId"]);
    let told = anns.expect("message_read").await;
    assert_eq!(told["messageId"], second["messageId"]);
    for (payload, text) in [
        (body, "Message not found"),
        (
            json!({"chatId": first["chatId"]}),
            "You are not a participant of this chat",
        ),
        (json!({"messageId": nobody()}), "Message not found"),
        (json!({"messageId": 5}), "messageId must be a string"),
        (json!({"chatId": {"$gt": ""}}), "chatId must be an id"),
        (json!({}), "messageId is required"),
    ] {
        eves.emit("read_receipt", payload).await;
        assert_eq!(eves.expect("error").await["message"], text);
    }
    let other = send(&bob, &eve, "elsewhere").await;
    let mismatched = json!({"messageId": first["messageId"], "chatId": other["chatId"]});
    bobs.emit("read_receipt", mismatched).await;
    assert_eq!(bobs.expect("error").await["message"], "Message not found");
    // in a chat of more, each author is told of its own
    let of_three = group(&[&ann, &bob, &eve], "us").await;
    for (who, socket) in [(&ann, &mut anns), (&bob, &mut bobs)] {
        let body = json!({"chatId": of_three, "content": who.name});
        socket.emit("send_message", body).await;
        socket.expect("message_sent").await;
    }
    eves.emit("read_receipt", json!({"chatId": of_three})).await;
    let by_ann = anns.expect("message_read").await;
    let by_bob = bobs.expect("message_read").await;
    assert_eq!(by_ann["readerId"], eve.id);
    assert_ne!(by_ann["messageId"], by_bob["messageId"]);
}

#[tokio::test]
async fn what_was_missed_comes_once() {
    // new_message
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    for (from, content) in [(&ann, "one"), (&ann, "two"), (&eve, "three")] {
        send(from, &bob, content).await;
    }
    let mut bobs = bob.silent_socket().await;
    bobs.emit("authenticate", json!({"token": bob.token})).await;
    let seen = bobs
        .until(|event| event.args[0]["content"] == "three")
        .await;
    assert_eq!(seen[0].name, "authenticated", "before anything else");
    let told: Vec<&Value> = seen[1..]
        .iter()
        .map(|event| &event.args[0]["content"])
        .collect();
    assert_eq!(told, ["one", "two", "three"]);
    bobs.disconnect().await;
    send(&ann, &bob, "four").await;
    let mut bobs = bob.socket().await;
    assert_eq!(bobs.expect("new_message").await["content"], "four");
    send(&ann, &bob, "five").await;
    assert_eq!(bobs.expect("new_message").await["content"], "five");
}

#[tokio::test]
async fn hostile_payloads_are_answered() {
    // send_message, join_chat, typing, read_receipt, update_status
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let mut socket = ann.socket().await;
    socket.expect("authenticated").await;
    for name in [
        "send_message",
        "join_chat",
        "typing",
        "read_receipt",
        "update_status",
    ] {
        for payload in [
            Value::Null,
            json!(5),
            json!(true),
            json!([]),
            json!([{"to": bob.id}]),
            json!("x".repeat(50_000)),
            json!({"to": {"$gt": ""}, "chatId": {"$gt": ""}, "messageId": {"$gt": ""}, "status": {"$gt": ""}}),
            json!({"to": [bob.id], "chatId": [1], "messageId": [], "content": [], "status": []}),
            json!({"to": 1e300, "chatId": -1, "messageId": 0, "content": 0, "status": 0}),
            json!({"to": "x".repeat(50_000), "content": "x", "isTyping": true}),
        ] {
            socket.emit(name, payload).await;
            let error = socket.expect("error").await;
            assert_eq!(keys(&error), ["code", "message"], "{name}");
            assert_ne!(error["code"], "INTERNAL", "{name}: {error}");
        }
    }
    // what nobody knows is ignored, and it still listens
    socket.emit("no such event", json!({})).await;
    let body = json!({"to": bob.id, "content": "still here"});
    socket.emit("send_message", body).await;
    socket.expect("message_sent").await;
}
