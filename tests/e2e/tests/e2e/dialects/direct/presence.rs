//! Who comes, goes, and how one is shown.

use connexus_e2e::TestApp;
use serde_json::json;

use super::{another_device, keys, people, send};

#[tokio::test]
async fn coming_and_going() {
    // user_online, user_offline, (disconnect)
    let app = TestApp::shared().await;
    let [ann, bob] = people(&app, ["ann", "bob"]).await;
    send(&ann, &bob, "hello").await;
    let mut anns = ann.socket().await;
    anns.expect("authenticated").await;
    let first = bob.socket().await;
    let told = anns.expect("user_online").await;
    let expected = json!({"userId": bob.id, "username": bob.name, "status": "online"});
    assert_eq!(told, expected);
    // the first of two devices goes, abruptly, and nothing is told; then the last one
    let mut second = another_device(&app, &bob).await;
    second.expect("authenticated").await;
    drop(first);
    second
        .emit("update_status", json!({"status": "away"}))
        .await;
    let told = anns.expect("user_status_changed").await;
    assert_eq!(told["status"], "away", "still here");
    drop(second);
    let seen = anns.until(|event| event.name == "user_offline").await;
    let told = &seen[seen.len() - 1].args[0];
    let expected = json!({"userId": bob.id, "username": bob.name, "status": "offline"});
    assert_eq!(told, &expected);
    assert!(seen.iter().all(|event| event.name != "user_online"));
    let path = format!("/direct/api/users/{}/status", bob.id);
    let status = ann.get(&path).await.expect(200)["data"].clone();
    assert_eq!(status["status"], "offline");
    assert!(status["lastSeen"].is_string());
    // comes back as it was
    let _third = bob.socket().await;
    assert_eq!(anns.expect("user_online").await["status"], "away");
}

#[tokio::test]
async fn choosing_a_status() {
    // update_status → user_status_changed
    let app = TestApp::shared().await;
    let [ann, bob, eve] = people(&app, ["ann", "bob", "eve"]).await;
    send(&ann, &bob, "hello").await;
    let (mut anns, mut bobs) = (ann.socket().await, bob.socket().await);
    let mut eves = eve.socket().await;
    anns.expect("user_online").await;
    for (word, shown) in [("busy", "busy"), ("offline", "away"), ("online", "online")] {
        let answer = bobs.call("update_status", json!({"status": word})).await;
        assert_eq!(answer, [json!({"success": true, "status": shown})]);
        let told = anns.expect("user_status_changed").await;
        assert_eq!(keys(&told), ["lastSeen", "status", "userId"]);
        assert_eq!(told["userId"], bob.id);
        assert_eq!(told["status"], shown);
    }
    let body = json!({"status": "busy"});
    let changed = bob.put("/direct/api/auth/profile", body).await.expect(200);
    assert_eq!(changed["data"]["user"]["status"], "busy");
    let told = anns.expect("user_status_changed").await;
    assert_eq!(told["status"], "busy");
    for bad in [
        json!({"status": "dancing"}),
        json!({"status": ""}),
        json!("dancing"),
    ] {
        bobs.emit("update_status", bad).await;
        let error = bobs.expect("error").await;
        let text = "status must be online, away, busy or offline";
        assert_eq!(error, json!({"message": text, "code": "VALIDATION_FAILED"}));
    }
    // who shares no chat is told nothing of it, and oneself neither
    send(&ann, &eve, "what comes next").await;
    send(&ann, &bob, "what comes next").await;
    for socket in [&mut eves, &mut bobs] {
        let seen = socket
            .until(|event| event.args[0]["content"] == "what comes next")
            .await;
        assert!(
            seen.iter().all(|event| event.name != "user_status_changed"),
            "{seen:?}"
        );
    }
}
