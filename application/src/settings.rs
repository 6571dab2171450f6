//! What an operator may tune, as plain data; `bin` fills it from config.

use std::time::Duration;

use connexus_domain::ports::SizeLimits;

/// All settings of the application.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Tokens and passwords.
    pub auth: AuthSettings,
    /// The write coalescer.
    pub coalescer: CoalescerSettings,
    /// Fan-out and caches.
    pub delivery: DeliverySettings,
    /// Online, away, offline.
    pub presence: PresenceSettings,
    /// Catching up.
    pub sync: SyncSettings,
    /// Searching messages.
    pub search: SearchSettings,
    /// Files.
    pub files: FileSettings,
}

/// Searching messages.
#[derive(Debug, Clone)]
pub struct SearchSettings {
    /// How old a message is before the index takes it in; until then a search reads it.
    pub index_after: Duration,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            index_after: Duration::from_secs(10),
        }
    }
}

/// Files.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Largest file, by kind.
    pub max_size: SizeLimits,
    /// How long a signed address is good, at least.
    pub link_ttl: Duration,
    /// Whether downloads are sent to the store itself, where clients can reach it.
    pub redirect: bool,
    /// What was uploaded and not sent goes after this time.
    pub orphan_after: Duration,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            max_size: SizeLimits::all(10 * 1024 * 1024),
            link_ttl: Duration::from_hours(12),
            redirect: false,
            orphan_after: Duration::from_hours(24),
        }
    }
}

/// Tokens and passwords.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// How long an access token is good.
    pub access_ttl: Duration,
    /// How long a refresh token is good after its last use.
    pub refresh_ttl: Duration,
    /// Shortest new password, in characters.
    pub password_min: usize,
    /// The same for tokens that a dialect hands out, whose clients do not refresh.
    pub dialect_access_ttl: Duration,
    /// The same for passwords that a dialect takes.
    pub dialect_password_min: usize,
    /// How long the answer "this session lives" is believed without asking storage.
    pub session_cache_ttl: Duration,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_mins(15),
            refresh_ttl: Duration::from_hours(30 * 24),
            password_min: 8,
            dialect_access_ttl: Duration::from_hours(7 * 24),
            dialect_password_min: 6,
            session_cache_ttl: Duration::from_secs(30),
        }
    }
}

/// The write coalescer.
#[derive(Debug, Clone)]
pub struct CoalescerSettings {
    /// How many batches may be written at the same time; a conversation always uses the same lane.
    pub lanes: usize,
    /// Most messages in one commit.
    pub max_batch: usize,
    /// Most writes that wait in one lane; what comes then is refused as `Unavailable`.
    pub queue: usize,
}

impl Default for CoalescerSettings {
    fn default() -> Self {
        Self {
            lanes: 2,
            max_batch: 1_000,
            queue: 10_000,
        }
    }
}

/// Fan-out and caches.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// Above this number of members, typing and per-member receipts are not pushed.
    pub chatter_max_members: usize,
    /// How long delivered receipts gather before they are written; ten times as long where they are not pushed.
    pub receipt_flush: Duration,
    /// How long typing, presence and receipts may wait for something that is written to the same connection.
    pub linger: Duration,
    /// Most member ids kept in the cache, over all conversations.
    pub roster_cache: u64,
    /// How long a cached list of members is believed without asking storage.
    pub roster_ttl: Duration,
    /// Most events that wait for one worker thread; beyond, its connections are told to resume.
    pub worker_queue: usize,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            chatter_max_members: 100,
            receipt_flush: Duration::from_millis(500),
            linger: Duration::from_millis(50),
            roster_cache: 2_000_000,
            roster_ttl: Duration::from_mins(1),
            worker_queue: 65_536,
        }
    }
}

/// Online, away, offline.
#[derive(Debug, Clone)]
pub struct PresenceSettings {
    /// How long a user stays online without a connection, which hides a reconnect.
    pub grace: Duration,
    /// How often presence changes are pushed.
    pub push_interval: Duration,
    /// Above this number of members, a conversation's presence changes are not pushed.
    pub max_members: u32,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            push_interval: Duration::from_secs(1),
            max_members: 200,
        }
    }
}

/// Catching up.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// A client that is more changes behind in a conversation gets a snapshot instead.
    pub max_lag: i64,
    /// How many of the newest messages a snapshot has.
    pub snapshot_messages: u32,
    /// Most changes in one answer, whatever the client asks for.
    pub max_changes: u32,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            max_lag: 5_000,
            snapshot_messages: 50,
            max_changes: 1_000,
        }
    }
}
