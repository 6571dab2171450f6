//! The same deeds in each dialect.

use connexus_e2e::{SioSocket, Socket};
use serde_json::{Value, json};

use super::super::Person;
use super::{Action, Place};

/// In the native API.
pub async fn native(socket: &mut Socket, action: Action, place: &Place, what: &str) -> String {
    let conversation = &place.conversation;
    let (op, body) = match action {
        Action::Send => (
            "message.send",
            json!({"conversation_id": conversation, "body": what}),
        ),
        Action::Type => ("typing.start", json!({"conversation_id": conversation})),
        Action::Edit => (
            "message.edit",
            json!({"message_id": what, "body": format!("edited {what}")}),
        ),
        Action::React => ("reaction.add", json!({"message_id": what, "emoji": "👍"})),
        Action::Read => (
            "conversation.read",
            json!({"conversation_id": conversation, "message_id": what}),
        ),
        Action::Delete => ("message.delete", json!({"message_id": what})),
    };
    let answer = socket.ok(op, body).await;
    answer["id"].as_str().unwrap_or_default().to_owned()
}

/// In a dialect: the message's id for a send, an empty text for what else there is a word for.
pub async fn dialect(
    person: &Person,
    socket: &mut SioSocket,
    action: Action,
    place: &Place,
    what: &str,
) -> Option<String> {
    let done = String::new();
    match (person.dialect, action) {
        ("connexus", action) => Some(connexus(socket, action, place, what).await),
        ("rooms" | "direct", Action::Edit) => {
            let path = person.path(&format!("/api/messages/{what}"));
            let body = json!({"content": format!("edited {what}")});
            person.put(&path, body).await.expect(200);
            Some(done)
        }
        ("rooms" | "direct", Action::Delete) => {
            let path = person.path(&format!("/api/messages/{what}"));
            person.delete(&path).await.expect(200);
            Some(done)
        }
        ("rooms", Action::React) => {
            let path = person.path(&format!("/api/messages/{what}/react"));
            person.post(&path, json!({"emoji": "👍"})).await.expect(200);
            Some(done)
        }
        ("rooms", action) => Some(rooms(socket, action, place, what).await),
        ("mern", Action::Send) => {
            let body = json!({"content": what, "chatId": place.conversation});
            let sent = person.post("/mern/api/message", body).await.expect(200);
            Some(id_of(&sent))
        }
        ("mern", Action::Type) => {
            socket.emit("typing", json!(place.conversation)).await;
            Some(done)
        }
        ("mern", Action::Read) => {
            let body = json!({"chatId": place.conversation, "messageId": what});
            socket.emit("message read", body).await;
            Some(done)
        }
        ("direct", Action::Send | Action::Type | Action::Read) => {
            Some(direct(socket, action, place, what).await)
        }
        ("secured", Action::Send) => {
            let body = json!({"receiverId": place.peer, "message": what});
            let path = "/secured/api/v1/messages";
            let sent = person.post(path, body).await.expect(201);
            Some(id_of(&sent["data"]["message"]))
        }
        _ => None,
    }
}

async fn connexus(socket: &mut SioSocket, action: Action, place: &Place, what: &str) -> String {
    let conversation = &place.conversation;
    let (name, body) = match action {
        Action::Send => (
            "send_message",
            json!({"conversationId": conversation, "content": what}),
        ),
        Action::Type => ("typing_start", json!({"conversationId": conversation})),
        Action::Edit => (
            "edit_message",
            json!({"messageId": what, "newContent": format!("edited {what}")}),
        ),
        Action::React => ("add_reaction", json!({"messageId": what, "emoji": "👍"})),
        Action::Read => (
            "mark_message_read",
            json!({"messageIds": [what], "conversationId": conversation}),
        ),
        Action::Delete => ("delete_message", json!({"messageId": what})),
    };
    socket.emit(name, body).await;
    if action == Action::Send {
        return id_of(&socket.expect("message_sent").await["message"]);
    }
    String::new()
}

async fn rooms(socket: &mut SioSocket, action: Action, place: &Place, what: &str) -> String {
    let room = &place.slug;
    match action {
        Action::Send => {
            socket
                .emit("send-message", json!({"content": what, "room": room}))
                .await;
            let sent = socket.expect("message-sent").await;
            return sent["messageId"].as_str().unwrap().to_owned();
        }
        Action::Type => socket.emit("typing-start", json!({"room": room})).await,
        _ => {
            socket
                .emit("message-read", json!({"messageId": what, "room": room}))
                .await;
        }
    }
    String::new()
}

async fn direct(socket: &mut SioSocket, action: Action, place: &Place, what: &str) -> String {
    let chat = &place.conversation;
    match action {
        Action::Send => {
            socket
                .emit("send_message", json!({"chatId": chat, "content": what}))
                .await;
            let sent = socket.expect("message_sent").await;
            return sent["messageId"].as_str().unwrap().to_owned();
        }
        Action::Type => {
            socket
                .emit("typing", json!({"chatId": chat, "isTyping": true}))
                .await;
        }
        _ => {
            socket
                .emit("read_receipt", json!({"messageId": what, "chatId": chat}))
                .await;
        }
    }
    String::new()
}

fn id_of(message: &Value) -> String {
    message["_id"].as_str().unwrap().to_owned()
}
