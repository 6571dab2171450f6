//! When messages are sent: as soon as earlier ones are done, or on a schedule whatever the server does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::task::JoinSet;

use super::{Due, Outbox, Room, Run};

/// When the next message is sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many are under way, over all senders.
    Closed { in_flight: usize, until: Until },
    /// So many a second, over all senders, each at its time.
    Open { rate: f64 },
}

/// When a message is no longer under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The server has acknowledged it. Senders wait for receivers that are far behind.
    Acknowledged,
    /// Everybody in the room has it.
    Delivered,
}

/// Whatever makes senders send.
pub(super) struct Drivers {
    tasks: JoinSet<()>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start(
    run: &Arc<Run>,
    pace: Pace,
    mut senders: Vec<(usize, usize, Outbox)>,
) -> Drivers {
    let mut tasks = JoinSet::new();
    let mut thread = None;
    // neighbours in time are in different rooms
    senders.sort_by_key(|(room, sender, _)| (*sender, *room));
    match pace {
        Pace::Closed { in_flight, until } => {
            let all = senders.len().max(1);
            for (nth, (room, sender, outbox)) in senders.into_iter().enumerate() {
                let share = in_flight / all + usize::from(nth < in_flight % all);
                let run = Arc::clone(run);
                tasks.spawn(closed(run, room, sender, outbox, share, until));
            }
        }
        // a thread, since its sleep is more exact than the runtime's
        Pace::Open { rate } => {
            let run = Arc::clone(run);
            thread = Some(std::thread::spawn(move || open(&run, rate, &senders)));
        }
    }
    Drivers { tasks, thread }
}

impl Drivers {
    /// Waits for the end, which comes soon once the run is over.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a sender's task failed")?;
        }
        if let Some(thread) = self.thread {
            let ended = tokio::task::spawn_blocking(|| thread.join()).await?;
            anyhow::ensure!(ended.is_ok(), "the thread that keeps the pace failed");
        }
        Ok(())
    }
}

async fn closed(
    run: Arc<Run>,
    room: usize,
    sender: usize,
    outbox: Outbox,
    share: usize,
    until: Until,
) {
    let room = &run.rooms[room];
    let sender = &room.senders[sender];
    let ahead = (2 * share as u64).max(16) * room.senders.len() as u64;
    sender.window.add_permits(share);
    while let Ok(permit) = sender.window.acquire().await {
        permit.forget();
        if until == Until::Acknowledged {
            room.wait_for_readers(&run, ahead).await;
        }
        if run.is_over() || !send(sender, &outbox, run.now()) {
            return;
        }
    }
}

fn open(run: &Run, rate: f64, senders: &[(usize, usize, Outbox)]) {
    const NAP: Duration = Duration::from_millis(50);
    for (nth, (room, sender, outbox)) in (0_u32..).zip(senders.iter().cycle()) {
        let due = Duration::from_secs_f64(f64::from(nth) / rate);
        loop {
            if run.is_over() {
                return;
            }
            let left = due.saturating_sub(run.begun.elapsed());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(NAP));
        }
        let at = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
        send(&run.rooms[*room].senders[*sender], outbox, at);
    }
}

/// Whether there is still a connection to send it.
fn send(sender: &super::Sender, outbox: &Outbox, at: u64) -> bool {
    let number = sender.sent.load(Ordering::Relaxed);
    // one driver for each sender: nobody else counts
    sender.sent.store(number + 1, Ordering::Relaxed);
    let there = outbox.send(Due { number, at }).is_ok();
    if !there {
        sender.sent.store(number, Ordering::Relaxed);
    }
    there
}

impl Room {
    /// Waits until all receivers together are at most `ahead` messages behind, or faster senders would
    /// measure how soon the server cuts slow readers off.
    async fn wait_for_readers(&self, run: &Run, ahead: u64) {
        let receivers = (self.members as u64).saturating_sub(1);
        loop {
            let stored: u64 = self
                .senders
                .iter()
                .map(|sender| sender.stored.load(Ordering::Relaxed))
                .sum();
            let behind =
                (stored * receivers).saturating_sub(self.delivered.load(Ordering::Relaxed));
            if behind <= ahead * receivers || run.is_over() {
                return;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
}
