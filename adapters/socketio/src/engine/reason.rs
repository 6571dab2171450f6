//! Why a session ends.

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed, or its connection is gone.
    Transport,
    /// A ping was not answered in time.
    PingTimeout,
    /// A packet or a frame that the protocol does not allow.
    Protocol,
    /// A packet, or the body of a `POST`, is too big.
    TooBig,
    /// No namespace was joined in time.
    ConnectTimeout,
    /// The client read too slowly.
    SlowReader,
    /// The application has ended the session.
    Server,
    /// The server goes away.
    Restart,
    /// A handler has panicked.
    Failed,
}

impl CloseReason {
    /// A word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::Protocol => "protocol error",
            Self::TooBig => "too big",
            Self::ConnectTimeout => "connect timeout",
            Self::SlowReader => "slow reader",
            Self::Server => "server close",
            Self::Restart => "restart",
            Self::Failed => "failed",
        }
    }

    /// The close code of WebSocket (RFC 6455, 7.4.1, and its registry).
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Transport | Self::Server => 1000,
            Self::PingTimeout => 1001,
            Self::Protocol => 1002,
            Self::ConnectTimeout => 1008,
            Self::TooBig => 1009,
            Self::Failed => 1011,
            Self::Restart => 1012,
            Self::SlowReader => 1013,
        }
    }
}
