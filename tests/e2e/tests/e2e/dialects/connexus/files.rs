//! Files of the dialect `connexus`.

use connexus_e2e::{TestApp, nobody, unique};
use serde_json::{Value, json};

use super::{direct, keys, people};
use crate::dialects::Person;
use crate::dialects::forms::{PNG, Part, fetched, post_form};

const ATTACHMENT: [&str; 11] = [
    "_id",
    "duration",
    "height",
    "id",
    "mimeType",
    "name",
    "size",
    "thumbnail",
    "type",
    "url",
    "width",
];
const PATH: &str = "/connexus/api/chat/attachments";

/// Uploads a file for a conversation.
async fn upload(who: &Person, conversation: &str, name: &str) -> Value {
    let parts = [
        Part::File(name, PNG),
        Part::Text("conversationId", conversation),
    ];
    post_form(who, PATH, &parts).await.expect(201)["data"].clone()
}

#[tokio::test]
async fn a_message_carries_files() {
    // POST /api/chat/attachments, POST /api/chat/messages → new_message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let chat = direct(&ann, &bob).await;
    let mut hears = bob.socket().await;
    let (one, two, three) = (
        upload(&ann, &chat, "1.png").await,
        upload(&ann, &chat, "2.png").await,
        upload(&ann, &chat, "3.png").await,
    );
    assert_eq!(keys(&one), ATTACHMENT);
    assert_eq!(one["type"], "image");
    assert_eq!(one["mimeType"], "image/png");
    assert_eq!((&one["width"], &one["height"]), (&json!(1), &json!(1)));
    // by its id, by its address, and whole
    let body = json!({
        "conversationId": chat, "type": "image",
        "attachments": [one["_id"], {"url": two["url"]}, three],
    });
    let sent = ann.post("/connexus/api/chat/messages", body.clone()).await;
    let sent = sent.expect(201)["data"].clone();
    let told = hears.expect("new_message").await;
    let path = format!("/connexus/api/chat/conversations/{chat}/messages");
    let history = bob.get(&path).await.expect(200);
    for message in [&sent, &told["message"], &history["data"][0]] {
        let files = message["attachments"].as_array().unwrap();
        let names: Vec<_> = files.iter().map(|file| file["name"].clone()).collect();
        assert_eq!(names, ["1.png", "2.png", "3.png"]);
        for file in files {
            assert_eq!(keys(file), ATTACHMENT);
            assert_eq!(fetched(&app, &file["url"]).await.status, 200);
        }
        if !files[0]["thumbnail"].is_null() {
            assert_eq!(fetched(&app, &files[0]["thumbnail"]).await.status, 200);
        }
    }
    // once each
    let again = ann.post("/connexus/api/chat/messages", body).await;
    assert_eq!(again.expect(400)["errors"][0]["field"], "attachments");
    // over a socket, with a text
    let four = upload(&bob, &chat, "4.png").await;
    let payload =
        json!({"conversationId": chat, "content": "look", "attachments": [{"id": four["_id"]}]});
    hears.emit("send_message", payload).await;
    let sent = hears.expect("message_sent").await;
    assert_eq!(sent["message"]["attachments"][0]["name"], "4.png");
}

#[tokio::test]
async fn only_ones_own_files_are_sent_and_only_where_they_belong() {
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let (chat, other) = (direct(&ann, &bob).await, direct(&ann, &eve).await);
    let file = upload(&ann, &chat, "1.png").await;
    for (who, chat) in [(&bob, &chat), (&ann, &other)] {
        let body = json!({"conversationId": chat, "content": "x", "attachments": [file["_id"]]});
        who.post("/connexus/api/chat/messages", body)
            .await
            .expect(400);
    }
    for wrong in [
        json!(["x"]),
        json!([1]),
        json!([null]),
        json!([{}]),
        json!([{"url": {"$gt": ""}}]),
        json!([nobody()]),
        json!("x"),
        json!(vec![nobody(); 11]),
    ] {
        let body = json!({"conversationId": chat, "content": "x", "attachments": wrong});
        let refused = ann.post("/connexus/api/chat/messages", body).await;
        assert_eq!(refused.expect(400)["success"], false);
    }
    // who is not there uploads nothing there
    for (who, chat, status) in [(&eve, chat.as_str(), [403, 404]), (&ann, "x", [404, 404])] {
        let parts = [Part::File("a.png", PNG), Part::Text("conversationId", chat)];
        let refused = post_form(who, PATH, &parts).await;
        assert!(status.contains(&refused.status), "{}", refused.text);
    }
    let nowhere = post_form(&ann, PATH, &[Part::File("a.png", PNG)]).await;
    assert_eq!(
        nowhere.expect(400)["errors"],
        json!([{"field": "conversationId", "message": "conversationId is required"}])
    );
    let parts = [
        Part::Text("conversationId", &chat),
        Part::File("a.exe", b"MZ\0\0"),
    ];
    let refused = post_form(&ann, PATH, &parts).await.expect(400);
    let said = refused["message"].as_str().unwrap();
    assert!(said.starts_with("Invalid file type"), "{said}");
}

#[tokio::test]
async fn a_picture_of_oneself() {
    // POST /api/users/me/avatar
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let path = "/connexus/api/users/me/avatar";
    let made = post_form(&ann, path, &[Part::File("me.png", PNG)]).await;
    let mut profile = made.expect(200)["data"].clone();
    assert_eq!(fetched(&app, &profile["avatar"]).await.status, 200);
    // front ends send the whole profile back; the address in it stays what it is
    profile["bio"] = json!("new");
    let changed = ann.put("/connexus/api/users/me", profile).await.expect(200);
    assert_eq!(changed["data"]["bio"], "new");
    assert_eq!(fetched(&app, &changed["data"]["avatar"]).await.status, 200);
    let chat = direct(&ann, &bob).await;
    let chats = bob.get("/connexus/api/chat/conversations").await;
    let chats = chats.expect(200);
    let shown = chats["data"].as_array().unwrap().iter();
    let shown = shown.filter(|one| one["_id"] == chat.as_str());
    let members = shown.flat_map(|one| one["participants"].as_array().unwrap());
    let mut pictures = members.map(|member| &member["user"]["avatar"]);
    let picture = pictures.find(|picture| **picture != "").unwrap();
    assert_eq!(fetched(&app, picture).await.status, 200);
    // one from elsewhere stays as it is
    let elsewhere = format!("https://a.example/{}.png", unique("me"));
    let body = json!({"avatar": elsewhere});
    let changed = ann.put("/connexus/api/users/me", body).await.expect(200);
    assert_eq!(changed["data"]["avatar"], elsewhere);
}
