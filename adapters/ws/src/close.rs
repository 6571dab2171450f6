//! Why a socket is closed, as codes (RFC 6455, 7.4; 4000 to 4999 are ours).

/// A reason to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client closed; the answer carries its code.
    Done,
    /// A frame that is not WebSocket.
    Protocol,
    /// A binary frame: this protocol is text.
    Unsupported,
    /// Text that is not UTF-8.
    NotUtf8,
    /// The server goes away.
    Restart,
    /// No answer to pings.
    Silent,
    /// Who it is could not be proven.
    Unauthenticated,
    /// The page's origin is not allowed.
    Origin,
    /// Nothing proven in time.
    AuthTimeout,
    /// The session was ended.
    Revoked,
    /// A frame is too big.
    TooBig,
    /// Too many frames or bytes in a second.
    TooFast,
    /// Reconnect and sync.
    Resume,
}

impl Close {
    /// The code and a few words for a person.
    pub const fn code(self) -> (u16, &'static str) {
        match self {
            Self::Done => (1000, ""),
            Self::Protocol => (1002, "protocol error"),
            Self::Unsupported => (1003, "text frames only"),
            Self::NotUtf8 => (1007, "not UTF-8"),
            Self::Silent => (1001, "no answer to pings"),
            Self::Restart => (1012, "restart"),
            Self::Unauthenticated => (4401, "unauthenticated"),
            Self::Origin => (4403, "origin not allowed"),
            Self::AuthTimeout => (4408, "not authenticated in time"),
            Self::Revoked => (4409, "session revoked"),
            Self::TooBig => (4413, "frame too big"),
            Self::TooFast => (4429, "too many frames"),
            Self::Resume => (4500, "resume"),
        }
    }
}
