//! One group in which a few members send as fast as they are acknowledged, and all listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::client::{self, Reader, User, Writer};

/// What to do.
#[derive(Clone, Copy)]
pub struct Load {
    pub members: usize,
    pub in_flight: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    pub payload: usize,
}

/// What came of it.
pub struct Figures {
    pub sends: u64,
    pub deliveries: u64,
    pub seconds: f64,
    /// Sending to acknowledged, in microseconds.
    pub acknowledged: Histogram<u64>,
    /// Deliveries that never came, came twice, or came out of order.
    pub lost: u64,
    pub doubled: u64,
    pub disordered: u64,
}

/// More senders than this do not add load: each keeps several messages under way.
const SENDERS_MAX: usize = 8;

pub async fn measure(url: &str, load: &Load) -> anyhow::Result<Figures> {
    let users = users(url, load.members).await?;
    let http = reqwest::Client::new();
    let room = client::create_group(&http, url, &users).await?;
    let senders = load.members.min(load.in_flight).min(SENDERS_MAX);
    let run = Arc::new(Run::default());
    let mut tasks = JoinSet::new();
    // nobody sends before everybody listens
    let mut sockets = Vec::with_capacity(users.len());
    for user in &users {
        sockets.push(client::connect(url, user).await?);
    }
    for (index, (writer, reader)) in sockets.into_iter().enumerate() {
        if index < senders {
            let share = load.in_flight / senders + usize::from(index < load.in_flight % senders);
            let run = Arc::clone(&run);
            tasks.spawn(sender(writer, reader, run, room.clone(), share, *load));
        } else {
            tasks.spawn(listener(writer, reader, Arc::clone(&run)));
        }
    }
    tokio::time::sleep(load.warm_up).await;
    let before = run.counts();
    let start = Instant::now();
    tokio::time::sleep(load.duration).await;
    let after = run.counts();
    let seconds = start.elapsed().as_secs_f64();
    run.stop.store(true, Ordering::Relaxed);
    settle(&run, load.members).await;
    run.done.store(true, Ordering::Relaxed);
    run.wake.add_permits(Semaphore::MAX_PERMITS / 2);
    let mut acknowledged = Histogram::new(3)?;
    let mut seen = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.context("a client ended early")??;
        acknowledged.add(ended.acknowledged)?;
        seen.push(ended.order);
    }
    let sent = run.sends.load(Ordering::Relaxed);
    Ok(Figures {
        sends: after.0 - before.0,
        deliveries: after.1 - before.1,
        seconds,
        acknowledged,
        lost: seen
            .iter()
            .map(|order| sent.saturating_sub(order.distinct))
            .sum(),
        doubled: seen.iter().map(|order| order.doubled).sum(),
        disordered: seen.iter().map(|order| order.disordered).sum(),
    })
}

#[derive(Default)]
struct Run {
    sends: AtomicU64,
    deliveries: AtomicU64,
    stop: AtomicBool,
    done: AtomicBool,
    wake: Arc<SemaphoreAtZero>,
}

/// A semaphore that starts without permits: rings when all is over.
struct SemaphoreAtZero(Semaphore);

impl Default for SemaphoreAtZero {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl std::ops::Deref for SemaphoreAtZero {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

impl Run {
    /// Waits until all readers together are at most `ahead` messages behind, or faster senders would
    /// measure how soon the server cuts slow readers off.
    async fn wait_for_readers(&self, readers: u64, ahead: u64) {
        loop {
            let (sends, deliveries) = self.counts();
            let behind = (sends * readers).saturating_sub(deliveries);
            if behind <= ahead * readers || self.stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    fn counts(&self) -> (u64, u64) {
        (
            self.sends.load(Ordering::Relaxed),
            self.deliveries.load(Ordering::Relaxed),
        )
    }
}

/// Waits until everything has arrived, or nothing has for a while.
async fn settle(run: &Run, members: usize) {
    let mut last = (0, 0);
    let mut quiet = 0;
    while quiet < 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = run.counts();
        let all = now.0 * (members as u64 - 1);
        if now == last && now.1 >= all {
            quiet += 10;
        }
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}

/// The order in which one member saw the messages, its own included.
#[derive(Default)]
struct Order {
    highest: u64,
    distinct: u64,
    doubled: u64,
    disordered: u64,
    /// Own messages come as acknowledgements, which may be a little ahead of or behind the events.
    ahead: std::collections::BTreeSet<u64>,
}

impl Order {
    fn event(&mut self, seq: u64) {
        if seq <= self.highest {
            self.disordered += 1;
        }
        self.highest = self.highest.max(seq);
        self.see(seq);
    }

    fn see(&mut self, seq: u64) {
        // dense from 1: what follows on the distinct ones needs no memory
        if seq <= self.distinct && !self.ahead.contains(&seq) {
            self.doubled += 1;
            return;
        }
        if !self.ahead.insert(seq) {
            self.doubled += 1;
            return;
        }
        while self.ahead.remove(&(self.distinct + 1)) {
            self.distinct += 1;
        }
    }
}

struct Ended {
    acknowledged: Histogram<u64>,
    order: Order,
}

async fn listener(_writer: Writer, mut reader: Reader, run: Arc<Run>) -> anyhow::Result<Ended> {
    let mut order = Order::default();
    loop {
        let frame = tokio::select! {
            frame = reader.next() => frame?,
            _ = run.wake.acquire() => break,
        };
        if let Some(seq) = delivered(&frame) {
            run.deliveries.fetch_add(1, Ordering::Relaxed);
            order.event(seq);
        }
    }
    Ok(Ended {
        acknowledged: Histogram::new(3)?,
        order,
    })
}

async fn sender(
    mut writer: Writer,
    mut reader: Reader,
    run: Arc<Run>,
    room: String,
    in_flight: usize,
    load: Load,
) -> anyhow::Result<Ended> {
    let window = Arc::new(Semaphore::new(in_flight));
    let (sent, mut times) = mpsc::unbounded_channel::<Instant>();
    let readers = load.members as u64 - 1;
    let ahead = (2 * load.in_flight as u64).max(16);
    let payload = load.payload;
    let writing = {
        let (run, window) = (Arc::clone(&run), Arc::clone(&window));
        let body = "x".repeat(payload);
        tokio::spawn(async move {
            let mut number = 0_u64;
            while !run.stop.load(Ordering::Relaxed) {
                let Ok(permit) = window.acquire().await else {
                    break;
                };
                permit.forget();
                run.wait_for_readers(readers, ahead).await;
                number += 1;
                let frame = format!(
                    r#"{{"id":"{number}","op":"message.send","conversation_id":"{room}","body":"{body}","client_id":"{number}"}}"#
                );
                if sent.send(Instant::now()).is_err() {
                    break;
                }
                writer.send(frame).await?;
            }
            anyhow::Ok(writer)
        })
    };
    let mut acknowledged = Histogram::new(3)?;
    let mut order = Order::default();
    loop {
        let frame = tokio::select! {
            frame = reader.next() => frame?,
            _ = run.wake.acquire() => break,
        };
        if let Some(seq) = delivered(&frame) {
            run.deliveries.fetch_add(1, Ordering::Relaxed);
            order.event(seq);
        } else if frame.contains(r#""ok":true"#) {
            let seq =
                number_after(&frame, r#""seq":"#).with_context(|| format!("no seq in {frame}"))?;
            order.see(seq);
            run.sends.fetch_add(1, Ordering::Relaxed);
            // answers of one conversation come in the order of its sends
            if let Some(start) = times.recv().await {
                acknowledged
                    .record(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))?;
            }
            window.add_permits(1);
        } else if frame.contains(r#""ok":false"#) {
            bail!("a send was refused: {frame}");
        }
    }
    window.close();
    writing.await.context("the writer ended early")??;
    Ok(Ended {
        acknowledged,
        order,
    })
}

/// The seq of a message event.
fn delivered(frame: &str) -> Option<u64> {
    frame
        .starts_with(r#"{"event":"message.created""#)
        .then(|| number_after(frame, r#""seq":"#))
        .flatten()
}

fn number_after(frame: &str, key: &str) -> Option<u64> {
    let rest = &frame[frame.find(key)? + key.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

async fn users(url: &str, count: usize) -> anyhow::Result<Vec<User>> {
    let http = reqwest::Client::new();
    let stamp = Instant::now();
    let run = format!(
        "{:x}{:x}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let mut users = Vec::with_capacity(count);
    for chunk in (0..count).collect::<Vec<_>>().chunks(16) {
        let names: Vec<String> = chunk.iter().map(|n| format!("b{run}-{n}")).collect();
        let made = futures_util::future::try_join_all(
            names.iter().map(|name| client::register(&http, url, name)),
        );
        users.extend(made.await?);
    }
    eprintln!(
        "  registered {count} users in {:.1} s",
        stamp.elapsed().as_secs_f64()
    );
    Ok(users)
}

static NEXT: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_what_was_seen() {
        let mut order = Order::default();
        for seq in [1, 2, 4] {
            order.event(seq);
        }
        order.see(3);
        assert_eq!((order.distinct, order.doubled, order.disordered), (4, 0, 0));
        order.event(4);
        assert_eq!((order.distinct, order.doubled, order.disordered), (4, 1, 1));
        order.event(7);
        assert_eq!(order.distinct, 4, "5 and 6 are missing");
    }

    #[test]
    fn numbers_are_found() {
        let frame = r#"{"event":"message.created","conversation_id":"c","rev":9,"data":{"id":"m","seq":12,"rev":9}}"#;
        assert_eq!(delivered(frame), Some(12));
        assert_eq!(delivered(r#"{"id":"1","ok":true}"#), None);
    }
}
