//! Who is here, what was missed, and how a socket of the dialect `rooms` says who it is.

use connexus_e2e::{TestApp, connect_socketio, unique};
use serde_json::{Value, json};

use super::sockets::{in_room, new_messages, settled};
use super::{USER, history, keys, people, refusal, say};
use crate::dialects::PASSWORD;

#[tokio::test]
async fn who_is_here() {
    // online-users, user-online, user-offline, user-status, user-status-update,
    // GET /api/users/online, POST /api/users/status
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let room = unique("tea");
    history(&bob, &format!("room={room}")).await;
    let mut anns = in_room(&ann, &room).await;
    let mut eves = eve.socket().await;
    let alone = eves.expect("online-users").await;
    assert_eq!(alone.as_array().unwrap().len(), 1, "no room is shared");
    let mut bobs = bob.socket().await;
    let online = bobs.expect("online-users").await;
    let mut ids: Vec<&str> = online
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected = [ann.id.as_str(), bob.id.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert_eq!(keys(&online[0]), USER);
    assert_eq!(
        anns.expect("user-online").await,
        json!({"userId": bob.id, "username": bob.name, "avatar": null, "isOnline": true})
    );
    let path = "/rooms/api/users/status";
    for online in [false, true] {
        let answer = if online {
            bobs.emit("user-status", json!({"isOnline": true})).await;
            json!({"isOnline": true})
        } else {
            bob.post(path, json!({"isOnline": false})).await.expect(200)["data"].clone()
        };
        assert_eq!(answer["isOnline"], online);
        for socket in [&mut anns, &mut bobs] {
            let update = loop {
                let update = socket.expect("user-status-update").await;
                if update["userId"] == bob.id.as_str() && update["isOnline"] == online {
                    break update;
                }
            };
            assert_eq!(
                keys(&update),
                ["isOnline", "lastSeen", "userId", "username"]
            );
        }
        let list = ann.get("/rooms/api/users/online").await.expect(200);
        let list = &list["data"];
        assert_eq!(keys(list), ["count", "users"]);
        let users = list["users"].as_array().unwrap();
        assert_eq!(list["count"], users.len());
        assert!(users.iter().any(|user| user["_id"] == ann.id.as_str()));
        assert_eq!(
            users.iter().any(|user| user["_id"] == bob.id.as_str()),
            online
        );
    }
    bobs.disconnect().await;
    let gone = anns.expect("user-offline").await;
    assert_eq!(
        keys(&gone),
        ["avatar", "isOnline", "lastSeen", "userId", "username"]
    );
    assert_eq!(gone["userId"], bob.id.as_str());
    assert_eq!(gone["isOnline"], false);
    assert!(gone["lastSeen"].is_string());
    for (body, said) in [
        (json!({}), "isOnline is required"),
        (json!({"isOnline": "yes"}), "isOnline must be a boolean"),
        (
            json!({"isOnline": {"$ne": 1}}),
            "isOnline must be a boolean",
        ),
    ] {
        let refused = bob.post(path, body).await.expect(400);
        assert_eq!(refused, refusal(said));
    }
}

#[tokio::test]
async fn who_connects_is_online() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    ann.post("/rooms/api/users/status", json!({"isOnline": false}))
        .await
        .expect(200);
    let mut anns = ann.socket().await;
    let online = anns.expect("online-users").await;
    assert_eq!(online[0]["_id"], ann.id.as_str());
    assert_eq!(online[0]["isOnline"], true);
}

#[tokio::test]
async fn two_devices_and_what_was_missed() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    let bobs = in_room(&bob, &room).await;
    bobs.disconnect().await;
    for n in 1..=3 {
        say(&ann, &room, &n.to_string()).await;
    }
    // the first device of his that joins is told what came meanwhile, in order, and once
    let mut first = in_room(&bob, &room).await;
    let seen = settled(&mut first, &room).await;
    assert_eq!(new_messages(&seen), ["1", "2", "3"]);
    let mut second = in_room(&bob, &room).await;
    let seen = settled(&mut second, &room).await;
    assert_eq!(new_messages(&seen), [""; 0]);
    first.emit("join-room", json!({"room": room})).await;
    let live = say(&ann, &room, "4").await;
    for device in [&mut first, &mut second] {
        let told = device
            .until(|event| event.name == "new-message" && event.args[0]["_id"] == live["_id"])
            .await;
        assert!(
            new_messages(&told)
                .iter()
                .filter(|said| **said == "4")
                .count()
                == 1
        );
    }
    // what one device says the other hears
    first
        .emit("send-message", json!({"content": "5", "room": room}))
        .await;
    assert_eq!(second.expect("new-message").await["content"], "5");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_while_joining() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let room = unique("tea");
    in_room(&bob, &room).await.disconnect().await;
    let mut anns = in_room(&ann, &room).await;
    for round in 0..5 {
        for n in 0..20 {
            let content = format!("{round}.{n}");
            anns.emit("send-message", json!({"content": content, "room": room}))
                .await;
        }
        // he comes back in the midst of it
        let mut bobs = in_room(&bob, &room).await;
        let last = format!("{round}.19");
        let seen = bobs
            .until(|event| event.name == "new-message" && event.args[0]["content"] == last)
            .await;
        let expected: Vec<String> = (0..20).map(|n| format!("{round}.{n}")).collect();
        assert_eq!(new_messages(&seen), expected);
        // what is written to a connection that ends in this moment may not arrive
        bobs.emit("leave-room", json!({"room": room})).await;
        bobs.expect("left-room").await;
        bobs.disconnect().await;
    }
}

#[tokio::test]
async fn who_is_removed_hears_no_more() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let native = app.user("owner").await;
    let body = json!({"kind": "group", "name": "us", "member_ids": [ann.id, bob.id]});
    let made = native.post("/v1/conversations", body).await.expect(201);
    let room = made["id"].as_str().unwrap();
    let mut anns = in_room(&ann, room).await;
    let mut bobs = in_room(&bob, room).await;
    anns.expect("user-joined-room").await;
    native
        .delete(&format!("/v1/conversations/{room}/members/{}", bob.id))
        .await
        .expect(204);
    let left = anns.expect("user-left-room").await;
    assert_eq!(left["userId"], bob.id.as_str());
    bobs.emit("send-message", json!({"room": room, "content": "and I?"}))
        .await;
    assert_eq!(
        bobs.expect("error").await["message"],
        "You are not a member of this room"
    );
    anns.emit("leave-room", json!({"room": room})).await;
    anns.emit("join-room", json!({"room": room})).await;
    native.say(room, "without bob").await;
    assert_eq!(anns.expect("new-message").await["content"], "without bob");
    let seen = settled(&mut bobs, &unique("tea")).await;
    // whether others are here may come at any time
    let heard = seen.iter().find(|event| !event.name.starts_with("user-on"));
    assert_eq!(heard, None);
}

#[tokio::test]
async fn sockets_say_who_they_are() {
    let app = TestApp::shared().await;
    let [ann] = people(&app, ["ann"]).await;
    for (auth, said) in [
        (Value::Null, "Access token required"),
        (json!({"token": {"$gt": ""}}), "Access token required"),
        (json!({"token": "nonsense"}), "Invalid token"),
    ] {
        let refused = connect_socketio(&app.address(), "/rooms/socket.io/", auth).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused["message"], format!("Authentication error: {said}"));
    }
    // at the root the token says which dialect it is, and without that the first event does
    let auth = json!({"token": ann.token});
    let mut socket = connect_socketio(&app.address(), "/socket.io/", auth)
        .await
        .unwrap();
    socket.expect("online-users").await;
    let login = json!({"email": ann.email, "password": PASSWORD});
    let login = app
        .anonymous()
        .post("/api/auth/login", login)
        .await
        .expect(200);
    let auth = json!({"token": login["data"]["token"]});
    let mut socket = connect_socketio(&app.address(), "/socket.io/", auth)
        .await
        .unwrap();
    let room = unique("tea");
    socket.emit("join-room", json!({"room": room})).await;
    socket.expect("online-users").await;
    assert_eq!(socket.expect("joined-room").await, json!({"room": room}));
    say(&ann, &room, "hello").await;
    assert_eq!(socket.expect("new-message").await["content"], "hello");
}
