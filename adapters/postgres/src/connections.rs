//! Whose turn it is with which connection.
//!
//! The driver's pool asks each connection that comes back whether it still lives, before anybody else may have
//! it: a second round trip for each statement. So a connection whose statement or transaction has ended as it
//! should rests here instead, for the next caller. The pool sees each of them from time to time, since it knows how
//! old a connection may become, and how long an idle one is kept.
//!
//! What a call leaves behind that was given up in the middle, nobody knows: to the pool, a connection in a
//! transaction that it was not told of is as good as any. So it is ended, and so is one that does not answer: whoever
//! waits for that waits for a bounded time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Either, Execute, Executor, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::open::{FRESH, Losses};

/// How long a connection that is not needed is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const THERE: &str = "it goes when all goes";
/// For how long a connection may go from hand to hand before the pool sees it again.
const ROUND: Duration = Duration::from_mins(1);

/// The connections of a pool, and those of them that rest.
#[derive(Debug)]
pub(crate) struct Connections {
    pool: PgPool,
    /// As many as the pool may open: nobody waits in the pool for a connection that rests.
    turns: Arc<Semaphore>,
    /// How long to wait for a turn.
    patience: Duration,
    /// In the order in which they came to rest.
    resting: Mutex<Vec<Resting>>,
    losses: Arc<Losses>,
}

#[derive(Debug)]
struct Resting {
    connection: PoolConnection<Postgres>,
    /// When the pool had it last.
    drawn: Instant,
    since: Instant,
}

impl Connections {
    pub fn new(pool: PgPool, losses: Arc<Losses>) -> Self {
        let options = pool.options();
        let turns = usize::try_from(options.get_max_connections()).unwrap_or(usize::MAX);
        Self {
            turns: Arc::new(Semaphore::new(turns.min(Semaphore::MAX_PERMITS))),
            patience: options.get_acquire_timeout(),
            resting: Mutex::default(),
            losses,
            pool,
        }
    }

    /// When a connection has turned out to be dead.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// A connection for one statement.
    pub async fn lend(self: &Arc<Self>) -> Result<Loan, sqlx::Error> {
        tokio::time::timeout(self.patience, self.take())
            .await
            .map_err(|_elapsed| sqlx::Error::PoolTimedOut)?
    }

    /// Begins a transaction with this statement.
    pub async fn begin(self: &Arc<Self>, statement: &'static str) -> Result<Tx, sqlx::Error> {
        let mut loan = self.lend().await?;
        run(&mut loan, statement).await?;
        Ok(Tx(Some(loan)))
    }

    /// Ends all connections, after what is under way with them.
    pub async fn close(&self) {
        self.turns.close();
        let resting = std::mem::take(&mut *self.resting());
        for mut rested in resting {
            rested.connection.close_on_drop();
        }
        self.pool.close().await;
    }

    async fn take(self: &Arc<Self>) -> Result<Loan, sqlx::Error> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let (connection, drawn) = match self.wake().await {
            Some(rested) => (rested.connection, rested.drawn),
            None => (self.pool.acquire().await?, Instant::now()),
        };
        Ok(Loan {
            connection: Unsure::from(connection),
            drawn,
            home: Arc::clone(self),
            turn,
        })
    }

    /// The one that came to rest last and lives.
    async fn wake(&self) -> Option<Resting> {
        loop {
            let Resting {
                connection,
                drawn,
                since,
            } = self.resting().pop()?;
            let mut connection = Unsure::from(connection);
            if self.losses.is_orphan(drawn.elapsed()) {
                continue;
            }
            let idle = since.elapsed();
            let in_doubt = idle > FRESH || self.losses.cast_doubt(idle);
            if in_doubt && connection.ping().await.is_err() {
                continue;
            }
            return Some(Resting {
                connection: connection.into_inner()?,
                drawn,
                since,
            });
        }
    }

    fn rest(&self, connection: PoolConnection<Postgres>, drawn: Instant) {
        if drawn.elapsed() > ROUND {
            give_back(connection);
            return;
        }
        let since = Instant::now();
        let mut resting = self.resting();
        if self.turns.is_closed() {
            return;
        }
        let unneeded = resting
            .first()
            .is_some_and(|first| since - first.since > FRESH);
        let unneeded = unneeded.then(|| resting.remove(0));
        resting.push(Resting {
            connection,
            drawn,
            since,
        });
        drop(resting);
        if let Some(unneeded) = unneeded {
            give_back(unneeded.connection);
        }
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the pool look after a connection that is as it should be.
fn give_back(mut connection: PoolConnection<Postgres>) {
    // what the pool does when it is dropped, but that it would wait for a server that is gone for ever
    let returning = connection.return_to_pool();
    tokio::spawn(tokio::time::timeout(PATIENCE, returning));
}

async fn run(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}

/// A connection of which nobody knows in what state it is: ended when it is dropped.
#[derive(Debug)]
struct Unsure(Option<PoolConnection<Postgres>>);

impl Unsure {
    /// It is as it should be.
    fn into_inner(mut self) -> Option<PoolConnection<Postgres>> {
        self.0.take()
    }
}

impl From<PoolConnection<Postgres>> for Unsure {
    fn from(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }
}

impl Deref for Unsure {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect(THERE)
    }
}

impl DerefMut for Unsure {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect(THERE)
    }
}

impl Drop for Unsure {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

/// A connection for one statement, after which it rests. With any other end it is ended, too.
#[derive(Debug)]
pub(crate) struct Loan {
    connection: Unsure,
    drawn: Instant,
    home: Arc<Connections>,
    /// Given up after the connection.
    turn: OwnedSemaphorePermit,
}

impl Loan {
    /// Its statement has ended as it should.
    pub fn rest(self) {
        if let Some(connection) = self.connection.into_inner() {
            self.home.rest(connection, self.drawn);
        }
        drop(self.turn);
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// A transaction; rolled back when it is dropped.
#[derive(Debug)]
pub(crate) struct Tx(Option<Loan>);

impl Tx {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut loan = self.0.take().expect(THERE);
        run(&mut loan, statement).await?;
        loan.rest();
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect(THERE)
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect(THERE)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let (Some(mut loan), Ok(here)) = (self.0.take(), Handle::try_current()) {
            here.spawn(async move {
                let ended = tokio::time::timeout(PATIENCE, run(&mut loan, "ROLLBACK")).await;
                if matches!(ended, Ok(Ok(()))) {
                    loan.rest();
                }
            });
        }
    }
}

/// What one statement runs on.
#[derive(Debug)]
pub(crate) enum Look {
    Alone(Loan),
    /// Where a pooler has to be told what to forget.
    Snapshot(Tx),
}

type Step = Either<PgQueryResult, PgRow>;

impl Look {
    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Alone(loan) => loan,
            Self::Snapshot(tx) => tx,
        }
    }

    /// All has been read of what the statement has answered, if only that it failed.
    fn end<T>(self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match self {
            Self::Alone(loan) if matches!(answer, Ok(_) | Err(sqlx::Error::Database(_))) => {
                loan.rest();
            }
            other => drop(other),
        }
        answer
    }
}

impl<'c> Executor<'c> for Look {
    type Database = Postgres;

    /// What comes of it waits here until all has come.
    fn fetch_many<'e, 'q: 'e, E>(mut self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = async move {
            let steps = self.connection().fetch_many(query).try_collect().await;
            let steps: Vec<Step> = self.end(steps)?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(
        mut self,
        query: E,
    ) -> BoxFuture<'e, Result<Vec<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let rows = self.connection().fetch_all(query).await;
            self.end(rows)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        mut self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let row = self.connection().fetch_optional(query).await;
            self.end(row)
        })
    }

    fn prepare_with<'e>(
        mut self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let statement = self.connection().prepare_with(sql, parameters).await;
            self.end(statement)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::testing::{self, Database};

    fn connections(database: &Database, most: u32) -> Arc<Connections> {
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(Duration::from_secs(20))
            .connect_lazy(&database.url())
            .unwrap();
        Arc::new(Connections::new(pool, Arc::new(Losses::new())))
    }

    impl Connections {
        async fn process(self: &Arc<Self>) -> Result<i32, sqlx::Error> {
            let look = Look::Alone(self.lend().await?);
            sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(look)
                .await
        }

        fn rest_and_pool(&self) -> (usize, usize) {
            (self.resting().len(), self.pool.num_idle())
        }
    }

    #[tokio::test]
    async fn a_connection_rests_after_its_statement_and_the_next_has_it() {
        let database = Database::empty().await;
        let connections = connections(&database, 2);
        let first = connections.process().await.unwrap();
        assert_eq!(connections.rest_and_pool(), (1, 0));
        for _ in 0..3 {
            assert_eq!(connections.process().await.unwrap(), first);
        }
        let look = Look::Alone(connections.lend().await.unwrap());
        let rows = sqlx::query("SELECT generate_series(1, 3)").fetch_all(look);
        assert_eq!(rows.await.unwrap().len(), 3);
        let look = Look::Alone(connections.lend().await.unwrap());
        sqlx::query("SELECT 1").execute(look).await.unwrap();
        assert_eq!(connections.rest_and_pool(), (1, 0));
    }

    #[tokio::test]
    async fn a_transaction_has_what_rests_and_leaves_it_so() {
        let database = Database::empty().await;
        let connections = connections(&database, 1);
        let first = connections.process().await.unwrap();
        let mut tx = connections.begin("BEGIN").await.unwrap();
        let same: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(same, first);
        tx.commit().await.unwrap();
        assert_eq!(connections.rest_and_pool(), (1, 0));
        drop(connections.begin("BEGIN").await.unwrap());
        assert_eq!(connections.process().await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_transaction_that_is_given_up_as_it_begins_is_in_nobodys_way() {
        let database = Database::empty().await;
        let mut outside = database.outside().await;
        testing::run(&mut outside, "CREATE TABLE kept (n int)".to_owned()).await;
        let connections = connections(&database, 1);
        for begin in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"] {
            connections.process().await.unwrap();
            let mut beginning = Box::pin(connections.begin(begin));
            let once = std::future::poll_fn(|cx| Poll::Ready(beginning.as_mut().poll(cx)));
            assert!(once.await.is_pending(), "it is not given up in the middle");
            drop(beginning);
            let look = Look::Alone(connections.lend().await.unwrap());
            sqlx::query("INSERT INTO kept VALUES (1)")
                .execute(look)
                .await
                .unwrap();
        }
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
            .fetch_one(&mut outside)
            .await
            .unwrap();
        assert_eq!(seen, 2, "what was answered is committed");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_vanishes_without_a_word_costs_its_connections_and_no_more() {
        let database = Database::empty().await;
        let relay = Relay::to(&database).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_millis(500))
            .connect_lazy(&relay.url);
        let losses = Arc::new(Losses::new());
        let connections = Arc::new(Connections::new(pool.unwrap(), losses));
        let (resting, lent) = (
            connections.lend().await.unwrap(),
            connections.begin("BEGIN"),
        );
        let lent = lent.await.unwrap();
        resting.rest();
        relay.silence();
        connections.losses().note();
        drop(lent);
        let by = Instant::now() + PATIENCE * 3;
        while connections.process().await.is_err() {
            assert!(Instant::now() < by, "all that there were are waited for");
            connections.losses().note();
        }
    }

    /// Passes on what comes, until connections that there are fall silent. Later ones do not.
    struct Relay {
        url: String,
        silence: tokio::sync::watch::Sender<usize>,
    }

    impl Relay {
        async fn to(database: &Database) -> Self {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut url = url::Url::parse(&database.url()).unwrap();
            let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
            url.set_port(Some(address.port())).unwrap();
            let (silence, silenced) = tokio::sync::watch::channel(0);
            tokio::spawn(async move {
                while let Ok((mut near, _)) = listener.accept().await {
                    let mut far = tokio::net::TcpStream::connect(&server).await.unwrap();
                    let mut silenced = silenced.clone();
                    silenced.mark_unchanged();
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            _ = silenced.changed() => std::future::pending().await,
                        }
                    });
                }
            });
            Self {
                url: url.into(),
                silence,
            }
        }

        fn silence(&self) {
            self.silence.send_modify(|times| *times += 1);
        }
    }

    #[tokio::test]
    async fn what_failed_rests_and_what_was_given_up_does_not() {
        let database = Database::empty().await;
        let connections = connections(&database, 1);
        let first = connections.process().await.unwrap();
        for sql in [
            "SELECT 1 / 0",
            // fails after it has answered a row
            "SELECT 1 / (2 - n) FROM generate_series(1, 2) n",
        ] {
            let look = Look::Alone(connections.lend().await.unwrap());
            sqlx::query(sql).fetch_optional(look).await.unwrap_err();
            assert_eq!(connections.rest_and_pool(), (1, 0), "{sql}");
        }
        assert_eq!(connections.process().await.unwrap(), first);
        let look = Look::Alone(connections.lend().await.unwrap());
        let sleeping = sqlx::query("SELECT pg_sleep(1)").fetch_all(look);
        let soon = Duration::from_millis(20);
        tokio::time::timeout(soon, sleeping).await.unwrap_err();
        assert_eq!(connections.rest_and_pool(), (0, 0));
        assert_ne!(connections.process().await.unwrap(), first);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_share_few() {
        let database = Database::empty().await;
        let connections = connections(&database, 2);
        let tasks: Vec<_> = (0..60)
            .map(|n| {
                let connections = Arc::clone(&connections);
                tokio::spawn(async move {
                    if n % 3 == 0 {
                        let tx = connections.begin("BEGIN").await?;
                        tx.rollback().await
                    } else {
                        connections.process().await.map(drop)
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!(connections.pool.size() <= 2);
    }

    #[tokio::test]
    async fn who_rests_is_asked_whether_it_lives_after_a_loss() {
        let database = Database::empty().await;
        let connections = connections(&database, 2);
        let first = connections.process().await.unwrap();
        let mut outside = database.outside().await;
        testing::run(
            &mut outside,
            format!("SELECT pg_terminate_backend({first}, 10000)"),
        )
        .await;
        connections.losses().note();
        assert_ne!(connections.process().await.unwrap(), first);
    }

    #[tokio::test]
    async fn who_is_not_needed_goes_back_to_the_pool() {
        let database = Database::empty().await;
        let connections = connections(&database, 3);
        let mut loans = Vec::new();
        for _ in 0..3 {
            loans.push(connections.lend().await.unwrap());
        }
        for loan in loans {
            loan.rest();
        }
        assert_eq!(connections.rest_and_pool().0, 3);
        tokio::time::sleep(FRESH + Duration::from_millis(10)).await;
        for _ in 0..2 {
            connections.process().await.unwrap();
        }
        assert_eq!(connections.rest_and_pool().0, 1);
    }

    #[tokio::test]
    async fn closing_ends_those_that_rest() {
        let database = Database::empty().await;
        let connections = connections(&database, 2);
        connections.process().await.unwrap();
        let lent = connections.lend().await.unwrap();
        tokio::join!(connections.close(), async { lent.rest() });
        assert_eq!(connections.rest_and_pool(), (0, 0));
        assert_eq!(connections.pool.size(), 0);
        let late = connections.process().await;
        assert!(matches!(late, Err(sqlx::Error::PoolClosed)), "{late:?}");
    }
}
