//! What waits to be written to one socket: a bounded queue of frames that are already encoded, and the
//! response body that hands them to actix.
//!
//! A socket belongs to one thread, so there is no lock. The queue is filled by the hub (events) and by
//! the socket's own task (answers), and drained when the socket can take more.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use connexus_application::hub::{CloseReason, Delivery, Outlet, WireFormat};
use connexus_domain::event::Importance;
use connexus_domain::{ConversationId, Event, Rev};
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
    queue: VecDeque<Bytes>,
    bytes: usize,
    waker: Option<Waker>,
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

    /// Queues a frame that must not be lost: an answer, a pong. Too many of them end the socket, too.
    pub fn push(&self, frame: Bytes) {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return;
        }
        // one answer may be bigger than all that may wait, or its client could never catch up
        if state.bytes >= self.limits.bytes || state.queue.len() >= self.limits.frames {
            drop(state);
            self.close(Close::Resume);
            return;
        }
        state.push(frame);
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

    /// Ends the socket: what waits is dropped when the socket could not keep up, else written first.
    pub fn close(&self, reason: Close) {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return;
        }
        if reason == Close::Resume {
            state.queue.clear();
            metrics::counter!("connexus_slow_readers_total").increment(1);
        }
        let (code, text) = reason.code();
        state.push(frame::close(code, text));
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

    /// Whether one frame more would go beyond `numerator / denominator` of what may wait.
    fn is_over(&self, state: &State, frame: &Bytes, numerator: usize, denominator: usize) -> bool {
        (state.queue.len() + 1) * denominator > self.limits.frames * numerator
            || (state.bytes + frame.len()) * denominator > self.limits.bytes * numerator
    }
}

impl State {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.queue.push_back(frame);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

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
    fn deliver(&self, delivery: &Arc<Delivery>) -> bool {
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() {
            return false;
        }
        let ends = matches!(delivery.event(), Event::SessionRevoked { .. });
        if let Some(held) = state.held.as_mut().filter(|_| !ends) {
            if held.len() < self.limits.frames {
                held.push(Arc::clone(delivery));
                return true;
            }
            drop(state);
            self.close(Close::Resume);
            return false;
        }
        if state.was_told(delivery.event()) {
            return true;
        }
        let frame = delivery.encoded(&NATIVE, |delivery| {
            frame::text(&connexus_wire::encode_event(delivery.event()))
        });
        let (numerator, denominator) = match delivery.event().importance() {
            Importance::Fleeting => (1, 2),
            Importance::Refreshable => (3, 4),
            Importance::Essential => (1, 1),
        };
        if !self.is_over(&state, frame, numerator, denominator) {
            state.push(frame.clone());
            return true;
        }
        drop(state);
        if delivery.event().importance() == Importance::Essential {
            self.close(Close::Resume);
        } else {
            metrics::counter!("connexus_events_dropped_total").increment(1);
        }
        false
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

/// The response body of an upgraded connection. Actix gathers what it yields in one write.
pub struct OutboxBody {
    outbox: Rc<Outbox>,
    /// The body that actix-ws made: its end tells the reading side that the connection is gone.
    _gone_signal: BoxBody,
}

impl OutboxBody {
    pub fn new(outbox: Rc<Outbox>, gone_signal: BoxBody) -> Self {
        Self {
            outbox,
            _gone_signal: gone_signal,
        }
    }
}

impl MessageBody for OutboxBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut state = self.outbox.state.borrow_mut();
        if let Some(frame) = state.queue.pop_front() {
            state.bytes = state.bytes.saturating_sub(frame.len());
            return Poll::Ready(Some(Ok(frame)));
        }
        if state.closed.is_some() {
            return Poll::Ready(None);
        }
        // an empty queue gives its memory back: most sockets are idle most of the time
        if state.queue.capacity() > 64 {
            state.queue = VecDeque::new();
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
