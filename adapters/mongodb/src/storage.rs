use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, doc};
use connexus_domain::ports::{
    AttachmentRepository, BlockRepository, ConversationRepository, LeaseRepository,
    MessageRepository, ReceiptRepository, SessionRepository, Storage, UserRepository,
};
use connexus_domain::{Error, Result};
use mongodb::{Client, Database};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::documents::Record;
use crate::error::{InDomain as _, Late};
use crate::message::KnownSenders;
use crate::open::{self, MongoOptions};
use crate::orphans::{Lifetime, Orphans};
use crate::tx::Queues;
use crate::{indexes, migrate};

/// A readiness check that waits longer than this is a no.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A step of purging is maintenance: it may take longer than what somebody waits for.
const PURGE_TIMEOUT: Duration = Duration::from_mins(1);

/// All repositories in one MongoDB database.
#[derive(Debug, Clone)]
pub struct MongoStorage {
    pub(crate) client: Client,
    pub(crate) database: Database,
    /// How long one call may take, with all its attempts.
    pub(crate) timeout: Duration,
    /// How long one attempt of it may.
    pub(crate) lifetime: Lifetime,
    /// One for each connection that calls may have.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) late: Arc<Queues>,
    pub(crate) orphans: Arc<Orphans>,
    pub(crate) senders: KnownSenders,
    /// Where the driver lives.
    home: Handle,
}

impl MongoStorage {
    /// Connects to `mongodb://HOST:PORT/DATABASE` (the database `connexus` when none is named). The schema
    /// is not touched: call [`migrate`](Storage::migrate).
    ///
    /// Errors: `Unavailable` when there is no primary now; `Internal` with an
    /// [`OpenError`](crate::OpenError) that says what is wrong.
    pub async fn connect(url: &str, options: MongoOptions) -> Result<Self> {
        let (client, database) = open::open(url, &options).await?;
        let turns = usize::try_from(options.max_connections).unwrap_or(usize::MAX);
        let turns = turns.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            client,
            database,
            timeout: options.operation_timeout,
            lifetime: Lifetime::of(options.operation_timeout),
            turns: Arc::new(Semaphore::new(turns)),
            late: Arc::default(),
            orphans: Arc::default(),
            senders: KnownSenders::new(),
            home: Handle::current(),
        })
    }

    /// Does `work` where the driver lives: elsewhere, each command wakes threads several times over, for a connection
    /// and for its answer. For reads of several commands that come often. Ends with whoever waits for it.
    pub(crate) async fn at_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if Handle::current().id() == self.home.id() {
            return work.await;
        }
        let working = self.home.spawn(work.in_current_span());
        AbortOnDropHandle::new(working)
            .await
            .map_err(Error::internal)?
    }

    /// Does `work` where the driver lives, with nobody waiting for it.
    pub(crate) fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.home.spawn(work.in_current_span());
    }

    /// Does `work`, which is maintenance, in no transaction: what it has done stays done when there is no time for all.
    pub(crate) async fn purging<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(PURGE_TIMEOUT, work)
            .await
            .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
    }

    /// Deletes what matches, in no transaction; answers how many.
    pub(crate) async fn delete_many<D: Record>(&self, filter: Document) -> Result<u64> {
        let done = self
            .database
            .collection::<Document>(D::COLLECTION)
            .delete_many(filter)
            .await
            .in_domain()?;
        Ok(done.deleted_count)
    }

    async fn try_write(&self) -> Result<()> {
        self.database
            .collection::<Document>(indexes::HEALTH)
            .update_one(doc! { "_id": 1 }, doc! { "$inc": { "pings": 1_i64 } })
            .upsert(true)
            .await
            .in_domain()?;
        Ok(())
    }
}

#[async_trait]
impl Storage for MongoStorage {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn users(&self) -> &dyn UserRepository {
        self
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
        self
    }

    fn blocks(&self) -> &dyn BlockRepository {
        self
    }

    fn attachments(&self) -> &dyn AttachmentRepository {
        self
    }

    fn leases(&self) -> &dyn LeaseRepository {
        self
    }

    async fn migrate(&self) -> Result<()> {
        migrate::migrate(&self.database).await
    }

    async fn ping(&self) -> Result<()> {
        tokio::time::timeout(PING_TIMEOUT, self.try_write())
            .await
            .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
    }

    /// Waits for sessions and cursors that are in use, but not for longer than a call may take.
    async fn close(&self) {
        let closing = self.client.clone().shutdown();
        if tokio::time::timeout(self.timeout, closing).await.is_err() {
            self.client.clone().shutdown().immediate(true).await;
        }
    }
}
