//! The delivery hub: takes an event and hands it to every connection of its audience.
//!
//! Connections belong to worker threads. The hub hands an event to each worker once; the worker fans it
//! out to its own connections without locks. Nothing here ever waits for a connection.

mod delivery;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use connexus_domain::{ConnectionId, SessionId, UserId};
use tokio::sync::mpsc;

pub use delivery::{Audience, Delivery, Exclusion, WireFormat};
pub use worker::{GuestRegistration, Handed, Outlet, Registration, Worker};

use crate::presence::Registry;
use crate::receipts::Pending;
use crate::settings::DeliverySettings;

/// One open socket of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Names the socket.
    pub id: ConnectionId,
    /// Whose it is.
    pub user_id: UserId,
    /// Of which session.
    pub session_id: SessionId,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The session was ended.
    SessionRevoked,
    /// Something was lost on the way: reconnect and sync.
    Resume,
    /// The server goes away: come back in a moment.
    Restart,
}

/// How much a connection wants to know about each event, beside the event itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    Bare,
    /// Who and where: [`Scene`](crate::scene::Scene).
    Scene,
    /// Also which messages a receipt is about.
    Messages,
}

enum Command {
    Deliver(Arc<[Arc<Delivery>]>),
    CloseSessions(Arc<[SessionId]>, UserId),
    CloseAll(CloseReason),
}

impl Command {
    /// What it counts in a worker's queue.
    fn size(&self) -> usize {
        match self {
            Self::Deliver(deliveries) => deliveries.len(),
            Self::CloseSessions(..) | Self::CloseAll(_) => 1,
        }
    }
}

struct WorkerHandle {
    commands: mpsc::UnboundedSender<Command>,
    waiting: Arc<AtomicUsize>,
    overflowed: Arc<AtomicBool>,
}

/// Hands events to the connections of all worker threads.
pub struct Hub {
    workers: RwLock<Vec<WorkerHandle>>,
    worker_queue: usize,
    /// How long what is not essential may wait to be written.
    linger: Duration,
    /// In conversations with more members, nobody is told of receipts.
    chatter_max_members: usize,
    presence: Arc<Registry>,
    receipts: Arc<Pending>,
    /// How many connections want a scene, and how many also messages.
    wanting: [AtomicUsize; 2],
}

impl Hub {
    pub(crate) fn new(
        settings: &DeliverySettings,
        presence: Arc<Registry>,
        receipts: Arc<Pending>,
    ) -> Arc<Self> {
        Arc::new(Self {
            workers: RwLock::default(),
            worker_queue: settings.worker_queue,
            linger: settings.linger,
            chatter_max_members: settings.chatter_max_members,
            presence,
            receipts,
            wanting: Default::default(),
        })
    }

    /// The most that any connection wants to know.
    pub(crate) fn wanted(&self) -> Detail {
        let [scene, messages] = &self.wanting;
        if messages.load(Ordering::Relaxed) > 0 {
            Detail::Messages
        } else if scene.load(Ordering::Relaxed) > 0 {
            Detail::Scene
        } else {
            Detail::Bare
        }
    }

    fn want(&self, detail: Detail) {
        if let Some(count) = self.wanting(detail) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn want_no_more(&self, detail: Detail) {
        if let Some(count) = self.wanting(detail) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn wanting(&self, detail: Detail) -> Option<&AtomicUsize> {
        match detail {
            Detail::Bare => None,
            Detail::Scene => self.wanting.first(),
            Detail::Messages => self.wanting.last(),
        }
    }

    /// Tells events, each to its audience. What is told together reaches a connection in one write.
    pub fn publish(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        let deliveries: Arc<[_]> = deliveries.into_iter().map(Arc::new).collect();
        if deliveries.is_empty() {
            return;
        }
        metrics::counter!("connexus_events_published_total").increment(deliveries.len() as u64);
        self.command(|| Command::Deliver(Arc::clone(&deliveries)));
    }

    /// Ends the sockets of some of a user's sessions.
    pub fn close_sessions(&self, user: UserId, sessions: &[SessionId]) {
        if sessions.is_empty() {
            return;
        }
        let sessions: Arc<[SessionId]> = sessions.into();
        self.command(|| Command::CloseSessions(Arc::clone(&sessions), user));
    }

    /// Ends every socket with the request to come back and catch up: something could not be told.
    pub fn resume_all(&self) {
        self.command(|| Command::CloseAll(CloseReason::Resume));
    }

    /// Ends every socket because the server goes away.
    pub fn restart_all(&self) {
        self.command(|| Command::CloseAll(CloseReason::Restart));
    }

    /// Events that worker threads have still to hand out.
    pub(crate) fn waiting(&self) -> usize {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        workers
            .iter()
            .map(|worker| worker.waiting.load(Ordering::Relaxed))
            .sum()
    }

    /// Hands a command to each worker once. A worker that cannot keep up loses deliveries, and its
    /// connections are told to resume for it.
    fn command(&self, make: impl Fn() -> Command) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.iter() {
            let command = make();
            let size = command.size();
            let waiting = worker.waiting.fetch_add(size, Ordering::Relaxed);
            if waiting >= self.worker_queue && matches!(command, Command::Deliver(_)) {
                worker.waiting.fetch_sub(size, Ordering::Relaxed);
                if !worker.overflowed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        waiting,
                        "a worker cannot keep up; its connections are told to resume"
                    );
                    let close = Command::CloseAll(CloseReason::Resume);
                    worker.waiting.fetch_add(close.size(), Ordering::Relaxed);
                    drop(worker.commands.send(close));
                }
                continue;
            }
            // a worker that has ended has no connections
            drop(worker.commands.send(command));
        }
    }
}
