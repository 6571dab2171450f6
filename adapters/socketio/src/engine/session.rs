//! The state of one session. It is in one place, since its requests may come on any thread: what waits to
//! be written, what has come in and waits for the driver, the transport, and the heartbeat.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use bytestring::ByteString;
use connexus_upgrade::{Urgency, WriteQueue};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frame::Frame;
use super::newcomers::Newcomer;
use super::reason::CloseReason;
use crate::packet::Importance;
use crate::settings::Settings;

/// A queue that had more places than this gives them back when it is empty.
const KEPT: usize = 16;

/// A message that has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(ByteString),
    /// Binary data.
    Binary(Bytes),
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// What became of packets that were to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queued {
    /// They were dropped, or the session has ended.
    Dropped,
    /// They are on their way.
    Sent,
    /// They are not essential, and wait to be flushed with something else, or in a while.
    Lingers,
    /// They wait to be flushed.
    Waits,
}

/// How the session's packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Polling,
    /// A WebSocket, by its number, has been probed; polls are answered `6`.
    Upgrading(u32),
    WebSocket(u32),
}

pub struct Session {
    pub id: Arc<str>,
    /// Where it was opened; it is valid nowhere else.
    pub mount: usize,
    pub settings: Arc<Settings>,
    state: Mutex<State>,
    /// Something has come in, or will not any more.
    arrived: Notify,
    /// There is room for more to come in.
    room: Notify,
    ended: Notify,
    /// The heartbeat's time has changed, or a poll has come.
    pub changed: Notify,
}

pub struct State {
    pub transport: Transport,
    /// Its place among those that the service has not let in yet.
    pub(super) newcomer: Option<Newcomer>,
    /// The WebSocket that wants to take over.
    pub candidate: Option<u32>,
    pub(super) sockets: u32,
    /// What waits for a poll.
    outbox: VecDeque<Frame>,
    outbox_bytes: usize,
    /// Bytes of a packet that was let in beyond the limit. Until all is written, what comes behind it has the room
    /// that it would have without: it must not cost the client the packet.
    allowance: usize,
    /// What waits for the WebSocket, once that is the transport.
    pub(super) writing: WriteQueue,
    /// Wakes the poll.
    waker: Option<Waker>,
    poll: PollState,
    /// A body is being read.
    pub posting: bool,
    pub(super) inbox: VecDeque<Message>,
    inbox_bytes: usize,
    /// Nothing more will come in; what has come is still handed over.
    finished: Option<CloseReason>,
    pub(super) closed: Option<CloseReason>,
    pub(super) pinged: bool,
    /// When to ping, or to give up.
    pub(super) due: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PollState {
    None,
    Waits,
    /// It waits and is to end with `6`.
    Noop,
}

/// How a poll ends.
pub enum Polled {
    Packets(Vec<Frame>),
    Noop,
    /// The session has ended by another poll, or by itself.
    Close,
    /// It has been upgraded meanwhile.
    Upgraded,
}

impl Session {
    pub fn new(id: Arc<str>, mount: usize, settings: Arc<Settings>, websocket: bool) -> Self {
        let state = State {
            transport: if websocket {
                Transport::WebSocket(0)
            } else {
                Transport::Polling
            },
            newcomer: None,
            candidate: None,
            sockets: 0,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            allowance: 0,
            writing: WriteQueue::default(),
            waker: None,
            poll: PollState::None,
            posting: false,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            finished: None,
            closed: None,
            pinged: false,
            due: Instant::now() + settings.ping_interval,
        };
        Self {
            id,
            mount,
            settings,
            state: Mutex::new(state),
            arrived: Notify::new(),
            room: Notify::new(),
            ended: Notify::new(),
            changed: Notify::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is no newcomer any more.
    pub fn settle(&self) {
        let newcomer = self.lock().newcomer.take();
        drop(newcomer);
    }

    // --- what goes out

    /// Sends frames that belong together. False when they were dropped or the session has ended.
    pub fn send<'a>(
        &self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        importance: Importance,
    ) -> bool {
        let Some(mut state) = self.room_for(frames.clone(), importance) else {
            return false;
        };
        state.send(frames);
        true
    }

    /// Queues frames that belong together, for a [flush](Self::flush) that is soon to come. A poll is answered at
    /// once.
    pub fn queue<'a>(
        &self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        importance: Importance,
    ) -> Queued {
        let Some(mut state) = self.room_for(frames.clone(), importance) else {
            return Queued::Dropped;
        };
        if !state.is_websocket() {
            state.send(frames);
            return Queued::Sent;
        }
        let (urgency, asked) = match importance {
            Importance::Fleeting | Importance::Refreshable => (Urgency::Lingers, Queued::Lingers),
            Importance::Essential => (Urgency::Soon, Queued::Waits),
        };
        let mut asks = false;
        for frame in frames {
            let frame = frame.clone().websocket();
            asks |= state.writing.push_for_flush(frame, urgency);
        }
        if asks { asked } else { Queued::Sent }
    }

    /// Writes what was queued, and the socket takes.
    pub fn flush(&self) {
        self.lock().writing.flush();
    }

    /// The state, if there is room for these frames.
    fn room_for<'a>(
        &self,
        frames: impl Iterator<Item = &'a Frame>,
        importance: Importance,
    ) -> Option<MutexGuard<'_, State>> {
        let (count, bytes) = frames.fold((0, 0), |(count, bytes), frame| {
            (count + 1, bytes + frame.len())
        });
        let mut state = self.lock();
        if state.closed.is_some() || count == 0 {
            return None;
        }
        let limits = self.settings.queue;
        let waits = state.queued();
        // one packet may be bigger than all that may wait, or its client could never have it
        if waits == 0 {
            state.allowance = if bytes > limits.bytes { bytes } else { 0 };
            return Some(state);
        }
        let (numerator, denominator) = match importance {
            Importance::Fleeting => (1, 2),
            Importance::Refreshable => (3, 4),
            Importance::Essential => (1, 1),
        };
        let room = limits.bytes.saturating_add(state.allowance);
        let waiting_bytes = state.outbox_bytes + state.writing.bytes();
        let over = (waits + count) * denominator > limits.packets * numerator
            || (waiting_bytes + bytes) * denominator > room * numerator;
        if !over {
            return Some(state);
        }
        if importance == Importance::Essential {
            metrics::counter!("socketio_slow_readers_total").increment(1);
            self.close_locked(state, CloseReason::SlowReader);
        } else {
            drop(state);
            metrics::counter!("socketio_dropped_total").increment(1);
        }
        None
    }

    pub fn queued(&self) -> usize {
        self.lock().queued()
    }

    /// Begins a poll; an error when there is one already, which ends the session.
    pub fn start_poll(&self) -> Result<(), CloseReason> {
        let mut state = self.lock();
        if let Some(reason) = state.closed {
            return Err(reason);
        }
        if state.poll != PollState::None {
            self.close_locked(state, CloseReason::Protocol);
            return Err(CloseReason::Protocol);
        }
        state.poll = PollState::Waits;
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Waits for something to answer the poll with.
    pub async fn poll(&self) -> Polled {
        poll_fn(|cx| {
            let mut state = self.lock();
            if matches!(state.transport, Transport::WebSocket(_)) {
                return Poll::Ready(Polled::Upgraded);
            }
            if state.poll == PollState::Noop || matches!(state.transport, Transport::Upgrading(_)) {
                return Poll::Ready(Polled::Noop);
            }
            if state.closed.is_some() {
                return Poll::Ready(Polled::Close);
            }
            if !state.outbox.is_empty() {
                state.outbox_bytes = 0;
                let frames = std::mem::take(&mut state.outbox);
                return Poll::Ready(Polled::Packets(frames.into()));
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The poll has been answered.
    pub fn end_poll(&self) {
        self.lock().poll = PollState::None;
    }

    /// Ends a poll that waits with `6`; whether there was one.
    pub fn answer_noop(&self) -> bool {
        let mut state = self.lock();
        if state.poll == PollState::None {
            return false;
        }
        state.poll = PollState::Noop;
        state.wake();
        true
    }

    // --- what comes in

    /// Hands a message to the driver, waiting for room. False when the session has ended.
    pub async fn receive(&self, message: Message) -> bool {
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if state.closed.is_some() || state.finished.is_some() {
                    return false;
                }
                let settings = &self.settings;
                let fits = state.inbox.len() < settings.max_events_waiting
                    && state.inbox_bytes + message.len() <= settings.max_payload;
                if fits || state.inbox.is_empty() {
                    state.inbox_bytes += message.len();
                    state.inbox.push_back(message);
                    drop(state);
                    self.arrived.notify_one();
                    return true;
                }
            }
            tokio::select! {
                () = room => {}
                () = self.closed() => return false,
            }
        }
    }

    /// The next message, `None` when there will be none.
    pub async fn next(&self) -> Option<Message> {
        loop {
            {
                let mut state = self.lock();
                if state.closed.is_some() {
                    return None;
                }
                if let Some(message) = state.inbox.pop_front() {
                    state.inbox_bytes = state.inbox_bytes.saturating_sub(message.len());
                    if state.inbox.is_empty() && state.inbox.capacity() > KEPT {
                        state.inbox = VecDeque::new();
                    }
                    drop(state);
                    self.room.notify_one();
                    return Some(message);
                }
                if let Some(reason) = state.finished {
                    self.close_locked(state, reason);
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Nothing more will come in: the session ends when what has come is handed over.
    pub fn finish(&self, reason: CloseReason) {
        let mut state = self.lock();
        state.finished.get_or_insert(reason);
        drop(state);
        self.arrived.notify_one();
        self.room.notify_waiters();
    }

    // --- the end

    /// Ends the session at once.
    pub fn close(&self, reason: CloseReason) {
        self.close_locked(self.lock(), reason);
    }

    pub(super) fn close_locked(&self, mut state: MutexGuard<'_, State>, reason: CloseReason) {
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(reason);
        state.inbox = VecDeque::new();
        state.outbox = VecDeque::new();
        if reason == CloseReason::SlowReader {
            state.writing.clear();
        }
        if state.is_websocket() {
            state.push(Frame::close(reason.code(), reason.as_str()));
        }
        state.wake();
        drop(state);
        metrics::counter!("socketio_closed_total", "reason" => reason.as_str()).increment(1);
        self.ended.notify_waiters();
        self.arrived.notify_one();
        self.changed.notify_waiters();
    }

    pub fn close_reason(&self) -> Option<CloseReason> {
        self.lock().closed
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.close_reason().is_some() {
                return;
            }
            ended.await;
        }
    }
}

impl State {
    pub(super) fn push(&mut self, frame: Frame) {
        if self.is_websocket() {
            self.writing.push(frame.websocket());
        } else {
            self.outbox_bytes += frame.len();
            self.outbox.push_back(frame);
        }
    }

    /// Queues frames and wakes who writes them.
    fn send<'a>(&mut self, frames: impl Iterator<Item = &'a Frame>) {
        for frame in frames {
            self.push(frame.clone());
        }
        self.wake();
    }

    /// A WebSocket has taken over: what waits goes out there.
    pub(super) fn switch(&mut self, socket: u32, writing: WriteQueue) {
        self.transport = Transport::WebSocket(socket);
        self.writing = writing;
        self.outbox_bytes = 0;
        for frame in std::mem::take(&mut self.outbox) {
            self.writing.push(frame.websocket());
        }
    }

    /// Wakes who writes.
    pub(super) fn wake(&mut self) {
        self.writing.wake();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn queued(&self) -> usize {
        self.outbox.len() + self.writing.len()
    }

    pub fn is_websocket(&self) -> bool {
        matches!(self.transport, Transport::WebSocket(_))
    }
}
