//! One client in one namespace, as everybody but its handler sees it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use crate::ack::{AckError, Reply};
use crate::engine::{CloseReason, Connection, Queued};
use crate::hub::Space;
use crate::packet::{Importance, Kind, Packet};

/// Acknowledgements that one socket may owe.
const ACKS_MAX: usize = 1024;

/// The client has no answer to its CONNECT yet.
const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
/// The server has left; the handler is yet to be told.
const LEAVING: u8 = 2;
const GONE: u8 = 3;

/// One client in one namespace. Clones are the same socket; they may be used on any thread.
#[derive(Clone)]
pub struct Socket {
    inner: Arc<Inner>,
}

struct Inner {
    id: Arc<str>,
    space: Arc<Space>,
    connection: Connection,
    /// Rings the session's task when the server leaves.
    leaving: Weak<Notify>,
    phase: AtomicU8,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was emitted before the client had its answer.
    held: Vec<(Packet, Importance)>,
    acks: HashMap<u64, oneshot::Sender<Reply>>,
    next_ack: u64,
    rooms: Vec<Arc<str>>,
}

impl Socket {
    pub(crate) fn new(
        id: String,
        space: Arc<Space>,
        connection: Connection,
        leaving: &Arc<Notify>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                id: id.into(),
                space,
                connection,
                leaving: Arc::downgrade(leaving),
                phase: AtomicU8::new(CONNECTING),
                state: Mutex::default(),
            }),
        }
    }

    /// The socket's id, which its client knows too. It says nothing about the id of the session.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.inner.space.name
    }

    /// Emits an event that must not be lost. `args` is the list of arguments: a tuple, an array, a slice,
    /// `()` for none. False when the socket is gone.
    pub fn emit(&self, name: &str, args: &impl Serialize) -> bool {
        let packet = Packet::event(self.namespace(), name, args);
        self.offer(&packet, Importance::Essential)
    }

    /// Emits an event with attachments; in `args`, their places are `{"_placeholder":true,"num":0}`.
    pub fn emit_binary(&self, name: &str, args: &impl Serialize, attachments: Vec<Bytes>) -> bool {
        let packet = Packet::binary_event(self.namespace(), name, args, attachments);
        self.offer(&packet, Importance::Essential)
    }

    /// Sends a packet, which must be of this namespace; false when it was dropped. Never blocks.
    pub fn offer(&self, packet: &Packet, importance: Importance) -> bool {
        match self.inner.phase.load(Ordering::Acquire) {
            CONNECTED => self.send(packet, importance),
            CONNECTING => {
                let mut state = self.lock();
                if self.inner.phase.load(Ordering::Acquire) != CONNECTING {
                    drop(state);
                    return self.offer(packet, importance);
                }
                if state.held.len() < self.inner.space.held_max {
                    state.held.push((packet.clone(), importance));
                    return true;
                }
                drop(state);
                self.inner.connection.close(CloseReason::SlowReader);
                false
            }
            _ => false,
        }
    }

    /// The same, for who sends to many sockets, or several packets to one: what is answered with
    /// [`Queued::Waits`] or [`Queued::Lingers`] is written by [`flush`](Self::flush), in one system call and at once.
    pub fn queue(&self, packet: &Packet, importance: Importance) -> Queued {
        if self.inner.phase.load(Ordering::Acquire) == CONNECTED {
            self.inner.connection.queue_all(packet.frames(), importance)
        } else if self.offer(packet, importance) {
            Queued::Sent
        } else {
            Queued::Dropped
        }
    }

    /// Writes what was queued, as far as the connection takes it; the rest follows by itself.
    pub fn flush(&self) {
        self.inner.connection.flush();
    }

    fn send(&self, packet: &Packet, importance: Importance) -> bool {
        self.inner.connection.send_all(packet.frames(), importance)
    }

    /// Emits an event and waits for its acknowledgement. Not to be awaited in
    /// [`Handler::event`](crate::Handler::event), since the answer comes after the event that is being
    /// handled.
    pub async fn emit_with_ack(
        &self,
        name: &str,
        args: &impl Serialize,
        timeout: Duration,
    ) -> Result<Reply, AckError> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut state = self.lock();
            if state.acks.len() >= ACKS_MAX {
                return Err(AckError::TooMany);
            }
            let id = state.next_ack;
            state.next_ack += 1;
            state.acks.insert(id, sender);
            id
        };
        let _forget = Forget(self, id);
        let packet = Packet::arguments(
            Kind::Event,
            self.namespace(),
            Some(id),
            Some(name),
            args,
            &[],
        );
        if !self.offer(&packet, Importance::Essential) {
            return Err(AckError::Disconnected);
        }
        match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_dropped)) => Err(AckError::Disconnected),
            Err(_elapsed) => Err(AckError::Timeout),
        }
    }

    /// It is known by now who this is: the session no longer counts against its address.
    pub fn settle(&self) {
        self.inner.connection.settle();
    }

    /// Leaves the namespace on the server's side. The client sees "io server disconnect" and does not
    /// reconnect by itself.
    pub fn disconnect(&self) {
        let state = self.lock();
        let phase = self.inner.phase.load(Ordering::Acquire);
        if phase == CONNECTED {
            self.send(&Packet::disconnect(self.namespace()), Importance::Essential);
        }
        if phase <= CONNECTED {
            // a socket that is connecting tells it after its answer
            self.inner.phase.store(LEAVING, Ordering::Release);
        }
        drop(state);
        if let Some(leaving) = self.inner.leaving.upgrade() {
            leaving.notify_one();
        }
    }

    /// Ends the whole session; the client reconnects by itself.
    pub fn close(&self) {
        self.inner.connection.close(CloseReason::Server);
    }

    /// Whether the client is in the namespace, as far as the server knows.
    pub fn is_connected(&self) -> bool {
        self.inner.phase.load(Ordering::Acquire) == CONNECTED
            && self.inner.connection.close_reason().is_none()
    }

    /// How many packets wait to be written to the client, in all of its namespaces.
    pub fn queued(&self) -> usize {
        self.inner.connection.queued()
    }

    /// Whether even a [fleeting](Importance::Fleeting) packet may be queued, judged by their number.
    pub fn is_writable(&self) -> bool {
        self.is_connected() && self.queued() * 2 < self.inner.space.held_max
    }

    // --- rooms

    /// Joins a room; packets to it reach this socket from now on.
    pub fn join(&self, room: &str) {
        let mut state = self.lock();
        let gone = self.inner.phase.load(Ordering::Acquire) >= LEAVING;
        if !gone && !state.rooms.iter().any(|known| **known == *room) {
            let room = self.inner.space.join(room, self);
            state.rooms.push(room);
        }
    }

    /// Leaves a room.
    pub fn leave(&self, room: &str) {
        let mut state = self.lock();
        if let Some(at) = state.rooms.iter().position(|known| **known == *room) {
            state.rooms.swap_remove(at);
            self.inner.space.leave(room, self.id());
        }
    }

    /// The rooms that the socket is in.
    pub fn rooms(&self) -> Vec<String> {
        let state = self.lock();
        state.rooms.iter().map(ToString::to_string).collect()
    }

    // --- for the session's task

    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.inner.id)
    }

    /// Answers the CONNECT, and lets go what was kept until then.
    pub(crate) fn admit(&self) {
        let mut state = self.lock();
        self.send(
            &Packet::connect(self.namespace(), self.id()),
            Importance::Essential,
        );
        for (packet, importance) in std::mem::take(&mut state.held) {
            self.send(&packet, importance);
        }
        let admitted = self.inner.phase.compare_exchange(
            CONNECTING,
            CONNECTED,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if admitted.is_err() {
            self.send(&Packet::disconnect(self.namespace()), Importance::Essential);
        }
    }

    /// Whether the client has no answer to its CONNECT yet. It never becomes true again.
    pub(crate) fn is_connecting(&self) -> bool {
        self.inner.phase.load(Ordering::Acquire) == CONNECTING
    }

    /// Whether the server has left and the handler is yet to be told.
    pub(crate) fn is_leaving(&self) -> bool {
        self.inner.phase.load(Ordering::Acquire) == LEAVING
    }

    pub(crate) fn resolve(&self, id: u64, reply: Reply) {
        let waiting = self.lock().acks.remove(&id);
        if let Some(waiting) = waiting {
            // who waited may have given up meanwhile
            drop(waiting.send(reply));
        }
    }

    /// The socket is gone: rooms forget it, and who waits for acknowledgements is told.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        self.inner.phase.store(GONE, Ordering::Release);
        let rooms = std::mem::take(&mut state.rooms);
        let _acks = std::mem::take(&mut state.acks);
        state.held = Vec::new();
        for room in &rooms {
            self.inner.space.leave(room, self.id());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets an acknowledgement that nobody waits for any more.
struct Forget<'a>(&'a Socket, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.lock().acks.remove(&self.1);
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut socket = formatter.debug_struct("Socket");
        socket
            .field("id", &self.id())
            .field("namespace", &self.namespace());
        socket.finish_non_exhaustive()
    }
}
