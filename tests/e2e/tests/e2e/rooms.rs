//! Rooms: public, joined by name.

use connexus_e2e::{TestApp, unique};
use futures_util::future::join_all;
use serde_json::json;

use crate::common::{id, items, texts};

#[tokio::test]
async fn a_room_is_made_once_and_joined_by_name() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let slug = unique("Room");
    let lower = slug.to_lowercase();
    let make = json!({"kind": "room", "slug": slug, "name": "The room"});
    let room = ann
        .post("/v1/conversations", make.clone())
        .await
        .expect(201);
    assert_eq!(
        (&room["kind"], &room["slug"], &room["name"]),
        (&json!("room"), &json!(lower), &json!("The room"))
    );
    assert_eq!(room["me"]["role"], "owner");
    ann.say(&id(&room), "welcome").await;

    // who asks for one that is there is in it from then on
    let again = bob
        .post(
            "/v1/conversations",
            json!({"kind": "room", "slug": lower, "name": "Mine"}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&again["id"], &again["name"]),
        (&room["id"], &json!("The room"))
    );
    assert_eq!(again["me"]["role"], "member");
    let mut anns = ann.ws().await;
    let joined = cleo
        .post(&format!("/v1/rooms/{slug}/join"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&joined["id"], &joined["member_count"]),
        (&room["id"], &json!(3))
    );
    assert_eq!(
        joined["me"]["unread_count"], 0,
        "starts with everything before as read"
    );
    let event = anns.expect_event("member.joined").await;
    assert_eq!(event["conversation_id"], room["id"]);
    assert_eq!(event["data"]["user"]["id"], cleo.id.as_str());

    // again: nothing happens
    let rev = joined["rev"].clone();
    assert_eq!(
        cleo.post(&format!("/v1/rooms/{lower}/join"), json!({}))
            .await
            .expect(200)["rev"],
        rev
    );
    assert_eq!(
        texts(&cleo.history(&id(&room)).await, "body"),
        ["welcome"],
        "a room's history is open"
    );
    cleo.post(&format!("/v1/rooms/{}/join", unique("no-room")), json!({}))
        .await
        .problem(404);
    for bad in ["a b", "ä", "", &"x".repeat(65)] {
        ann.post("/v1/conversations", json!({"kind": "room", "slug": bad}))
            .await
            .refuses(&["slug"]);
    }
}

#[tokio::test]
async fn many_who_ask_for_a_new_room_at_once_get_the_same_one() {
    let app = TestApp::shared().await;
    let users = app.crowd(8).await;
    let slug = unique("race");
    let body = json!({"kind": "room", "slug": slug});
    let replies = join_all(
        users
            .iter()
            .map(|user| user.post("/v1/conversations", body.clone())),
    )
    .await;
    let room = id(&replies[0].body);
    assert!(
        replies
            .iter()
            .all(|reply| reply.body["id"] == room.as_str())
    );
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 201).count(),
        1
    );
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        7
    );
    let seen = users[0].conversation(&room).await;
    assert_eq!(
        (&seen["member_count"], &seen["name"]),
        (&json!(8), &json!(slug))
    );
    let members = items(
        &users[0]
            .get(&format!("/v1/conversations/{room}/members"))
            .await
            .expect(200),
    );
    assert_eq!(
        members
            .iter()
            .filter(|member| member["role"] == "owner")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_room_is_joined_and_left_over_a_socket() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let slug = unique("ws");
    let room = id(&ann
        .post("/v1/conversations", json!({"kind": "room", "slug": slug}))
        .await
        .expect(201));
    let (mut bobs, mut other_device) = (
        bob.ws().await,
        bob.on_another_device("laptop").await.ws().await,
    );
    let joined = bobs.ok("room.join", json!({"slug": slug})).await;
    assert_eq!(
        (&joined["id"], &joined["me"]["role"]),
        (&json!(room), &json!("member"))
    );
    let event = other_device.expect_event("conversation.created").await;
    assert_eq!(event["conversation_id"], room.as_str());
    ann.say(&room, "hello").await;
    assert_eq!(
        bobs.expect_event("message.created").await["data"]["body"],
        "hello"
    );

    bobs.ok("conversation.leave", json!({"conversation_id": room}))
        .await;
    let event = other_device.expect_event("member.left").await;
    assert_eq!(event["data"]["user_id"], bob.id.as_str());
    bobs.refused(
        "message.send",
        json!({"conversation_id": room, "body": "still here?"}),
    )
    .await;
    bobs.refused("room.join", json!({"slug": unique("no-room")}))
        .await;
    // who comes back is an ordinary member, with nothing unread
    ann.say(&room, "while away").await;
    let back = bobs.ok("room.join", json!({"slug": slug})).await;
    assert_eq!(back["me"]["unread_count"], 0);
    assert_eq!(back["last_seq"], 2);
}

#[tokio::test]
async fn a_room_outlives_its_members_and_its_slug_is_freed_by_deletion() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let slug = unique("room");
    let make = json!({"kind": "room", "slug": slug});
    let room = id(&ann
        .post("/v1/conversations", make.clone())
        .await
        .expect(201));
    ann.say(&room, "kept").await;
    ann.delete(&format!("/v1/conversations/{room}/members/{}", ann.id))
        .await
        .expect(204);
    let found = bob
        .post(&format!("/v1/rooms/{slug}/join"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&found["id"], &found["me"]["role"]),
        (&json!(room), &json!("owner")),
        "an ownerless room"
    );
    assert_eq!(found["last_seq"], 1);
    bob.delete(&format!("/v1/conversations/{room}"))
        .await
        .expect(204);
    ann.post(&format!("/v1/rooms/{slug}/join"), json!({}))
        .await
        .problem(404);
    let another = ann.post("/v1/conversations", make).await.expect(201);
    assert_ne!(another["id"], room.as_str());
}
