//! Messages of the dialect `rooms` over REST.

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{MESSAGE, contents, history, keys, message_path, people, refusal, say};

#[tokio::test]
async fn messages_are_sent_and_listed() {
    // GET /api/messages, POST /api/messages
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("Tea");
    let lower = room.to_lowercase();
    assert_eq!(
        history(&bob, &format!("room={room}")).await["messages"],
        json!([])
    );
    for n in 1..=5 {
        let body = json!({"content": n.to_string(), "room": room, "messageType": "text"});
        let sent = ann.post("/api/messages", body).await.expect(201);
        let message = &sent["data"]["message"];
        assert_eq!(keys(message), MESSAGE);
        assert_eq!(
            keys(&message["sender"]),
            ["_id", "avatar", "email", "username"]
        );
        assert_eq!(message["sender"]["username"], ann.name.as_str());
        assert_eq!(message["room"], lower.as_str());
        assert_eq!(message["messageType"], "text");
        assert_eq!(message["isEdited"], false);
    }
    let page = history(&bob, &format!("room={room}&limit=2")).await;
    assert_eq!(contents(&page), ["4", "5"], "oldest first");
    assert_eq!(keys(&page["messages"][0]), MESSAGE);
    assert_eq!(
        page["pagination"],
        json!({"total": 5, "limit": 2, "skip": 0, "hasNext": true})
    );
    assert_eq!(page["unreadCount"], 5);
    let page = history(&bob, &format!("room={lower}&limit=2&skip=2")).await;
    assert_eq!(contents(&page), ["2", "3"]);
    let page = history(&bob, &format!("room={lower}&limit=2&skip=4")).await;
    assert_eq!(contents(&page), ["1"]);
    assert_eq!(page["pagination"]["hasNext"], false);
    let page = history(&bob, &format!("room={lower}&skip=400")).await;
    assert_eq!(contents(&page), [""; 0]);
    assert_eq!(
        history(&ann, &format!("room={room}")).await["unreadCount"],
        0
    );
    assert_eq!(
        history(&ann, "limit=1000").await["pagination"]["limit"],
        100,
        "of general"
    );
}

#[tokio::test]
async fn without_a_room_it_is_general() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    for body in [
        json!({"content": "one"}),
        json!({"content": "two", "room": null}),
        json!({"content": "three", "room": "General"}),
    ] {
        let sent = ann.post("/rooms/api/messages", body).await.expect(201);
        assert_eq!(sent["data"]["message"]["room"], "general");
    }
    let page = history(&ann, "").await;
    assert!(contents(&page).contains(&"three"));
    let named = history(&ann, "room=general").await;
    assert_eq!(named["messages"][0]["room"], "general");
}

#[tokio::test]
async fn messages_are_edited_and_deleted_by_their_senders() {
    // PUT /api/messages/:id, DELETE /api/messages/:id
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let message = say(&ann, &room, "helo").await;
    let path = message_path(&message, "");
    let edit = json!({"content": "hello"});
    let stranger = bob.put(&path, edit.clone()).await.expect(404);
    assert_eq!(stranger, refusal("Message not found"));
    say(&bob, &room, "hi").await;
    let refused = bob.put(&path, edit.clone()).await.expect(403);
    assert_eq!(refused, refusal("You can only edit your own messages"));
    let refused = bob.delete(&path).await.expect(403);
    assert_eq!(refused, refusal("You can only delete your own messages"));
    let edited = ann.put(&path, edit).await.expect(200);
    let edited = &edited["data"]["message"];
    assert_eq!(keys(edited), MESSAGE);
    assert_eq!(edited["content"], "hello");
    assert_eq!(edited["isEdited"], true);
    assert_eq!(edited["editedAt"], edited["updatedAt"]);
    // who has made the room deletes nobody's messages here
    let theirs = say(&bob, &room, "mine").await;
    ann.delete(&message_path(&theirs, "")).await.expect(403);
    let gone = ann.delete(&path).await.expect(200);
    assert_eq!(keys(&gone), ["message", "success"]);
    let page = history(&bob, &format!("room={room}")).await;
    assert_eq!(contents(&page), ["hi", "mine"]);
    for answer in [
        ann.delete(&path).await,
        ann.put(&path, json!({"content": "x"})).await,
        ann.delete(&format!("/rooms/api/messages/{}", nobody()))
            .await,
        ann.delete("/rooms/api/messages/nonsense").await,
    ] {
        assert_eq!(answer.expect(404), refusal("Message not found"));
    }
}

#[tokio::test]
async fn messages_are_read_and_reacted_to() {
    // POST /api/messages/:id/read, POST /api/messages/:id/react
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let room = unique("tea");
    history(&bob, &format!("room={room}")).await;
    let message = say(&ann, &room, "hello").await;
    let here = format!("room={room}");
    assert_eq!(history(&bob, &here).await["unreadCount"], 1);
    let read = bob
        .post(&message_path(&message, "/read"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        read,
        json!({"success": true, "message": "Message marked as read"})
    );
    let page = history(&bob, &here).await;
    assert_eq!(page["unreadCount"], 0);
    let read_by = &page["messages"][0]["readBy"];
    assert_eq!(read_by.as_array().unwrap().len(), 1);
    assert_eq!(keys(&read_by[0]), ["readAt", "user"]);
    assert_eq!(read_by[0]["user"], bob.id.as_str());
    let path = message_path(&message, "/react");
    let thumb = json!({"emoji": "👍"});
    for expected in [json!([{"user": bob.id, "emoji": "👍"}]), json!([])] {
        let answer = bob.post(&path, thumb.clone()).await.expect(200);
        assert_eq!(keys(&answer["data"]["message"]), MESSAGE);
        assert_eq!(answer["data"]["message"]["reactions"], expected);
    }
    for (emoji, said) in [
        (json!("like"), "emoji must be one emoji"),
        (json!({"$gt": ""}), "emoji must be a string"),
    ] {
        let refused = bob.post(&path, json!({"emoji": emoji})).await.expect(400);
        assert_eq!(refused, refusal(said));
    }
    for path in [&path, &message_path(&message, "/read")] {
        let refused = eve.post(path, thumb.clone()).await.expect(404);
        assert_eq!(refused, refusal("Message not found"));
    }
}

#[tokio::test]
async fn an_id_names_a_conversation_that_one_is_in() {
    let app = TestApp::shared().await;
    let [ann, eve] = people(&app, ["ann", "eve"]).await;
    let native = app.user("bob").await;
    let made = native
        .post(
            "/v1/conversations",
            json!({"kind": "direct", "user_id": ann.id}),
        )
        .await
        .expect(201);
    let id = made["id"].as_str().unwrap();
    native.say(id, "from the native side").await;
    let page = history(&ann, &format!("room={id}")).await;
    assert_eq!(contents(&page), ["from the native side"]);
    let message = say(&ann, &id.to_uppercase(), "from a room").await;
    assert_eq!(message["room"], id);
    assert_eq!(native.history(id).await[0]["body"], "from a room");
    let path = "/rooms/api/messages";
    let refused = eve.get(&format!("{path}?room={id}")).await.expect(403);
    assert_eq!(refused, refusal("You are not a member of this room"));
    let body = json!({"room": id, "content": "let me in"});
    eve.post(path, body).await.expect(403);
    for unknown in [nobody(), "507f1f77bcf86cd799439011".to_owned()] {
        let refused = eve.get(&format!("{path}?room={unknown}")).await.expect(404);
        assert_eq!(refused, refusal("Room not found"));
    }
}

#[tokio::test]
async fn hostile_messages_are_refused() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let path = "/rooms/api/messages";
    let named = "room must be 1 to 64 letters a-z, digits, '_' or '-'";
    let kinds = "messageType must be text, image, video, audio or file";
    for (body, said) in [
        (json!({}), "content is required"),
        (json!({"content": null}), "content must be a string"),
        (json!({"content": 5}), "content must be a string"),
        (json!({"content": {"$gt": ""}}), "content must be a string"),
        (json!({"content": ""}), "content must not be empty"),
        (json!({"content": " \n "}), "content must not be empty"),
        (
            json!({"content": "x".repeat(1_001)}),
            "content length is greater than 1000",
        ),
        (json!({"content": "x", "room": "a b"}), named),
        (json!({"content": "x", "room": "x".repeat(100_000)}), named),
        (
            json!({"content": "x", "room": ["general"]}),
            "room must be a string",
        ),
        (json!({"content": "x", "messageType": "poem"}), kinds),
        (json!({"content": "x", "messageType": "system"}), kinds),
    ] {
        let refused = ann.post(path, body.clone()).await;
        assert_eq!(refused.status, 400, "{body} {}", refused.text);
        assert_eq!(refused.body, refusal(said), "{body}");
    }
    for query in [
        "limit=many",
        "skip=-1",
        "room=a%00b",
        "room=%7B%22$gt%22:1%7D",
    ] {
        let refused = ann.get(&format!("{path}?{query}")).await.expect(400);
        assert_eq!(refused["success"], false, "{query}");
    }
    let long = message_path(&say(&ann, &unique("tea"), "x").await, "");
    for content in [json!("x".repeat(1_001)), json!([]), json!("")] {
        ann.put(&long, json!({"content": content}))
            .await
            .expect(400);
    }
}
