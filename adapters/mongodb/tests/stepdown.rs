//! The primary goes while many write. Alone in its file, since the server is everybody's.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::doc;
use connexus_contract::World;
use connexus_domain::message::AppendOutcome;
use connexus_domain::ports::Storage;
use connexus_domain::{Error, NewMessage, Seq};
use mongodb::Client;
use mongodb::options::ClientOptions;

mod support;

use support::{Place, server};

const WRITERS: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_step_down() {
    let place = Place::new();
    let storage = place.open().await;
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let mut tasks = Vec::new();
    let over = Arc::new(AtomicBool::new(false));
    let id = world.group(a, &[b]).await;
    for writer in 0..WRITERS {
        let storage = storage.clone();
        let over = over.clone();
        tasks.push(tokio::spawn(async move {
            let world = World::over(storage.clone(), writer + 1);
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                let new = world.keyed(id, a, &format!("{writer}-{n}"), "words");
                acknowledged.push((new.id, send(&*storage, new).await));
                n += 1;
            }
            acknowledged
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    step_down().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    let mut seqs = BTreeSet::new();
    for task in tasks {
        for (message, seq) in task.await.unwrap() {
            let stored = storage.messages().get(message).await.unwrap();
            assert_eq!(stored.map(|stored| stored.seq), Some(seq));
            assert!(seqs.insert(seq), "{seq} was given twice");
        }
    }
    let count = Seq::try_from(seqs.len()).unwrap();
    assert!(count > 0);
    assert_eq!(seqs, (1..=count).collect(), "a number is missing");
    assert_eq!(world.conversation(id).await.last_seq, count);
}

/// As a client does: the same message, with the same key, until it is acknowledged.
async fn send(storage: &dyn Storage, new: NewMessage) -> Seq {
    let started = Instant::now();
    loop {
        let answers = storage.messages().append(std::slice::from_ref(&new)).await;
        match answers {
            Ok(mut answers) => {
                return match answers.remove(0).unwrap() {
                    AppendOutcome::Appended(numbers) => numbers.seq,
                    AppendOutcome::Duplicate(stored) => stored.seq,
                };
            }
            Err(Error::Unavailable { .. }) if started.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn step_down() {
    let mut options = ClientOptions::parse(server()).await.unwrap();
    options.direct_connection = Some(true);
    options.hosts.truncate(1);
    options.repl_set_name = None;
    let admin = Client::with_options(options).unwrap().database("admin");
    admin
        .run_command(doc! { "replSetStepDown": 1, "force": true })
        .await
        .unwrap();
    let hello = admin.run_command(doc! { "hello": 1 }).await.unwrap();
    assert!(!hello.get_bool("isWritablePrimary").unwrap(), "{hello}");
}
