//! Who is in a conversation: the small cache behind the hot path.
//!
//! It decides whom to tell, lets members read, and refuses most strangers without a database round trip; the
//! database has the last word on every send. Every change of members in this process drops the entry in the
//! conversation's lane, before anything later is told; entries also expire, for what other processes do.

use std::sync::Arc;

use connexus_domain::ports::Storage;
use connexus_domain::{ConversationId, ConversationKind, Entity, Error, Result, UserId};
use moka::future::Cache;

use crate::access::member_access;
use crate::settings::DeliverySettings;

/// How many members a conversation may have that are read from the database for one of them.
const SMALL: u32 = 200;

/// The members of a conversation at one moment.
#[derive(Debug)]
pub(crate) struct Roster {
    pub kind: ConversationKind,
    /// In order.
    pub members: Arc<[UserId]>,
}

impl Roster {
    pub fn contains(&self, user: UserId) -> bool {
        self.members.binary_search(&user).is_ok()
    }

    /// The other user of a direct conversation.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        if self.kind != ConversationKind::Direct {
            return None;
        }
        self.members.iter().copied().find(|member| *member != user)
    }
}

pub(crate) struct Rosters {
    storage: Arc<dyn Storage>,
    cache: Cache<ConversationId, Arc<Roster>>,
}

impl Rosters {
    pub fn new(storage: Arc<dyn Storage>, settings: &DeliverySettings) -> Self {
        let cache = Cache::builder()
            .max_capacity(settings.roster_cache)
            .weigher(|_, roster: &Arc<Roster>| {
                u32::try_from(roster.members.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(4)
            })
            .time_to_live(settings.roster_ttl)
            .build();
        Self { storage, cache }
    }

    /// The members, from the cache or the database. Simultaneous misses share one look-up.
    pub async fn get(&self, id: ConversationId) -> Result<Arc<Roster>> {
        self.cache
            .try_get_with(id, self.load(id))
            .await
            .map_err(|error: Arc<Error>| Error::clone(&error))
    }

    /// The members, among whom `user` must be; asks the database for that one before it says no.
    pub async fn of_member(&self, id: ConversationId, user: UserId) -> Result<Arc<Roster>> {
        let cached = self.get(id).await?;
        if cached.contains(user) {
            return Ok(cached);
        }
        member_access(&*self.storage, id, user).await?;
        self.forget(id).await;
        self.get(id).await
    }

    /// Lets a member read; asks the database for that one when the cache does not know it, and not for everybody of a
    /// big conversation.
    pub async fn admit(&self, id: ConversationId, user: UserId) -> Result<()> {
        let cached = self.cache.get(&id).await;
        if cached.as_ref().is_some_and(|known| known.contains(user)) {
            return Ok(());
        }
        let (conversation, _) = member_access(&*self.storage, id, user).await?;
        if cached.is_some() {
            self.forget(id).await;
        }
        if conversation.member_count <= SMALL {
            // whoever reads, reads on
            self.get(id).await?;
        }
        Ok(())
    }

    pub fn len(&self) -> u64 {
        self.cache.entry_count()
    }

    pub async fn forget(&self, id: ConversationId) {
        self.cache.invalidate(&id).await;
    }

    async fn load(&self, id: ConversationId) -> Result<Arc<Roster>> {
        let conversations = self.storage.conversations();
        let conversation = conversations
            .find(id)
            .await?
            .ok_or(Error::NotFound(Entity::Conversation))?;
        let members = conversations.member_ids(id).await?;
        Ok(Arc::new(Roster {
            kind: conversation.kind,
            members: members.into(),
        }))
    }
}
