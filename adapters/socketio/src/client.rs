//! The task of one session: takes its packets in their order to the handlers of the namespaces it is in,
//! and runs what the handlers have left for later beside that.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ack::{Ack, Reply};
use crate::decode::{Data, Decoder, Incoming};
use crate::engine::{CloseReason, Connection, Handshake, Message, random_id};
use crate::hub::Hub;
use crate::namespace::{DisconnectReason, Event, Handler};
use crate::packet::{Importance, Packet};
use crate::recall::Recall;
use crate::socket::Socket;

/// How long what was begun may go on after the end of the session.
const GRACE: Duration = Duration::from_secs(10);
/// CONNECTs in a row that may be refused.
const REFUSALS_MAX: usize = 32;

type Laters = FuturesUnordered<LocalBoxFuture<'static, ()>>;

pub struct Client {
    hub: Arc<Hub>,
    connection: Connection,
    recall: Recall,
    decoder: Decoder,
    joined: Vec<Joined>,
    /// Namespaces that the server has left; what the client sent before it knew is ignored.
    left: Vec<String>,
    refusals: usize,
    laters: Laters,
    /// The server has left a namespace.
    leaving: Arc<Notify>,
    /// Until when a namespace must be joined.
    idle_until: Option<Instant>,
}

struct Joined {
    socket: Socket,
    handler: Box<dyn Handler>,
}

impl Client {
    pub fn new(hub: Arc<Hub>, connection: Connection, handshake: &Handshake) -> Self {
        let idle_until = Some(Instant::now() + hub.settings.connect_timeout);
        Self {
            decoder: Decoder::new(&hub.settings),
            hub,
            connection,
            recall: Recall::new(handshake),
            joined: Vec::new(),
            left: Vec::new(),
            refusals: 0,
            laters: FuturesUnordered::new(),
            leaving: Arc::new(Notify::new()),
            idle_until,
        }
    }

    pub async fn run(mut self) {
        // what it does is boxed, since it would have room in every idle session
        loop {
            let room = self.laters.len() < self.hub.settings.max_in_flight;
            let idle_until = self.idle_until;
            tokio::select! {
                biased;
                () = self.connection.closed() => break,
                Some(()) = self.laters.next(), if !self.laters.is_empty() => {}
                () = self.leaving.notified() => Box::pin(self.leave_left()).await,
                () = until(idle_until) => self.connection.close(CloseReason::ConnectTimeout),
                message = self.connection.recv(), if room => match message {
                    Some(message) => Box::pin(self.take(message)).await,
                    None => break,
                },
            }
            self.watch_idleness();
        }
        Box::pin(self.end()).await;
    }

    /// The time to join a namespace runs while the session is in none.
    fn watch_idleness(&mut self) {
        if !self.joined.is_empty() {
            self.idle_until = None;
        } else if self.idle_until.is_none() {
            self.idle_until = Some(Instant::now() + self.hub.settings.connect_timeout);
        }
    }

    async fn end(mut self) {
        let reason = self
            .connection
            .close_reason()
            .unwrap_or(CloseReason::Server);
        for joined in std::mem::take(&mut self.joined) {
            self.disconnect(joined, DisconnectReason::Session(reason))
                .await;
        }
        let rest = async { while self.laters.next().await.is_some() {} };
        drop(tokio::time::timeout(GRACE, rest).await);
    }

    async fn take(&mut self, message: Message) {
        let Ok(incoming) = self.decoder.decode(message) else {
            self.connection.close(CloseReason::Protocol);
            return;
        };
        let Some(Incoming { namespace, data }) = incoming else {
            return;
        };
        let at = self
            .joined
            .iter()
            .position(|joined| joined.socket.namespace() == &*namespace);
        match (data, at) {
            (Data::Connect(auth), None) => self.connect(&namespace, auth).await,
            (
                Data::Event {
                    name,
                    args,
                    attachments,
                    id,
                },
                Some(at),
            ) => {
                let socket = &self.joined[at].socket;
                let ack = id.map(|id| Ack {
                    socket: socket.clone(),
                    id,
                });
                let event = Event {
                    name,
                    args,
                    attachments,
                    ack,
                };
                self.event(at, event).await;
            }
            (
                Data::Ack {
                    id,
                    args,
                    attachments,
                },
                Some(at),
            ) => {
                let reply = Reply { args, attachments };
                self.joined[at].socket.resolve(id, reply);
            }
            (Data::Disconnect, Some(at)) => {
                let joined = self.joined.swap_remove(at);
                self.disconnect(joined, DisconnectReason::Client).await;
            }
            // both sides have left at the same time
            (Data::Disconnect, None) => {}
            (Data::Event { .. } | Data::Ack { .. }, None)
                if self.left.iter().any(|left| left == &*namespace) => {}
            _ => self.connection.close(CloseReason::Protocol),
        }
    }

    async fn connect(&mut self, name: &str, auth: Value) {
        // the reference implementation ignores a query here
        let Some(space) = self
            .hub
            .spaces
            .get(name.split('?').next().unwrap_or_default())
        else {
            self.refuse(name, "Invalid namespace", None);
            return;
        };
        if self.joined.len() >= self.hub.settings.max_namespaces {
            self.refuse(name, "Too many namespaces", None);
            return;
        }
        let Some(id) = random_id() else {
            self.connection.close(CloseReason::Failed);
            return;
        };
        let space = Arc::clone(space);
        let socket = Socket::new(
            id,
            Arc::clone(&space),
            self.connection.clone(),
            &self.leaving,
        );
        let ask = space
            .namespace
            .connect(socket.clone(), self.recall.handshake(), auth);
        match beside(&mut self.laters, &self.connection, ask).await {
            Some(Ok(handler)) => {
                self.left.retain(|left| *left != space.name);
                self.refusals = 0;
                if !handler.is_guest() {
                    self.connection.settle();
                }
                socket.admit();
                self.joined.push(Joined { socket, handler });
                if let Some(joined) = self.joined.last_mut() {
                    let connected = joined.handler.connected();
                    beside(&mut self.laters, &self.connection, connected).await;
                }
            }
            Some(Err(refusal)) => {
                socket.end();
                self.refuse(name, &refusal.message, refusal.data);
            }
            None => socket.end(),
        }
    }

    fn refuse(&mut self, name: &str, message: &str, data: Option<Value>) {
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            self.connection.close(CloseReason::Protocol);
            return;
        }
        let packet = Packet::connect_error(name, message, data);
        self.connection
            .send_all(packet.frames(), Importance::Essential);
    }

    async fn event(&mut self, at: usize, event: Event) {
        let joined = &mut self.joined[at];
        if joined.socket.is_leaving() {
            return;
        }
        let step = joined.handler.event(event);
        if let Some(Some(later)) = beside(&mut self.laters, &self.connection, step).await {
            let connection = self.connection.clone();
            self.laters.push(Box::pin(async move {
                if AssertUnwindSafe(later).catch_unwind().await.is_err() {
                    connection.close(CloseReason::Failed);
                }
            }));
        }
    }

    /// Tells the handlers of the namespaces that the server has left.
    async fn leave_left(&mut self) {
        while let Some(at) = self
            .joined
            .iter()
            .position(|joined| joined.socket.is_leaving())
        {
            let joined = self.joined.swap_remove(at);
            self.left.push(joined.socket.namespace().to_owned());
            self.disconnect(joined, DisconnectReason::Server).await;
        }
    }

    async fn disconnect(&mut self, joined: Joined, reason: DisconnectReason) {
        joined.socket.end();
        let told = joined.handler.disconnected(reason);
        beside(&mut self.laters, &self.connection, told).await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for a handler while the work that others have left goes on. `None` when it panics, which ends the
/// session, or takes too long after the session's end.
async fn beside<T>(
    laters: &mut Laters,
    connection: &Connection,
    step: impl Future<Output = T>,
) -> Option<T> {
    let mut step = std::pin::pin!(AssertUnwindSafe(step).catch_unwind());
    let mut too_late = std::pin::pin!(async {
        connection.closed().await;
        tokio::time::sleep(GRACE).await;
    });
    loop {
        tokio::select! {
            biased;
            done = &mut step => {
                if done.is_err() {
                    connection.close(CloseReason::Failed);
                }
                return done.ok();
            }
            () = &mut too_late => return None,
            Some(()) = laters.next(), if !laters.is_empty() => {}
        }
    }
}
