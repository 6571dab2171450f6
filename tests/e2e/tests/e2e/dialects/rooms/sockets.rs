//! Sockets of the dialect `rooms`.

use connexus_e2e::{SioEvent, SioSocket, TestApp, unique};
use serde_json::{Value, json};

use super::{MESSAGE, history, keys, message_path, people, say};
use crate::dialects::Person;

/// A socket that has joined a room, and caught up in it.
pub async fn in_room(person: &Person, room: &str) -> SioSocket {
    let mut socket = person.socket().await;
    socket.expect("online-users").await;
    let joined = socket.call("join-room", json!({"room": room})).await;
    assert_eq!(joined, [json!({"success": true, "room": room})]);
    assert_eq!(socket.expect("joined-room").await, json!({"room": room}));
    socket
}

/// The contents of new messages among events, in order.
pub fn new_messages(events: &[SioEvent]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event.name == "new-message")
        .map(|event| event.args[0]["content"].as_str().unwrap())
        .collect()
}

/// All that a socket is told before it hears itself say something.
pub async fn settled(socket: &mut SioSocket, room: &str) -> Vec<SioEvent> {
    let end = unique("end");
    let body = json!({"room": room, "content": end});
    assert_eq!(socket.call("send-message", body).await[0]["success"], true);
    let mut seen = socket
        .until(|event| event.name == "new-message" && event.args[0]["content"] == end)
        .await;
    seen.retain(|event| event.name != "message-sent");
    seen.pop();
    seen
}

#[tokio::test]
async fn a_room_is_joined_and_left() {
    // join-room, leave-room, joined-room, left-room, user-joined-room, user-left-room
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let mut anns = in_room(&ann, &room).await;
    let mut bobs = in_room(&bob, &room).await;
    let who = json!({"userId": bob.id, "username": bob.name, "room": room});
    assert_eq!(anns.expect("user-joined-room").await, who);
    bobs.emit("leave-room", json!({"room": room})).await;
    assert_eq!(bobs.expect("left-room").await, json!({"room": room}));
    assert_eq!(anns.expect("user-left-room").await, who);
    // who has left hears nothing, and is a member all the same
    say(&ann, &room, "are you there?").await;
    anns.expect("new-message").await;
    bobs.emit("leave-room", json!({"room": room})).await;
    bobs.expect("left-room").await;
    let page = history(&bob, &format!("room={room}")).await;
    assert_eq!(page["unreadCount"], 1);
    let other = unique("coffee");
    assert_eq!(new_messages(&settled(&mut bobs, &other).await), [""; 0]);
    let seen = settled(&mut anns, &room).await;
    let left = seen.iter().find(|event| event.name == "user-left-room");
    assert_eq!(left, None, "of a room that is not joined nobody is told");
}

#[tokio::test]
async fn joining_answers_whoever_waits() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    let room = unique("Tea");
    let lower = room.to_lowercase();
    let mut anns = ann.socket().await;
    for payload in [json!({"room": room}), json!(room)] {
        let acked = anns.call("join-room", payload).await;
        assert_eq!(acked, [json!({"success": true, "room": lower})]);
        assert_eq!(anns.expect("joined-room").await["room"], lower.as_str());
    }
    for payload in [json!({}), json!({"room": null})] {
        anns.emit("join-room", payload).await;
        assert_eq!(anns.expect("joined-room").await["room"], "general");
    }
}

#[tokio::test]
async fn a_message_is_told_to_the_whole_room() {
    // send-message, new-message, message-sent
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let room = unique("tea");
    let mut bobs = in_room(&bob, &room).await;
    let mut eves = in_room(&eve, &unique("coffee")).await;
    let mut anns = in_room(&ann, &room).await;
    let body = json!({"content": "hello", "room": room, "messageType": "text", "sender": bob.id});
    anns.emit("send-message", body).await;
    let mine = anns.expect("new-message").await;
    assert_eq!(keys(&mine), MESSAGE);
    assert_eq!(mine["sender"]["_id"], ann.id.as_str());
    assert_eq!(mine["sender"]["username"], ann.name.as_str());
    assert_eq!(
        (mine["content"].as_str(), mine["room"].as_str()),
        (Some("hello"), Some(room.as_str()))
    );
    let sent = anns.expect("message-sent").await;
    assert_eq!(sent, json!({"messageId": mine["_id"]}));
    assert_eq!(bobs.expect("new-message").await, mine);
    let body = json!({"content": "again", "room": room});
    let acked = anns.call("send-message", body).await;
    assert_eq!(keys(&acked[0]), ["messageId", "success"]);
    // over REST every socket is told as well, the sender's too
    let over_rest = say(&ann, &room, "over REST").await;
    for socket in [&mut anns, &mut bobs] {
        socket.expect("new-message").await;
        assert_eq!(socket.expect("new-message").await, over_rest);
    }
    let seen = settled(&mut eves, &unique("coffee")).await;
    assert!(new_messages(&seen).is_empty(), "{seen:?}");
}

#[tokio::test]
async fn messages_keep_their_order() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let mut bobs = in_room(&bob, &room).await;
    let mut anns = ann.socket().await;
    // the first joins: nothing but sending was asked for
    for n in 0..30 {
        let body = json!({"content": n.to_string(), "room": room});
        anns.emit("send-message", body).await;
    }
    bobs.expect("user-joined-room").await;
    for n in 0..30 {
        for socket in [&mut anns, &mut bobs] {
            let message = socket.expect("new-message").await;
            assert_eq!(message["content"], n.to_string());
        }
    }
}

#[tokio::test]
async fn changes_over_rest_are_told() {
    // message-edited, message-deleted, message-reaction
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let mut sockets = [in_room(&ann, &room).await, in_room(&bob, &room).await];
    let message = say(&ann, &room, "helo").await;
    let path = message_path(&message, "");
    ann.put(&path, json!({"content": "hello"}))
        .await
        .expect(200);
    bob.post(&format!("{path}/react"), json!({"emoji": "👍"}))
        .await
        .expect(200);
    ann.delete(&path).await.expect(200);
    for socket in &mut sockets {
        let edited = socket.expect("message-edited").await;
        assert_eq!(keys(&edited), MESSAGE);
        assert_eq!(
            (edited["content"].as_str(), edited["isEdited"].as_bool()),
            (Some("hello"), Some(true))
        );
        assert_eq!(
            socket.expect("message-reaction").await,
            json!({
                "messageId": message["_id"],
                "room": room,
                "userId": bob.id,
                "reactions": [{"user": bob.id, "emoji": "👍"}],
            })
        );
        assert_eq!(
            socket.expect("message-deleted").await,
            json!({"messageId": message["_id"], "room": room})
        );
    }
}

#[tokio::test]
async fn writing_is_told_to_the_others() {
    // typing-start, typing-stop, user-typing
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let mut anns = in_room(&ann, &room).await;
    let mut bobs = in_room(&bob, &room).await;
    for (event, typing) in [("typing-start", true), ("typing-stop", false)] {
        anns.emit(event, json!({"room": room})).await;
        assert_eq!(
            bobs.expect("user-typing").await,
            json!({"userId": ann.id, "username": ann.name, "room": room, "isTyping": typing})
        );
    }
    let seen = settled(&mut anns, &room).await;
    assert!(
        seen.iter().all(|event| event.name != "user-typing"),
        "{seen:?}"
    );
    anns.emit("typing-start", json!({"room": unique("coffee")}))
        .await;
    assert_eq!(
        anns.expect("error").await,
        json!({"message": "Join the room first"})
    );
}

#[tokio::test]
async fn an_author_is_told_what_was_read() {
    // message-read, message-read-receipt
    let app = TestApp::shared().await;
    let [ann, bob, cyn] = people(&app, ["ann", "bob", "cyn"]).await;
    let room = unique("tea");
    let mut anns = in_room(&ann, &room).await;
    let mut bobs = in_room(&bob, &room).await;
    let mut cyns = in_room(&cyn, &room).await;
    let mut ids = Vec::new();
    for (person, content) in [(&ann, "one"), (&ann, "two"), (&cyn, "three")] {
        ids.push(say(person, &room, content).await["_id"].clone());
    }
    let reader = json!({"userId": bob.id, "username": bob.name});
    bobs.emit("message-read", json!({"messageId": ids[1], "room": room}))
        .await;
    assert_eq!(
        anns.expect("message-read-receipt").await,
        json!({"messageId": ids[1], "readBy": reader})
    );
    // the newest of hers is known to be read; what is new is read of another's
    let acked = bobs
        .call("message-read", json!({"messageId": ids[2], "room": room}))
        .await;
    assert_eq!(acked, [json!({"success": true, "messageId": ids[2]})]);
    assert_eq!(
        cyns.expect("message-read-receipt").await,
        json!({"messageId": ids[2], "readBy": reader})
    );
    for socket in [&mut anns, &mut bobs, &mut cyns] {
        let seen = settled(socket, &room).await;
        assert!(
            seen.iter()
                .all(|event| event.name != "message-read-receipt"),
            "{seen:?}"
        );
    }
    // over REST it is told as well
    let four = say(&cyn, &room, "four").await;
    ann.post(&message_path(&four, "/read"), Value::Null)
        .await
        .expect(200);
    let receipt = cyns.expect("message-read-receipt").await;
    assert_eq!(receipt["messageId"], four["_id"]);
    assert_eq!(receipt["readBy"]["userId"], ann.id.as_str());
}

#[tokio::test]
async fn hostile_events_are_refused() {
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
    let direct = made["id"].clone();
    let message = native.say(direct.as_str().unwrap(), "for ann").await;
    let mut eves = eve.socket().await;
    eves.expect("online-users").await;
    let object = "The payload must be an object";
    let named = "room must be 1 to 64 letters a-z, digits, '_' or '-'";
    let text = "room must be a string";
    for (event, payload, said) in [
        (
            "join-room",
            json!({"room": direct}),
            "You are not a member of this room",
        ),
        ("join-room", json!({"room": {"$gt": ""}}), text),
        ("join-room", json!({"room": "a b"}), named),
        ("join-room", json!({"room": "x".repeat(20_000)}), named),
        ("join-room", json!(7), text),
        ("leave-room", json!([direct]), text),
        (
            "typing-start",
            json!({"room": direct}),
            "Join the room first",
        ),
        ("typing-stop", json!({"room": 7}), text),
        ("send-message", Value::Null, object),
        ("send-message", json!("hello"), object),
        ("send-message", json!(["hello", "general"]), object),
        (
            "send-message",
            json!({"room": "general"}),
            "content is required",
        ),
        (
            "send-message",
            json!({"content": {"$gt": ""}}),
            "content must be a string",
        ),
        (
            "send-message",
            json!({"content": "  "}),
            "content must not be empty",
        ),
        (
            "send-message",
            json!({"content": "x".repeat(1_001)}),
            "content length is greater than 1000",
        ),
        (
            "send-message",
            json!({"content": "x", "room": direct}),
            "You are not a member of this room",
        ),
        (
            "message-read",
            json!({"messageId": message["id"]}),
            "Message not found",
        ),
        (
            "message-read",
            json!({"messageId": {"$gt": ""}}),
            "messageId must be a string",
        ),
        ("message-read", json!("nonsense"), object),
        (
            "user-status",
            json!({"isOnline": "yes"}),
            "isOnline must be a boolean",
        ),
        ("user-status", json!([true]), object),
    ] {
        let acked = eves.call(event, payload.clone()).await;
        assert_eq!(acked[0]["success"], false, "{event} {payload}");
        assert_eq!(acked[0]["error"], said, "{event} {payload}");
        assert_eq!(eves.expect("error").await, json!({"message": said}));
    }
    // what is unknown is ignored
    eves.emit("no-such-event", json!({"$gt": ""})).await;
    assert!(settled(&mut eves, &unique("tea")).await.is_empty());
}
