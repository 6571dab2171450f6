//! A row in a transaction of its own, synced before it is acknowledged. There is one writer, whoever waits.

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::plain::{Plain, Span, repeat};

pub struct Rows {
    folder: TempDir,
    name: String,
}

impl Rows {
    pub async fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = tempfile::Builder::new()
            .prefix("sqlite-")
            .tempdir_in(std::path::absolute(folder)?)?;
        let options = SqliteConnectOptions::new().in_memory(true);
        let mut connection = options.connect().await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            folder,
            name: format!("SQLite {version}"),
        })
    }

    /// A file of its own: beside Connexus' the two would wait for each other's lock.
    async fn open(&self) -> anyhow::Result<SqlitePool> {
        let options = SqliteConnectOptions::new()
            .filename(self.folder.path().join("plain.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS plain (id BLOB NOT NULL PRIMARY KEY, \
             conversation_id BLOB NOT NULL, sender_id BLOB NOT NULL, client_id TEXT NOT NULL, \
             body TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        )
        .execute(&pool)
        .await?;
        Ok(pool)
    }
}

#[async_trait]
impl Plain for Rows {
    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> String {
        format!(
            "sqlite:{}",
            self.folder.path().join("connexus.db").display()
        )
    }

    async fn clients(&self, in_flight: usize) -> anyhow::Result<usize> {
        Ok(in_flight)
    }

    async fn insert(&self, clients: usize, payload: usize, span: Span) -> anyhow::Result<f64> {
        let pool = self.open().await?;
        let body = "x".repeat(payload);
        let writer = pool.clone();
        let rate = repeat(clients, span, move || {
            let (pool, body) = (writer.clone(), body.clone());
            async move {
                sqlx::query(
                    "INSERT INTO plain VALUES (randomblob(16), randomblob(16), randomblob(16), \
                     'a-key', ?, 1)",
                )
                .bind(body)
                .execute(&pool)
                .await?;
                Ok(())
            }
        })
        .await?;
        pool.close().await;
        Ok(rate)
    }

    /// The folder goes by itself.
    async fn remove(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
