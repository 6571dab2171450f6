//! The database goes away while the server runs, and comes back: nobody has to do anything about it.

use connexus_e2e::{TestApp, eventually};
use serde_json::json;

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
