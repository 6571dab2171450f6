//! From an address to open connections.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use connexus_domain::{Error, Result};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{OpenError, is_busy};

/// Rows that a connection's thread may be ahead of who reads them: a whole page, so that neither waits for the other
/// within it.
const ROWS_AHEAD: usize = 1_024;

/// Connections that read, even where there is a single processor: some may wait for the disk.
const READERS: u32 = 4;

/// How to open a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How many connections read beside the one that writes, at most; at least one. Each has a thread and a cache, so
    /// there are no more than 2 for each processor, or 4.
    pub max_read_connections: u32,
    /// How long to wait for another process's lock, and for a free connection.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            max_read_connections: READERS,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// The writer's pool of one, and the readers'.
pub(crate) struct Pools {
    pub writer: SqlitePool,
    pub readers: SqlitePool,
}

pub(crate) async fn open(url: &str, options: &SqliteOptions) -> Result<Pools> {
    let path = parse(url).map_err(Error::internal)?;
    create(&path).await.map_err(Error::internal)?;
    connect(&path, options)
        .await
        .map_err(|source| refusal(path, source))
}

fn refusal(path: PathBuf, source: sqlx::Error) -> Error {
    // somebody else is at it, as a backup or a process that is ending: worth waiting for
    if is_busy(&source) || matches!(source, sqlx::Error::PoolTimedOut) {
        return Error::unavailable(source);
    }
    Error::internal(OpenError::Open { path, source })
}

/// `sqlite:PATH` or `sqlite://PATH`.
fn parse(url: &str) -> Result<PathBuf, OpenError> {
    let wrong = || OpenError::Address {
        url: url.to_owned(),
    };
    let rest = url.strip_prefix("sqlite:").ok_or_else(wrong)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains(":memory:") || path.contains("mode=memory") {
        return Err(OpenError::InMemory);
    }
    // SQLite would take `file:` for an address of its own, whose parameters could undo our settings
    if path.is_empty() || path.contains('?') || path.starts_with("file:") {
        return Err(wrong());
    }
    Ok(PathBuf::from(path))
}

/// Makes the folder and the file for nobody but us. SQLite gives its side files the mode of the main one.
async fn create(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Create { path, source }
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = tokio::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder.create(folder).await.map_err(failed(folder))?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    // never an existing file: closing it would drop the locks that this process has on it (POSIX)
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path).await {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

async fn connect(path: &Path, options: &SqliteOptions) -> Result<Pools, sqlx::Error> {
    let common = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("temp_store", "MEMORY")
        // pages of 4 KiB: a checkpoint per 16 MiB, and the log shrinks again after a burst
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-16384")
        .disable_statement_logging();
    let pool = |size: u32| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .min_connections(1)
            .acquire_timeout(options.busy_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            // there is no network in between that could have gone
            .test_before_acquire(false)
            // after some errors (disk full, I/O) SQLite has rolled back by itself, and the driver still
            // counts a transaction: such a connection would refuse every further one
            .before_acquire(|connection, _| {
                let clean = !connection.is_in_transaction();
                Box::pin(async move { Ok(clean) })
            })
    };
    // No `PRAGMA optimize`: its statistics are of the sizes of some day, and those of a young database
    // make the planner scan tables (tried: the updates of `append`). Without any it takes the index.
    let writer = retry(options.busy_timeout, || {
        pool(1).connect_with(common.clone())
    })
    .await?;
    let readers = pool(readers(options.max_read_connections))
        .connect_with(common.pragma("query_only", "ON"))
        .await?;
    Ok(Pools { writer, readers })
}

/// How many connections are to read: more than can be at work only take turns, each with a cache that is cold by then.
fn readers(most: u32) -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let useful = u32::try_from(2 * processors).unwrap_or(u32::MAX);
    most.clamp(1, useful.max(READERS))
}

/// Switching a new database to WAL needs a lock for which SQLite does not wait by itself.
async fn retry<T, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let started = Instant::now();
    loop {
        match attempt().await {
            Err(error) if is_busy(&error) && started.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_readers_as_are_of_use_and_allowed() {
        assert_eq!([0, 1, 3].map(readers), [1, 1, 3]);
        let processors = std::thread::available_parallelism().unwrap().get();
        let most = usize::try_from(readers(u32::MAX)).unwrap();
        assert_eq!(most, (2 * processors).max(4));
    }

    #[test]
    fn addresses() {
        assert_eq!(
            parse("sqlite:./data/a.db").unwrap(),
            Path::new("./data/a.db")
        );
        assert_eq!(parse("sqlite://data/a.db").unwrap(), Path::new("data/a.db"));
        assert_eq!(parse("sqlite:///srv/a.db").unwrap(), Path::new("/srv/a.db"));
        for memory in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:a?mode=memory",
        ] {
            assert!(
                matches!(parse(memory), Err(OpenError::InMemory)),
                "{memory}"
            );
        }
        for bad in [
            "sqlite:",
            "postgres://x",
            "sqlite:a.db?mode=ro",
            "sqlite:file:a",
        ] {
            assert!(
                matches!(parse(bad), Err(OpenError::Address { .. })),
                "{bad}"
            );
        }
    }
}
