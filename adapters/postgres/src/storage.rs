use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{
    AttachmentRepository, BlockRepository, ConversationRepository, LeaseRepository,
    MessageRepository, ReceiptRepository, SessionRepository, Storage, UserRepository,
};
use connexus_domain::{Error, Result};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection as _, SqlSafeStr as _};

pub(crate) use crate::connections::Tx;
use crate::connections::{Connections, Look};
use crate::error::{
    InDomain as _, OpenError, from_sqlx, has_lost_a_race, has_lost_its_connection, takes_no_writes,
};
use crate::open::{self, PostgresOptions};

/// How often a transaction is tried that loses against others.
const ATTEMPTS: u32 = 6;
/// How long the first loser waits before it tries again; the next ones longer.
const PAUSE: Duration = Duration::from_millis(4);
/// A readiness check that waits longer than this is a no.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Names the lock of those who migrate, among all advisory locks of the database.
const MIGRATION_LOCK: i64 = 0x636f_6e6e_6578_7573;

/// All repositories in one PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStorage {
    connections: Arc<Connections>,
    pooled_by_transaction: bool,
    /// When to give up on a server that does not even say no.
    patience: Duration,
}

impl PostgresStorage {
    /// Connects to `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; all parameters of the driver are taken
    /// (`sslmode`, `sslrootcert`, `statement-cache-capacity`, `application_name`, `options`, …). The schema
    /// is not touched: call [`migrate`](Storage::migrate).
    ///
    /// Errors: `Unavailable` when there is no server or it is just starting: try again. `Internal` with an
    /// [`OpenError`] that says what is wrong.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self> {
        let opened = open::open(url, &options).await?;
        Ok(Self {
            connections: opened.connections,
            pooled_by_transaction: opened.pooled_by_transaction,
            patience: options.acquire_timeout + options.statement_timeout * 2,
        })
    }

    /// A transaction in which each statement sees what was committed before it.
    pub(crate) async fn write(&self) -> Result<Tx> {
        self.connections.begin(self.begin_write()).await.in_domain()
    }

    fn begin_write(&self) -> &'static str {
        if self.pooled_by_transaction {
            "BEGIN; DEALLOCATE ALL"
        } else {
            "BEGIN"
        }
    }

    /// A transaction that reads from one snapshot.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        let begin = if self.pooled_by_transaction {
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; DEALLOCATE ALL"
        } else {
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        };
        self.connections.begin(begin).await.in_domain()
    }

    /// For a single statement that reads, or that writes where [`stores_at_once`](Self::stores_at_once).
    pub(crate) async fn look(&self) -> Result<Look> {
        if self.pooled_by_transaction {
            return self.snapshot().await.map(Look::Snapshot);
        }
        self.connections.lend().await.map(Look::Alone).in_domain()
    }

    /// Whether a statement may be a transaction of its own: not where a pooler by transaction has to be told
    /// what to forget.
    pub(crate) fn stores_at_once(&self) -> bool {
        !self.pooled_by_transaction
    }

    /// Runs a transaction, again when it lost a deadlock. It is over before it is run again, so it MUST
    /// hold all that it does in one transaction.
    pub(crate) async fn writing<T, F>(&self, once: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut attempt = 1;
        loop {
            match self.patiently(once()).await {
                Err(error) if has_lost_a_race(&error) && attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Runs what only reads, a second time when its connection turned out to be dead.
    pub(crate) async fn reading<T, F>(&self, once: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        match self.patiently(once()).await {
            Err(error) if has_lost_its_connection(&error) => self.patiently(once()).await,
            result => result,
        }
    }

    /// The server keeps its own time; this is for one that is gone without a word.
    pub(crate) async fn patiently<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = tokio::time::timeout(self.patience, work)
            .await
            .map_err(Error::unavailable)
            .flatten();
        self.heed(&result);
        result
    }

    /// Notes what an answer says of connections.
    fn heed<T>(&self, answer: &Result<T>) {
        let Err(error) = answer else { return };
        if has_lost_its_connection(error) {
            self.connections.losses().note();
        } else if takes_no_writes(error) {
            // it was the right server once, or its name will soon lead to another one
            self.connections.losses().orphan_all();
        }
    }

    async fn try_write(&self) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE health SET pings = pings + 1 WHERE id = 1")
            .execute(&mut *tx)
            .await
            .in_domain()?;
        tx.rollback().await.in_domain()
    }
}

#[async_trait]
impl Storage for PostgresStorage {
    fn name(&self) -> &'static str {
        "postgres"
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

    /// All of it is one transaction with an advisory lock that ends with it: the driver's own lock is the
    /// session's, which a pooler by transaction would lose.
    async fn migrate(&self) -> Result<()> {
        let mut loan = self.connections.lend().await.in_domain()?;
        // one that the driver knows of: each step is a savepoint in it, not a transaction of its own
        let mut tx = loan.begin_with(self.begin_write()).await.in_domain()?;
        for patience in [
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
            // not to say at each start that the table of versions is there
            "SET LOCAL client_min_messages = warning",
        ] {
            sqlx::query(patience).execute(&mut *tx).await.in_domain()?;
        }
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *tx)
            .await
            .in_domain()?;
        migrator()
            .run_direct(None, &mut *tx, false)
            .await
            .map_err(migration_error)?;
        tx.commit().await.in_domain()?;
        loan.rest();
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let answer = tokio::time::timeout(PING_TIMEOUT, self.try_write())
            .await
            .map_err(Error::unavailable)
            .flatten();
        self.heed(&answer);
        answer
    }

    async fn close(&self) {
        self.connections.close().await;
    }
}

fn migrator() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(vec![
        step(1, "schema", include_str!("../migrations/0001_schema.sql")),
        step(
            2,
            "attachments",
            include_str!("../migrations/0002_attachments.sql"),
        ),
        step(
            3,
            "shorter terms",
            include_str!("../migrations/0003_shorter_terms.sql"),
        ),
        step(
            4,
            "search segments",
            include_str!("../migrations/0004_search_segments.sql"),
        ),
        step(
            5,
            "changed messages",
            include_str!("../migrations/0005_changed_messages.sql"),
        ),
    ]);
    migrator.set_locking(false);
    migrator
}

fn migration_error(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => Error::internal(OpenError::Newer { version }),
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            from_sqlx(source)
        }
        source => Error::internal(OpenError::Migrate { source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Database;

    #[tokio::test]
    async fn every_connection_keeps_what_is_acknowledged() {
        let database = Database::empty().await;
        let storage = database.open().await;
        let mut tx = storage.write().await.unwrap();
        for (setting, expected) in [
            ("SHOW synchronous_commit", "on"),
            ("SHOW statement_timeout", "10s"),
            ("SHOW idle_in_transaction_session_timeout", "10s"),
            ("SHOW enable_seqscan", "off"),
            ("SHOW application_name", "connexus"),
            ("SHOW transaction_isolation", "read committed"),
        ] {
            let value: String = sqlx::query_scalar(setting)
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            assert_eq!(value, expected, "{setting}");
        }
    }

    /// The driver gives every statement a name then, and forgets it.
    #[tokio::test]
    async fn without_a_cache_prepared_statements_do_not_pile_up() {
        let database = Database::migrated().await;
        let url = format!("{}&statement-cache-capacity=0", database.url());
        let storage = crate::testing::open(&url).await;
        for _ in 0..20 {
            storage.ping().await.unwrap();
        }
        let mut tx = storage.write().await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert!(left <= 1, "{left}");
    }

    #[tokio::test]
    async fn a_lost_race_is_run_again_and_not_for_ever() {
        let database = Database::empty().await;
        let storage = database.open().await;
        let runs = std::sync::atomic::AtomicU32::new(0);
        let lose = || async {
            runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut tx = storage.write().await?;
            sqlx::raw_sql("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
                .execute(&mut *tx)
                .await
                .in_domain()?;
            Ok(())
        };
        let lost = storage.writing(lose).await;
        assert!(matches!(lost, Err(Error::Unavailable { .. })), "{lost:?}");
        assert_eq!(runs.into_inner(), ATTEMPTS);
    }
}
