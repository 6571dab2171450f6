//! Acknowledgements, both ways.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::packet::{Importance, Kind, Packet};
use crate::socket::Socket;

/// The client waits for an acknowledgement of its event. Dropped, it stays without.
#[derive(Debug)]
pub struct Ack {
    pub(crate) socket: Socket,
    pub(crate) id: u64,
}

impl Ack {
    /// Acknowledges. `args` is the list of arguments: a tuple, an array, a slice, `()` for none.
    pub fn send(self, args: &impl Serialize) {
        self.send_binary(args, Vec::new());
    }

    /// Acknowledges with attachments; in `args`, their places are `{"_placeholder":true,"num":0}`.
    #[expect(clippy::needless_pass_by_value, reason = "the same as everywhere else")]
    pub fn send_binary(self, args: &impl Serialize, attachments: Vec<Bytes>) {
        let namespace = self.socket.namespace();
        let packet = Packet::arguments(
            Kind::Ack,
            namespace,
            Some(self.id),
            None,
            args,
            &attachments,
        );
        self.socket.offer(&packet, Importance::Essential);
    }
}

/// What a client has answered to [`Socket::emit_with_ack`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The arguments; an attachment's place is `{"_placeholder":true,"num":0}`.
    pub args: Vec<Value>,
    /// The binary attachments.
    pub attachments: Vec<Bytes>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// It did not come in time.
    Timeout,
    /// The socket has left its namespace.
    Disconnected,
    /// Too many answers are being waited for.
    TooMany,
}

impl std::fmt::Display for AckError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Timeout => "the client did not acknowledge in time",
            Self::Disconnected => "the socket is disconnected",
            Self::TooMany => "too many acknowledgements are being waited for",
        })
    }
}

impl std::error::Error for AckError {}
