//! Sockets.

use connexus_e2e::{TestApp, connect_socketio, nobody};
use serde_json::{Value, json};

use super::{direct, keys, people};

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
async fn what_becomes_of_groups_is_told() {
    let app = TestApp::shared().await;
    let [ann, bob, cyn] = people(&app, ["ann", "bob", "cyn"]).await;
    let mut bobs = bob.socket().await;
    bobs.expect("current_online_users").await;
    let path = "/connexus/api/chat/conversations";
    let body = json!({"name": "Us", "participants": [bob.id]});
    let made = ann.post(&format!("{path}/group"), body).await.expect(201);
    let id = made["data"]["_id"].clone();
    let group = json!({"conversationId": id});
    assert_eq!(bobs.expect("conversation_created").await, group);
    let path = format!("{path}/{}", id.as_str().unwrap());
    let body = json!({"name": "We", "description": "both", "avatar": "https://example.org/us.png"});
    ann.put(&path, body.clone()).await.expect(200);
    let changed = json!({"conversationId": id, "groupId": id, "info": body});
    assert_eq!(bobs.expect("group_info_updated").await, changed);
    let participants = format!("{path}/participants");
    let body = json!({"userId": cyn.id});
    ann.post(&participants, body).await.expect(200);
    let added = bobs.expect("user_joined_group").await;
    assert_eq!(
        (&added["groupId"], &added["user"]["name"]),
        (&id, &json!(cyn.name))
    );
    let mut cyns = cyn.socket().await;
    let body = json!({"userId": cyn.id, "role": "admin"});
    ann.put(&format!("{participants}/role"), body)
        .await
        .expect(200);
    let who =
        json!({"conversationId": id, "groupId": id, "userId": cyn.id, "participantId": cyn.id});
    let mut promoted = who.clone();
    promoted["role"] = json!("admin");
    for socket in [&mut bobs, &mut cyns] {
        assert_eq!(socket.expect("participant_role_changed").await, promoted);
    }
    ann.delete(&format!("{participants}/{}", cyn.id))
        .await
        .expect(200);
    for socket in [&mut bobs, &mut cyns] {
        assert_eq!(socket.expect("participant_removed").await, who);
    }
    // only the owner deletes a group
    let gone = json!({"deleted": true});
    bob.put(&path, gone.clone()).await.expect(403);
    ann.put(&path, gone).await.expect(200);
    let group = json!({"conversationId": id, "groupId": id});
    assert_eq!(bobs.expect("group_deleted").await, group);
}

#[tokio::test]
async fn who_is_here_is_told_of_a_conversation_that_is_new() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let (mut anns, mut bobs) = (ann.socket().await, bob.socket().await);
    // they have nothing in common yet
    for socket in [&mut anns, &mut bobs] {
        assert_eq!(socket.expect("current_online_users").await, json!([]));
    }
    let id = direct(&ann, &bob).await;
    anns.emit("join_conversation", json!(id)).await;
    let here = json!({"userId": bob.id, "lastSeen": null});
    assert_eq!(anns.expect("user_online").await, here);
}

#[tokio::test]
async fn a_status_is_told_and_leaving_ends_nothing() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    let (mut anns, mut bobs) = (ann.socket().await, bob.socket().await);
    bobs.expect("current_online_users").await;
    // who changes the status while coming comes with it
    anns.expect("user_online").await;
    bob.put("/connexus/api/users/me", json!({"status": "busy"}))
        .await
        .expect(200);
    let told = anns.expect("user_status_updated").await;
    assert_eq!(
        (&told["userId"], &told["status"]),
        (&json!(bob.id), &json!("busy"))
    );
    bobs.emit("update_user_status", json!({"status": "away"}))
        .await;
    let told = anns.expect("user_status_updated").await;
    assert_eq!(told["status"], "away");
    bobs.emit("ping", Value::Null).await;
    bobs.expect("pong").await;
    let done = bobs.call("leave_conversation", json!(id)).await;
    assert_eq!(done, [json!({"success": true, "conversationId": id})]);
    let left = json!({"conversationId": id});
    assert_eq!(bobs.expect("left_conversation").await, left);
    let body = json!({"conversationId": id, "content": "still there?"});
    ann.post("/connexus/api/chat/messages", body)
        .await
        .expect(201);
    let told = bobs.expect("new_message").await;
    assert_eq!(told["message"]["content"], "still there?");
}
