use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{
    AttachmentRepository, BlockRepository, ConversationRepository, LeaseRepository,
    MessageRepository, ReceiptRepository, SessionRepository, Storage, UserRepository,
};
use connexus_domain::{Error, Result};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{SqlSafeStr as _, Sqlite, Transaction};

use crate::error::{InDomain as _, OpenError, from_sqlx, is_busy};
use crate::open::{self, Pools, SqliteOptions};

/// A transaction; rolled back when it is dropped.
pub(crate) type Tx = Transaction<'static, Sqlite>;

/// How often to wait a busy timeout for another process that migrates.
const MIGRATION_ATTEMPTS: u32 = 24;
/// A readiness check that waits longer than this is a no.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// All repositories in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStorage {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl SqliteStorage {
    /// Opens `sqlite:PATH`, and makes the file and its folder when there is none. The schema is not
    /// touched: call [`migrate`](Storage::migrate).
    ///
    /// Errors: `Internal` with an [`OpenError`] that says what is wrong.
    pub async fn connect(url: &str, options: SqliteOptions) -> Result<Self> {
        let Pools { writer, readers } = open::open(url, &options).await?;
        Ok(Self { writer, readers })
    }

    /// A transaction that has the write lock.
    pub(crate) async fn write(&self) -> Result<Tx> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.in_domain()
    }

    /// A transaction that reads from one snapshot.
    pub(crate) async fn read(&self) -> Result<Tx> {
        self.readers.begin().await.in_domain()
    }

    async fn begin_migration(&self) -> Result<Tx> {
        let mut attempt = 1;
        loop {
            match self.writer.begin_with("BEGIN IMMEDIATE").await {
                Err(error) if is_busy(&error) && attempt < MIGRATION_ATTEMPTS => attempt += 1,
                result => return result.in_domain(),
            }
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
impl Storage for SqliteStorage {
    fn name(&self) -> &'static str {
        "sqlite"
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

    /// All of it is one transaction with the write lock, since the driver's migrator takes none on SQLite.
    async fn migrate(&self) -> Result<()> {
        let mut tx = self.begin_migration().await?;
        migrator()
            .run_direct(None, &mut *tx, false)
            .await
            .map_err(migration_error)?;
        tx.commit().await.in_domain()
    }

    async fn ping(&self) -> Result<()> {
        tokio::time::timeout(PING_TIMEOUT, self.try_write())
            .await
            .map_err(Error::unavailable)?
    }

    /// The writer goes last: the last connection to a database folds the log into it.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn migrator() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(vec![
        step(1, "schema", include_str!("../migrations/0001_schema.sql")),
        step(
            2,
            "attachments",
            include_str!("../migrations/0002_attachments.sql"),
        ),
        step(
            3,
            "search segments",
            include_str!("../migrations/0003_search_segments.sql"),
        ),
        step(
            4,
            "changed messages",
            include_str!("../migrations/0004_changed_messages.sql"),
        ),
    ])
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

    async fn fresh(folder: &tempfile::TempDir) -> SqliteStorage {
        let url = format!("sqlite:{}/a.db", folder.path().display());
        let storage = SqliteStorage::connect(&url, SqliteOptions::default())
            .await
            .unwrap();
        storage.migrate().await.unwrap();
        storage
    }

    #[tokio::test]
    async fn every_connection_keeps_what_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let storage = fresh(&folder).await;
        for (pool, query_only) in [(&storage.writer, 0), (&storage.readers, 1)] {
            for (pragma, expected) in [
                ("PRAGMA synchronous", 2),
                ("PRAGMA foreign_keys", 1),
                ("PRAGMA busy_timeout", 5_000),
                ("PRAGMA wal_autocheckpoint", 4_000),
                ("PRAGMA query_only", query_only),
            ] {
                let value: i64 = sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap();
                assert_eq!(value, expected, "{pragma}");
            }
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
                .fetch_one(pool)
                .await
                .unwrap();
            assert_eq!(mode, "wal");
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        let storage = fresh(&folder).await;
        let mut tx = storage.write().await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let limit = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(limit))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let full = sqlx::query("CREATE TABLE big AS SELECT zeroblob(1000000)")
            .execute(&mut *tx)
            .await
            .in_domain();
        assert!(matches!(full, Err(Error::Unavailable { .. })), "{full:?}");
        drop(tx);
        storage.ping().await.unwrap();
    }

    /// After some errors SQLite rolls back by itself, and the driver goes on counting a transaction.
    #[tokio::test]
    async fn a_transaction_that_is_gone_does_not_break_the_writer_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let storage = fresh(&folder).await;
        let mut tx = storage.write().await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        storage.ping().await.unwrap();
    }
}
