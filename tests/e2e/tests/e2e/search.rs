//! Finding messages by their words.

use connexus_e2e::{TestApp, User, eventually, nobody};
use serde_json::Value;

use crate::common::{id, items, texts};

async fn page(user: &User, query: &str) -> Value {
    user.get(&format!("/v1/search/messages?{query}"))
        .await
        .expect(200)
}

/// The bodies of what is found, newest first.
async fn found(user: &User, query: &str) -> Vec<String> {
    texts(&items(&page(user, query).await), "body")
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn all_words_are_looked_for_and_the_last_may_be_unfinished() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    for body in [
        "Good morning, Straße!",
        "good night",
        "東京都に行きます",
        "ﬁle user.name@example.org",
        "50%_off",
    ] {
        ann.say(&direct, body).await;
    }
    assert_eq!(
        found(&bob, "q=good").await,
        ["good night", "Good morning, Straße!"],
        "newest first"
    );
    assert_eq!(found(&bob, "q=GOOD+mor").await, ["Good morning, Straße!"]);
    assert_eq!(
        found(&bob, "q=morning+good").await,
        ["Good morning, Straße!"],
        "in any order"
    );
    assert_eq!(
        found(&bob, "q=mor+good").await,
        NONE,
        "only the last word may be unfinished"
    );
    assert_eq!(found(&bob, "q=STRASSE").await, ["Good morning, Straße!"]);
    assert_eq!(
        found(&bob, "q=%E4%BA%AC%E9%83%BD").await,
        ["東京都に行きます"]
    );
    assert_eq!(found(&bob, "q=file").await, ["ﬁle user.name@example.org"]);
    assert_eq!(found(&bob, "q=name").await, ["ﬁle user.name@example.org"]);
    assert_eq!(found(&bob, "q=50").await, ["50%_off"]);
    assert_eq!(found(&bob, "q=ight").await, NONE, "not the end of a word");
    // the syntax of nobody's search engine
    for query in [
        "q=good+OR+night*",
        "q=%22good%22+NOT+night",
        "q=good%27%3B--+x",
        "q=body%3Agood",
        "q=NEAR%28good%29",
    ] {
        assert_eq!(found(&bob, query).await, NONE, "{query}");
    }
    for query in [
        "q=",
        "q=%20",
        "q=%21%3F",
        "",
        "q=x%00y%00&q=",
        &format!("q={}", "x".repeat(201)),
    ] {
        let reply = bob.get(&format!("/v1/search/messages?{query}")).await;
        assert_eq!(reply.status / 100, 4, "{query}: {}", reply.text);
    }
    bob.get("/v1/search/messages?q=%21%3F")
        .await
        .refuses(&["q"]);
}

#[tokio::test]
async fn only_ones_own_conversations_are_searched() {
    let app = TestApp::shared().await;
    let [ann, bob, stranger] = app.users(["ann", "bob", "stranger"]).await;
    let group = ann.group([&bob]).await;
    let direct = ann.direct(&bob).await;
    ann.say(&group, "needle of ann in the group").await;
    bob.say(&group, "needle of bob in the group").await;
    ann.say(&direct, "needle of ann, directly").await;

    assert_eq!(found(&stranger, "q=needle").await, NONE);
    assert_eq!(found(&bob, "q=needle").await.len(), 3);
    assert_eq!(
        found(&bob, &format!("q=needle&conversation_id={direct}")).await,
        ["needle of ann, directly"]
    );
    assert_eq!(
        found(&ann, &format!("q=needle&sender_id={}", bob.id)).await,
        ["needle of bob in the group"]
    );
    assert_eq!(
        found(&ann, &format!("q=needle&sender_id={}", nobody())).await,
        NONE
    );
    stranger
        .get(&format!(
            "/v1/search/messages?q=needle&conversation_id={group}"
        ))
        .await
        .problem_code(403, "not_member");
    bob.get(&format!(
        "/v1/search/messages?q=needle&conversation_id={}",
        nobody()
    ))
    .await
    .problem(404);

    bob.delete(&format!("/v1/conversations/{group}/members/{}", bob.id))
        .await
        .expect(204);
    assert_eq!(
        found(&bob, "q=needle").await,
        ["needle of ann, directly"],
        "not where one has left"
    );
    ann.delete(&format!("/v1/conversations/{group}"))
        .await
        .expect(204);
    assert_eq!(
        found(&ann, "q=needle").await,
        ["needle of ann, directly"],
        "not what is gone"
    );
}

#[tokio::test]
async fn what_is_found_follows_edits_and_deletions() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let message = format!("/v1/messages/{}", id(&ann.say(&direct, "alpha beta").await));
    let edited = ann
        .patch(&message, serde_json::json!({"body": "gamma beta"}))
        .await
        .expect(200);
    assert_eq!(found(&bob, "q=alpha").await, NONE);
    assert_eq!(items(&page(&bob, "q=gamma").await), [edited]);
    ann.delete(&message).await.expect(200);
    assert_eq!(found(&bob, "q=gamma").await, NONE);
}

#[tokio::test]
async fn results_are_paged_without_gap_or_repetition() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (first, second) = (ann.direct(&bob).await, ann.group([&bob]).await);
    for n in 0..7 {
        ann.say(
            if n % 2 == 0 { &first } else { &second },
            &format!("page {n}"),
        )
        .await;
    }
    let (mut bodies, mut sizes, mut before) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = page(&bob, &format!("q=page&limit=3{before}")).await;
        let items = items(&page);
        sizes.push(items.len());
        bodies.extend(texts(&items, "body"));
        match page["next_cursor"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(
        bodies,
        (0..7)
            .rev()
            .map(|n| format!("page {n}"))
            .collect::<Vec<_>>()
    );
    bob.get("/v1/search/messages?q=page&limit=0")
        .await
        .refuses(&["limit"]);
    bob.get("/v1/search/messages?q=page&before=nonsense")
        .await
        .refuses(&["before"]);
}

/// How many messages the index has taken in.
async fn indexed(app: &TestApp) -> u64 {
    let text = app.anonymous().get("/metrics").await.text;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("connexus_messages_indexed_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn what_is_indexed_is_found_as_what_is_not() {
    let app = TestApp::with(&[("CONNEXUS__SEARCH__INDEX_AFTER_MS", "0")]).await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let until = async |count| {
        eventually("messages to be indexed", async || {
            (indexed(&app).await >= count).then_some(())
        })
        .await;
    };
    let first = id(&ann.say(&direct, "alpha beta").await);
    ann.say(&direct, "alpha gamma").await;
    assert_eq!(found(&bob, "q=alp").await, ["alpha gamma", "alpha beta"]);
    until(2).await;
    assert_eq!(found(&bob, "q=alp").await, ["alpha gamma", "alpha beta"]);
    ann.say(&direct, "alpha delta").await;
    let message = format!("/v1/messages/{first}");
    ann.patch(&message, serde_json::json!({"body": "omega beta"}))
        .await
        .expect(200);
    let now = async || {
        assert_eq!(found(&bob, "q=alpha").await, ["alpha delta", "alpha gamma"]);
        assert_eq!(found(&bob, "q=omega").await, ["omega beta"]);
        assert_eq!(found(&bob, "q=alpha+beta").await, NONE);
    };
    now().await;
    until(4).await;
    now().await;
    ann.delete(&message).await.expect(200);
    assert_eq!(found(&bob, "q=beta").await, NONE);
    until(5).await;
    assert_eq!(found(&bob, "q=beta").await, NONE);
}
