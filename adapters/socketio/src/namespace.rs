//! What an application implements: a namespace admits sockets, a handler serves one of them.

use std::rc::Rc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::ack::Ack;
use crate::engine::{CloseReason, Handshake};
use crate::socket::Socket;

/// A namespace: decides who may join it.
#[async_trait(?Send)]
pub trait Namespace: Send + Sync {
    /// A client asks to join. What is emitted to `socket` here is kept until the client has its answer.
    ///
    /// `auth` is what the client gave as `auth`, `Null` if nothing.
    async fn connect(
        &self,
        socket: Socket,
        handshake: Rc<Handshake>,
        auth: Value,
    ) -> Result<Box<dyn Handler>, Refusal>;
}

/// Why a client may not join; it gets a `connect_error` of this.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// `error.message`.
    pub message: String,
    /// `error.data`.
    pub data: Option<Value>,
}

impl Refusal {
    /// A refusal without data.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }
}

/// One socket's events. It lives on the thread that took the handshake.
///
/// The events of all namespaces of one client are handed over one after the other. An answer to
/// [`Socket::emit_with_ack`] arrives in this row too: wait for it in a [`Later`], not in `event`.
#[async_trait(?Send)]
pub trait Handler {
    /// Whether nobody knows yet who this is. Its session counts against its address until that is
    /// [settled](Socket::settle), as one does that has joined nothing.
    fn is_guest(&self) -> bool {
        false
    }

    /// The answer to the CONNECT is queued; what is emitted now comes after it.
    async fn connected(&mut self) {}

    /// An event has arrived. The next one is handed over when this returns; the returned future runs
    /// beside it, and no more than `max_in_flight` of them do.
    async fn event(&mut self, event: Event) -> Later;

    /// The socket has left the namespace, for whatever reason; called exactly once.
    async fn disconnected(self: Box<Self>, reason: DisconnectReason);
}

/// Work that goes on while the next events are handed over. It may go on for ten seconds after the end
/// of the session.
pub type Later = Option<LocalBoxFuture<'static, ()>>;

/// An event that a client has emitted.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its arguments; an attachment's place is `{"_placeholder":true,"num":0}`.
    pub args: Vec<Value>,
    /// The binary attachments.
    pub attachments: Vec<Bytes>,
    /// How to acknowledge it, if the client waits for that.
    pub ack: Option<Ack>,
}

/// Why a socket has left its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client left the namespace.
    Client,
    /// [`Socket::disconnect`].
    Server,
    /// The whole session has ended.
    Session(CloseReason),
}

impl DisconnectReason {
    /// A word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client namespace disconnect",
            Self::Server => "server namespace disconnect",
            Self::Session(reason) => reason.as_str(),
        }
    }
}
