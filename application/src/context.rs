//! What all use-cases share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connexus_domain::ports::{
    BlobStore, Clock, IdSource, MediaIntake, PasswordHasher, Storage, TokenIssuer,
};
use connexus_domain::{ConversationId, Error, Result, Session, SessionId, Timestamp, UserId};
use moka::future::Cache;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::doubts::Doubts;
use crate::gather::Gather;
use crate::hub::Hub;
use crate::lanes::Lanes;
use crate::presence::Registry;
use crate::receipts::Pending;
use crate::recent::Recent;
use crate::roster::Rosters;
use crate::scene::Scenes;
use crate::typing::Typists;
use crate::{Ports, Settings};

/// How often the last of what has gathered is tried to be written when the server ends: a connection may have ended
/// with the thread that opened it.
pub(crate) const LAST_ATTEMPTS: usize = 3;
pub(crate) const LAST_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Context {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub passwords: Arc<dyn PasswordHasher>,
    pub tokens: Arc<dyn TokenIssuer>,
    pub blobs: Arc<dyn BlobStore>,
    pub intake: Arc<dyn MediaIntake>,
    pub settings: Settings,
    pub hub: Arc<Hub>,
    pub lanes: Lanes,
    pub doubts: Doubts,
    pub rosters: Rosters,
    pub scenes: Scenes,
    pub recent: Recent,
    pub sessions_by_id: Gather<SessionId, Session>,
    /// Who has not been handed everything.
    pub behind: Gather<UserId, ()>,
    /// Those of whom the presence is told, as [`peers`](connexus_domain::ports::ConversationRepository::peers).
    pub acquaintances: Gather<UserId, Vec<UserId>>,
    /// Live sessions and whose they are; forgotten at once when one is revoked here.
    pub sessions: Cache<SessionId, UserId>,
    /// Sessions that were ended here: remembered for as long as a look-up that began before may last.
    pub ended_sessions: Cache<SessionId, ()>,
    /// Whether one of a pair (lower id first) blocks the other.
    pub blocked_pairs: Cache<(UserId, UserId), bool>,
    /// Whether a user keeps to itself what it has read.
    pub silent: Cache<UserId, bool>,
    pub pending_receipts: Arc<Pending>,
    pub presence: Arc<Registry>,
    pub typists: Typists,
}

impl Context {
    pub fn new(ports: Ports, settings: Settings, tasks: &TaskTracker) -> Arc<Self> {
        let pending_receipts = Arc::new(Pending::default());
        let presence = Arc::new(Registry::new());
        let hub = Hub::new(
            &settings.delivery,
            Arc::clone(&presence),
            Arc::clone(&pending_receipts),
        );
        let rosters = Rosters::new(Arc::clone(&ports.storage), &settings.delivery);
        let scenes = Scenes::new(Arc::clone(&ports.storage), &settings.delivery);
        Arc::new_cyclic(|context| Self {
            lanes: Lanes::start(context, &settings.coalescer, tasks),
            doubts: Doubts::default(),
            sessions_by_id: sessions_by_id(&ports.storage),
            behind: behind(&ports.storage),
            acquaintances: acquaintances(&ports.storage, settings.presence.max_members),
            sessions: Cache::builder()
                .max_capacity(200_000)
                .time_to_live(settings.auth.session_cache_ttl)
                .build(),
            ended_sessions: Cache::builder()
                .max_capacity(200_000)
                .time_to_live(Duration::from_mins(5))
                .build(),
            blocked_pairs: Cache::builder()
                .max_capacity(200_000)
                .time_to_live(settings.delivery.roster_ttl)
                .build(),
            silent: Cache::builder()
                .max_capacity(200_000)
                .time_to_live(settings.delivery.roster_ttl)
                .build(),
            storage: ports.storage,
            clock: ports.clock,
            ids: ports.ids,
            passwords: ports.passwords,
            tokens: ports.tokens,
            blobs: ports.blobs,
            intake: ports.intake,
            settings,
            hub,
            rosters,
            scenes,
            recent: Recent::default(),
            pending_receipts,
            presence,
            typists: Typists::default(),
        })
    }

    /// How full caches and queues are, for `/metrics`.
    pub fn record_sizes(&self) {
        let caches = [
            ("rosters", self.rosters.len()),
            ("scenes", self.scenes.len()),
            ("sessions", self.sessions.entry_count()),
            ("blocks", self.blocked_pairs.entry_count()),
            ("readers", self.silent.entry_count()),
            ("recent", self.recent.len() as u64),
        ];
        for (name, entries) in caches {
            let entries = u32::try_from(entries).unwrap_or(u32::MAX);
            metrics::gauge!("connexus_cache_entries", "cache" => name).set(entries);
        }
        let waiting = u32::try_from(self.hub.waiting()).unwrap_or(u32::MAX);
        metrics::gauge!("connexus_worker_queue_depth").set(waiting);
        let pending = u32::try_from(self.pending_receipts.len()).unwrap_or(u32::MAX);
        metrics::gauge!("connexus_receipts_pending").set(pending);
    }

    /// The conversation or its members are others now.
    pub async fn forget_conversation(&self, id: ConversationId) {
        self.rosters.forget(id).await;
        self.scenes.forget_conversation(id).await;
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn sessions_by_id(storage: &Arc<dyn Storage>) -> Gather<SessionId, Session> {
    let storage = Arc::clone(storage);
    Gather::start(move |ids: Vec<SessionId>| {
        let storage = Arc::clone(&storage);
        async move {
            let found = storage.sessions().get_many(&ids).await?;
            Ok(found.into_iter().map(|one| (one.id, one)).collect())
        }
    })
}

fn behind(storage: &Arc<dyn Storage>) -> Gather<UserId, ()> {
    let storage = Arc::clone(storage);
    Gather::start(move |users: Vec<UserId>| {
        let storage = Arc::clone(&storage);
        async move {
            let found = storage.conversations().behind(&users).await?;
            Ok(found.into_iter().map(|user| (user, ())).collect())
        }
    })
}

fn acquaintances(storage: &Arc<dyn Storage>, max_members: u32) -> Gather<UserId, Vec<UserId>> {
    let storage = Arc::clone(storage);
    Gather::start(move |users: Vec<UserId>| {
        let storage = Arc::clone(&storage);
        async move {
            let conversations = storage.conversations();
            let mut peers: HashMap<UserId, Vec<UserId>> = HashMap::new();
            for (user, peer) in conversations.peers(&users, Some(max_members)).await? {
                peers.entry(user).or_default().push(peer);
            }
            Ok(peers)
        }
    })
}

/// Does what must not be left half done: to its end, even if whoever waits for it goes away. A request that is given up
/// is dropped wherever it stands, and that may be between what was stored and what follows from it.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = tokio::spawn(work.in_current_span());
    work.await.map_err(Error::internal).flatten()
}
