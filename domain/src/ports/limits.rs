use std::net::IpAddr;
use std::time::Duration;

use crate::id::UserId;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// Register, login, refresh, password change.
    Auth,
    /// Sending, editing, reacting.
    Send,
    /// Search of users and messages.
    Search,
    /// Everything else.
    General,
}

impl LimitClass {
    /// Every class, in the order in which it is documented.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Send, Self::Search, Self::General];

    /// The word in config and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Send => "send",
            Self::Search => "search",
            Self::General => "general",
        }
    }
}

/// Who is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address; an implementation MAY count an IPv6 /64 as one.
    Address(IpAddr),
    /// A user, from wherever.
    User(UserId),
}

/// What a subject may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whether this request may go on.
    pub allowed: bool,
    /// How many requests fit in a burst.
    pub limit: u32,
    /// How many more may come right now.
    pub remaining: u32,
    /// When the quota will be whole again.
    pub reset_after: Duration,
    /// When the next request may come; zero when it may come now.
    pub retry_after: Duration,
}

/// Counts requests. Memory MUST stay bounded whatever the number of subjects.
pub trait RateLimiter: Send + Sync {
    /// Counts one request. `None` when the class is not limited.
    fn check(&self, class: LimitClass, subject: Subject) -> Option<Quota>;
}
