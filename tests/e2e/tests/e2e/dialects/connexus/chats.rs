//! Conversations and messages over REST.

use connexus_e2e::{TestApp, User, eventually, nobody};
use serde_json::{Value, json};

use super::{direct, keys, people};
use crate::dialects::Person;

#[tokio::test]
async fn conversations_are_opened_and_listed() {
    // POST /api/chat/conversations/direct, POST /api/chat/conversations/group, GET /api/chat/conversations
    let app = TestApp::shared().await;
    let [ann, bob, cyn] = people(&app, ["ann", "bob", "cyn"]).await;
    let id = direct(&ann, &bob).await;
    assert_eq!(direct(&bob, &ann).await, id, "there is one for a pair");
    let path = "/connexus/api/chat/conversations/direct";
    ann.post(path, json!({"participantId": ann.id}))
        .await
        .expect(400);
    ann.post(path, json!({"participantId": nobody()}))
        .await
        .expect(404);
    ann.post(path, json!({"participantId": {"$gt": ""}}))
        .await
        .expect(400);
    let body = json!({"name": "Us", "description": "three", "participants": [bob.id, cyn.id]});
    let group = ann
        .post("/connexus/api/chat/conversations/group", body)
        .await
        .expect(201);
    let group = &group["data"];
    assert_eq!(
        (group["type"].as_str(), group["name"].as_str()),
        (Some("group"), Some("Us"))
    );
    assert_eq!(group["participants"].as_array().unwrap().len(), 3);
    let list = bob
        .get("/connexus/api/chat/conversations")
        .await
        .expect(200);
    let list = list["data"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    for field in [
        "_id",
        "type",
        "name",
        "description",
        "participants",
        "lastMessage",
        "avatar",
        "settings",
        "isActive",
        "createdBy",
        "unreadCount",
    ] {
        assert!(list[0].get(field).is_some(), "{field}: {}", list[0]);
    }
    let participant = &list[0]["participants"][0];
    assert_eq!(keys(participant), ["joinedAt", "lastRead", "role", "user"]);
}

#[tokio::test]
async fn what_somebody_keeps_to_themselves_is_not_told() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let silent = json!({"privacy": {"read_receipts": false}});
    bob.patch("/v1/users/me", silent).await.expect(200);
    ann.say(&direct, "read this").await;
    bob.put(
        &format!("/v1/conversations/{direct}/read"),
        json!({"seq": 1}),
    )
    .await
    .expect(200);
    assert_eq!(seen(&ann, &bob).await["lastRead"], Value::Null);
    assert!(seen(&bob, &bob).await["lastRead"].is_string());

    let _socket = ann.ws().await;
    eventually("ann to be there", async || {
        let here = seen(&bob, &ann).await;
        (here["user"]["status"] == "online").then_some(())
    })
    .await;
    ann.put(&format!("/v1/users/me/blocks/{}", bob.id), Value::Null)
        .await
        .expect(204);
    let blocked = seen(&bob, &ann).await;
    assert_eq!(blocked["user"]["status"], "offline");
    assert_eq!(blocked["user"]["lastSeen"], Value::Null);
}

#[tokio::test]
async fn a_block_hides_who_is_here_in_a_group_too() {
    let app = TestApp::shared().await;
    let [ann, bob, cyn] = app.users(["ann", "bob", "cyn"]).await;
    cyn.group([&ann, &bob]).await;
    let _socket = ann.ws().await;
    ann.put(&format!("/v1/users/me/blocks/{}", bob.id), Value::Null)
        .await
        .expect(204);
    assert_eq!(seen(&cyn, &ann).await["user"]["status"], "online");
    assert_eq!(seen(&bob, &ann).await["user"]["status"], "offline");
    let path = "/direct/api/messages/chats";
    for (asker, status) in [(&cyn, "online"), (&bob, "offline")] {
        let chats = asker.get(path).await.expect(200);
        let group = chats["data"]["chats"][0]["participants"].as_array();
        let found = group
            .unwrap()
            .iter()
            .find(|one| one["_id"] == ann.id.as_str());
        assert_eq!(found.unwrap()["status"], status, "{chats}");
    }
}

#[tokio::test]
async fn a_crowd_has_the_asker_in_it_and_names_who_spoke_last() {
    let app = TestApp::shared().await;
    let everybody = app.crowd(102).await;
    let (last, others) = everybody.split_last().unwrap();
    let group = last.group(others).await;
    everybody[50].say(&group, "hello").await;
    for asker in [&everybody[0], last] {
        let me = seen(asker, asker).await;
        assert!(me["user"]["name"].is_string(), "{me}");
        let list = asker
            .get("/connexus/api/chat/conversations")
            .await
            .expect(200);
        let chat = &list["data"][0];
        assert_eq!(chat["participantsCount"], 102);
        let chats = asker.get("/direct/api/messages/chats").await.expect(200);
        let all = chats["data"]["chats"][0]["participants"]
            .as_array()
            .unwrap();
        assert!(all.len() >= 100, "{chats}");
        assert!(all.iter().any(|one| one["_id"] == asker.id.as_str()));
        assert_eq!(
            chat["lastMessage"]["sender"]["username"],
            everybody[50].username.as_str()
        );
    }
}

/// `whom`, as `asker` sees it in the only conversation of both.
async fn seen(asker: &User, whom: &User) -> Value {
    let list = asker.get("/connexus/api/chat/conversations").await;
    let list = list.expect(200);
    let participants = list["data"][0]["participants"].as_array().unwrap();
    let found = participants
        .iter()
        .find(|one| one["user"]["username"] == whom.username.as_str());
    found.unwrap().clone()
}

#[tokio::test]
async fn groups_change() {
    // PUT /api/chat/conversations/:id, POST /api/chat/conversations/:id/participants,
    // PUT /api/chat/conversations/:id/participants/role, DELETE /api/chat/conversations/:id/participants/:user,
    // PUT /api/chat/conversations/:id/archive, PUT /api/chat/conversations/:id/read,
    // POST /api/chat/conversations/:id/leave
    let app = TestApp::shared().await;
    let [ann, bob, cyn, dan] = people(&app, ["ann", "bob", "cyn", "dan"]).await;
    let body = json!({"name": "Us", "participants": [bob.id]});
    let made = ann
        .post("/connexus/api/chat/conversations/group", body)
        .await
        .expect(201);
    let path = format!(
        "/connexus/api/chat/conversations/{}",
        made["data"]["_id"].as_str().unwrap()
    );
    let renamed = ann.put(&path, json!({"name": "We"})).await.expect(200);
    assert_eq!(renamed["data"]["name"], "We");
    bob.put(&path, json!({"name": "Me"})).await.expect(403);
    dan.put(&path, json!({"name": "Me"})).await.expect(403);
    let added = ann
        .post(&format!("{path}/participants"), json!({"userId": cyn.id}))
        .await
        .expect(200);
    assert_eq!(added["data"]["participants"].as_array().unwrap().len(), 3);
    let role = json!({"userId": cyn.id, "role": "admin"});
    ann.put(&format!("{path}/participants/role"), role)
        .await
        .expect(200);
    cyn.delete(&format!("{path}/participants/{}", bob.id))
        .await
        .expect(200);
    cyn.delete(&format!("{path}/participants/{}", ann.id))
        .await
        .expect(403);
    let archived = cyn
        .put(&format!("{path}/archive"), json!({}))
        .await
        .expect(200);
    assert_eq!(archived["data"]["settings"]["archived"], true);
    cyn.put(&format!("{path}/read"), json!({}))
        .await
        .expect(200);
    let left = cyn.post(&format!("{path}/leave"), json!({})).await;
    assert_eq!(left.expect(200)["success"], true);
    cyn.get(&format!("{path}/messages")).await.expect(403);
}

#[tokio::test]
async fn messages_over_rest() {
    // POST /api/chat/messages, PUT /api/chat/messages/edit, DELETE /api/chat/messages/:id,
    // GET /api/chat/conversations/:id/messages, POST /api/chat/messages/reactions,
    // POST /api/chat/messages/reactions/remove
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let id = direct(&ann, &bob).await;
    let mut bobs = bob.socket().await;
    bobs.expect("current_online_users").await;
    let body = json!({"conversationId": id, "content": "hello", "type": "text"});
    let sent = ann
        .post("/connexus/api/chat/messages", body.clone())
        .await
        .expect(201);
    let message = sent["data"].clone();
    for field in [
        "_id",
        "content",
        "sender",
        "conversation",
        "type",
        "replyTo",
        "attachments",
        "reactions",
        "status",
        "readBy",
        "editedAt",
        "deletedAt",
        "isDeleted",
        "createdAt",
        "updatedAt",
    ] {
        assert!(message.get(field).is_some(), "{field}");
    }
    let told = bobs.expect("new_message").await;
    assert_eq!(told["message"]["_id"], message["_id"]);
    assert_eq!(told["message"]["sender"]["name"], ann.name.as_str());
    eve.post("/connexus/api/chat/messages", body)
        .await
        .expect(403);
    let long = json!({"conversationId": id, "content": "x".repeat(2_001)});
    ann.post("/connexus/api/chat/messages", long)
        .await
        .expect(400);
    let edit = json!({"messageId": message["_id"], "newContent": "hello you"});
    bob.put("/connexus/api/chat/messages/edit", edit.clone())
        .await
        .expect(403);
    ann.put("/connexus/api/chat/messages/edit", edit)
        .await
        .expect(200);
    let edited = bobs.expect("message_edited").await;
    assert_eq!(edited["newContent"], "hello you");
    let react = json!({"messageId": message["_id"], "emoji": "👍"});
    bob.post("/connexus/api/chat/messages/reactions", react.clone())
        .await
        .expect(200);
    let history = format!("/connexus/api/chat/conversations/{id}/messages?page=1&limit=10");
    let page = ann.get(&history).await.expect(200);
    assert_eq!(page["data"][0]["reactions"][0]["user"], bob.id.as_str());
    bob.post("/connexus/api/chat/messages/reactions/remove", react)
        .await
        .expect(200);
    eve.get(&history).await.expect(403);
    let path = format!(
        "/connexus/api/chat/messages/{}",
        message["_id"].as_str().unwrap()
    );
    bob.delete(&path).await.expect(403);
    ann.delete(&path).await.expect(200);
    let deleted = bobs.expect("message_deleted").await;
    assert_eq!(deleted["messageId"], message["_id"]);
    let page = ann.get(&history).await.expect(200);
    assert_eq!(page["data"][0]["isDeleted"], true);
}

#[tokio::test]
async fn a_history_shows_what_is_answered() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    let path = "/connexus/api/chat/messages";
    let body = json!({"conversationId": id, "content": "shall we?"});
    let asked = ann.post(path, body).await.expect(201)["data"]["_id"].clone();
    let body = json!({"conversationId": id, "content": "yes", "replyTo": asked});
    let answer = bob.post(path, body).await.expect(201);
    assert_eq!(answer["data"]["replyTo"], asked);
    let history = format!("/connexus/api/chat/conversations/{id}/messages?limit=1");
    let page = ann.get(&history).await.expect(200);
    let quoted = &page["data"][0]["replyTo"];
    assert_eq!(
        (
            &quoted["_id"],
            &quoted["content"],
            &quoted["sender"]["name"]
        ),
        (&asked, &json!("shall we?"), &json!(ann.name))
    );
    let delete = async |by: &Person, message: &Value| {
        let path = format!("{path}/{}", message.as_str().unwrap());
        by.delete(&path).await.expect(200);
    };
    let gone = "This message was deleted";
    delete(&ann, &asked).await;
    let page = ann.get(&history).await.expect(200);
    assert_eq!(page["data"][0]["replyTo"]["content"], gone);
    // a list of conversations shows its newest message even so
    delete(&bob, &answer["data"]["_id"]).await;
    let list = ann.get("/connexus/api/chat/conversations").await;
    assert_eq!(list.expect(200)["data"][0]["lastMessage"]["content"], gone);
}

#[tokio::test]
async fn pages_are_counted_from_the_newest() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let id = direct(&ann, &bob).await;
    for n in 1..=7 {
        let body = json!({"conversationId": id, "content": n.to_string()});
        ann.post("/connexus/api/chat/messages", body)
            .await
            .expect(201);
    }
    for (page, expected) in [
        (1, vec!["5", "6", "7"]),
        (2, vec!["2", "3", "4"]),
        (3, vec!["1"]),
        (4, vec![]),
    ] {
        let path = format!("/connexus/api/chat/conversations/{id}/messages?page={page}&limit=3");
        let answer = bob.get(&path).await.expect(200);
        let bodies: Vec<&str> = answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        assert_eq!(bodies, expected, "page {page}");
    }
}
