//! Writing a row at a time, each acknowledged as durable before the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub warm_up: Duration,
    pub duration: Duration,
}

/// A new, empty database, which Connexus and the plain loop share.
#[async_trait]
pub trait Plain {
    /// Program and version.
    fn name(&self) -> &str;

    /// For `storage.url`.
    fn url(&self) -> String;

    /// With how many clients as many rows are written at once: fewer when the database has no room for them.
    async fn clients(&self, in_flight: usize) -> anyhow::Result<usize>;

    /// Rows per second.
    async fn insert(&self, clients: usize, payload: usize, span: Span) -> anyhow::Result<f64>;

    /// Removes the database.
    async fn remove(&self) -> anyhow::Result<()>;
}

/// Does `one` again and again in `clients` tasks; answers how often a second.
pub async fn repeat<F, D>(clients: usize, span: Span, one: F) -> anyhow::Result<f64>
where
    F: Fn() -> D,
    D: Future<Output = anyhow::Result<()>> + Send + 'static,
    F: Clone + Send + 'static,
{
    let count = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (one, count, stop) = (one.clone(), Arc::clone(&count), Arc::clone(&stop));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                one().await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(span.warm_up).await;
    let before = count.load(Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(span.duration).await;
    let done = count.load(Ordering::Relaxed) - before;
    let seconds = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.context("a client ended early")??;
    }
    Ok(crate::figures::rate(done, seconds))
}
