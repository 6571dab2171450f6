//! Files of the dialect `direct`: uploaded over the native API, sent and shown here.

use connexus_e2e::{TestApp, nobody};
use serde_json::json;

use super::people;
use crate::dialects::forms::{PNG, Part, fetched, post_form};

#[tokio::test]
async fn a_message_carries_files() {
    // POST "/api/messages/send" → new_message
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let path = "/direct/api/messages/send";
    let first = ann.post(path, json!({"to": bob.id, "content": "hi"})).await;
    let chat = first.expect(201)["data"]["chatId"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut hears = bob.socket().await;
    let parts = [
        Part::Text("conversation_id", &chat),
        Part::File("a.png", PNG),
    ];
    let made = post_form(&ann, "/v1/attachments", &parts).await.expect(201);
    let file = made["items"][0]["id"].clone();
    for wrong in [json!("x"), json!(nobody()), json!({"$gt": ""}), json!(7)] {
        let body = json!({"to": bob.id, "content": "x", "attachmentId": wrong});
        ann.post(path, body).await.expect(400);
    }
    let body = json!({"to": bob.id, "messageType": "image", "attachmentIds": [file]});
    // somebody else's
    bob.post(path, json!({"to": ann.id, "attachmentIds": [file]}))
        .await
        .expect(400);
    let sent = ann.post(path, body).await.expect(201)["data"]["message"].clone();
    let told = hears
        .until(|event| event.name == "new_message" && event.args[0]["fileUrl"].is_string())
        .await;
    let told = told.last().unwrap().args[0].clone();
    let history = bob
        .get(&format!("/direct/api/messages/conversation/{}", ann.id))
        .await
        .expect(200);
    let messages = history["data"]["messages"].as_array().unwrap();
    assert!(messages[0].get("fileUrl").is_none(), "there is no file");
    for message in [&sent, &told, messages.last().unwrap()] {
        assert_eq!(message["messageType"], "image");
        assert_eq!(message["content"], "");
        assert_eq!(message["fileName"], "a.png");
        assert_eq!(fetched(&app, &message["fileUrl"]).await.status, 200);
        assert_eq!(message["attachments"][0]["_id"], file);
    }
    // a message needs words or a file
    ann.post(path, json!({"to": bob.id})).await.expect(400);
    ann.post(
        path,
        json!({"to": bob.id, "content": "", "attachmentIds": []}),
    )
    .await
    .expect(400);
}

#[tokio::test]
async fn a_picture_that_was_uploaded_is_shown() {
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    let parts = [Part::Text("purpose", "avatar"), Part::File("a.png", PNG)];
    let made = post_form(&ann, "/v1/attachments", &parts).await.expect(201);
    let body = json!({"attachment_id": made["items"][0]["id"]});
    let set = ann.put("/v1/users/me/avatar", body).await;
    assert!([200, 204].contains(&set.status), "{}", set.text);
    let seen = bob.get(&format!("/direct/api/users/{}", ann.id)).await;
    let picture = seen.expect(200)["data"]["user"]["profilePicture"].clone();
    assert_eq!(fetched(&app, &picture).await.status, 200);
}
