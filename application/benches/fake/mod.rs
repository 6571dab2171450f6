//! What the use-cases need to run without a database, a clock or passwords. Whatever benchmarks and tests do not
//! come to is not there.

// each benchmark or test is a crate of its own, and does not need all of it
#![allow(dead_code)]

mod conversations;
mod files;
pub mod memory;
mod messages;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use connexus_application::settings::{DeliverySettings, PresenceSettings};
use connexus_application::{Connexus, Ports, Settings};
use connexus_domain::ports::{
    AccessClaims, AttachmentRepository, BlockRepository, Clock, ConversationRepository, IdSource,
    IssuedRefresh, LeaseRepository, MessageRepository, PasswordHash, PasswordHasher,
    ReceiptRepository, SessionRepository, Storage, TokenIssuer, UserRepository,
};
use connexus_domain::session::TokenHash;
use connexus_domain::{Conversation, ConversationId, ConversationKind, Result, Timestamp, UserId};
use uuid::Uuid;

use files::NoFiles;
use memory::Memory;

pub struct Fake {
    members: Vec<UserId>,
    appended: AtomicI64,
    /// How long a commit takes.
    commit: Option<Duration>,
    /// What was stored, where that is asked for.
    pub memory: Option<Memory>,
}

impl Fake {
    /// The use-cases, on a storage in which these users are together in whatever is asked for. Nothing
    /// happens by itself for as long as a benchmark lasts. Call it in a runtime.
    pub fn start(members: Vec<UserId>, commit: Option<Duration>) -> Arc<Connexus> {
        Self::start_on(Arc::new(Self {
            members,
            appended: AtomicI64::new(0),
            commit,
            memory: None,
        }))
    }

    /// The same storage, with a memory.
    pub fn remembering(members: Vec<UserId>) -> Self {
        Self {
            members,
            appended: AtomicI64::new(0),
            commit: None,
            memory: Some(Memory::default()),
        }
    }

    /// The use-cases on a storage.
    pub fn start_on(storage: Arc<dyn Storage>) -> Arc<Connexus> {
        const NEVER: Duration = Duration::from_hours(24);
        let ports = Ports {
            storage,
            clock: Arc::new(Fixed),
            ids: Arc::new(Counter(AtomicU64::new(0))),
            passwords: Arc::new(Nobody),
            tokens: Arc::new(Nobody),
            blobs: Arc::new(NoFiles),
            intake: Arc::new(NoFiles),
        };
        let settings = Settings {
            delivery: DeliverySettings {
                receipt_flush: NEVER,
                ..DeliverySettings::default()
            },
            presence: PresenceSettings {
                push_interval: NEVER,
                ..PresenceSettings::default()
            },
            ..Settings::default()
        };
        Connexus::start(ports, settings)
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().unwrap_or_else(|| unused())
    }

    fn conversation(&self, id: ConversationId) -> Conversation {
        Conversation {
            id,
            kind: ConversationKind::Group,
            slug: None,
            name: Some("bench".to_owned()),
            description: None,
            avatar_url: None,
            created_by: self.members[0],
            created_at: NOW,
            last_activity_at: NOW,
            last_seq: 0,
            rev: 1,
            changed_rev: 1,
            member_count: u32::try_from(self.members.len()).unwrap_or(u32::MAX),
        }
    }
}

/// The only time there is.
pub const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The `nth` of any kind of id, in order.
pub fn id(nth: u64) -> Uuid {
    // lanes are chosen by the last byte
    Uuid::from_u128(u128::from(nth))
}

/// Users in the order of their ids.
pub fn users(count: u64) -> Vec<UserId> {
    (0..count).map(|nth| UserId::from_uuid(id(nth))).collect()
}

fn unused() -> ! {
    unreachable!("nothing that uses this comes here")
}

#[async_trait]
impl Storage for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn users(&self) -> &dyn UserRepository {
        unused()
    }

    fn sessions(&self) -> &dyn SessionRepository {
        self
    }

    fn conversations(&self) -> &dyn ConversationRepository {
        self
    }

    fn messages(&self) -> &dyn MessageRepository {
        self
    }

    fn receipts(&self) -> &dyn ReceiptRepository {
        unused()
    }

    fn blocks(&self) -> &dyn BlockRepository {
        unused()
    }

    fn attachments(&self) -> &dyn AttachmentRepository {
        unused()
    }

    fn leases(&self) -> &dyn LeaseRepository {
        &NoFiles
    }

    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) {}
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Counter(AtomicU64);

impl IdSource for Counter {
    fn next(&self) -> Uuid {
        id(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Nobody;

#[async_trait]
impl PasswordHasher for Nobody {
    async fn hash(&self, _password: &str) -> Result<PasswordHash> {
        unused()
    }

    async fn verify(&self, _password: &str, _hash: Option<&PasswordHash>) -> Result<bool> {
        unused()
    }
}

impl TokenIssuer for Nobody {
    fn issue_access(&self, _claims: &AccessClaims) -> Result<String> {
        unused()
    }

    fn verify_access(&self, _token: &str, _now: Timestamp) -> Result<AccessClaims> {
        unused()
    }

    fn issue_refresh(&self) -> Result<IssuedRefresh> {
        unused()
    }

    fn hash_refresh(&self, _token: &str) -> TokenHash {
        unused()
    }

    fn sign(&self, _text: &str) -> Result<String> {
        unused()
    }

    fn is_signed(&self, _text: &str, _signature: &str) -> bool {
        unused()
    }
}
