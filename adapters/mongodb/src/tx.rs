//! Transactions and snapshots, tried again for a bounded time.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use connexus_domain::{ConversationId, Error, Result};
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use mongodb::error::{Error as Driver, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{Hint, ReadConcern, ReturnDocument, UpdateModifications};
use mongodb::{ClientSession, Collection, Database, SessionCursor};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::documents::{Record, decode, decode_part};
use crate::error::{
    Failure, Late, Tried, check_written, is_conflict, is_duplicate, is_lost, is_transient,
};
use crate::indexes;
use crate::open::durable;
use crate::orphans::SUSPICIOUS;
use crate::query::Query;
use crate::storage::MongoStorage;

/// Longest pause before another attempt. Pauses are random, from nothing to a bound that doubles.
const PAUSE_MAX: Duration = Duration::from_millis(64);
/// How many statements go in one `update` command, which has at most 16 MiB.
const STATEMENTS: usize = 10_000;
/// As much as fits in one answer.
const ONE_BATCH: u32 = 1_000_000;
/// How long one attempt to get rid of a transaction may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A transaction, or a number of reads from one snapshot.
pub(crate) struct Tx<'a> {
    /// There until this is dropped.
    session: Option<ClientSession>,
    storage: &'a MongoStorage,
    keep: bool,
    /// Whether the server may hold a transaction, and with it locks, for this.
    open: bool,
    wanted: Option<ConversationId>,
}

impl MongoStorage {
    /// Does `work` in a transaction, and commits it unless `work` fails or [abandons](Tx::abandon) it.
    /// When others were in its way it is rolled back and done again.
    pub(crate) async fn transact<'a, T, F>(&'a self, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx<'a>) -> BoxFuture<'t, Tried<T>>,
    {
        let mut patience = Patience::new(self.timeout);
        // who was late once queues with others who were, so that none of them is late for ever
        let mut queued: Option<MutexGuard<'_, ()>> = None;
        loop {
            let mut wanted = None;
            let attempt = async {
                let mut tx = Tx::begin(self).await?;
                let answer = work(&mut tx).await;
                wanted = tx.wanted;
                tx.end(answer).await
            };
            // on the heap, or every caller's future would be as large
            let bounded = self.in_turn(self.bounded(Box::pin(attempt)));
            if let Some(answer) = patience.done(bounded).await? {
                return Ok(answer);
            }
            if patience.is_suspicious() {
                let look = self.orphans.end(&self.client, self.database.name());
                patience.wait(Box::pin(look)).await?;
            }
            if let (None, Some(conversation)) = (&queued, wanted) {
                queued = Some(patience.wait(self.late.of(conversation).lock()).await?);
            }
        }
    }

    /// Does `work` in a transaction, once. `None` when it does not answer, when others were in its way, or when
    /// what it inserts is there already: then nothing of it is kept.
    pub(crate) async fn transact_once<'a, T, F>(&'a self, work: F) -> Result<Option<T>>
    where
        F: for<'t> FnOnce(&'t mut Tx<'a>) -> BoxFuture<'t, Tried<Option<T>>>,
    {
        let attempt = async {
            let mut tx = Tx::begin(self).await?;
            let answer = work(&mut tx).await;
            if matches!(answer, Ok(None)) {
                tx.abandon();
            }
            tx.end(answer).await
        };
        let patience = Patience::new(self.timeout);
        let bounded = self.in_turn(self.bounded(Box::pin(attempt)));
        match patience.wait(bounded).await? {
            Ok(answer) => Ok(answer),
            Err(Failure::Driver(error)) if is_transient(&error) || is_duplicate(&error) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Does `work` once it may have one of the connections. The driver has a queue for them, too, but when those
    /// who wait in it go away, a connection that comes free may wake nobody, until some other call does. Here
    /// nobody gets into that queue.
    async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        // never closed; and given back after what `work` holds
        let _turn = self.turns.acquire().await.ok();
        work.await
    }

    /// An attempt that ends within its lifetime: others rely on it.
    async fn bounded<T>(&self, attempt: impl Future<Output = Tried<T>>) -> Tried<T> {
        tokio::time::timeout(self.lifetime.0, attempt)
            .await
            .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
    }

    /// Does `work`, which only reads, on one snapshot of what a majority has.
    pub(crate) async fn read<'a, T, F>(&'a self, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx<'a>) -> BoxFuture<'t, Tried<T>>,
    {
        let mut patience = Patience::new(self.timeout);
        loop {
            let attempt = self.in_turn(async {
                let mut tx = Tx::snapshot(self).await?;
                work(&mut tx).await
            });
            if let Some(answer) = patience.done(attempt).await? {
                return Ok(answer);
            }
        }
    }

    /// The one document that matches.
    pub(crate) async fn find_one<D: Record>(&self, filter: Document) -> Result<Option<D>> {
        let filter = &filter;
        self.read(|tx| Box::pin(async move { tx.find_one(filter.clone()).await }))
            .await
    }
}

/// The queues of those who were late, in this process, for some conversation each. First come, first served.
#[derive(Debug, Default)]
pub(crate) struct Queues([Mutex<()>; 32]);

impl Queues {
    fn of(&self, conversation: ConversationId) -> &Mutex<()> {
        let random = conversation.as_uuid().as_bytes()[15];
        &self.0[usize::from(random) % self.0.len()]
    }
}

/// How long it goes on.
struct Patience {
    deadline: Instant,
    attempts: u32,
    /// Since when others have been in the way.
    crowded: Option<Instant>,
}

impl Patience {
    fn new(timeout: Duration) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            attempts: 0,
            crowded: None,
        }
    }

    /// What came of an attempt; `None`, after a pause, when another one may do better.
    async fn done<T>(&mut self, attempt: impl Future<Output = Tried<T>>) -> Result<Option<T>> {
        match self.wait(attempt).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(Failure::Driver(error)) if is_transient(&error) => {
                self.pause(error).await?;
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T> {
        tokio::time::timeout_at(self.deadline, what)
            .await
            .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))
    }

    /// Whether others have been in the way for longer than live ones are.
    fn is_suspicious(&self) -> bool {
        self.crowded
            .is_some_and(|since| since.elapsed() > SUSPICIOUS)
    }

    async fn pause(&mut self, error: Box<Driver>) -> Result<()> {
        let longest = Duration::from_millis(1 << self.attempts.min(10)).min(PAUSE_MAX);
        let pause = longest.mul_f64(rand::random::<f64>());
        self.attempts += 1;
        if is_conflict(&error) {
            self.crowded.get_or_insert_with(Instant::now);
        }
        if Instant::now() + pause >= self.deadline {
            return Err(Error::unavailable(Late::Crowded(error)));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

impl<'a> Tx<'a> {
    async fn begin(storage: &'a MongoStorage) -> Tried<Self> {
        let mut session = storage.client.start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .await?;
        Ok(Self {
            session: Some(session),
            storage,
            keep: true,
            open: true,
            wanted: None,
        })
    }

    async fn snapshot(storage: &'a MongoStorage) -> Tried<Self> {
        Ok(Self {
            session: Some(storage.client.start_session().snapshot(true).await?),
            storage,
            keep: false,
            open: false,
            wanted: None,
        })
    }

    /// A conversation that is about to be locked: who is late for it queues for it.
    pub fn want(&mut self, conversation: ConversationId) {
        self.wanted = Some(conversation);
    }

    /// Whatever comes: nothing of this transaction is to be kept. Then its answer must not promise anything that it has
    /// read either: what it reads is known to be a majority's only once it is committed.
    pub fn abandon(&mut self) {
        self.keep = false;
    }

    async fn end<T>(mut self, answer: Tried<T>) -> Tried<T> {
        if answer.is_err() || !self.keep {
            // the driver takes it for done when the server could not be told
            let told = self.session().abort_transaction().await.is_ok();
            let lost = matches!(&answer, Err(Failure::Driver(error)) if is_lost(error));
            self.open = lost || !told;
            return answer;
        }
        // sends nothing when nothing was asked; the caller's deadline ends the loop
        while let Err(error) = self.session().commit_transaction().await {
            if !error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
                return Err(error.into());
            }
            tokio::time::sleep(PAUSE_MAX).await;
        }
        self.open = false;
        answer
    }

    fn session(&mut self) -> &mut ClientSession {
        self.session.as_mut().expect("it goes when all goes")
    }

    fn raw(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.storage.database.collection(name)
    }

    pub async fn find_one<D: Record>(&mut self, filter: Document) -> Tried<Option<D>> {
        let found = self
            .raw(D::COLLECTION)
            .find_one(filter)
            .session(self.session())
            .await?;
        Ok(found.as_ref().map(decode).transpose()?)
    }

    /// The first of what a query finds.
    pub async fn first<D: Record>(&mut self, query: Query) -> Tried<Option<D>> {
        Ok(self.find(query.limit(1)).await?.pop())
    }

    /// Whole documents.
    pub async fn find<D: Record>(&mut self, query: Query) -> Tried<Vec<D>> {
        let found = self.fetch(query).await?;
        Ok(found.iter().map(decode).collect::<Result<_>>()?)
    }

    /// Some fields of documents.
    pub async fn find_parts<P: DeserializeOwned>(&mut self, query: Query) -> Tried<Vec<P>> {
        let collection = query.collection;
        let found = self.fetch(query).await?;
        let parts = found.iter().map(|raw| decode_part(raw, collection));
        Ok(parts.collect::<Result<_>>()?)
    }

    async fn fetch(&mut self, query: Query) -> Tried<Vec<RawDocumentBuf>> {
        let collection = self.raw(query.collection);
        let mut find = collection.find(query.filter).batch_size(ONE_BATCH);
        if let Some(sort) = query.sort {
            // version 6 does so anyway, when it is more than 100 MiB
            find = find.sort(sort).allow_disk_use(true);
        }
        if let Some(limit) = query.limit {
            find = find.limit(limit);
        }
        if let Some(projection) = query.projection {
            find = find.projection(projection);
        }
        if let Some(index) = query.hint {
            find = find.hint(Hint::Name(index.into()));
        }
        let cursor = find.session(self.session()).await?;
        self.drain(cursor).await
    }

    /// Parts that a pipeline makes of documents of `collection`.
    pub async fn aggregate<P: DeserializeOwned>(
        &mut self,
        collection: &'static str,
        pipeline: Vec<Document>,
    ) -> Tried<Vec<P>> {
        let cursor: SessionCursor<Document> = self
            .raw(collection)
            .aggregate(pipeline)
            .batch_size(ONE_BATCH)
            .session(self.session())
            .await?;
        let found = self.drain(cursor.with_type()).await?;
        let parts = found.iter().map(|raw| decode_part(raw, collection));
        Ok(parts.collect::<Result<_>>()?)
    }

    async fn drain(
        &mut self,
        mut cursor: SessionCursor<RawDocumentBuf>,
    ) -> Tried<Vec<RawDocumentBuf>> {
        Ok(cursor.stream(self.session()).try_collect().await?)
    }

    /// Changes the one document that matches, and answers it as it is then.
    pub async fn change<D: Record>(
        &mut self,
        filter: Document,
        update: Document,
    ) -> Tried<Option<D>> {
        self.change_and(ReturnDocument::After, filter, update.into())
            .await
    }

    /// Changes the one document that matches, and answers it as it was before.
    pub async fn change_from<D: Record>(
        &mut self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Tried<Option<D>> {
        self.change_and(ReturnDocument::Before, filter, update.into())
            .await
    }

    async fn change_and<D: Record>(
        &mut self,
        answer: ReturnDocument,
        filter: Document,
        update: UpdateModifications,
    ) -> Tried<Option<D>> {
        let changed = self
            .raw(D::COLLECTION)
            .find_one_and_update(filter, update)
            .return_document(answer)
            .session(self.session())
            .await?;
        Ok(changed.as_ref().map(decode).transpose()?)
    }

    /// Changes all that match; answers how many did.
    pub async fn update_many<D: Record>(
        &mut self,
        filter: Document,
        update: Document,
    ) -> Tried<u64> {
        let done = self
            .raw(D::COLLECTION)
            .update_many(filter, update)
            .session(self.session())
            .await?;
        Ok(done.matched_count)
    }

    /// Many [statements](crate::query::statement) in one round trip. (What the driver has for it needs
    /// version 8.)
    pub async fn update<D: Record>(&mut self, statements: Vec<Document>) -> Tried<()> {
        for some in statements.chunks(STATEMENTS) {
            let command = doc! { "update": D::COLLECTION, "updates": some };
            let database = self.storage.database.clone();
            let reply = database
                .run_command(command)
                .session(self.session())
                .await?;
            check_written(reply)?;
        }
        Ok(())
    }

    pub async fn insert<D: Record>(&mut self, documents: &[D]) -> Tried<()> {
        if documents.is_empty() {
            return Ok(());
        }
        self.storage
            .database
            .collection::<D>(D::COLLECTION)
            .insert_many(documents)
            .ordered(false)
            .session(self.session())
            .await?;
        Ok(())
    }

    pub async fn delete<D: Record>(&mut self, filter: Document) -> Tried<u64> {
        let done = self
            .raw(D::COLLECTION)
            .delete_many(filter)
            .session(self.session())
            .await?;
        Ok(done.deleted_count)
    }
}

/// A transaction that was cut off in the middle would keep its conversation from everybody for as long as
/// the server lets transactions live, which is a minute.
impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take_if(|_| self.open)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(close(session, self.storage.database.clone()));
        }
    }
}

/// Begins another transaction in the same session: then the server ends the one before, or does not begin
/// it any more if its first statement is still on its way. To abort it would do only the first.
async fn close(mut session: ClientSession, database: Database) {
    for pause in [0, 1, 2, 4, 8, 16, 32] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        if tokio::time::timeout(CLOSE_TIMEOUT, supersede(&mut session, &database))
            .await
            .is_ok_and(|done| done.is_ok())
        {
            return;
        }
    }
}

async fn supersede(session: &mut ClientSession, database: &Database) -> Tried<()> {
    // the driver's own state; what the server says to it does not matter
    let _ = session.abort_transaction().await;
    session.start_transaction().await?;
    database
        .collection::<RawDocumentBuf>(indexes::HEALTH)
        .find_one(doc! { "_id": 1 })
        .session(&mut *session)
        .await?;
    session.abort_transaction().await?;
    Ok(())
}
