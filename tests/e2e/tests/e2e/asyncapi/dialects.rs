//! Real events of each dialect.

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::Listener;
use crate::dialects::Person;

async fn people<const N: usize>(app: &TestApp, dialect: &'static str) -> [Person; N] {
    let mut found = Vec::new();
    for _ in 0..N {
        found.push(Person::register(app, dialect, "somebody").await);
    }
    found.try_into().unwrap_or_else(|_| unreachable!())
}

#[tokio::test]
async fn connexus_events_are_as_documented() {
    let app = TestApp::shared().await;
    let mut l = Listener::of("connexus");
    let [ann, bob, cyn] = people(&app, "connexus").await;
    let chat = "/connexus/api/chat";
    let opened = ann
        .post(
            &format!("{chat}/conversations/direct"),
            json!({"participantId": bob.id}),
        )
        .await
        .expect(201);
    let id = &opened["data"]["_id"];
    let (mut anns, here) = (ann.socket().await, json!({"conversationId": id}));
    l.expect(&mut anns, "current_online_users").await;
    let mut bobs = bob.socket().await;
    l.expect(&mut anns, "user_online").await;
    let away = json!({"status": "away"});
    l.emit(&mut bobs, "update_user_status", away).await;
    l.expect(&mut anns, "user_status_updated").await;
    l.emit(&mut anns, "ping", Value::Null).await;
    l.expect(&mut anns, "pong").await;
    l.emit(&mut anns, "join_conversation", id.clone()).await;
    l.expect(&mut anns, "joined_conversation").await;
    l.emit(&mut anns, "leave_conversation", here.clone()).await;
    l.expect(&mut anns, "left_conversation").await;
    l.emit(&mut anns, "typing_start", here.clone()).await;
    l.expect(&mut bobs, "user_typing").await;
    l.emit(&mut anns, "typing_stop", here).await;
    l.expect(&mut bobs, "user_stop_typing").await;

    let body = json!({"conversationId": id, "content": "hi", "type": "text", "tempId": "t-1"});
    l.emit(&mut anns, "send_message", body).await;
    let sent = l.expect(&mut anns, "message_sent").await;
    l.expect(&mut bobs, "new_message").await;
    let message = &sent["message"]["_id"];
    let reaction = json!({"messageId": message, "emoji": "🎉"});
    l.emit(&mut bobs, "add_reaction", reaction.clone()).await;
    l.expect(&mut anns, "reaction_updated").await;
    l.emit(&mut bobs, "remove_reaction", reaction).await;
    l.expect(&mut anns, "reaction_updated").await;
    let read = json!({"messageIds": [message], "conversationId": id});
    l.emit(&mut bobs, "mark_message_read", read).await;
    l.expect(&mut anns, "message_read").await;
    let edit = json!({"messageId": message, "newContent": "hi!"});
    l.emit(&mut anns, "edit_message", edit).await;
    l.expect(&mut bobs, "message_edited").await;
    l.emit(&mut anns, "delete_message", json!({"messageId": message}))
        .await;
    l.expect(&mut bobs, "message_deleted").await;
    l.emit(&mut anns, "delete_message", json!({"messageId": nobody()}))
        .await;
    l.expect(&mut anns, "error").await;

    let group = json!({"name": "Us", "participants": [bob.id]});
    let made = ann
        .post(&format!("{chat}/conversations/group"), group)
        .await;
    let group = made.expect(201)["data"]["_id"].as_str().unwrap().to_owned();
    l.expect(&mut bobs, "conversation_created").await;
    let path = format!("{chat}/conversations/{group}");
    ann.put(&path, json!({"name": "We"})).await.expect(200);
    l.expect(&mut bobs, "group_info_updated").await;
    let participants = format!("{path}/participants");
    ann.post(&participants, json!({"userId": cyn.id}))
        .await
        .expect(200);
    l.expect(&mut bobs, "user_joined_group").await;
    let role = json!({"userId": cyn.id, "role": "admin"});
    ann.put(&format!("{participants}/role"), role)
        .await
        .expect(200);
    l.expect(&mut bobs, "participant_role_changed").await;
    ann.delete(&format!("{participants}/{}", cyn.id))
        .await
        .expect(200);
    l.expect(&mut bobs, "participant_removed").await;
    let gone = json!({"deleted": true});
    ann.put(&path, gone).await.expect(200);
    l.expect(&mut bobs, "group_deleted").await;
    bobs.disconnect().await;
    l.expect(&mut anns, "user_offline").await;
    l.has_seen_all_but(&[]);
}

#[tokio::test]
async fn rooms_events_are_as_documented() {
    let app = TestApp::shared().await;
    let mut l = Listener::of("rooms");
    let [ann, bob] = people(&app, "rooms").await;
    let room = unique("room");
    for person in [&ann, &bob] {
        let path = format!("/rooms/api/messages?room={room}");
        person.get(&path).await.expect(200);
    }
    let here = json!({"room": room});
    let mut anns = ann.socket().await;
    l.expect(&mut anns, "online-users").await;
    let mut bobs = bob.socket().await;
    l.expect(&mut anns, "user-online").await;
    l.expect(&mut bobs, "online-users").await;
    for (online, expected) in [(false, false), (true, true)] {
        let status = json!({"isOnline": online});
        l.emit(&mut bobs, "user-status", status).await;
        let told = l.expect(&mut anns, "user-status-update").await;
        assert_eq!(told["isOnline"], expected);
    }
    l.emit(&mut anns, "join-room", here.clone()).await;
    l.expect(&mut anns, "joined-room").await;
    l.emit(&mut bobs, "join-room", here.clone()).await;
    l.expect(&mut bobs, "joined-room").await;
    l.expect(&mut anns, "user-joined-room").await;
    l.emit(&mut bobs, "typing-start", here.clone()).await;
    l.expect(&mut anns, "user-typing").await;
    l.emit(&mut bobs, "typing-stop", here.clone()).await;
    l.expect(&mut anns, "user-typing").await;

    let text = json!({"content": "hi", "room": room, "messageType": "text"});
    l.emit(&mut anns, "send-message", text).await;
    let sent = l.expect(&mut anns, "message-sent").await;
    l.expect(&mut anns, "new-message").await;
    l.expect(&mut bobs, "new-message").await;
    let message = sent["messageId"].as_str().unwrap();
    let read = json!({"messageId": message, "room": room});
    l.emit(&mut bobs, "message-read", read).await;
    l.expect(&mut anns, "message-read-receipt").await;
    let path = format!("/rooms/api/messages/{message}");
    bob.post(&format!("{path}/react"), json!({"emoji": "👍"}))
        .await
        .expect(200);
    l.expect(&mut anns, "message-reaction").await;
    ann.put(&path, json!({"content": "hi!"})).await.expect(200);
    l.expect(&mut bobs, "message-edited").await;
    ann.delete(&path).await.expect(200);
    l.expect(&mut bobs, "message-deleted").await;
    let missing = json!({"messageId": nobody()});
    l.emit(&mut bobs, "message-read", missing).await;
    l.expect(&mut bobs, "error").await;
    l.emit(&mut bobs, "leave-room", here).await;
    l.expect(&mut bobs, "left-room").await;
    l.expect(&mut anns, "user-left-room").await;
    bobs.disconnect().await;
    l.expect(&mut anns, "user-offline").await;
    l.has_seen_all_but(&[]);
}

#[tokio::test]
async fn mern_events_are_as_documented() {
    let app = TestApp::shared().await;
    let mut l = Listener::of("mern");
    let [ann, bob] = people(&app, "mern").await;
    let chat = ann.post("/mern/api/chat", json!({"userId": bob.id})).await;
    let chat = chat.expect(200);
    let id = &chat["_id"];
    let (mut anns, mut bobs) = (ann.silent_socket().await, bob.silent_socket().await);
    for (socket, person) in [(&mut anns, &ann), (&mut bobs, &bob)] {
        let user = json!({"_id": person.id, "token": person.token});
        l.emit(socket, "setup", user).await;
        l.expect(socket, "connected").await;
        // joined when this has been answered
        socket.call("join chat", id.clone()).await;
    }
    l.emit(&mut anns, "join chat", chat.clone()).await;
    l.emit(&mut anns, "typing", id.clone()).await;
    l.expect(&mut bobs, "typing").await;
    l.emit(&mut anns, "stop typing", id.clone()).await;
    l.expect(&mut bobs, "stop typing").await;
    let body = json!({"content": "hi", "chatId": id});
    let sent = ann.post("/mern/api/message", body).await.expect(200);
    l.emit(&mut anns, "new message", sent.clone()).await;
    l.expect(&mut bobs, "message recieved").await;
    l.expect(&mut anns, "message delivered").await;
    let read = json!({"chatId": id, "messageId": sent["_id"]});
    l.emit(&mut bobs, "message read", read).await;
    l.expect(&mut anns, "message read").await;
    l.emit(&mut anns, "leave chat", id.clone()).await;
    l.emit(&mut anns, "join chat", json!(nobody())).await;
    l.expect(&mut anns, "error").await;
    l.has_seen_all_but(&[]);
}

#[tokio::test]
async fn direct_events_are_as_documented() {
    let app = TestApp::shared().await;
    let mut l = Listener::of("direct");
    let [ann, bob] = people(&app, "direct").await;
    let first = json!({"to": bob.id, "content": "hello"});
    let sent = ann.post("/direct/api/messages/send", first).await;
    let chat = sent.expect(201)["data"]["chatId"].clone();
    let mut anns = ann.silent_socket().await;
    l.emit(&mut anns, "authenticate", json!({"token": ann.token}))
        .await;
    l.expect(&mut anns, "authenticated").await;
    let mut bobs = bob.socket().await;
    l.expect(&mut bobs, "authenticated").await;
    l.expect(&mut bobs, "new_message").await;
    l.expect(&mut anns, "user_online").await;
    l.emit(&mut anns, "join_chat", json!({"chatId": chat}))
        .await;
    l.emit(&mut bobs, "update_status", json!({"status": "busy"}))
        .await;
    l.expect(&mut anns, "user_status_changed").await;
    for typing in [true, false] {
        let payload = json!({"to": bob.id, "isTyping": typing});
        l.emit(&mut anns, "typing", payload).await;
        l.expect(&mut bobs, "typing_status").await;
    }
    let body = json!({"to": bob.id, "content": "hi", "messageType": "text"});
    l.emit(&mut anns, "send_message", body).await;
    let sent = l.expect(&mut anns, "message_sent").await;
    l.expect(&mut bobs, "new_message").await;
    let read = json!({"messageId": sent["messageId"], "chatId": chat});
    l.emit(&mut bobs, "read_receipt", read).await;
    l.expect(&mut anns, "message_read").await;
    let path = format!(
        "/direct/api/messages/{}",
        sent["messageId"].as_str().unwrap()
    );
    ann.put(&path, json!({"content": "hi!"})).await.expect(200);
    l.expect(&mut bobs, "message_edited").await;
    ann.delete(&path).await.expect(200);
    l.expect(&mut bobs, "message_deleted").await;
    l.emit(&mut anns, "join_chat", json!({"chatId": nobody()}))
        .await;
    l.expect(&mut anns, "error").await;
    bobs.disconnect().await;
    l.expect(&mut anns, "user_offline").await;
    l.has_seen_all_but(&[]);
}

#[tokio::test]
async fn secured_events_are_as_documented() {
    let app = TestApp::shared().await;
    let mut l = Listener::of("secured");
    let [ann, bob] = people(&app, "secured").await;
    let mut bobs = bob.silent_socket().await;
    l.emit(&mut bobs, "register_user", json!({"token": "nonsense"}))
        .await;
    l.expect(&mut bobs, "auth_error").await;
    l.emit(&mut bobs, "register_user", json!({"token": bob.token}))
        .await;
    l.expect(&mut bobs, "registration_success").await;
    let body = json!({"receiverId": bob.id, "message": "hi"});
    let sent: Value = ann.post("/secured/api/v1/messages", body).await.expect(201);
    let told = l.expect(&mut bobs, "new_message").await;
    assert_eq!(told["_id"], sent["data"]["message"]["_id"]);
    // only of somebody who sends too much
    l.has_seen_all_but(&["error"]);
}
