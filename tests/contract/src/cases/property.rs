//! Random sequences of operations.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::World;
use crate::model;

/// Sets another seed than the usual one.
const SEED: &str = "CONNEXUS_CONTRACT_SEED";

/// The same for everybody, so that a failure is one for everybody.
fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{SEED} must be a number")),
        Err(_) => 20_240_101,
    }
}

pub async fn any_sequence_goes_as_the_model_says(w: &World) {
    let seed = seed();
    let (storage, handle) = (w.storage().clone(), Handle::current());
    let run = move || {
        let mut runner = TestRunner::new(Config {
            cases: 16,
            max_shrink_iters: 256,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        });
        let part = AtomicU32::new(1);
        runner.run(&model::operations(60), |ops| {
            let part = part.fetch_add(1, Ordering::Relaxed);
            let run = model::check(storage.clone(), part, &ops);
            handle.block_on(run).map_err(TestCaseError::fail)
        })
    };
    // a runner is not async: it has a thread of its own
    let result = spawn_blocking(run).await.unwrap();
    if let Err(wrong) = result {
        panic!("{SEED}={seed}: {wrong}");
    }
}

pub async fn one_sequence_looks_alike_on_two_storages(w: &World) {
    let other = w.sibling().await;
    let (a, b) = (w.storage().clone(), other.storage().clone());
    model::compare(a, b, seed(), 80).await;
}
