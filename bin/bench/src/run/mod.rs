//! One measurement of talk: rooms in which some members send and all listen.

mod pace;
mod seat;
mod stopped;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::api::User;
use crate::check::{Arrivals, Faults, Order};
use crate::figures::{Figures, Memory, Times, times};
use crate::place::Place;
use crate::process;
use crate::progress::Progress;
use crate::protocol::Protocol;
use crate::users::nonce;

pub use pace::{Pace, Until};
use seat::Seat;

/// Sockets that are opened at the same time.
const OPENING: usize = 64;

/// What to do.
#[derive(Debug)]
pub struct Plan {
    pub protocol: Protocol,
    pub rooms: Vec<RoomPlan>,
    pub pace: Pace,
    /// Each message is announced by a typing start.
    pub typing: bool,
    /// Each receiver marks everything read after so many messages; never when 0.
    pub read_every: u64,
    /// Length of a message, in bytes.
    pub payload: usize,
    pub span: Span,
    pub server_pid: Option<u32>,
}

/// How long.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub warm_up: Duration,
    pub duration: Duration,
    /// How long nothing may come after the end before what is missing counts as lost.
    pub grace: Duration,
}

/// A room: the first of its members send.
#[derive(Debug)]
pub struct RoomPlan {
    pub conversation: String,
    pub members: Vec<User>,
    pub senders: usize,
    /// Members who stop reading as soon as everybody is connected; not among the others.
    pub stopped: Vec<User>,
}

/// What all connections of a run share.
struct Run {
    nonce: u64,
    protocol: Protocol,
    typing: bool,
    read_every: u64,
    payload: usize,
    /// When a sender may send another; `None` on a schedule.
    until: Option<Until>,
    begun: Instant,
    /// What is measured, in microseconds from the beginning.
    measured: std::ops::Range<u64>,
    rooms: Vec<Room>,
    /// Counters for some of the connections each, so that threads seldom meet.
    shards: Vec<Shard>,
    stop: AtomicBool,
}

struct Room {
    conversation: String,
    members: usize,
    told: Mutex<Told>,
    delivered: AtomicU64,
    senders: Vec<Sender>,
}

/// What was told in a room.
struct Told {
    order: Order,
    arrivals: Arrivals,
}

struct Sender {
    window: Semaphore,
    sent: AtomicU64,
    stored: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Shard {
    sends: AtomicU64,
    deliveries: AtomicU64,
    chatter: AtomicU64,
    times: Mutex<Option<Latencies>>,
}

struct Latencies {
    acknowledged: Times,
    delivered: Times,
}

/// A message to be written.
#[derive(Debug, Clone, Copy)]
struct Due {
    number: u64,
    /// In microseconds of the run.
    at: u64,
}

/// One for each connection; a connection ends when all of its are gone.
type Outbox = mpsc::UnboundedSender<Due>;

/// Carries a plan out.
pub async fn measure(place: &Place, plan: Plan) -> anyhow::Result<Figures> {
    let sockets = open(place, &plan).await?;
    let stopped = stopped::open(place, &plan).await?;
    // nobody sends before everybody listens
    let run = Arc::new(Run::new(&plan));
    let mut seats = JoinSet::new();
    let mut outboxes = Vec::with_capacity(sockets.len());
    let mut sockets = sockets.into_iter();
    for (room, planned) in plan.rooms.iter().enumerate() {
        for (member, socket) in sockets.by_ref().take(planned.members.len()).enumerate() {
            let (outbox, dues) = mpsc::unbounded_channel();
            let sender = (member < planned.senders).then_some(member);
            let seat = Seat::new(Arc::clone(&run), outboxes.len(), room, sender);
            outboxes.push((room, sender, outbox));
            seats.spawn(seat.attend(socket, dues));
        }
    }
    let senders: Vec<(usize, usize, Outbox)> = outboxes
        .iter()
        .filter_map(|(room, sender, outbox)| sender.map(|sender| (*room, sender, outbox.clone())))
        .collect();
    let drivers = pace::start(&run, plan.pace, senders);
    let watched = watch(&run, &plan).await;
    run.stop.store(true, Ordering::Relaxed);
    for sender in run.rooms.iter().flat_map(|room| &room.senders) {
        sender.window.close();
    }
    drivers.finish().await?;
    settle(&run, plan.span.grace).await;
    outboxes.clear();
    let mut ended = Vec::new();
    while let Some(seat) = seats.join_next().await {
        ended.push(seat.context("a connection's task failed")?);
    }
    let mut figures = run.conclude(&ended, plan.span.duration.as_secs_f64(), &watched);
    if !stopped.is_empty() {
        let back = stopped::come_back(place, stopped, plan.span.grace).await?;
        figures.faults.lost += back.missing;
        figures.faults.doubled += back.doubled;
        if back.missing + back.doubled > 0 {
            let reason = "of those who had stopped reading";
            figures.reason.get_or_insert(reason.to_owned());
        }
        figures.stopped = Some(back);
    }
    Ok(figures)
}

async fn open(place: &Place, plan: &Plan) -> anyhow::Result<Vec<crate::place::Socket>> {
    let tokens: Vec<(usize, &str)> = plan
        .rooms
        .iter()
        .flat_map(|room| &room.members)
        .map(|user| user.token.as_str())
        .enumerate()
        .collect();
    let all = tokens.len();
    let progress = Progress::new("connections");
    let sockets: Vec<_> = stream::iter(tokens)
        .map(|(nth, token)| place.open(plan.protocol, token, nth))
        .buffered(OPENING)
        .inspect(|_| progress.step(all))
        .try_collect()
        .await?;
    progress.done(&format!("{all} open"));
    Ok(sockets)
}

/// What was seen of the server's process.
#[derive(Default)]
struct Watched {
    /// At the beginning and at the end of the time that is measured.
    usage: Option<(process::Usage, process::Usage)>,
    memory: Option<Memory>,
}

/// Waits for the time that is measured to pass; answers what the server used in it.
async fn watch(run: &Run, plan: &Plan) -> Watched {
    const TICK: Duration = Duration::from_millis(200);
    let usage = || plan.server_pid.and_then(process::usage);
    let span = plan.span;
    let (begin, end) = (
        run.begun + span.warm_up,
        run.begun + span.warm_up + span.duration,
    );
    let progress = Progress::new("measuring");
    let mut before = None;
    let mut memory: Option<Memory> = None;
    let mut last = (Instant::now(), run.totals());
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        let used = usage();
        if let Some(resident) = used.map(|used| used.resident_kib) {
            let memory = memory.get_or_insert(Memory {
                before: resident,
                most: resident,
            });
            memory.most = memory.most.max(resident);
        }
        if now >= begin && before.is_none() {
            before = used;
        }
        progress.tell(|| {
            let totals = run.totals();
            let seconds = last.0.elapsed().as_secs_f64();
            let rate = |now: u64, then: u64| crate::figures::rate(now - then, seconds);
            let line = format!(
                "{:.0} of {:.0} s · {:.0} sends/s · {:.0} deliveries/s",
                run.begun.elapsed().as_secs_f64(),
                (span.warm_up + span.duration).as_secs_f64(),
                rate(totals.stored, last.1.stored),
                rate(totals.delivered, last.1.delivered),
            );
            last = (Instant::now(), totals);
            line
        });
        let next = if now < begin { begin.min(end) } else { end };
        tokio::time::sleep_until(next.min(now + TICK).into()).await;
    }
    let after = usage();
    progress.done("measured");
    if let (Some(memory), Some(after)) = (&mut memory, after) {
        memory.most = memory.most.max(after.resident_kib);
    }
    Watched {
        usage: before.zip(after),
        memory,
    }
}

/// Waits until everything was answered and has arrived, or nothing has come for a while.
async fn settle(run: &Run, grace: Duration) {
    let progress = Progress::new("waiting for the rest");
    let mut last = run.totals();
    let mut moved = Instant::now();
    loop {
        let now = run.totals();
        if now.stored + now.refused >= now.sent && now.delivered >= now.expected {
            return progress.done("everything has arrived");
        }
        if now != last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() >= grace {
            return progress.done("nothing comes any more");
        }
        progress.tell(|| format!("{} of {} deliveries", now.delivered, now.expected));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Totals {
    sent: u64,
    stored: u64,
    refused: u64,
    delivered: u64,
    expected: u64,
}

impl Run {
    fn new(plan: &Plan) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let span = plan.span;
        Self {
            nonce: nonce(),
            protocol: plan.protocol,
            typing: plan.typing,
            read_every: plan.read_every,
            payload: plan.payload.min(plan.protocol.text_max()),
            until: match plan.pace {
                Pace::Closed { until, .. } => Some(until),
                Pace::Open { .. } => None,
            },
            begun: Instant::now(),
            measured: micros(span.warm_up)..micros(span.warm_up + span.duration),
            rooms: plan.rooms.iter().map(Room::new).collect(),
            shards: (0..16).map(|_| Shard::default()).collect(),
            stop: AtomicBool::new(false),
        }
    }

    /// Microseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for room in &self.rooms {
            let sum = |count: fn(&Sender) -> &AtomicU64| -> u64 {
                let counts = room.senders.iter().map(count);
                counts.map(|count| count.load(Ordering::Relaxed)).sum()
            };
            let stored = sum(|sender| &sender.stored);
            totals.sent += sum(|sender| &sender.sent);
            totals.stored += stored;
            totals.refused += sum(|sender| &sender.refused);
            totals.delivered += room.delivered.load(Ordering::Relaxed);
            totals.expected += stored * (room.members as u64).saturating_sub(1);
        }
        totals
    }

    fn conclude(&self, seats: &[seat::Ended], seconds: f64, watched: &Watched) -> Figures {
        let mut faults = Faults::default();
        for seat in seats {
            faults += seat.faults;
        }
        let totals = self.totals();
        faults.refused += totals.refused;
        faults.unanswered = totals.sent.saturating_sub(totals.stored + totals.refused);
        let (mut acknowledged, mut delivered) = (times(), times());
        let mut sums = [0; 3];
        for shard in &self.shards {
            for (sum, count) in
                sums.iter_mut()
                    .zip([&shard.sends, &shard.deliveries, &shard.chatter])
            {
                *sum += count.load(Ordering::Relaxed);
            }
            if let Some(latencies) = &*lock(&shard.times) {
                // of one kind, and growing by themselves: nothing can go wrong
                let _ = acknowledged.add(&latencies.acknowledged);
                let _ = delivered.add(&latencies.delivered);
            }
        }
        Figures {
            sends: sums[0],
            deliveries: sums[1],
            chatter: sums[2],
            seconds,
            acknowledged,
            delivered,
            faults,
            reason: seats.iter().find_map(|seat| seat.reason.clone()),
            stored: totals.stored,
            server: watched.usage,
            memory: watched.memory,
            stopped: None,
        }
    }
}

impl Room {
    fn new(plan: &RoomPlan) -> Self {
        let members = plan.members.len();
        let sender = || Sender {
            window: Semaphore::new(0),
            sent: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self {
            conversation: plan.conversation.clone(),
            members,
            told: Mutex::new(Told {
                order: Order::new(),
                arrivals: Arrivals::new(plan.senders, members.saturating_sub(1)),
            }),
            delivered: AtomicU64::new(0),
            senders: (0..plan.senders).map(|_| sender()).collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
