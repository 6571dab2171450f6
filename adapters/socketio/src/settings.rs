//! What an operator may tune.

use std::time::Duration;

/// Limits and times of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long after the handshake, or after a pong, the next ping is sent.
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered.
    pub ping_timeout: Duration,
    /// Largest packet, and largest body of a `POST`, in bytes.
    pub max_payload: usize,
    /// How long an upgrade from polling to WebSocket may take.
    pub upgrade_timeout: Duration,
    /// How long a session may be in no namespace.
    pub connect_timeout: Duration,
    /// Binary attachments of one packet.
    pub max_attachments: usize,
    /// Bytes of all attachments of one packet.
    pub max_attachment_bytes: usize,
    /// What may wait for a slow reader.
    pub queue: QueueLimits,
    /// Handlers' futures of one session that may be under way.
    pub max_in_flight: usize,
    /// Packets that were received and wait for their handler; more are left in the transport.
    pub max_events_waiting: usize,
    /// Namespaces that one session may be in.
    pub max_namespaces: usize,
    /// Sessions of the process; a handshake too many is answered 503.
    pub max_sessions: usize,
    /// Sessions of one client address (IPv6: one /64) that have joined no namespace yet, but as
    /// [guests](crate::Handler::is_guest); a handshake too many is answered 429. Never more than half of `max_sessions`.
    pub max_unjoined: usize,
    /// Whether HTTP long-polling is offered.
    pub polling: bool,
    /// Whether WebSocket is offered.
    pub websocket: bool,
    /// Origins of pages that may connect by WebSocket; `*` for all. Requests of no origin, and of the
    /// server's own, are always let in.
    pub origins: Vec<String>,
    /// Whether polling answers CORS headers for `origins` itself. Off when a middleware does.
    pub cors: bool,
}

/// How much may wait to be written to one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Packets; an attachment counts as one.
    pub packets: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Settings {
    /// How many sessions of one address may have joined no namespace yet.
    pub(crate) fn unjoined_of_one(&self) -> usize {
        self.max_unjoined.min(self.max_sessions.div_ceil(2))
    }
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            packets: 1024,
            bytes: 1024 * 1024,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_attachments: 10,
            max_attachment_bytes: 2_000_000,
            queue: QueueLimits::default(),
            max_in_flight: 64,
            max_events_waiting: 64,
            max_namespaces: 8,
            max_sessions: 100_000,
            // an office behind one address that comes back at once, or a load generator, has all of its
            // sockets in between for a moment; a few such addresses still do not take all sessions
            max_unjoined: 5_000,
            polling: true,
            websocket: true,
            origins: vec!["*".to_owned()],
            cors: false,
        }
    }
}
