//! Messages over REST.

use connexus_e2e::{TestApp, nobody};
use serde_json::{Value, json};

use super::{CHAT, MESSAGE, SENDER, direct, group, history, keys, people, said, say};
use crate::dialects::Person;

#[tokio::test]
async fn messages_are_sent_and_listed() {
    // POST /api/message, GET /api/message/:chatId, GET /api/chat
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    let chat = direct(&ann, &bob).await;
    let first = say(&ann, &chat, "one").await;
    assert_eq!(keys(&first), MESSAGE);
    assert_eq!(keys(&first["sender"]), SENDER);
    assert_eq!(first["sender"]["name"], ann.name);
    assert_eq!(first["content"], "one");
    assert_eq!(first["readBy"], json!([]));
    assert_eq!(keys(&first["chat"]), CHAT);
    assert_eq!(first["chat"]["users"], chat["users"], "populated");
    let whole = json!({"content": "two", "chatId": chat});
    let second = bob.post("/api/message", whole).await.expect(200);
    assert_eq!(
        second["chat"]["_id"], chat["_id"],
        "the whole chat as chatId"
    );

    for base in ["", "/mern"] {
        let path = format!("{base}/api/message/{}", chat["_id"].as_str().unwrap());
        let all = ann.get(&path).await.expect(200);
        assert_eq!(all.as_array().unwrap().len(), 2);
        assert_eq!(all[0]["content"], "one", "oldest first");
        assert_eq!(all[1]["_id"], second["_id"]);
        assert_eq!(keys(&all[0]), MESSAGE);
        assert_eq!(keys(&all[0]["sender"]), SENDER);
        assert_eq!(all[0]["chat"]["users"], chat["users"]);
        let newest = ann.get(&format!("{path}?limit=1")).await.expect(200);
        assert_eq!(newest, json!([all[1]]));
        let older = ann.get(&format!("{path}?limit=1&page=2")).await.expect(200);
        assert_eq!(older, json!([all[0]]));
    }
    let other = group(&ann, &[&bob, &eve]).await;
    let listed = ann.get("/mern/api/chat").await.expect(200);
    assert_eq!(listed[0]["_id"], other["_id"], "latest first");
    let latest = &listed[1]["latestMessage"];
    assert_eq!(keys(latest), MESSAGE);
    assert_eq!(latest["sender"]["name"], bob.name);
    assert_eq!(latest["content"], "two");
    assert_eq!(latest["chat"], chat["_id"]);
    say(&ann, &chat, "three").await;
    let listed = ann.get("/mern/api/chat").await.expect(200);
    assert_eq!(listed[0]["_id"], chat["_id"]);
    assert_eq!(listed[0]["latestMessage"]["content"], "three");

    let invalid = "Invalid data passed into request";
    let must = "chatId must be an id or a chat";
    let not_member = "You are not a member of this chat";
    let to = |id: &Value| json!({"content": "x", "chatId": id});
    for (who, body, status, expected) in [
        (&ann, json!({"chatId": chat["_id"]}), 400, invalid),
        (&ann, json!({"content": "x"}), 400, invalid),
        (
            &ann,
            json!({"content": " ", "chatId": chat["_id"]}),
            400,
            invalid,
        ),
        (
            &ann,
            json!({"content": ["x"], "chatId": chat["_id"]}),
            400,
            "content must be a string",
        ),
        (&ann, to(&json!({"$gt": ""})), 400, must),
        (&ann, to(&json!(7)), 400, must),
        (&ann, to(&json!("x")), 404, "Chat Not Found"),
        (&ann, to(&json!(nobody())), 404, "Chat Not Found"),
        (&eve, to(&chat["_id"]), 403, not_member),
        (
            &ann,
            json!({"content": "x".repeat(8_001), "chatId": chat["_id"]}),
            400,
            "content must have at most 8000 characters",
        ),
    ] {
        let refused = who.post("/mern/api/message", body).await.expect(status);
        assert_eq!(said(&refused), expected);
    }
    for (who, id, status, expected) in [
        (&eve, chat["_id"].as_str().unwrap(), 403, not_member),
        (&ann, &*nobody(), 404, "Chat Not Found"),
        (&ann, "%24gt", 404, "Chat Not Found"),
    ] {
        let path = format!("/mern/api/message/{id}");
        let refused = who.get(&path).await.expect(status);
        assert_eq!(said(&refused), expected);
    }
}

#[tokio::test]
async fn what_was_deleted_is_not_there() {
    // GET /api/message/:chatId, GET /api/chat
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let chat = direct(&ann, &bob).await;
    say(&ann, &chat, "stays").await;
    let slip = say(&ann, &chat, "a slip").await;
    let native = format!("/v1/messages/{}", slip["_id"].as_str().unwrap());
    assert!(ann.delete(&native).await.status < 300);
    let all = history(&bob, &chat).await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["content"], "stays");
    let listed = bob.get("/mern/api/chat").await.expect(200);
    assert_eq!(listed[0]["latestMessage"], Value::Null);
}

#[tokio::test]
async fn a_chat_of_more_than_a_hundred() {
    // GET /api/chat, GET /api/message/:chatId
    let app = TestApp::shared().await;
    let ann = Person::register(&app, "mern", "ann").await;
    let crowd = app.crowd(101).await;
    let users: Vec<&str> = crowd.iter().map(|user| user.id.as_str()).collect();
    let body = json!({"name": "All", "users": users});
    let made = ann.post("/mern/api/chat/group", body).await.expect(200);
    assert_eq!(made["users"].as_array().unwrap().len(), 100);
    assert_eq!(made["groupAdmin"]["_id"], ann.id);
    let mut socket = ann.silent_socket().await;
    let one = json!({"_id": crowd[0].id, "token": crowd[0].access_token});
    socket.emit("setup", one).await;
    let sent = say(&ann, &made, "to all").await;
    let told = socket.expect("message recieved").await;
    assert_eq!(told["_id"], sent["_id"]);
    assert_eq!(told["sender"]["name"], ann.name);
    assert_eq!(told["chat"]["chatName"], "All");
    assert_eq!(sent["sender"]["name"], ann.name);
    let listed = ann.get("/mern/api/chat").await.expect(200);
    assert_eq!(listed[0]["users"], made["users"]);
    assert_eq!(listed[0]["latestMessage"]["sender"]["name"], ann.name);
    let all = history(&ann, &made).await;
    let named = all[0]["chat"]["users"].as_array().unwrap();
    assert_eq!(named.len(), 100);
    assert!(named.iter().all(Value::is_string), "by their ids");
}
