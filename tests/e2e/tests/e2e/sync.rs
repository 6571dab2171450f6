//! Catching up over REST.

use std::collections::BTreeMap;

use connexus_e2e::{TestApp, User, nobody};
use serde_json::{Value, json};

use crate::common::{assert_keys, id, numbers, texts};

async fn sync(user: &User, known: &Value) -> Value {
    let answer = user
        .post("/v1/sync", json!({"conversations": known}))
        .await
        .expect(200);
    assert_keys(&answer, &["changes", "conversations", "reset", "complete"]);
    answer
}

fn changes(answer: &Value) -> Vec<Value> {
    answer["changes"].as_array().unwrap().clone()
}

fn of_type(answer: &Value, kind: &str) -> Vec<Value> {
    changes(answer)
        .into_iter()
        .filter(|change| change["type"] == kind)
        .collect()
}

#[tokio::test]
async fn what_the_client_does_not_know_comes_whole() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    assert_eq!(
        sync(&ann, &json!({})).await,
        json!({"changes": [], "conversations": {}, "reset": [], "complete": true})
    );
    let group = ann.group([&bob]).await;
    let sent = [bob.say(&group, "one").await, ann.say(&group, "two").await];
    let answer = sync(&ann, &json!({})).await;
    for change in changes(&answer) {
        assert_keys(&change, &["conversation_id", "rev", "type", "data"]);
        assert_eq!(change["conversation_id"], group.as_str());
    }
    let messages = of_type(&answer, "message");
    assert_eq!(
        messages
            .iter()
            .map(|change| change["data"].clone())
            .collect::<Vec<_>>(),
        sent
    );
    assert!(numbers(&changes(&answer), "rev").is_sorted());
    let conversation = of_type(&answer, "conversation");
    assert_eq!(conversation.len(), 1);
    assert_eq!(conversation[0]["data"], ann.conversation(&group).await);
    let rev = ann.conversation(&group).await["rev"].clone();
    assert_eq!(answer["conversations"], json!({ &group: rev }));
    assert_eq!(
        (&answer["reset"], &answer["complete"]),
        (&json!([]), &json!(true))
    );

    let again = sync(&ann, &answer["conversations"]).await;
    assert_eq!(
        (&again["changes"], &again["conversations"]),
        (&json!([]), &answer["conversations"])
    );
}

#[tokio::test]
async fn every_kind_of_change_comes_in_order() {
    let app = TestApp::shared().await;
    let [ann, bob, cleo] = app.users(["ann", "bob", "cleo"]).await;
    let group = ann.group([&bob]).await;
    let path = format!("/v1/conversations/{group}");
    let (edited, deleted) = (
        ann.say(&group, "to edit").await,
        ann.say(&group, "to delete").await,
    );
    let untouched = ann.say(&group, "untouched").await;
    let known = json!({ &group: untouched["rev"] });

    ann.patch(
        &format!("/v1/messages/{}", id(&edited)),
        json!({"body": "edited"}),
    )
    .await
    .expect(200);
    ann.delete(&format!("/v1/messages/{}", id(&deleted)))
        .await
        .expect(200);
    ann.patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    ann.post(&format!("{path}/members"), json!({"user_ids": [cleo.id]}))
        .await
        .expect(201);
    ann.patch(
        &format!("{path}/members/{}", cleo.id),
        json!({"role": "admin"}),
    )
    .await
    .expect(200);
    ann.say(&group, "new").await;
    bob.delete(&format!("{path}/members/{}", bob.id))
        .await
        .expect(204);

    let answer = sync(&ann, &known).await;
    let kinds = texts(&changes(&answer), "type");
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "conversation",
            "member",
            "message",
            "left"
        ]
    );
    let base = untouched["rev"].as_i64().unwrap();
    let revs: Vec<i64> = numbers(&changes(&answer), "rev")
        .iter()
        .map(|rev| rev - base)
        .collect();
    assert_eq!(revs, [1, 2, 3, 5, 6, 7], "the newest state of each, once");
    let data: Vec<Value> = changes(&answer)
        .iter()
        .map(|change| change["data"].clone())
        .collect();
    assert_eq!(
        (&data[0]["id"], &data[0]["body"]),
        (&edited["id"], &json!("edited"))
    );
    assert_eq!(
        (&data[1]["id"], &data[1]["body"]),
        (&deleted["id"], &Value::Null)
    );
    assert_eq!(data[2]["name"], "renamed");
    assert_eq!(
        (&data[3]["user"]["id"], &data[3]["role"]),
        (&json!(cleo.id), &json!("admin"))
    );
    assert_eq!(data[4]["body"], "new");
    assert_eq!(data[5]["user_id"], bob.id.as_str());
    assert_eq!(answer["conversations"][&group], base + 7);
}

#[tokio::test]
async fn a_long_absence_is_caught_up_in_parts() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (first, second) = (ann.group([&bob]).await, ann.group([&bob]).await);
    let mut known = sync(&bob, &json!({})).await["conversations"].clone();
    for n in 0..23 {
        ann.say(if n % 2 == 0 { &first } else { &second }, &format!("{n}"))
            .await;
    }
    let (mut seen, mut parts) = (BTreeMap::<String, Vec<i64>>::new(), 0);
    loop {
        let body = json!({"conversations": known, "limit": 5});
        let answer = bob.post("/v1/sync", body).await.expect(200);
        parts += 1;
        for change in changes(&answer) {
            let of = change["conversation_id"].as_str().unwrap().to_owned();
            seen.entry(of)
                .or_default()
                .push(change["data"]["seq"].as_i64().unwrap());
        }
        known = answer["conversations"].clone();
        if answer["complete"] == true {
            break;
        }
        assert!(!changes(&answer).is_empty(), "it goes forward");
    }
    assert!(parts >= 23 / 6, "{parts} parts");
    assert_eq!(seen[&first], (1..=12).collect::<Vec<i64>>());
    assert_eq!(seen[&second], (1..=11).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_rev_from_the_future_is_answered_with_a_fresh_start() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (group, other) = (ann.group([&bob]).await, ann.group([&bob]).await);
    ann.say(&group, "hello").await;
    let rev = ann.conversation(&group).await["rev"].as_i64().unwrap();
    let other_rev = ann.conversation(&other).await["rev"].clone();
    let known = json!({ &group: rev + 1_000, &other: other_rev });
    let answer = sync(&ann, &known).await;
    assert_eq!(answer["reset"], json!([group]));
    assert_eq!(
        texts(&changes(&answer), "conversation_id"),
        [group.clone(), group.clone()]
    );
    assert_eq!(
        answer["conversations"],
        json!({ &group: rev, &other: other_rev })
    );
    assert_eq!(of_type(&answer, "message")[0]["data"]["body"], "hello");
    assert_eq!(answer["complete"], true);
}

#[tokio::test]
async fn what_one_has_left_is_said_to_be_left() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let (left, deleted) = (ann.group([&bob]).await, ann.group([&bob]).await);
    let known = sync(&bob, &json!({})).await["conversations"].clone();
    bob.delete(&format!("/v1/conversations/{left}/members/{}", bob.id))
        .await
        .expect(204);
    ann.delete(&format!("/v1/conversations/{deleted}"))
        .await
        .expect(204);
    ann.say(&left, "without bob").await;

    let mut asked = known.clone();
    let foreign = nobody();
    asked[&foreign] = json!(7);
    let answer = sync(&bob, &asked).await;
    let mut gone = texts(&changes(&answer), "conversation_id");
    gone.sort();
    let mut expected = vec![left.clone(), deleted, foreign];
    expected.sort();
    assert_eq!(gone, expected);
    for change in changes(&answer) {
        assert_eq!(
            (&change["type"], &change["data"]["user_id"]),
            (&json!("left"), &json!(bob.id))
        );
    }
    assert_eq!(
        answer["conversations"],
        json!({}),
        "not to be asked about any more"
    );

    // who comes back gets it as it is now
    ann.post(
        &format!("/v1/conversations/{left}/members"),
        json!({"user_ids": [bob.id]}),
    )
    .await
    .expect(201);
    let back = sync(&bob, &json!({})).await;
    assert_eq!(of_type(&back, "message")[0]["data"]["body"], "without bob");
}

#[tokio::test]
async fn a_request_to_sync_keeps_its_rules() {
    let app = TestApp::shared().await;
    let ann = app.user("ann").await;
    ann.post("/v1/sync", json!({"conversations": {}, "limit": 0}))
        .await
        .refuses(&["limit"]);
    for wrong in [
        json!({"conversations": []}),
        json!({"conversations": {"x": 1}}),
        json!({"conversations": {nobody(): "1"}}),
    ] {
        ann.post("/v1/sync", wrong).await.problem(400);
    }
}

#[tokio::test]
async fn who_is_too_far_behind_starts_afresh() {
    let app = TestApp::with(&[
        ("CONNEXUS__SYNC__MAX_LAG", "10"),
        ("CONNEXUS__SYNC__SNAPSHOT_MESSAGES", "5"),
    ])
    .await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let rev = ann.conversation(&group).await["rev"].as_i64().unwrap();
    let mut sent = Vec::new();
    for n in 0..11 {
        sent.push(ann.say(&group, &format!("{n}")).await);
    }
    let near = sync(&bob, &json!({ &group: rev + 1 })).await;
    assert_eq!((&near["reset"], changes(&near).len()), (&json!([]), 10));
    let far = sync(&bob, &json!({ &group: rev })).await;
    assert_eq!(
        (&far["reset"], &far["complete"]),
        (&json!([group]), &json!(true))
    );
    let newest: Vec<Value> = of_type(&far, "message")
        .iter()
        .map(|change| change["data"].clone())
        .collect();
    assert_eq!(newest, sent[6..], "its newest messages");
    assert_eq!(of_type(&far, "conversation")[0]["data"]["last_seq"], 11);
    assert_eq!(far["conversations"], json!({ &group: rev + 11 }));
}
