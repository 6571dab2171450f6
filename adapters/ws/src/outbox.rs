//! What waits to be written to one socket: a bounded queue of frames that are already encoded.
//!
//! A socket belongs to one thread, so there is no lock. The queue is filled by the hub (events) and by
//! the socket's own task (answers). What has gathered in a turn of either is one system call: the hub
//! flushes the sockets that it has delivered to, without waking their tasks, and a socket's task writes
//! when it has nothing else to do, and whatever the kernel did not take.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use connexus_application::hub::{CloseReason, Delivery, Handed, Outlet, WireFormat};
use connexus_domain::event::Importance;
use connexus_domain::{ConversationId, Event, Rev};
use connexus_upgrade::{Upgraded, Urgency, WriteQueue};
use tokio::sync::Notify;

use crate::close::Close;
use crate::frame;

/// Native frames' place among the encodings of an event.
static NATIVE: WireFormat<Bytes> = WireFormat::new(0);

/// How much may wait for one socket.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Frames.
    pub frames: usize,
    /// Bytes.
    pub bytes: usize,
}

/// What waits to be written to one socket.
pub struct Outbox {
    limits: OutboxLimits,
    connection: std::cell::Cell<Option<connexus_domain::ConnectionId>>,
    state: RefCell<State>,
    /// Rings when the server side has decided to close.
    closing: Notify,
}

#[derive(Default)]
struct State {
    queue: WriteQueue,
    /// Bytes of an answer that was let in beyond the limit. Until all is written, what comes behind it has the room
    /// that it would have without: it must not cost the client the answer.
    allowance: usize,
    closed: Option<Close>,
    /// Events kept back while the client catches up.
    held: Option<Vec<Arc<Delivery>>>,
    /// The server goes away; work that was begun is to be answered first.
    restarting: bool,
    /// What a sync has told already, of conversations in which events may still be on their way.
    told: HashMap<ConversationId, Rev>,
}

impl Outbox {
    pub fn new(limits: OutboxLimits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            connection: std::cell::Cell::default(),
            state: RefCell::default(),
            closing: Notify::new(),
        })
    }

    /// From now on frames are written.
    pub fn start(&self, upgraded: Upgraded) {
        self.state.borrow_mut().queue.start(upgraded);
    }

    /// Writes what waits, now and whenever the socket can take more; ends when the connection is broken.
    pub async fn broken(&self) -> io::Error {
        poll_fn(|cx| self.state.borrow_mut().queue.poll_broken(cx)).await
    }

    /// Writes the rest, and says that there is no more.
    pub async fn finish(&self) {
        let written = poll_fn(|cx| self.state.borrow_mut().queue.poll_write(cx)).await;
        if let Err(error) = written {
            tracing::debug!(%error, "a socket broke before all was written");
        }
        self.state.borrow_mut().queue.hang_up();
    }

    /// Queues a frame that must not be lost: an answer, a pong. Too many of them end the socket, too.
    pub fn push(&self, frame: Bytes) {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return;
        }
        let over = state.queue.bytes() + frame.len() > self.room(&mut state);
        // one answer may be bigger than all that may wait, or its client could never catch up
        if (over && state.queue.bytes() >= self.limits.bytes)
            || state.queue.len() >= self.limits.frames
        {
            drop(state);
            self.close(Close::Resume);
            return;
        }
        if over {
            state.allowance = frame.len();
        }
        state.queue.push(frame);
    }

    /// Keeps events back from now on.
    pub fn hold(&self) {
        self.state.borrow_mut().held.get_or_insert_default();
    }

    pub fn is_holding(&self) -> bool {
        self.state.borrow().held.is_some()
    }

    /// Lets go what was kept back, without what `told` says a sync has told, now and of events that
    /// are still on their way.
    pub fn release(&self, told: HashMap<ConversationId, Rev>) {
        let held = {
            let mut state = self.state.borrow_mut();
            state.told = told;
            state.held.take()
        };
        for delivery in held.into_iter().flatten() {
            self.deliver(&delivery);
        }
    }

    /// By now, no event can still be on its way that a sync has told.
    pub fn forget_told(&self) {
        self.state.borrow_mut().told = HashMap::new();
    }

    /// Ends the socket: what waits is dropped when the socket could not keep up, and it is told so; else it is written
    /// first.
    pub fn close(&self, reason: Close) {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return;
        }
        if reason == Close::Resume {
            state.queue.clear();
            let resume = frame::text(connexus_wire::RESUME.as_bytes());
            state.queue.push(resume);
            metrics::counter!("connexus_slow_readers_total").increment(1);
        }
        let (code, text) = reason.code();
        state.queue.push(frame::close(code, text));
        state.closed = Some(reason);
        state.held = None;
        drop(state);
        self.closing.notify_one();
    }

    pub fn is_restarting(&self) -> bool {
        self.state.borrow().restarting
    }

    pub fn closed(&self) -> Option<Close> {
        self.state.borrow().closed
    }

    /// Waits until the server side has decided to close.
    pub async fn closing(&self) {
        self.closing.notified().await;
    }

    /// The connection that this is, once it is authenticated.
    pub fn attach(&self, connection: connexus_domain::ConnectionId) {
        self.connection.set(Some(connection));
    }

    /// How many bytes may wait.
    fn room(&self, state: &mut State) -> usize {
        if state.queue.is_empty() {
            state.allowance = 0;
        }
        self.limits.bytes.saturating_add(state.allowance)
    }

    /// Whether one frame more would go beyond `numerator / denominator` of what may wait.
    fn is_over(
        &self,
        state: &mut State,
        frame: &Bytes,
        numerator: usize,
        denominator: usize,
    ) -> bool {
        let room = self.room(state);
        (state.queue.len() + 1) * denominator > self.limits.frames * numerator
            || (state.queue.bytes() + frame.len()) * denominator > room * numerator
    }
}

impl State {
    /// Whether a sync has told this change already.
    fn was_told(&mut self, event: &Event) -> bool {
        if self.told.is_empty() {
            return false;
        }
        let (Some(id), Some(rev)) = (event.conversation_id(), event.rev()) else {
            return false;
        };
        match self.told.get(&id) {
            Some(told) if rev <= *told => true,
            Some(_) => {
                self.told.remove(&id);
                false
            }
            None => false,
        }
    }
}

impl Outlet for Outbox {
    /// A slow reader loses typing when half of the queue is full, presence and receipts at three
    /// quarters, and the connection when it is full.
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return Handed::Refused;
        }
        let ends = matches!(delivery.event(), Event::SessionRevoked { .. });
        if let Some(held) = state.held.as_mut().filter(|_| !ends) {
            if held.len() < self.limits.frames {
                held.push(Arc::clone(delivery));
                return Handed::Taken;
            }
            drop(state);
            self.close(Close::Resume);
            return Handed::Refused;
        }
        if state.was_told(delivery.event()) {
            return Handed::Taken;
        }
        let frame = delivery.encoded(&NATIVE, |delivery| {
            frame::text(&connexus_wire::encode_event(delivery.event()))
        });
        let (numerator, denominator, urgency, asked) = match delivery.event().importance() {
            Importance::Fleeting => (1, 2, Urgency::Lingers, Handed::Lingers),
            Importance::Refreshable => (3, 4, Urgency::Lingers, Handed::Lingers),
            Importance::Essential => (1, 1, Urgency::Soon, Handed::Waits),
        };
        if !self.is_over(&mut state, frame, numerator, denominator) {
            return if state.queue.push_for_flush(frame.clone(), urgency) {
                asked
            } else {
                Handed::Taken
            };
        }
        drop(state);
        if delivery.event().importance() == Importance::Essential {
            self.close(Close::Resume);
        } else {
            metrics::counter!("connexus_events_dropped_total").increment(1);
        }
        Handed::Refused
    }

    fn flush(&self) {
        self.state.borrow_mut().queue.flush();
    }

    fn close(&self, reason: CloseReason) {
        match reason {
            CloseReason::SessionRevoked => self.close(Close::Revoked),
            CloseReason::Resume => self.close(Close::Resume),
            CloseReason::Restart => {
                self.state.borrow_mut().restarting = true;
                self.closing.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connexus_application::hub::Audience;
    use connexus_domain::UserId;

    const LIMITS: OutboxLimits = OutboxLimits {
        frames: 64,
        bytes: 1_000,
    };

    fn id<T: std::str::FromStr>() -> T {
        let id = "0190a3c4-7b1e-7c3a-9f55-3d1c2b4a5e6f".parse();
        id.ok().unwrap()
    }

    fn essential() -> Arc<Delivery> {
        let event = Event::ConversationDeleted {
            conversation_id: id(),
            rev: 1,
        };
        Arc::new(Delivery::new(event, Audience::One(id::<UserId>())))
    }

    fn answer(bytes: usize) -> Bytes {
        vec![b'x'; bytes].into()
    }

    /// Fills the queue with events until it closes: whether so many bytes waited then, to an event.
    fn takes(outbox: &Outbox, bytes: usize) -> bool {
        let waiting = || outbox.state.borrow().queue.bytes();
        let before = waiting();
        outbox.deliver(&essential());
        let (event, mut most) = (waiting() - before, waiting());
        while outbox.deliver(&essential()) != Handed::Refused {
            most = waiting();
        }
        assert_eq!(outbox.closed(), Some(Close::Resume));
        most <= bytes && most + event > bytes
    }

    #[test]
    fn what_was_held_goes_behind_an_answer_that_is_over_the_limit() {
        let outbox = Outbox::new(LIMITS);
        outbox.hold();
        outbox.deliver(&essential());
        outbox.push(answer(5_000));
        outbox.release(HashMap::new());
        outbox.push(answer(10));
        assert_eq!(outbox.closed(), None);
        assert_eq!(outbox.state.borrow().queue.len(), 3);
        // the limit is that of what is behind it
        assert!(takes(&outbox, 6_000));
    }

    #[test]
    fn only_one_answer_goes_over_the_limit() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(answer(600));
        outbox.push(answer(5_000));
        assert_eq!(outbox.closed(), None);
        outbox.push(answer(5_000));
        assert_eq!(outbox.closed(), Some(Close::Resume));
    }

    #[test]
    fn the_limit_is_as_before_when_all_is_written() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(answer(5_000));
        outbox.state.borrow_mut().queue.clear();
        assert!(takes(&outbox, 1_000));
    }
}
