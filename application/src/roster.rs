//! Who is in a conversation: the small cache behind the hot path.
//!
//! It decides whom to tell, lets members read, and refuses most strangers without a database round trip; the
//! database has the last word on every send. Every change of members in this process drops the entry in the
//! conversation's lane, before anything later is told; entries also expire, for what other processes do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    known: Known<Roster>,
}

impl Rosters {
    pub fn new(storage: Arc<dyn Storage>, settings: &DeliverySettings) -> Self {
        let cache = Cache::builder()
            .max_capacity(settings.roster_cache)
            .weigher(|_, roster: &Dated<Roster>| {
                u32::try_from(roster.value.members.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(4)
            })
            .time_to_live(settings.roster_ttl)
            .build();
        Self {
            storage,
            known: Known::new(cache),
        }
    }

    /// The members, from the cache or the database. Simultaneous misses share one look-up.
    pub async fn get(&self, id: ConversationId) -> Result<Arc<Roster>> {
        self.known.get(id, || self.load(id)).await
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
        let cached = self.known.peek(id).await;
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
        self.known.cache.entry_count()
    }

    pub async fn forget(&self, id: ConversationId) {
        self.known.forget(id).await;
    }

    async fn load(&self, id: ConversationId) -> Result<Roster> {
        let conversations = self.storage.conversations();
        let conversation = conversations
            .find(id)
            .await?
            .ok_or(Error::NotFound(Entity::Conversation))?;
        let members = conversations.member_ids(id).await?;
        Ok(Roster {
            kind: conversation.kind,
            members: members.into(),
        })
    }
}

/// What is known of conversations. A look-up that is under way while something changes is not believed: it may have
/// read what was before, and the cache would keep that.
struct Known<V> {
    cache: Cache<ConversationId, Dated<V>>,
    /// How often something has changed, by conversation; several share a place.
    changes: Box<[AtomicU64]>,
}

/// What was read, and how often it had changed by then.
struct Dated<V> {
    value: Arc<V>,
    as_of: u64,
}

impl<V> Clone for Dated<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            as_of: self.as_of,
        }
    }
}

impl<V: Send + Sync + 'static> Known<V> {
    fn new(cache: Cache<ConversationId, Dated<V>>) -> Self {
        const PLACES: usize = 4_096;
        Self {
            cache,
            changes: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    async fn get<F>(&self, id: ConversationId, load: impl Fn() -> F) -> Result<Arc<V>>
    where
        F: Future<Output = Result<V>>,
    {
        loop {
            let dated = async {
                let as_of = self.changes(id).load(Ordering::Acquire);
                let value = Arc::new(load().await?);
                Ok(Dated { value, as_of })
            };
            let found = self.cache.try_get_with(id, dated).await;
            let found = found.map_err(|error: Arc<Error>| Error::clone(&error))?;
            if self.holds(id, &found) {
                return Ok(found.value);
            }
            // not what somebody else has read again by now
            if self.peek(id).await.is_none() {
                self.cache.invalidate(&id).await;
            }
        }
    }

    /// What is cached, if it is.
    async fn peek(&self, id: ConversationId) -> Option<Arc<V>> {
        let found = self.cache.get(&id).await;
        let found = found.filter(|found| self.holds(id, found));
        found.map(|found| found.value)
    }

    async fn forget(&self, id: ConversationId) {
        self.changes(id).fetch_add(1, Ordering::Release);
        self.cache.invalidate(&id).await;
    }

    fn holds(&self, id: ConversationId, dated: &Dated<V>) -> bool {
        dated.as_of == self.changes(id).load(Ordering::Acquire)
    }

    fn changes(&self, id: ConversationId) -> &AtomicU64 {
        let [.., a, b] = id.as_uuid().into_bytes();
        let place = u16::from_be_bytes([a, b]);
        &self.changes[usize::from(place) % self.changes.len()]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn what_was_being_read_when_it_changed_is_read_again() {
        let known: Known<usize> = Known::new(Cache::builder().max_capacity(10).build());
        let id = ConversationId::from_uuid(Uuid::from_u128(7));
        let (reads, begun, go_on) = (AtomicUsize::new(0), Notify::new(), Notify::new());
        let load = || async {
            let read = reads.fetch_add(1, Ordering::SeqCst);
            if read == 0 {
                begun.notify_one();
                go_on.notified().await;
            }
            Ok(read)
        };
        let change = async {
            begun.notified().await;
            known.forget(id).await;
            let later = known.get(id, load);
            let release = async { go_on.notify_one() };
            tokio::join!(later, release).0
        };
        let (first, later) = tokio::join!(known.get(id, load), change);
        assert_eq!((*first.unwrap(), *later.unwrap()), (1, 1));
        assert_eq!(*known.get(id, load).await.unwrap(), 1, "it is kept");
        known.forget(id).await;
        assert!(known.peek(id).await.is_none());
        assert_eq!(*known.get(id, load).await.unwrap(), 2);
    }
}
