//! The database goes away while the server runs, and comes back: nobody has to do anything about it.

use connexus_e2e::{TestApp, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn a_lost_database_is_told_and_survived() {
    let app = TestApp::on_fragile_storage(&[
        ("CONNEXUS__STORAGE__ACQUIRE_TIMEOUT_MS", "1000"),
        ("CONNEXUS__STORAGE__STATEMENT_TIMEOUT_MS", "2000"),
    ])
    .await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let conversation = ann.direct(&bob).await;
    ann.say(&conversation, "before").await;
    let mut socket = ann.ws().await;
    let mut listener = bob.ws().await;
    let anonymous = app.anonymous();

    app.lose_storage().await;
    let unready = eventually("the server to notice", async || {
        let reply = anonymous.get("/health/ready").await;
        (reply.status == 503).then_some(reply)
    })
    .await;
    assert_eq!(unready.body["status"], "unavailable", "{}", unready.body);
    assert_eq!(anonymous.get("/health").await.status, 200, "it still lives");
    let path = format!("/v1/conversations/{conversation}/messages");
    let reply = ann.post(&path, json!({"body": "meanwhile"})).await;
    assert!(!reply.header("retry-after").is_empty());
    reply.problem_code(503, "unavailable");
    let body = json!({"conversation_id": conversation, "body": "meanwhile", "client_id": "again"});
    let refused = socket.refused("message.send", body.clone()).await;
    assert_eq!(refused["code"], "unavailable", "{refused}");
    assert_eq!(
        socket.call("ping", json!({})).await["ok"],
        true,
        "the socket stays"
    );

    app.regain_storage().await;
    eventually("the server to recover", async || {
        let reply = anonymous.get("/health/ready").await;
        (reply.status == 200).then_some(())
    })
    .await;
    let sent = eventually("a send to work again", async || {
        let answer = socket.call("message.send", body.clone()).await;
        (answer["ok"] == true).then_some(answer)
    })
    .await;
    let told = listener
        .expect_event_where("message.created", |event| {
            event["data"]["client_id"] == "again"
        })
        .await;
    assert_eq!(told["data"]["id"], sent["data"]["id"]);
    let history = ann.history(&conversation).await;
    let seqs: Vec<i64> = history
        .iter()
        .filter_map(|message| message["seq"].as_i64())
        .collect();
    let dense: Vec<i64> = (1..=i64::try_from(seqs.len()).unwrap()).collect();
    let mut sorted = seqs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, dense, "no number is missing, none is twice");
}

#[tokio::test]
async fn a_sync_that_failed_lets_nothing_past_what_was_missed() {
    let app = TestApp::on_fragile_storage(&[
        ("CONNEXUS__STORAGE__ACQUIRE_TIMEOUT_MS", "500"),
        ("CONNEXUS__STORAGE__STATEMENT_TIMEOUT_MS", "1000"),
    ])
    .await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let conversation = ann.direct(&bob).await;
    ann.say(&conversation, "seen").await;
    let known = bob.conversation(&conversation).await["rev"].clone();
    ann.say(&conversation, "missed").await;
    // the sessions and the users are known from here on
    let mut sockets = [bob.ws().await, bob.ws().await];

    app.lose_storage().await;
    let ask = json!({"conversations": {conversation.as_str(): known}});
    let mut told_at_once = false;
    for socket in &mut sockets {
        let answer = socket.call("sync", ask.clone()).await;
        // SQLite loses who writes, not who reads
        told_at_once = answer["ok"] == true;
        if told_at_once {
            let ready = app.anonymous().get("/health/ready").await;
            let backend = &ready.body["checks"]["storage"]["backend"];
            assert_eq!(backend, "sqlite", "{answer}");
            assert_eq!(changed(&answer), ["missed"]);
        } else {
            assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
        }
        // nor does anything else that it asks for make it live
        assert_eq!(socket.call("ping", json!({})).await["ok"], true);
    }
    app.regain_storage().await;
    let body = json!({"body": "after", "client_id": "once"});
    let path = format!("/v1/conversations/{conversation}/messages");
    eventually("a send to work again", async || {
        let reply = ann.post(&path, body.clone()).await;
        (reply.status < 300).then_some(())
    })
    .await;

    let [mut again, mut idle] = sockets;
    assert_eq!(changed(&again.call("sync", ask).await), ["missed", "after"]);
    if told_at_once {
        idle.expect_event("message.created").await;
    } else {
        let resume = idle.expect_event("resume").await;
        assert_eq!(resume, json!({"event": "resume", "data": {}}));
        assert_eq!(idle.closed_with().await, 4500, "it has to come back");
    }
}

/// The bodies of the messages that a sync tells.
fn changed(answer: &Value) -> Vec<&str> {
    let changes = answer["data"]["changes"].as_array();
    let changes = changes.unwrap_or_else(|| panic!("no changes: {answer}"));
    changes
        .iter()
        .filter_map(|change| change["data"]["body"].as_str())
        .collect()
}
