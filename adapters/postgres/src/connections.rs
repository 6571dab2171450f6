//! Whose turn it is with which connection.
//!
//! The driver's pool asks each connection that comes back whether it still lives, before anybody else may have
//! it: a second round trip for each statement. So a connection whose statement has ended as it should rests
//! here instead, for the next caller. To the pool goes what has to be looked after: what an error or a call
//! that was given up has left behind, the end of a transaction, and from time to time each of them, since the
//! pool knows how old a connection may become, and how long an idle one is kept.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    Connection as _, Either, Execute, Executor, Postgres, SqlSafeStr as _, SqlStr, Transaction,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::open::{FRESH, Losses};

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
        let Loan {
            connection, turn, ..
        } = self.lend().await?;
        // as the pool does it, with a connection that is there already
        let inner = Transaction::begin(connection, Some(statement.into_sql_str())).await?;
        Ok(Tx { inner, _turn: turn })
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
            connection,
            drawn,
            home: Arc::clone(self),
            turn,
        })
    }

    /// The one that came to rest last and lives.
    async fn wake(&self) -> Option<Resting> {
        loop {
            let mut newest = self.resting().pop()?;
            if self.losses.is_orphan(newest.drawn.elapsed()) {
                newest.connection.close_on_drop();
                continue;
            }
            let idle = newest.since.elapsed();
            if idle <= FRESH && !self.losses.cast_doubt(idle) {
                return Some(newest);
            }
            // a dead one goes to the pool, which closes it
            if newest.connection.ping().await.is_ok() {
                return Some(newest);
            }
        }
    }

    fn rest(&self, connection: PoolConnection<Postgres>, drawn: Instant) {
        if drawn.elapsed() > ROUND {
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
        drop(unneeded);
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for one statement, after which it rests. With any other end it goes to the pool.
#[derive(Debug)]
pub(crate) struct Loan {
    connection: PoolConnection<Postgres>,
    drawn: Instant,
    home: Arc<Connections>,
    turn: OwnedSemaphorePermit,
}

impl Loan {
    fn rest(self) {
        self.home.rest(self.connection, self.drawn);
        drop(self.turn);
    }
}

/// A transaction; rolled back when it is dropped.
#[derive(Debug)]
pub(crate) struct Tx {
    inner: Transaction<'static, Postgres>,
    /// Given up after the connection.
    _turn: OwnedSemaphorePermit,
}

impl Tx {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
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
            Self::Alone(loan) => &mut loan.connection,
            Self::Snapshot(tx) => tx,
        }
    }

    /// All has been read of what the statement has answered.
    fn end(self) {
        match self {
            Self::Alone(loan) => loan.rest(),
            Self::Snapshot(tx) => drop(tx),
        }
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
            let steps: Vec<Step> = self.connection().fetch_many(query).try_collect().await?;
            self.end();
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
            let rows = self.connection().fetch_all(query).await?;
            self.end();
            Ok(rows)
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
            let row = self.connection().fetch_optional(query).await?;
            self.end();
            Ok(row)
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
            let statement = self.connection().prepare_with(sql, parameters).await?;
            self.end();
            Ok(statement)
        })
    }
}

#[cfg(test)]
mod tests {
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
    async fn a_transaction_has_what_rests_and_leaves_it_to_the_pool() {
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
        assert_eq!(connections.rest_and_pool().0, 0);
        assert_eq!(connections.process().await.unwrap(), first);
    }

    #[tokio::test]
    async fn what_failed_or_was_given_up_does_not_rest() {
        let database = Database::empty().await;
        let connections = connections(&database, 1);
        for sql in [
            "SELECT 1 / 0",
            // fails after it has answered a row
            "SELECT 1 / (2 - n) FROM generate_series(1, 2) n",
        ] {
            let look = Look::Alone(connections.lend().await.unwrap());
            sqlx::query(sql).fetch_optional(look).await.unwrap_err();
            assert_eq!(connections.rest_and_pool().0, 0, "{sql}");
        }
        let look = Look::Alone(connections.lend().await.unwrap());
        let sleeping = sqlx::query("SELECT pg_sleep(1)").fetch_all(look);
        let soon = Duration::from_millis(20);
        tokio::time::timeout(soon, sleeping).await.unwrap_err();
        assert_eq!(connections.rest_and_pool().0, 0);
        connections.process().await.unwrap();
        assert_eq!(connections.rest_and_pool().0, 1);
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
