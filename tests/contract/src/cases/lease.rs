//! Leases: one holder at a time.

use std::time::Duration;

use connexus_domain::Timestamp;

use crate::World;
use crate::world::later;

const TTL: Duration = Duration::from_mins(1);
const TTL_MS: i64 = 60_000;

async fn acquire(w: &World, name: &str, holder: &str, now: Timestamp) -> bool {
    let leases = w.storage().leases();
    leases.acquire(name, holder, TTL, now).await.unwrap()
}

pub async fn a_lease_is_of_one_holder_until_it_ends(w: &World) {
    let start = w.now();
    assert!(acquire(w, "job", "a", start).await);
    assert!(!acquire(w, "job", "b", start).await);
    let other = w.another().await;
    let almost = later(start, TTL_MS - 1);
    let asked = other.leases().acquire("job", "b", TTL, almost).await;
    assert!(!asked.unwrap());
    let end = later(start, TTL_MS);
    let asked = other.leases().acquire("job", "b", TTL, end).await;
    assert!(asked.unwrap());
    assert!(!acquire(w, "job", "a", end).await, "the former holder");
}

pub async fn a_holder_renews(w: &World) {
    let start = w.now();
    for n in 0..3 {
        assert!(acquire(w, "job", "a", later(start, n * 50_000)).await);
    }
    let end = later(start, 100_000 + TTL_MS);
    assert!(!acquire(w, "job", "b", later(end, -1)).await);
    assert!(acquire(w, "job", "b", end).await);
    // a renewal after its end, when nobody else came, is one too
    assert!(acquire(w, "job", "b", later(end, 10 * TTL_MS)).await);
}

pub async fn leases_of_other_names_are_apart(w: &World) {
    let now = w.now();
    for (name, holder) in [("one", "a"), ("two", "b"), ("ONE", "c"), ("$one'", "d")] {
        assert!(acquire(w, name, holder, now).await, "{name}");
    }
    assert!(!acquire(w, "one", "A", now).await, "holders have a case");
}

pub async fn of_many_who_ask_at_once_one_gets_it(w: &World) {
    let instances = [w.storage().clone(), w.another().await];
    let start = w.now();
    // when nobody has it, and when it has ended
    for now in [start, later(start, TTL_MS)] {
        let tasks: Vec<_> = (0..12)
            .map(|n| {
                let storage = instances[n % 2].clone();
                tokio::spawn(async move {
                    let holder = format!("{now:?} {n}");
                    let leases = storage.leases();
                    leases.acquire("job", &holder, TTL, now).await.unwrap()
                })
            })
            .collect();
        let mut given = 0;
        for task in tasks {
            given += u32::from(task.await.unwrap());
        }
        assert_eq!(given, 1);
    }
}
