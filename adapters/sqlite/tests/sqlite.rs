//! What is SQLite's own, beside the contract.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use connexus_contract::World;
use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{Error, Limit};
use connexus_sqlite::{OpenError, SqliteOptions, SqliteStorage};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}/data/connexus.db", folder.path().display())
}

async fn open(folder: &TempDir) -> SqliteStorage {
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(500),
        ..SqliteOptions::default()
    };
    SqliteStorage::connect(&url(folder), options).await.unwrap()
}

/// Another program on the same file.
async fn outside(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(folder.path().join("data/connexus.db"))
        .connect()
        .await
        .unwrap()
}

fn open_error(error: &Error) -> &OpenError {
    match error {
        Error::Internal { source } => source.downcast_ref().expect("an OpenError"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn folder_and_file_are_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder).await;
    storage.migrate().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = folder.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in ["connexus.db", "connexus.db-wal", "connexus.db-shm"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    storage.close().await;
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let connect = async |url: &str| {
        SqliteStorage::connect(url, SqliteOptions::default())
            .await
            .unwrap_err()
    };
    let error = connect("sqlite::memory:").await;
    assert!(matches!(open_error(&error), OpenError::InMemory));
    let error = connect("mysql://x").await;
    assert!(matches!(open_error(&error), OpenError::Address { .. }));
    let file = folder.path().join("file");
    std::fs::write(
        &file,
        "this is no database, but long enough to look like one",
    )
    .unwrap();
    let error = connect(&format!("sqlite:{}/a.db", file.display())).await;
    assert!(matches!(open_error(&error), OpenError::Create { .. }));
    let error = connect(&format!("sqlite:{}", file.display())).await;
    assert!(matches!(open_error(&error), OpenError::Open { .. }));
    let error = connect(&format!("sqlite:{}", folder.path().display())).await;
    assert!(matches!(open_error(&error), OpenError::Open { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once_on_a_new_database() {
    let folder = tempfile::tempdir().unwrap();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url(&folder);
            tokio::spawn(async move {
                let storage = SqliteStorage::connect(&url, SqliteOptions::default()).await?;
                storage.migrate().await?;
                storage.ping().await
            })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder).await;
    storage.migrate().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut outside(&folder).await)
    .await
    .unwrap();
    let error = storage.migrate().await.unwrap_err();
    assert!(matches!(
        open_error(&error),
        OpenError::Newer { version: 99 }
    ));
    assert!(open_error(&error).to_string().contains("newer"));
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    sqlx::raw_sql(
        "DROP TABLE attachments; DROP TABLE leases; DELETE FROM _sqlx_migrations WHERE version > 1",
    )
    .execute(&mut outside(&folder).await)
    .await
    .unwrap();
    storage.migrate().await.unwrap();
    let file = world.file(id, a).await;
    let newer = world.put(world.with_files(id, a, &[&file])).await;
    assert_eq!(world.transcript(id).await, [message, newer]);
}

#[tokio::test]
async fn a_corrupt_row_is_an_error_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    for (sql, place) in [
        ("UPDATE messages SET kind = 'smell'", "messages.kind"),
        (
            "UPDATE messages SET kind = 'text', attachments = x'00'",
            "messages.attachments",
        ),
        // of a file that is not there
        (
            "UPDATE messages SET attachments = zeroblob(16)",
            "messages.attachments",
        ),
    ] {
        sqlx::query(sql)
            .execute(&mut outside(&folder).await)
            .await
            .unwrap();
        let history = storage
            .messages()
            .history(id, HistoryRange::Latest, Limit::of(9));
        let Err(Error::Internal { source }) = history.await else {
            panic!("{place} was let through");
        };
        let said = source.to_string();
        assert!(said.contains(place), "{said}");
        assert!(said.contains(&message.id.to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_held_by_another_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder).await;
    storage.migrate().await.unwrap();
    let mut holder = outside(&folder).await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut holder)
        .await
        .unwrap();
    let error = storage.ping().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    storage.ping().await.unwrap();
    storage.close().await;
    let error = storage.ping().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

/// So that a backup of a server that was stopped is a copy of one file.
#[tokio::test]
async fn closing_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder).await;
    storage.migrate().await.unwrap();
    storage.close().await;
    let files: Vec<_> = std::fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["connexus.db"]);
    let connection = outside(&folder).await;
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_message_of_a_batch_is_never_stored_alone() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let before = world.conversation(id).await;
    // a fault in the middle of the transaction
    let fault = "CREATE TRIGGER fault BEFORE UPDATE OF last_seq ON conversations \
                 BEGIN SELECT raise(ABORT, 'fault'); END";
    sqlx::raw_sql(AssertSqlSafe(fault))
        .execute(&mut outside(&folder).await)
        .await
        .unwrap();
    let new = world.keyed(id, a, "key", "words");
    let error = storage.messages().append(std::slice::from_ref(&new)).await;
    assert!(matches!(error, Err(Error::Internal { .. })), "{error:?}");
    assert_eq!(world.conversation(id).await, before);
    assert_eq!(storage.messages().get(new.id).await.unwrap(), None);
    sqlx::raw_sql("DROP TRIGGER fault")
        .execute(&mut outside(&folder).await)
        .await
        .unwrap();
    let stored = storage.messages().append(&[new]).await.unwrap();
    assert!(stored[0].is_ok(), "{stored:?}");
}
