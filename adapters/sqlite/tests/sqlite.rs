//! What is SQLite's own, beside the contract.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use connexus_contract::World;
use connexus_contract::upgrade::Changes;
use connexus_contract::world::{ALL, EVER, body};
use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{ConversationId, Error, Limit};
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

/// Back to when each message was indexed as it was stored; all have the same words here.
const TO_VERSION_2: &str = "
    DROP TABLE segment_terms;
    DROP TABLE search_segments;
    DROP TABLE search_heads;
    DROP TABLE search_state;
    CREATE VIRTUAL TABLE message_terms USING fts5 (
        tokens, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
    );
    INSERT INTO message_terms (rowid, tokens) SELECT num, '0000000000000abc61' FROM messages;
    DROP INDEX messages_changed;
    ALTER TABLE messages DROP COLUMN changed;
    CREATE INDEX messages_rev ON messages (conversation_id, rev, seq);
    DELETE FROM _sqlx_migrations WHERE version > 2";

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    sqlx::raw_sql(TO_VERSION_2)
        .execute(&mut outside(&folder).await)
        .await
        .unwrap();
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
async fn what_was_stored_before_there_were_segments_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let mut expected = Vec::new();
    for n in 0..70 {
        expected.insert(0, world.say(id, a, &format!("words {n}")).await.id);
    }
    sqlx::raw_sql(TO_VERSION_2)
        .execute(&mut outside(&folder).await)
        .await
        .unwrap();
    storage.migrate().await.unwrap();
    assert_eq!(world.found(b, "words").await, expected);
    assert_eq!(count(&folder, "search_segments").await, 0);
    for (limit, left) in [(50, 20), (50, 0)] {
        let step = storage.messages().index(EVER, Limit::of(limit)).await;
        assert_eq!(step.unwrap(), u64::from(if left == 0 { 20 } else { limit }));
        assert_eq!(world.found(b, "words").await, expected);
    }
    assert_eq!(count(&folder, "search_segments").await, 2);
    assert_eq!(world.found(b, "words 69").await, expected[..1]);
}

/// Back to when every message was in an index of revs.
const TO_VERSION_3: &str = "\
    DROP INDEX messages_changed; ALTER TABLE messages DROP COLUMN changed; \
    CREATE INDEX messages_rev ON messages (conversation_id, rev, seq); \
    DELETE FROM _sqlx_migrations WHERE version > 3";

#[tokio::test]
async fn what_was_stored_before_changes_were_told_apart_is_told_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let changes = Changes::store(&world).await;
    sqlx::raw_sql(TO_VERSION_3)
        .execute(&mut outside(&folder).await)
        .await
        .unwrap();
    storage.migrate().await.unwrap();
    changes.check().await;
}

#[tokio::test]
async fn the_index_is_left_alone_by_those_who_send() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    world.say(id, a, "words").await;
    for table in INDEX {
        assert_eq!(count(&folder, table).await, 0, "{table}");
    }
    let mut state = outside(&folder).await;
    let steps: i64 = sqlx::query_scalar("SELECT steps FROM search_state")
        .fetch_one(&mut state)
        .await
        .unwrap();
    assert_eq!(steps, 0);
}

#[tokio::test]
async fn words_that_are_gone_are_not_in_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let mut said = Vec::new();
    for n in 0..5 {
        said.push(world.say(id, a, &format!("secret{n} stays")).await.id);
    }
    let messages = storage.messages();
    let index = async || messages.index(EVER, ALL).await.unwrap();
    let edit = async |message, text: &str| {
        let changed = messages.edit(message, a, &body(text), world.now()).await;
        assert!(changed.unwrap().changed);
    };
    // before it is indexed, while it waits for it, and after
    edit(said[0], "clean").await;
    assert_eq!(index().await, 6);
    for n in 0..5 {
        assert_eq!(
            with_term(&folder, id, &format!("secret{n}")).await,
            u64::from(n > 0)
        );
    }
    edit(said[1], "hidden").await;
    edit(said[1], "clean").await;
    edit(said[2], "?!").await;
    messages.delete(said[3], a, world.now()).await.unwrap();
    assert_eq!(count(&folder, "search_segments").await, 4);
    assert_eq!(index().await, 3);
    for gone in ["secret0", "secret1", "secret2", "secret3", "hidden"] {
        assert_eq!(with_term(&folder, id, gone).await, 0, "{gone}");
    }
    for kept in ["secret4", "clean", "stays"] {
        assert_eq!(with_term(&folder, id, kept).await, 1, "{kept}");
    }
    assert_eq!(count(&folder, "search_segments").await, 1);
    // with its last words a segment goes
    for message in said {
        messages.delete(message, a, world.now()).await.unwrap();
    }
    assert_eq!(index().await, 4);
    assert_eq!(index().await, 0);
    for table in ["search_segments", "segment_terms_docsize"] {
        assert_eq!(count(&folder, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn of_a_purged_conversation_nothing_is_left_in_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let storage = std::sync::Arc::new(open(&folder).await);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let ids = [world.group(a, &[b]).await, world.group(a, &[b]).await];
    let mut said = Vec::new();
    for n in 0..140 {
        said.push(world.say(ids[n / 70], a, "words").await.id);
    }
    storage.messages().index(EVER, ALL).await.unwrap();
    storage.messages().index(EVER, ALL).await.unwrap();
    // amendments of what is purged in the first step, and in the last
    for message in [said[1], said[69]] {
        let text = body("other words");
        let changed = storage
            .messages()
            .edit(message, a, &text, world.now())
            .await;
        assert!(changed.unwrap().changed);
    }
    assert_eq!(count(&folder, "search_segments").await, 6);
    let conversations = storage.conversations();
    conversations.delete(ids[0], a, world.now()).await.unwrap();
    while conversations.purge_deleted(Limit::of(30)).await.unwrap() > 0 {
        storage.messages().index(EVER, ALL).await.unwrap();
    }
    let of_the_other = "SELECT count(*) FROM search_segments WHERE conversation_id = ?1";
    let kept: i64 = sqlx::query_scalar(of_the_other)
        .bind(ids[1].as_uuid())
        .fetch_one(&mut outside(&folder).await)
        .await
        .unwrap();
    assert_eq!(kept, 2);
    for (table, rows) in INDEX.into_iter().zip([2, 1, 2]) {
        assert_eq!(count(&folder, table).await, rows, "{table}");
    }
    assert_eq!(world.found(b, "words").await.len(), 70);
}

const INDEX: [&str; 3] = ["search_segments", "search_heads", "segment_terms_docsize"];

async fn count(folder: &TempDir, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    let mut connection = outside(folder).await;
    let rows = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
    rows.unwrap()
}

/// How many segments have this term of the conversation's.
async fn with_term(folder: &TempDir, id: ConversationId, term: &str) -> u64 {
    let sql =
        "SELECT count(*) FROM segment_terms WHERE segment_terms MATCH lower(hex(?1) || hex(?2))";
    let mut connection = outside(folder).await;
    let rows = sqlx::query_scalar(sql)
        .bind(id.as_uuid().as_bytes()[8..].to_vec())
        .bind(term)
        .fetch_one(&mut connection);
    rows.await.unwrap()
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
