use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use connexus_domain::{Event, Message, SessionId, UserId};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Audience, CloseReason, Command, Connection, Delivery, Detail, Hub, WorkerHandle};

/// What a connection says to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// It will not be written.
    Refused,
    /// It will be written.
    Taken,
    /// It may wait a while for something to be written with, and is [flushed](Outlet::flush) then.
    Lingers,
    /// It will be written when the worker [flushes](Outlet::flush), at the end of its turn at the latest.
    Waits,
}

/// A connection as the hub sees it. Never blocks: what cannot be taken now is queued, dropped or ends the
/// connection, as the gateway decides.
pub trait Outlet {
    /// Takes an event.
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed;

    /// Writes what waits: at most once in a turn of the worker, however much was delivered in it.
    fn flush(&self) {}

    /// Ends the connection.
    fn close(&self, reason: CloseReason);

    /// How much about each event it wants to know.
    fn detail(&self) -> Detail {
        Detail::Bare
    }
}

type Outlets = Vec<(Connection, Rc<dyn Outlet>)>;

/// Commands that are taken at a time, and events that may be handed over before what waits is written.
const TURN: usize = 256;
/// Sockets that are written to before the thread's other tasks have a turn.
const STEP: usize = 128;

/// The connections of one worker thread. Stays on that thread.
pub struct Worker {
    hub: Arc<Hub>,
    users: RefCell<FxHashMap<UserId, Outlets>>,
    /// Sockets of whom it is not known yet whose they are: told nothing but that the server goes away.
    guests: RefCell<FxHashMap<u64, Rc<dyn Outlet>>>,
    next_guest: Cell<u64>,
    /// What is flushed in this turn.
    waiting: RefCell<Vec<Rc<dyn Outlet>>>,
    /// What is flushed when it has lingered.
    lingering: RefCell<Vec<Rc<dyn Outlet>>>,
}

/// Keeps a guest attached; dropping it detaches.
pub struct GuestRegistration {
    worker: Rc<Worker>,
    number: u64,
}

/// Keeps a connection attached; dropping it detaches.
pub struct Registration {
    worker: Rc<Worker>,
    connection: Connection,
    detail: Detail,
}

thread_local! {
    /// This thread's place in the hub, made with its first socket, whichever gateway that comes to.
    static HERE: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

impl Worker {
    /// This thread's place in the hub: one for all gateways, so that an event is handed to a thread once.
    /// Call it in a `LocalSet`.
    pub fn here(hub: &Arc<Hub>) -> Rc<Self> {
        HERE.with_borrow_mut(|slot| {
            let attach = || {
                let (worker, run) = Self::attach(hub);
                tokio::task::spawn_local(run);
                worker
            };
            Rc::clone(slot.get_or_insert_with(attach))
        })
    }

    /// Attaches this thread to the hub. The future hands events to the thread's connections and must be
    /// run on this thread; it ends when the hub does.
    pub fn attach(hub: &Arc<Hub>) -> (Rc<Self>, impl Future<Output = ()> + 'static) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let overflowed = Arc::new(AtomicBool::new(false));
        let handle = WorkerHandle {
            commands,
            waiting: Arc::clone(&waiting),
            overflowed: Arc::clone(&overflowed),
        };
        hub.workers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
        let worker = Rc::new(Self {
            hub: Arc::clone(hub),
            users: RefCell::default(),
            guests: RefCell::default(),
            next_guest: Cell::new(0),
            waiting: RefCell::default(),
            lingering: RefCell::default(),
        });
        let run = Rc::clone(&worker).run(receiver, waiting, overflowed);
        (worker, run)
    }

    /// Adds a connection: from now on it is told what happens.
    pub fn connect(
        self: &Rc<Self>,
        connection: Connection,
        outlet: Rc<dyn Outlet>,
    ) -> Registration {
        let detail = outlet.detail();
        self.hub.want(detail);
        self.users
            .borrow_mut()
            .entry(connection.user_id)
            .or_default()
            .push((connection, outlet));
        self.hub.presence.connected(connection.user_id);
        Registration {
            worker: Rc::clone(self),
            connection,
            detail,
        }
    }

    /// Adds a socket of whom it is not known yet whose it is.
    pub fn welcome(self: &Rc<Self>, outlet: Rc<dyn Outlet>) -> GuestRegistration {
        let number = self.next_guest.get();
        self.next_guest.set(number + 1);
        self.guests.borrow_mut().insert(number, outlet);
        GuestRegistration {
            worker: Rc::clone(self),
            number,
        }
    }

    async fn run(
        self: Rc<Self>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        waiting: Arc<AtomicUsize>,
        overflowed: Arc<AtomicBool>,
    ) {
        let mut taken = Vec::with_capacity(TURN);
        let mut telling = Vec::new();
        let mut flushing = Vec::new();
        let mut lingers_until = None;
        while take(&mut commands, &mut taken, lingers_until).await {
            waiting.fetch_sub(taken.iter().map(Command::size).sum(), Ordering::Relaxed);
            if let Some(delivery) = only(&taken) {
                taken.clear();
                self.deliver_alone(&delivery, &mut telling, &mut flushing)
                    .await;
            } else {
                self.obey(&mut taken, &mut flushing, &overflowed).await;
            }
            lingers_until = self.end_lingering(&mut flushing, lingers_until).await;
        }
    }

    async fn obey(
        &self,
        taken: &mut Vec<Command>,
        flushing: &mut Vec<Rc<dyn Outlet>>,
        overflowed: &AtomicBool,
    ) {
        let mut delivered = 0;
        for command in taken.drain(..) {
            match command {
                Command::Deliver(deliveries) => {
                    for delivery in &*deliveries {
                        self.deliver(delivery);
                        delivered += 1;
                        if delivered % TURN == 0 {
                            flush(&self.waiting, flushing).await;
                        }
                    }
                }
                Command::CloseSessions(sessions, user) => self.close_sessions(user, &sessions),
                Command::CloseAll(reason) => {
                    overflowed.store(false, Ordering::Relaxed);
                    self.close_all(reason);
                }
            }
        }
        flush(&self.waiting, flushing).await;
    }

    /// Writes what has lingered for long enough; until when the rest may.
    async fn end_lingering(
        &self,
        flushing: &mut Vec<Rc<dyn Outlet>>,
        until: Option<Instant>,
    ) -> Option<Instant> {
        if self.lingering.borrow().is_empty() {
            return None;
        }
        let now = Instant::now();
        let until = until.unwrap_or(now + self.hub.linger);
        if now < until {
            return Some(until);
        }
        flush(&self.lingering, flushing).await;
        None
    }

    /// Hands an event over, to be written with what else there is in this turn.
    fn deliver(&self, delivery: &Arc<Delivery>) {
        let mut reached = Reached::by(delivery);
        self.for_each(delivery, |user, outlet| {
            reached.note(user, self.hand(delivery, outlet));
        });
        reached.report(&self.hub);
    }

    /// Hands over the only event of a turn. It has nothing to share a write with: a few have it already while it is
    /// handed to the next, and that it is delivered is noted when all have it.
    async fn deliver_alone(
        &self,
        delivery: &Arc<Delivery>,
        telling: &mut Vec<(UserId, Rc<dyn Outlet>)>,
        flushing: &mut Vec<Rc<dyn Outlet>>,
    ) {
        self.for_each(delivery, |user, outlet| {
            telling.push((user, Rc::clone(outlet)));
        });
        let mut reached = Reached::by(delivery);
        for step in telling.chunks(STEP) {
            for (user, outlet) in step {
                reached.note(*user, self.hand(delivery, outlet));
            }
            flush(&self.waiting, flushing).await;
        }
        telling.clear();
        reached.report(&self.hub);
    }

    fn hand(&self, delivery: &Arc<Delivery>, outlet: &Rc<dyn Outlet>) -> Handed {
        let handed = outlet.deliver(delivery);
        match handed {
            Handed::Refused | Handed::Taken => {}
            Handed::Lingers => self.lingering.borrow_mut().push(Rc::clone(outlet)),
            Handed::Waits => self.waiting.borrow_mut().push(Rc::clone(outlet)),
        }
        handed
    }

    /// Those whom an event is for.
    fn for_each(&self, delivery: &Delivery, mut tell: impl FnMut(UserId, &Rc<dyn Outlet>)) {
        let users = self.users.borrow();
        let mut tell = |user: UserId, outlets: &Outlets| {
            for (connection, outlet) in outlets {
                if !delivery.excludes(connection) {
                    tell(user, outlet);
                }
            }
        };
        match delivery.audience() {
            Audience::One(user) => {
                if let Some(outlets) = users.get(user) {
                    tell(*user, outlets);
                }
            }
            // the shorter of the two lists is walked, the other looked up
            Audience::Many(members) if users.len() < members.len() => {
                for (user, outlets) in users
                    .iter()
                    .filter(|(user, _)| members.binary_search(user).is_ok())
                {
                    tell(*user, outlets);
                }
            }
            Audience::Many(members) => {
                for user in members.iter() {
                    if let Some(outlets) = users.get(user) {
                        tell(*user, outlets);
                    }
                }
            }
        }
    }

    /// Outlets are called without the list borrowed: closing may detach.
    fn close_sessions(&self, user: UserId, sessions: &[SessionId]) {
        let closing: Outlets = self
            .users
            .borrow()
            .get(&user)
            .into_iter()
            .flatten()
            .filter(|(connection, _)| sessions.contains(&connection.session_id))
            .cloned()
            .collect();
        for (connection, outlet) in closing {
            let told = Event::SessionRevoked {
                session_id: connection.session_id,
            };
            outlet.deliver(&Arc::new(Delivery::new(told, Audience::One(user))));
            outlet.close(CloseReason::SessionRevoked);
        }
    }

    fn close_all(&self, reason: CloseReason) {
        let closing: Outlets = self.users.borrow().values().flatten().cloned().collect();
        for (_, outlet) in closing {
            outlet.close(reason);
        }
        if reason == CloseReason::Restart {
            let guests: Vec<_> = self.guests.borrow().values().cloned().collect();
            for outlet in guests {
                outlet.close(reason);
            }
        }
    }
}

/// Takes commands, or none when what lingers is to be flushed first; whether there may be more.
async fn take(
    commands: &mut mpsc::UnboundedReceiver<Command>,
    taken: &mut Vec<Command>,
    lingers_until: Option<Instant>,
) -> bool {
    let next = commands.recv_many(taken, TURN);
    match lingers_until {
        None => next.await > 0,
        Some(until) => tokio::time::timeout_at(until, next)
            .await
            .map_or(true, |count| count > 0),
    }
}

/// The event, if there is one and nothing else.
fn only(commands: &[Command]) -> Option<Arc<Delivery>> {
    let [Command::Deliver(deliveries)] = commands else {
        return None;
    };
    let [delivery] = &**deliveries else {
        return None;
    };
    Some(Arc::clone(delivery))
}

/// Flushes whoever waits for it, and lets this thread's tasks go after each step: what is sent meanwhile is on its
/// way to the storage before all have this. `flushing` is empty, and keeps its room from one time to the next.
async fn flush(waiting: &RefCell<Vec<Rc<dyn Outlet>>>, flushing: &mut Vec<Rc<dyn Outlet>>) {
    std::mem::swap(flushing, &mut waiting.borrow_mut());
    let mut left = flushing.drain(..);
    loop {
        for outlet in left.by_ref().take(STEP) {
            outlet.flush();
        }
        tokio::task::yield_now().await;
        if left.len() == 0 {
            break;
        }
    }
}

/// Whom a worker has handed an event to.
struct Reached<'d> {
    /// What is noted as delivered, if the event is such.
    message: Option<&'d Message>,
    /// How many are told.
    members: usize,
    users: Vec<UserId>,
    connections: u64,
}

impl<'d> Reached<'d> {
    fn by(delivery: &'d Delivery) -> Self {
        let message = match delivery.event() {
            Event::MessageCreated(message) => Some(message),
            _ => None,
        };
        let members = match delivery.audience() {
            Audience::Many(members) => members.len(),
            Audience::One(_) => 1,
        };
        Self {
            message,
            members,
            users: Vec::new(),
            connections: 0,
        }
    }

    /// A user's connections come one after the other.
    fn note(&mut self, user: UserId, handed: Handed) {
        if handed == Handed::Refused {
            return;
        }
        self.connections += 1;
        let is_news = self.message.is_some_and(|new| new.sender_id != user);
        if is_news && self.users.last() != Some(&user) {
            self.users.push(user);
        }
    }

    fn report(self, hub: &Hub) {
        metrics::counter!("connexus_deliveries_total").increment(self.connections);
        if let Some(message) = self.message {
            if self.members > hub.chatter_max_members {
                hub.receipts.delivered_quietly(message, &self.users);
            } else {
                hub.receipts.delivered(message, &self.users);
            }
        }
    }
}

impl Drop for GuestRegistration {
    fn drop(&mut self) {
        self.worker.guests.borrow_mut().remove(&self.number);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut users = self.worker.users.borrow_mut();
        if let Some(outlets) = users.get_mut(&self.connection.user_id) {
            outlets.retain(|(connection, _)| connection.id != self.connection.id);
            if outlets.is_empty() {
                users.remove(&self.connection.user_id);
            }
        }
        let hub = &self.worker.hub;
        hub.want_no_more(self.detail);
        hub.presence.disconnected(self.connection.user_id);
    }
}

#[cfg(test)]
mod tests;
