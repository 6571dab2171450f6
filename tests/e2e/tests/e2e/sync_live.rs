//! Catching up over a socket while others keep writing.

use std::collections::BTreeMap;

use connexus_e2e::{Socket, TestApp, guarded};
use serde_json::{Value, json};

use crate::common::id;

/// What a client holds of one conversation: its messages by seq, and the newest rev it applied.
#[derive(Default)]
struct Replica {
    rev: i64,
    messages: BTreeMap<i64, Value>,
    revs: Vec<i64>,
}

impl Replica {
    /// Takes one change; a change must be newer than what is there.
    fn apply(&mut self, rev: i64, message: &Value) {
        assert!(
            rev > self.rev,
            "{rev} after {}: told twice or out of order",
            self.rev
        );
        self.rev = rev;
        self.revs.push(rev);
        self.messages
            .insert(message["seq"].as_i64().unwrap(), message.clone());
    }

    /// Catches up over `socket`, which is live from then on.
    async fn sync(&mut self, socket: &mut Socket, conversation: &str) {
        loop {
            let answer = socket
                .ok("sync", json!({"conversations": {conversation: self.rev}}))
                .await;
            assert_eq!(answer["reset"], json!([]));
            for change in answer["changes"].as_array().unwrap() {
                if change["conversation_id"] == conversation {
                    assert_eq!(change["type"], "message", "{change}");
                    self.apply(change["rev"].as_i64().unwrap(), &change["data"]);
                }
            }
            assert_eq!(answer["conversations"][conversation], self.rev);
            if answer["complete"] == true {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_resume_has_no_gap_and_no_repetition_while_others_write() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let mut replica = Replica {
        rev: ann.conversation(&group).await["rev"].as_i64().unwrap(),
        ..Replica::default()
    };
    let start = replica.rev;
    let mut writer = ann.ws().await;
    let total = 300;
    let writing = async {
        for n in 1..=total {
            let sent = writer
                .ok(
                    "message.send",
                    json!({"conversation_id": group, "body": format!("{n}")}),
                )
                .await;
            if n % 10 == 0 {
                let edit = json!({"message_id": id(&sent), "body": format!("{n}, edited")});
                writer.ok("message.edit", edit).await;
            }
        }
        let end = json!({"conversation_id": group, "body": "the end"});
        writer.ok("message.send", end).await["rev"]
            .as_i64()
            .unwrap()
    };
    let following = async {
        let mut connections = 0;
        loop {
            // each connection is given up after a few events, whatever is on its way then
            connections += 1;
            let mut socket = bob.fresh_ws().await;
            replica.sync(&mut socket, &group).await;
            for _ in 0..17 {
                if replica
                    .messages
                    .values()
                    .any(|message| message["body"] == "the end")
                {
                    return (replica, connections);
                }
                let event = loop {
                    let event = socket.next_event().await.value;
                    if event["conversation_id"] == group.as_str() && event.get("rev").is_some() {
                        break event;
                    }
                };
                let rev = event["rev"].as_i64().unwrap();
                if rev > replica.rev {
                    replica.apply(rev, &event["data"]);
                }
            }
        }
    };
    let (last, (replica, connections)) =
        guarded("both to finish", async { tokio::join!(writing, following) }).await;

    assert!(connections > 1, "there was something to resume");
    assert_eq!(replica.rev, last);
    let seqs: Vec<i64> = replica.messages.keys().copied().collect();
    assert_eq!(seqs, (1..=total + 1).collect::<Vec<i64>>());
    assert!(replica.revs.is_sorted());
    assert!(replica.revs[0] > start);
    for (seq, message) in &replica.messages {
        let expected = match seq {
            seq if *seq > total => "the end".to_owned(),
            seq if seq % 10 == 0 => format!("{seq}, edited"),
            seq => format!("{seq}"),
        };
        assert_eq!(message["body"], expected);
    }
}

#[tokio::test]
async fn after_a_sync_nothing_is_told_that_was_in_it() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    let mut writer = ann.ws().await;
    let writing = async {
        for n in 1..=200 {
            writer
                .ok(
                    "message.send",
                    json!({"conversation_id": group, "body": format!("{n}")}),
                )
                .await;
        }
    };
    let reading = async {
        let mut socket = bob.fresh_ws().await;
        let known = json!({ &group: 3 });
        // from the answer on, the socket is live: each change is in the answer or told after it, not both
        let id = socket.start("sync", json!({"conversations": known})).await;
        let answer = socket.answer(&id).await.value["data"].clone();
        socket.forget_events();
        assert_eq!(answer["complete"], true);
        let mut rev = answer["conversations"][&group].as_i64().unwrap();
        while rev < 3 + 200 {
            let event = socket.next_event().await.value;
            if event["event"] == "message.created" {
                let told = event["rev"].as_i64().unwrap();
                assert_eq!(told, rev + 1, "neither left out nor told twice");
                rev = told;
            }
        }
    };
    guarded("both to finish", async { tokio::join!(writing, reading) }).await;
}

#[tokio::test]
async fn a_socket_that_has_not_synced_is_live_from_the_start() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let direct = ann.direct(&bob).await;
    let mut bobs = bob.ws().await;
    for n in 1..=20 {
        ann.say(&direct, &format!("{n}")).await;
    }
    for n in 1..=20 {
        let event = bobs.expect_event("message.created").await;
        assert_eq!(
            (&event["data"]["seq"], &event["rev"]),
            (&json!(n), &json!(n + 3))
        );
    }
}

#[tokio::test]
async fn a_sync_over_a_socket_is_the_one_over_rest() {
    let app = TestApp::shared().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let group = ann.group([&bob]).await;
    ann.say(&group, "hello").await;
    let known = json!({ &group: 1 });
    let mut socket = ann.ws().await;
    let over_socket = socket.ok("sync", json!({"conversations": known})).await;
    let over_rest = ann
        .post("/v1/sync", json!({"conversations": known}))
        .await
        .expect(200);
    assert_eq!(over_socket, over_rest);
    assert_eq!(
        over_socket["changes"].as_array().unwrap().len(),
        3,
        "two members and a message"
    );
    socket
        .refused("sync", json!({"conversations": {"x": 1}}))
        .await;
    socket.ok("ping", json!({})).await;
}
