//! A client that does not read costs the others nothing, and loses nothing itself.

use std::collections::BTreeMap;

use connexus_e2e::{GUARD, Socket, TestApp, User, guarded_for, unique};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::id;

const MESSAGES: i64 = 400;

async fn reads_everything(socket: &mut Socket) {
    for seq in 1..=MESSAGES {
        let event = socket.expect_event("message.created").await;
        assert_eq!(event["data"]["seq"], seq);
    }
}

#[tokio::test]
async fn a_slow_reader_is_let_go_and_resumes() {
    let app = TestApp::with(&[]).await;
    let users = app.crowd(6).await;
    let (writer, slow, others) = (&users[0], &users[1], &users[2..]);
    let slug = unique("big");
    let room = id(&writer
        .post("/v1/conversations", json!({"kind": "room", "slug": slug}))
        .await
        .expect(201));
    for user in &users[1..] {
        user.post(&format!("/v1/rooms/{slug}/join"), json!({}))
            .await
            .expect(200);
    }
    let start = slow.conversation(&room).await["rev"].as_i64().unwrap();
    let not_reading = Socket::with_small_buffer(&app.address(), &slow.access_token).await;
    let mut readers = join_all(others.iter().map(User::ws)).await;
    let mut writing = writer.ws().await;

    let words = "東".repeat(7_900);
    let write = async {
        for n in 1..=MESSAGES {
            let call = json!({"conversation_id": room, "body": format!("{n} {words}")});
            assert_eq!(writing.ok("message.send", call).await["seq"], n);
        }
    };
    let read = join_all(readers.iter_mut().map(reads_everything));
    // it is ten megabytes for each of them, in a build without optimization
    guarded_for(3 * GUARD, "everybody else to get everything", async {
        tokio::join!(write, read)
    })
    .await;

    // what it was told before it was let go, without a gap
    let (events, code) = not_reading
        .into_rest_until(|event| event["data"]["seq"] == MESSAGES)
        .await;
    assert!(matches!(code, None | Some(4500)), "{code:?}");
    let mut messages: BTreeMap<i64, Value> = BTreeMap::new();
    let mut rev = start;
    for event in events {
        if event.value["event"] == "message.created" {
            rev += 1;
            assert_eq!(event.value["rev"], rev, "no gap, also on the way out");
            messages.insert(
                event.value["data"]["seq"].as_i64().unwrap(),
                event.value["data"].clone(),
            );
        }
    }
    let told = messages.len();

    let mut again = slow.fresh_ws().await;
    let mut known = json!({ &room: rev });
    loop {
        let answer = again.ok("sync", json!({"conversations": known})).await;
        assert_eq!(answer["reset"], json!([]));
        for change in answer["changes"].as_array().unwrap() {
            let message = &change["data"];
            let first = messages
                .insert(message["seq"].as_i64().unwrap(), message.clone())
                .is_none();
            assert!(first, "told before: {}", message["seq"]);
        }
        known = answer["conversations"].clone();
        if answer["complete"] == true {
            break;
        }
    }
    let seqs: Vec<i64> = messages.keys().copied().collect();
    assert_eq!(
        seqs,
        (1..=MESSAGES).collect::<Vec<i64>>(),
        "{told} came before the resume"
    );
}
