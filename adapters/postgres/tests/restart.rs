//! The server is stopped and started again while many write.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::private::{PrivateServer, Stop};
use connexus_contract::World;
use connexus_domain::message::AppendOutcome;
use connexus_domain::ports::Storage;
use connexus_domain::{Error, NewMessage, Seq};

const WRITERS: u32 = 4;
/// How many are acknowledged before the server stops, and after it is back.
const SOME: usize = 40;
const GUARD: Duration = Duration::from_mins(1);

/// Until more were acknowledged.
async fn some_more(acknowledged: &AtomicUsize) {
    let enough = acknowledged.load(Ordering::Relaxed) + SOME;
    let started = Instant::now();
    while acknowledged.load(Ordering::Relaxed) < enough {
        assert!(
            started.elapsed() < GUARD,
            "nothing is acknowledged any more"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_restarts() {
    let mut server = PrivateServer::start().await;
    let storage = Arc::new(common::open(&server.url("postgres")).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (storage, over, count) = (storage.clone(), over.clone(), count.clone());
        tasks.push(tokio::spawn(async move {
            let world = World::over(storage.clone(), writer + 1);
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                let new = world.keyed(id, a, &format!("{writer}-{n}"), "words");
                acknowledged.push((new.id, send(&*storage, new).await));
                count.fetch_add(1, Ordering::Relaxed);
                n += 1;
            }
            acknowledged
        }));
    }
    for how in [Stop::Fast, Stop::Immediate, Stop::Immediate] {
        some_more(&count).await;
        server.stop(how).await;
        let ping = storage.ping().await;
        assert!(matches!(ping, Err(Error::Unavailable { .. })), "{ping:?}");
        server.launch().await;
        // nobody has told the adapter
        some_more(&count).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut seqs = BTreeSet::new();
    for task in tasks {
        for (message, seq) in task.await.unwrap() {
            let stored = storage.messages().get(message).await.unwrap();
            assert_eq!(stored.map(|stored| stored.seq), Some(seq));
            assert!(seqs.insert(seq), "{seq} was given twice");
        }
    }
    let last = Seq::try_from(seqs.len()).unwrap();
    assert_eq!(seqs, (1..=last).collect(), "a number is missing");
    assert_eq!(world.conversation(id).await.last_seq, last);
    storage.close().await;
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
            Err(Error::Unavailable { .. }) if started.elapsed() < GUARD => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
