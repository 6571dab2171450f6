//! Paging through what was said, threads and replies.

use connexus_e2e::{TestApp, User};
use serde_json::{Value, json};

use crate::common::{id, items, numbers, texts};

async fn page(user: &User, group: &str, query: &str) -> (Vec<i64>, Value) {
    let page = user
        .get(&format!("/v1/conversations/{group}/messages?{query}"))
        .await
        .expect(200);
    (numbers(&items(&page), "seq"), page["next_cursor"].clone())
}

#[tokio::test]
async fn history_is_paged_by_seq_both_ways() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let mut socket = ann.ws().await;
    for n in 1..=25 {
        let sent = socket
            .ok(
                "message.send",
                json!({"conversation_id": group, "body": format!("number {n}")}),
            )
            .await;
        assert_eq!(sent["seq"], n);
    }
    assert_eq!(
        page(&bob, &group, "limit=10").await.0,
        (16..=25).rev().collect::<Vec<i64>>(),
        "newest first"
    );
    assert_eq!(
        page(&bob, &group, "before=16&limit=10").await.0,
        (6..=15).rev().collect::<Vec<i64>>()
    );
    assert_eq!(
        page(&bob, &group, "before=6&limit=10").await.0,
        (1..=5).rev().collect::<Vec<i64>>()
    );
    assert_eq!(page(&bob, &group, "before=1").await, (vec![], Value::Null));
    assert_eq!(
        page(&bob, &group, "after=0&limit=10").await.0,
        (1..=10).collect::<Vec<i64>>(),
        "oldest first"
    );
    assert_eq!(
        page(&bob, &group, "after=10&limit=10").await.0,
        (11..=20).collect::<Vec<i64>>()
    );
    assert_eq!(
        page(&bob, &group, "after=20&limit=10").await.0,
        (21..=25).collect::<Vec<i64>>()
    );
    assert_eq!(page(&bob, &group, "after=25").await, (vec![], Value::Null));
    let bodies = texts(&bob.history(&group).await, "body");
    assert_eq!(
        (bodies.len(), bodies[0].as_str(), bodies[24].as_str()),
        (25, "number 25", "number 1")
    );
    let path = format!("/v1/conversations/{group}/messages");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("before=x", "before"),
        ("after=x", "after"),
        ("after=99999999999999999999", "after"),
    ] {
        bob.get(&format!("{path}?{query}")).await.refuses(&[field]);
    }
    assert_eq!(
        page(&bob, &group, "before=9223372036854775807&limit=1")
            .await
            .0,
        [25]
    );
}

#[tokio::test]
async fn a_thread_gathers_its_messages() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}/messages");
    let root = ann.say(&group, "root").await;
    let reply = async |user: &User, body: &str| {
        user.post(&path, json!({"body": body, "thread_id": id(&root)}))
            .await
            .expect(201)
    };
    let mut anns = ann.ws().await;
    let first = reply(&bob, "first").await;
    assert_eq!(first["thread_id"], root["id"]);
    assert_eq!(anns.expect_event("message.created").await["data"], first);
    bob.say(&group, "besides").await;
    reply(&ann, "second").await;
    reply(&bob, "third").await;

    let root_now = async || {
        ann.get(&format!("/v1/messages/{}", id(&root)))
            .await
            .expect(200)
    };
    assert_eq!(root_now().await["reply_count"], 3);
    let thread = format!("/v1/messages/{}/thread", id(&root));
    let listed = items(&bob.get(&thread).await.expect(200));
    assert_eq!(
        texts(&listed, "body"),
        ["first", "second", "third"],
        "oldest first"
    );
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bob
            .get(&format!("{thread}?limit=2{cursor}"))
            .await
            .expect(200);
        found.extend(texts(&items(&page), "body"));
        match &page["next_cursor"] {
            Value::Null => break,
            Value::String(next) => cursor = format!("&cursor={next}"),
            other => panic!("no cursor: {other}"),
        }
    }
    assert_eq!(found, ["first", "second", "third"]);

    // a thread has no threads, and is in one conversation
    ann.post(&path, json!({"body": "x", "thread_id": id(&first)}))
        .await
        .refuses(&["thread_id"]);
    let elsewhere = id(&ann.say(&ann.direct(&bob).await, "elsewhere").await);
    ann.post(&path, json!({"body": "x", "thread_id": elsewhere}))
        .await
        .refuses(&["thread_id"]);

    bob.delete(&format!("/v1/messages/{}", id(&first)))
        .await
        .expect(200);
    let root_now = root_now().await;
    assert_eq!(root_now["reply_count"], 2, "of live messages");
    let tombstone = bob
        .get(&format!("/v1/messages/{}", id(&first)))
        .await
        .expect(200);
    assert_eq!(root_now["rev"], tombstone["rev"], "changed together");
}

#[tokio::test]
async fn a_reply_names_what_it_answers() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let question = ann.say(&group, "question?").await;
    let body = json!({"body": "answer!", "reply_to": id(&question)});
    let answer = bob
        .post(&format!("/v1/conversations/{group}/messages"), body)
        .await
        .expect(201);
    assert_eq!(answer["reply_to"], question["id"]);
    assert_eq!(answer["thread_id"], Value::Null);
    let asked = ann
        .get(&format!("/v1/messages/{}", id(&question)))
        .await
        .expect(200);
    assert_eq!(asked, question, "being answered changes nothing");
    let mut socket = ann.ws().await;
    let call = json!({"conversation_id": group, "body": "thanks", "reply_to": id(&answer)});
    assert_eq!(
        socket.ok("message.send", call).await["reply_to"],
        answer["id"]
    );
}

#[tokio::test]
async fn unread_messages_are_counted_up_to_a_cap() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let unread = async |user: &User| {
        let me = user.conversation(&group).await["me"].clone();
        (me["unread_count"].clone(), me["unread_capped"].clone())
    };
    let mut socket = ann.ws().await;
    let mut last = Value::Null;
    for n in 1..=99 {
        last = socket
            .ok(
                "message.send",
                json!({"conversation_id": group, "body": format!("{n}")}),
            )
            .await;
    }
    assert_eq!(unread(&bob).await, (json!(99), json!(false)));
    assert_eq!(
        unread(&ann).await,
        (json!(0), json!(false)),
        "one's own are read"
    );
    socket
        .ok("message.delete", json!({"message_id": id(&last)}))
        .await;
    assert_eq!(
        unread(&bob).await,
        (json!(98), json!(false)),
        "what is deleted is not unread"
    );
    for _ in 0..2 {
        socket
            .ok(
                "message.send",
                json!({"conversation_id": group, "body": "more"}),
            )
            .await;
    }
    assert_eq!(unread(&bob).await, (json!(99), json!(true)), "a hundred");
    // who says something has read everything before
    bob.say(&group, "oh").await;
    assert_eq!(unread(&bob).await, (json!(0), json!(false)));
    assert_eq!(unread(&ann).await, (json!(1), json!(false)));
    let list = items(&ann.get("/v1/conversations").await.expect(200));
    assert_eq!(list[0]["me"]["unread_count"], 1);
}
