//! Reactions.

use connexus_e2e::TestApp;
use serde_json::{Value, json};

use crate::common::id;

const THUMB: &str = "%F0%9F%91%8D";
const HEART: &str = "%E2%9D%A4%EF%B8%8F";
const CODER: &str = "%F0%9F%91%A9%F0%9F%8F%BD%E2%80%8D%F0%9F%92%BB";

#[tokio::test]
async fn reactions_are_counted_by_emoji() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let message = ann.say(&group, "react to this").await;
    let path = format!("/v1/messages/{}", id(&message));
    let mut anns = ann.ws().await;

    let reacted = bob
        .put(&format!("{path}/reactions/{THUMB}"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        reacted["reactions"],
        json!([{"emoji": "👍", "count": 1, "user_ids": [bob.id]}])
    );
    assert_eq!(
        reacted["rev"].as_i64().unwrap(),
        message["rev"].as_i64().unwrap() + 1
    );
    let event = anns.expect_event("reaction.updated").await;
    assert_eq!(event["conversation_id"], group.as_str());
    assert_eq!(event["rev"], reacted["rev"]);
    // twice is once
    let again = bob
        .put(&format!("{path}/reactions/{THUMB}"), Value::Null)
        .await
        .expect(200);
    assert_eq!(again, reacted);

    let by_socket = anns
        .ok(
            "reaction.add",
            json!({"message_id": id(&message), "emoji": "👍"}),
        )
        .await;
    assert_eq!(
        by_socket["reactions"],
        json!([{"emoji": "👍", "count": 2, "user_ids": [bob.id, ann.id]}])
    );
    for emoji in [HEART, CODER] {
        ann.put(&format!("{path}/reactions/{emoji}"), Value::Null)
            .await
            .expect(200);
    }
    let seen = bob.get(&path).await.expect(200);
    assert_eq!(
        seen["reactions"],
        json!([
            {"emoji": "👍", "count": 2, "user_ids": [bob.id, ann.id]},
            {"emoji": "❤️", "count": 1, "user_ids": [ann.id]},
            {"emoji": "👩🏽‍💻", "count": 1, "user_ids": [ann.id]},
        ])
    );

    bob.delete(&format!("{path}/reactions/{THUMB}"))
        .await
        .expect(200);
    let gone = bob
        .delete(&format!("{path}/reactions/{THUMB}"))
        .await
        .expect(200);
    assert_eq!(
        gone["reactions"][0],
        json!({"emoji": "👍", "count": 1, "user_ids": [ann.id]})
    );
    assert_eq!(
        gone["rev"].as_i64().unwrap(),
        seen["rev"].as_i64().unwrap() + 1,
        "the second took nothing back"
    );
    let gone = anns
        .ok(
            "reaction.remove",
            json!({"message_id": id(&message), "emoji": "👍"}),
        )
        .await;
    assert_eq!(gone["reactions"].as_array().unwrap().len(), 2);
    assert_eq!(gone["edited_at"], Value::Null, "a reaction is no edit");
}

#[tokio::test]
async fn only_one_real_emoji_is_a_reaction() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let message = id(&ann.say(&ann.direct(&bob).await, "react to this").await);
    let mut socket = ann.ws().await;
    for (encoded, text) in [
        ("a", "a"),
        ("%3A%2B1%3A", ":+1:"),
        ("%F0%9F%91%8D%F0%9F%91%8D", "👍👍"),
        ("%3Cb%3E", "<b>"),
        ("1", "1"),
        ("%00", "\u{0}"),
        ("%20", " "),
    ] {
        let path = format!("/v1/messages/{message}/reactions/{encoded}");
        ann.put(&path, Value::Null).await.refuses(&["emoji"]);
        ann.delete(&path).await.refuses(&["emoji"]);
        let error = socket
            .refused(
                "reaction.add",
                json!({"message_id": message, "emoji": text}),
            )
            .await;
        assert_eq!(
            connexus_e2e::failing_fields(&error),
            ["emoji".to_owned()].into()
        );
    }
    // not UTF-8
    let reply = ann
        .put(
            &format!("/v1/messages/{message}/reactions/%FF%FE"),
            Value::Null,
        )
        .await;
    assert_eq!(reply.status / 100, 4, "{}", reply.text);
}
