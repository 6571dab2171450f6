//! Messages and chats over REST.

use connexus_e2e::{TestApp, nobody};
use serde_json::{Value, json};

use super::{another_device, group, keys, people, send};
use crate::dialects::Person;

const MESSAGE: [&str; 13] = [
    "_id",
    "chatId",
    "content",
    "createdAt",
    "editedAt",
    "isEdited",
    "isRead",
    "messageType",
    "readAt",
    "receiver",
    "sender",
    "timestamp",
    "updatedAt",
];

/// The history that `who` sees of the chat with `id`.
async fn history(who: &Person, id: &str, query: &str) -> Value {
    let path = format!("/direct/api/messages/conversation/{id}{query}");
    who.get(&path).await.expect(200)["data"].clone()
}

fn contents(messages: &Value) -> Vec<&str> {
    let messages = messages.as_array().unwrap().iter();
    messages.map(|m| m["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn sending() {
    // POST "/api/messages/send" → new_message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let mut bobs = bob.socket().await;
    let (mut anns, mut elsewhere) = (ann.socket().await, another_device(&app, &ann).await);
    let body = json!({"to": bob.id, "content": "Hello there!", "sender": bob.id});
    let sent = ann
        .post("/direct/api/messages/send", body)
        .await
        .expect(201);
    assert_eq!(sent["message"], "Message sent successfully");
    let data = &sent["data"];
    assert_eq!(keys(data), ["chatId", "message", "messageId", "timestamp"]);
    let message = &data["message"];
    assert_eq!(keys(message), MESSAGE);
    assert_eq!(message["_id"], data["messageId"]);
    assert_eq!(message["chatId"], data["chatId"]);
    assert_eq!(message["messageType"], "text");
    assert_eq!(message["isRead"], false);
    let sender = json!({"_id": ann.id, "username": ann.name, "profilePicture": ""});
    assert_eq!(message["sender"], sender, "whoever the body says it is");
    assert_eq!(message["receiver"]["_id"], bob.id);
    let told = bobs.expect("new_message").await;
    assert_eq!(
        told,
        json!({
            "messageId": data["messageId"],
            "sender": sender,
            "content": "Hello there!",
            "timestamp": data["timestamp"],
            "chatId": data["chatId"],
            "messageType": "text",
            "receiver": message["receiver"],
            "isGroup": false,
        })
    );
    assert_eq!(elsewhere.expect("new_message").await, told);
    // the session that sent it has its answer: what comes next is another's
    send(&bob, &ann, "and you?").await;
    let next = anns.expect("new_message").await;
    assert_eq!(next["content"], "and you?");
}

#[tokio::test]
async fn what_sending_refuses() {
    // POST "/api/messages/send"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let secret = send(&ann, &bob, "hello").await;
    let own = send(&eve, &ann, "hello").await;
    for (body, status, text) in [
        (
            json!({"to": nobody(), "content": "x"}),
            404,
            "User not found",
        ),
        (
            json!({"to": "nonsense", "content": "x"}),
            404,
            "User not found",
        ),
        (
            json!({"to": eve.id, "content": "x"}),
            400,
            "You cannot send a message to yourself",
        ),
        (
            json!({"chatId": secret["chatId"], "content": "x"}),
            403,
            "You are not a participant of this chat",
        ),
        (
            json!({"chatId": nobody(), "content": "x"}),
            404,
            "Chat not found",
        ),
    ] {
        let refused = eve.post("/direct/api/messages/send", body).await;
        let expected = json!({"success": false, "message": text});
        assert_eq!(refused.expect(status), expected);
    }
    let long = "x".repeat(8_001);
    for (body, wrong) in [
        (json!({"content": "x"}), "to is required"),
        (json!({"to": "", "content": "x"}), "to is required"),
        (json!({"to": 5, "content": "x"}), "to must be an id"),
        (
            json!({"to": {"$gt": ""}, "content": "x"}),
            "to must be an id",
        ),
        (json!({"to": bob.id}), "content is required"),
        (
            json!({"to": bob.id, "content": " "}),
            "content must not be empty",
        ),
        (
            json!({"to": bob.id, "content": {"$gt": ""}}),
            "content must be a string",
        ),
        (
            json!({"to": bob.id, "content": long}),
            "content must have at most 8000 characters",
        ),
        (
            json!({"to": bob.id, "content": "x", "messageType": "system"}),
            "messageType must be text, image, video, audio or file",
        ),
        (
            json!({"to": bob.id, "content": "x", "chatId": own["chatId"]}),
            "chatId is not the chat with this user",
        ),
    ] {
        let refused = eve
            .post("/direct/api/messages/send", body)
            .await
            .expect(400);
        assert_eq!(refused["message"], "Validation failed");
        assert_eq!(refused["errors"][0]["message"], wrong);
    }
    let shown = eve.get("/direct/api/messages/chats").await.expect(200);
    let chats = shown["data"]["chats"].as_array().unwrap().len();
    assert_eq!(chats, 1, "none is opened for what is not sent");
}

#[tokio::test]
async fn who_is_blocked_is_not_written_to() {
    // POST "/api/messages/send", send_message, typing
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    send(&ann, &bob, "before").await;
    let path = format!("/v1/users/me/blocks/{}", bob.id);
    ann.put(&path, Value::Null).await.expect(204);
    let text = "You cannot write to this user";
    let body = json!({"to": ann.id, "content": "after", "isTyping": true});
    let refused = bob.post("/direct/api/messages/send", body.clone()).await;
    let expected = json!({"success": false, "message": text});
    assert_eq!(refused.expect(403), expected);
    let mut bobs = bob.socket().await;
    for name in ["send_message", "typing"] {
        bobs.emit(name, body.clone()).await;
        let error = bobs.expect("error").await;
        assert_eq!(error["message"], text, "{name}");
    }
}

#[tokio::test]
async fn a_history_opens_no_chat() {
    // GET "/api/messages/conversation/:userId"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let empty = history(&ann, &bob.id, "").await;
    assert_eq!(keys(&empty), ["chatId", "messages", "pagination"]);
    assert_eq!(empty["chatId"], Value::Null);
    assert_eq!(empty["messages"], json!([]));
    for who in [&ann, &bob] {
        let chats = who.get("/direct/api/messages/chats").await.expect(200);
        assert_eq!(chats["data"], json!({"chats": []}));
    }
    for number in 1..=5 {
        send(&ann, &bob, &format!("number {number}")).await;
    }
    let page = history(&bob, &ann.id, "?page=1&limit=2").await;
    assert_eq!(contents(&page["messages"]), ["number 4", "number 5"]);
    assert_eq!(
        page["pagination"],
        json!({"page": 1, "limit": 2, "total": 5, "totalPages": 3, "hasMore": true})
    );
    let last = history(&bob, &ann.id, "?page=3&limit=2").await;
    assert_eq!(contents(&last["messages"]), ["number 1"]);
    assert_eq!(last["pagination"]["hasMore"], false);
    let beyond = history(&bob, &ann.id, "?page=4000000000&limit=100").await;
    assert_eq!(beyond["messages"], json!([]));
    let chat = last["chatId"].as_str().unwrap();
    for id in [nobody(), "nonsense".to_owned()] {
        let path = format!("/direct/api/messages/conversation/{id}");
        let missing = ann.get(&path).await.expect(404);
        assert_eq!(missing["message"], "User not found");
    }
    let path = format!("/direct/api/messages/conversation/{chat}");
    assert_eq!(ann.get(&path).await.expect(200)["data"]["chatId"], chat);
    eve.get(&path).await.expect(403);
    ann.get(&format!("{path}?page=x")).await.expect(400);
    ann.get(&format!("{path}?limit=-1")).await.expect(400);
}

#[tokio::test]
async fn chats_of_two_and_of_more() {
    // GET "/api/messages/chats"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    send(&ann, &bob, "one").await;
    send(&ann, &bob, "two").await;
    let of_three = group(&[&eve, &ann, &bob], "Three of us").await;
    let body = json!({"chatId": of_three, "content": "all", "messageType": "image"});
    let sent = eve.post("/direct/api/messages/send", body).await;
    let sent = sent.expect(201)["data"]["message"].clone();
    assert_eq!(sent["receiver"], Value::Null);
    assert_eq!(sent["messageType"], "image");
    let chats = bob.get("/direct/api/messages/chats").await.expect(200);
    let chats = chats["data"]["chats"].as_array().unwrap();
    assert_eq!(chats.len(), 2);
    let [several, two] = [&chats[0], &chats[1]];
    assert_eq!(
        keys(two),
        [
            "_id",
            "chatId",
            "createdAt",
            "groupName",
            "isGroup",
            "lastActivity",
            "lastMessage",
            "participants",
            "unreadCount"
        ]
    );
    assert_eq!(two["isGroup"], false);
    assert_eq!(two["groupName"], Value::Null);
    assert_eq!(two["unreadCount"], 2);
    assert_eq!(keys(&two["lastMessage"]), MESSAGE);
    assert_eq!(two["lastMessage"]["content"], "two");
    assert_eq!(two["lastMessage"]["receiver"]["_id"], bob.id);
    let ids: Vec<&Value> = two["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["_id"])
        .collect();
    assert_eq!(ids, [&json!(bob.id), &json!(ann.id)]);
    assert_eq!(several["_id"], of_three);
    assert_eq!(several["isGroup"], true);
    assert_eq!(several["groupName"], "Three of us");
    assert_eq!(several["participants"].as_array().unwrap().len(), 3);
    let read = history(&bob, &of_three, "").await;
    assert_eq!(contents(&read["messages"]), ["all"]);
}

#[tokio::test]
async fn searching() {
    // GET "/api/messages/search"
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    send(&ann, &bob, "a purple elephant").await;
    send(&bob, &ann, "what purple?").await;
    send(&eve, &ann, "purple rain").await;
    let find = async |who: &Person, query: &str| {
        let path = format!("/direct/api/messages/search?{query}");
        who.get(&path).await.expect(200)["data"]["messages"].clone()
    };
    let all = find(&ann, "q=purple").await;
    let expected = ["purple rain", "what purple?", "a purple elephant"];
    assert_eq!(contents(&all), expected, "newest first");
    assert_eq!(keys(&all[0]), MESSAGE);
    assert_eq!(all[2]["receiver"]["username"], bob.name);
    let only = find(&ann, &format!("q=purple&userId={}", eve.id)).await;
    assert_eq!(contents(&only), ["purple rain"]);
    let only = find(&ann, "q=purple&limit=1").await;
    assert_eq!(contents(&only), ["purple rain"]);
    let others = find(&eve, "q=elephant").await;
    assert_eq!(others, json!([]), "not in chats of others");
    assert_eq!(
        find(&eve, &format!("q=rain&userId={}", bob.id)).await,
        json!([])
    );
    let empty = ann.get("/direct/api/messages/search").await.expect(400);
    assert_eq!(empty["message"], "Search query is required");
    let chat = all[2]["chatId"].as_str().unwrap();
    let path = format!("/direct/api/messages/search?q=x&chatId={chat}");
    eve.get(&path).await.expect(403);
}

#[tokio::test]
async fn changing_and_deleting() {
    // PUT "/api/messages/:id" → message_edited, DELETE "/api/messages/:id" → message_deleted
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let sent = send(&ann, &bob, "first").await;
    let path = format!(
        "/direct/api/messages/{}",
        sent["messageId"].as_str().unwrap()
    );
    let mut bobs = bob.socket().await;
    bobs.expect("new_message").await;
    let edited = ann
        .put(&path, json!({"content": "second"}))
        .await
        .expect(200);
    assert_eq!(edited["message"], "Message updated successfully");
    let message = &edited["data"]["message"];
    assert_eq!(keys(message), MESSAGE);
    assert_eq!(message["content"], "second");
    assert_eq!(message["isEdited"], true);
    let told = bobs.expect("message_edited").await;
    assert_eq!(
        told,
        json!({
            "messageId": sent["messageId"],
            "chatId": sent["chatId"],
            "content": "second",
            "editedAt": message["editedAt"],
        })
    );
    let refused = bob.put(&path, json!({"content": "mine"})).await.expect(403);
    let expected = json!({"success": false, "message": "You can only change your own messages"});
    assert_eq!(refused, expected);
    bob.delete(&path).await.expect(403);
    let missing = eve.put(&path, json!({"content": "mine"})).await.expect(404);
    assert_eq!(missing["message"], "Message not found");
    eve.delete(&path).await.expect(404);
    for hostile in [
        json!({}),
        json!({"content": {"$set": 1}}),
        json!({"content": ""}),
    ] {
        let refused = ann.put(&path, hostile).await.expect(400);
        assert_eq!(refused["errors"][0]["field"], "content");
    }
    for id in [nobody(), "nonsense".to_owned()] {
        let path = format!("/direct/api/messages/{id}");
        ann.put(&path, json!({"content": "x"})).await.expect(404);
        ann.delete(&path).await.expect(404);
    }
    let done = ann.delete(&path).await.expect(200);
    let expected = json!({"success": true, "message": "Message deleted successfully"});
    assert_eq!(done, expected);
    let told = bobs.expect("message_deleted").await;
    assert_eq!(keys(&told), ["chatId", "deletedAt", "messageId"]);
    assert_eq!(told["messageId"], sent["messageId"]);
    assert_eq!(history(&bob, &ann.id, "").await["messages"], json!([]));
    let chats = bob.get("/direct/api/messages/chats").await.expect(200);
    assert_eq!(chats["data"]["chats"][0]["lastMessage"], Value::Null);
}

#[tokio::test]
async fn marking_as_read() {
    // POST "/api/messages/mark-read" → message_read
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let first = send(&ann, &bob, "first").await;
    let second = send(&ann, &bob, "second").await;
    let mut anns = ann.socket().await;
    let path = "/direct/api/messages/mark-read";
    let flags = async |who: &Person, with: &Person| {
        let messages = history(who, &with.id, "").await["messages"].clone();
        let read = |m: &Value| (m["isRead"].as_bool().unwrap(), m["readAt"].is_string());
        let messages = messages.as_array().unwrap().iter();
        messages.map(read).collect::<Vec<_>>()
    };
    let body = json!({"messageIds": [first["messageId"]]});
    let done = bob.post(path, body).await.expect(200);
    let expected = json!({"success": true, "message": "Messages marked as read"});
    assert_eq!(done, expected);
    let told = anns.expect("message_read").await;
    assert_eq!(keys(&told), ["chatId", "messageId", "readAt", "readerId"]);
    assert_eq!(told["messageId"], first["messageId"]);
    assert_eq!(told["readerId"], bob.id);
    // both see the same: the author of the peer, the peer of itself
    assert_eq!(flags(&ann, &bob).await, [(true, true), (false, false)]);
    assert_eq!(flags(&bob, &ann).await, [(true, true), (false, false)]);
    let body = json!({"chatId": second["chatId"]});
    bob.post(path, body).await.expect(200);
    let told = anns.expect("message_read").await;
    assert_eq!(told["messageId"], second["messageId"]);
    assert_eq!(flags(&ann, &bob).await, [(true, true), (true, true)]);
    let chats = ann.get("/direct/api/messages/chats").await.expect(200);
    assert_eq!(chats["data"]["chats"][0]["lastMessage"]["isRead"], true);
    let body = json!({"messageIds": [first["messageId"]]});
    let missing = eve.post(path, body).await.expect(404);
    assert_eq!(missing["message"], "Message not found");
    let body = json!({"chatId": first["chatId"]});
    eve.post(path, body).await.expect(403);
    for hostile in [
        json!({}),
        json!({"messageIds": []}),
        json!({"messageIds": [5]}),
        json!({"messageIds": "all"}),
        json!({"messageIds": vec!["x"; 501]}),
        json!({"chatId": {"$gt": ""}}),
    ] {
        let refused = bob.post(path, hostile).await.expect(400);
        assert_eq!(refused["message"], "Validation failed");
    }
}
