//! Whose turn it is with which connection.
//!
//! The driver's pool asks each connection that comes back whether it still lives, before anybody else may have
//! it: a second round trip for each statement. So a connection whose statement or transaction has ended as it
//! should rests here instead, for the next caller. The pool sees each of them from time to time, since it knows how
//! old a connection may become, and how long an idle one is kept.
//!
//! What a call leaves behind that was given up in the middle, the pool does not know: to it, a connection in a
//! transaction that it was not told of is as good as any. So that is brought to its end here, for a bounded time, and a
//! connection that does not answer by then is ended.

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

/// How long a connection is waited for that nobody needs at the moment.
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
        loan.begun = true;
        run(&mut loan, statement).await?;
        Ok(Tx(loan))
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
            begun: false,
            drawn,
            home: Arc::clone(self),
            turn: Some(turn),
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

/// A connection for one statement or transaction, after which it rests. What is given up before its end is brought to
/// it by a task.
#[derive(Debug)]
pub(crate) struct Loan {
    connection: Unsure,
    /// A transaction may be open.
    begun: bool,
    drawn: Instant,
    home: Arc<Connections>,
    /// Given up after the connection.
    turn: Option<OwnedSemaphorePermit>,
}

impl Loan {
    /// What was asked of it has ended.
    pub fn rest(mut self) {
        if let Some(connection) = self.connection.0.take() {
            self.home.rest(connection, self.drawn);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Ok(here) = Handle::try_current() else {
            return;
        };
        let Some(connection) = self.connection.0.take() else {
            return;
        };
        let mut connection = Unsure::from(connection);
        let (begun, drawn, turn) = (self.begun, self.drawn, self.turn.take());
        let home = Arc::clone(&self.home);
        here.spawn(async move {
            let ending = async {
                if begun {
                    run(&mut connection, "ROLLBACK").await
                } else {
                    connection.ping().await
                }
            };
            let ended = tokio::time::timeout(PATIENCE, ending).await;
            if matches!(ended, Ok(Ok(())))
                && let Some(connection) = connection.into_inner()
            {
                home.rest(connection, drawn);
            }
            drop(turn);
        });
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
pub(crate) struct Tx(Loan);

impl Tx {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(self, statement: &'static str) -> Result<(), sqlx::Error> {
        let Self(mut loan) = self;
        run(&mut loan, statement).await?;
        loan.rest();
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
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
mod tests;
