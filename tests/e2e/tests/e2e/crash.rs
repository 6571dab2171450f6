//! A server that is killed in the middle of its work, and started again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use connexus_e2e::{TestApp, User, eventually, guarded};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{items, numbers, texts};

/// What was acknowledged, and what was sent without an answer: bodies, which are keys as well.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<Value>>,
    unanswered: Mutex<Vec<(usize, String)>>,
    count: AtomicUsize,
}

impl Ledger {
    fn note(&self, sender: usize, body: String, answer: Option<Value>) -> bool {
        if let Some(message) = answer {
            self.acknowledged.lock().unwrap().push(message);
            self.count.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.unanswered.lock().unwrap().push((sender, body));
        false
    }
}

async fn write_over_socket(sender: usize, user: &User, group: &str, ledger: &Ledger) {
    let mut socket = user.ws().await;
    for n in 0.. {
        let body = format!("ws-{sender}-{n}");
        let call = json!({"conversation_id": group, "body": body, "client_id": body});
        let answer = socket.try_call("message.send", call).await.map(|answer| {
            assert_eq!(answer["ok"], true, "{answer}");
            answer["data"].clone()
        });
        if !ledger.note(sender, body, answer) {
            return;
        }
    }
}

async fn write_over_rest(sender: usize, user: &User, group: &str, ledger: &Ledger) {
    let path = format!("/v1/conversations/{group}/messages");
    for n in 0.. {
        let body = format!("rest-{sender}-{n}");
        let request = user
            .request(Method::POST, &path)
            .json(&json!({"body": body, "client_id": body}));
        let answer = user
            .try_send(request)
            .await
            .ok()
            .map(|reply| reply.expect(201));
        if !ledger.note(sender, body, answer) {
            return;
        }
    }
}

/// The whole history, oldest first.
async fn everything(user: &User, group: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all
            .last()
            .map_or(0, |message| message["seq"].as_i64().unwrap());
        let path = format!("/v1/conversations/{group}/messages?after={after}&limit=100");
        let page = items(&user.get(&path).await.expect(200));
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn killed_under_load(rounds: usize, acknowledged_each: usize) {
    let app = TestApp::with(&[]).await;
    let users = app.crowd(10).await;
    let group = users[0].group(&users[1..]).await;
    let known = json!({ &group: users[9].conversation(&group).await["rev"] });
    let mut acknowledged: Vec<Value> = Vec::new();

    for round in 0..rounds {
        let ledger = Ledger::default();
        let writers = join_all(users.iter().enumerate().map(async |(n, user)| {
            let sender = round * 100 + n;
            if n < 6 {
                write_over_socket(sender, user, &group, &ledger).await;
            } else {
                write_over_rest(sender, user, &group, &ledger).await;
            }
        }));
        let killer = async {
            eventually("enough to be sent", async || {
                (ledger.count.load(Ordering::Relaxed) >= acknowledged_each).then_some(())
            })
            .await;
            app.kill();
        };
        guarded("all writers to notice", async {
            tokio::join!(writers, killer)
        })
        .await;
        app.restart().await;
        app.look_into_storage().await.check();
        acknowledged.extend(ledger.acknowledged.into_inner().unwrap());

        // who got no answer asks again, with the same key
        let path = format!("/v1/conversations/{group}/messages");
        for (sender, body) in ledger.unanswered.into_inner().unwrap() {
            let again = json!({"body": body, "client_id": body});
            let reply = users[sender % 100].post(&path, again).await;
            assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
            acknowledged.push(reply.body);
        }
    }

    let stored = everything(&users[3], &group).await;
    let last = i64::try_from(stored.len()).unwrap();
    assert_eq!(
        numbers(&stored, "seq"),
        (1..=last).collect::<Vec<i64>>(),
        "dense"
    );
    let by_body: BTreeMap<&str, &Value> = stored
        .iter()
        .map(|message| (message["body"].as_str().unwrap(), message))
        .collect();
    assert_eq!(by_body.len(), stored.len(), "each once");
    for message in &acknowledged {
        assert_eq!(
            Some(&message),
            by_body.get(message["body"].as_str().unwrap()),
            "what was acknowledged is there"
        );
    }
    assert_eq!(acknowledged.len(), stored.len(), "and nothing else");

    // who was away for all of it catches up to the same
    let answer = users[9]
        .post("/v1/sync", json!({"conversations": known}))
        .await
        .expect(200);
    assert_eq!(answer["complete"], true);
    let synced: Vec<Value> = answer["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["data"].clone())
        .collect();
    assert_eq!(synced, stored);
    assert!(texts(&synced, "created_at").is_sorted());
    let seen = users[9].conversation(&group).await;
    assert_eq!(
        (&seen["last_seq"], &seen["rev"]),
        (&json!(last), &answer["conversations"][&group])
    );
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    killed_under_load(1, 200).await;
}

#[tokio::test]
async fn and_another_kill() {
    killed_under_load(3, 60).await;
}
