//! What is PostgreSQL's own, beside the contract.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Database, open, run};
use connexus_contract::World;
use connexus_contract::upgrade::Changes;
use connexus_contract::world::EVER;
use connexus_domain::message::AppendOutcome;
use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{
    ConversationId, Emoji, Entity, Error, Limit, Message, NewMessage, Result, UserId,
    WatermarkAdvance,
};
use connexus_postgres::{OpenError, PostgresOptions, PostgresStorage};
use sqlx::postgres::PgConnection;

fn open_error(error: &Error) -> &OpenError {
    match error {
        Error::Internal { source } => source.downcast_ref().expect("an OpenError"),
        other => panic!("{other:?}"),
    }
}

fn is_unavailable<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Unavailable { .. }))
}

/// A group of two in a database of its own.
struct Group {
    database: Database,
    storage: Arc<PostgresStorage>,
    world: World,
    people: [UserId; 2],
    id: ConversationId,
}

impl Group {
    async fn new() -> Self {
        let database = Database::migrated().await;
        let storage = database.open().await;
        let world = World::over(storage.clone(), 0);
        let people = world.people().await;
        let id = world.group(people[0], &people[1..]).await;
        Self {
            database,
            storage,
            world,
            people,
            id,
        }
    }

    fn new_message(&self, key: &str) -> NewMessage {
        self.world.keyed(self.id, self.people[0], key, "words")
    }

    async fn history(&self) -> Result<Vec<Message>> {
        self.storage
            .messages()
            .history(self.id, HistoryRange::Latest, Limit::of(10_000))
            .await
    }

    /// Holds the sender's row, so that a batch stops after its messages are written.
    async fn hold_the_sender(&self) -> PgConnection {
        let mut holder = self.database.outside().await;
        run(&mut holder, "BEGIN".to_owned()).await;
        let sender = self.people[0];
        let lock = format!("SELECT 1 FROM members WHERE user_id = '{sender}' FOR UPDATE");
        run(&mut holder, lock).await;
        holder
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let connect = async |url: &str| {
        let options = PostgresOptions {
            acquire_timeout: Duration::from_secs(2),
            ..PostgresOptions::default()
        };
        PostgresStorage::connect(url, options).await.unwrap_err()
    };
    let error = connect("sqlite:a.db").await;
    assert!(matches!(open_error(&error), OpenError::Address));
    let database = Database::empty().await;
    let error = connect(&format!("{}&sslmode=perhaps", database.url())).await;
    assert!(matches!(open_error(&error), OpenError::Parameters { .. }));
    let nowhere = database.url().replace(database.name(), "no_such_database");
    let error = connect(&nowhere).await;
    assert!(matches!(open_error(&error), OpenError::Refused { .. }));
    assert!(open_error(&error).to_string().contains("no_such_database"));
    let error = connect(&format!("{}&user=no_such_user", database.url())).await;
    assert!(matches!(open_error(&error), OpenError::Refused { .. }));
    assert!(!open_error(&error).to_string().contains('\n'));
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_unavailable() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://a@127.0.0.1:{port}/b");
    let options = PostgresOptions {
        acquire_timeout: Duration::from_millis(300),
        ..PostgresOptions::default()
    };
    let opened = PostgresStorage::connect(&url, options.clone()).await;
    assert!(is_unavailable(&opened), "{opened:?}");
    drop(silent);
    let opened = PostgresStorage::connect(&url, options).await;
    assert!(is_unavailable(&opened), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once_on_a_new_database() {
    let database = Database::empty().await;
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move {
                let storage = open(&url).await;
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
    let database = Database::migrated().await;
    let storage = database.open().await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, '', 0)";
    run(&mut database.outside().await, later.to_owned()).await;
    let error = storage.migrate().await.unwrap_err();
    assert!(matches!(
        open_error(&error),
        OpenError::Newer { version: 99 }
    ));
    assert!(open_error(&error).to_string().contains("newer"));
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let group = Group::new().await;
    let by = group.people[0];
    let message = group.world.say(group.id, by, "more words, größere").await;
    let undo = "DROP TABLE attachments; DROP TABLE leases; DELETE FROM _sqlx_migrations WHERE version > 1; \
        DROP TABLE search_segments; DROP TABLE search_heads; DROP TABLE search_state; \
        DROP INDEX messages_changed; ALTER TABLE messages DROP COLUMN changed; \
        CREATE INDEX messages_rev ON messages (conversation_id, rev, seq); \
        ALTER TABLE messages ADD COLUMN terms tsvector; CREATE INDEX messages_terms ON messages USING gin (terms); \
        UPDATE messages m SET terms = (SELECT array_to_tsvector(array_agg(\
            right(replace(m.conversation_id::text, '-', ''), 16) || encode(convert_to(term, 'UTF8'), 'hex'))) \
          FROM unnest(ARRAY['grössere', 'more', 'words']) term)";
    run(&mut group.database.outside().await, undo.to_owned()).await;
    group.storage.migrate().await.unwrap();
    assert_eq!(group.world.found(by, "words GRÖSS").await, [message.id]);
    let indexed = group.storage.messages().index(EVER, Limit::of(10)).await;
    assert_eq!(indexed.unwrap(), 1);
    assert_eq!(group.world.found(by, "words GRÖSS").await, [message.id]);
    let file = group.world.file(group.id, by).await;
    let new = group.world.with_files(group.id, by, &[&file]);
    let newer = group.world.put(new).await;
    assert_eq!(group.world.transcript(group.id).await, [message, newer]);
}

/// Back to when every message was in an index of revs.
const TO_VERSION_4: &str = "\
    DROP INDEX messages_changed; ALTER TABLE messages DROP COLUMN changed; \
    CREATE INDEX messages_rev ON messages (conversation_id, rev, seq); \
    DELETE FROM _sqlx_migrations WHERE version > 4";

#[tokio::test]
async fn what_was_stored_before_changes_were_told_apart_is_told_as_before() {
    let database = Database::migrated().await;
    let storage = database.open().await;
    let world = World::over(storage.clone(), 0);
    let changes = Changes::store(&world).await;
    run(&mut database.outside().await, TO_VERSION_4.to_owned()).await;
    storage.migrate().await.unwrap();
    changes.check().await;
}

#[tokio::test]
async fn a_corrupt_row_is_an_error_that_says_where() {
    let group = Group::new().await;
    let by = group.people[0];
    let message = group.world.say(group.id, by, "words").await;
    let emoji = Emoji::parse("👍").unwrap();
    let messages = group.storage.messages();
    messages
        .add_reaction(message.id, by, &emoji, group.world.now())
        .await
        .unwrap();
    for (sql, place) in [
        ("UPDATE messages SET kind = 'smell'", "messages.kind"),
        (
            "UPDATE messages SET kind = 'text', client_id = 'a b'",
            "messages.client_id",
        ),
        (
            "UPDATE messages SET client_id = NULL, reply_count = -1",
            "messages.reply_count",
        ),
        (
            "UPDATE messages SET reply_count = 0, attachments = '{NULL}'",
            "messages.attachments",
        ),
        // of a file that is not there
        (
            "UPDATE messages SET attachments = ARRAY[gen_random_uuid()]",
            "messages.attachments",
        ),
        (
            "UPDATE messages SET attachments = NULL; \
             ALTER TABLE reactions DISABLE TRIGGER ALL; ALTER TABLE reaction_groups DISABLE TRIGGER ALL; \
             UPDATE reaction_groups SET emoji = 'no emoji'",
            "reactions.emoji",
        ),
    ] {
        run(&mut group.database.outside().await, sql.to_owned()).await;
        let Err(Error::Internal { source }) = group.history().await else {
            panic!("{place} was let through");
        };
        let said = source.to_string();
        assert!(said.contains(place), "{said}");
        assert!(said.contains(&message.id.to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_unavailable() {
    let database = Database::migrated().await;
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(200),
        ..PostgresOptions::default()
    };
    let storage = PostgresStorage::connect(&database.url(), options)
        .await
        .unwrap();
    let mut holder = database.outside().await;
    run(
        &mut holder,
        "BEGIN; SELECT 1 FROM health FOR UPDATE".to_owned(),
    )
    .await;
    let held = storage.ping().await;
    assert!(is_unavailable(&held), "{held:?}");
    run(&mut holder, "ROLLBACK".to_owned()).await;
    storage.ping().await.unwrap();
    run(
        &mut holder,
        format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            database.name()
        ),
    )
    .await;
    let standby = database.open().await;
    let refused = standby.ping().await;
    assert!(is_unavailable(&refused), "{refused:?}");
    // as after a failover: the address leads to the right server now
    run(
        &mut holder,
        format!(
            "ALTER DATABASE {} SET default_transaction_read_only = off",
            database.name()
        ),
    )
    .await;
    standby.ping().await.unwrap();
    storage.close().await;
    let closed = storage.ping().await;
    assert!(is_unavailable(&closed), "{closed:?}");
}

#[tokio::test]
async fn a_dead_connection_costs_a_read_nothing() {
    let group = Group::new().await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..3 {
        run(&mut group.database.outside().await, others.to_owned()).await;
        assert_eq!(group.history().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_ends_leaves_no_dead_connection() {
    let group = Group::new().await;
    for n in 0..10 {
        // as a worker thread of the server's, before the last is written
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let reads = std::iter::repeat_with(|| group.history()).take(20);
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(futures_util::future::try_join_all(reads))
                    .unwrap();
            });
        });
        let batch = [group.new_message(&format!("k{n}"))];
        let stored = group.storage.messages().append(&batch).await.unwrap();
        stored.into_iter().next().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_dies_is_not_half_stored() {
    let group = Group::new().await;
    let before = group.world.conversation(group.id).await;
    let batch: Vec<_> = (0..50)
        .map(|n| group.new_message(&format!("k{n}")))
        .collect();
    let mut holder = group.hold_the_sender().await;
    let storage = group.storage.clone();
    let sent = batch.clone();
    let appending = tokio::spawn(async move { storage.messages().append(&sent).await });
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut killed: i64 = 0;
    while killed == 0 {
        killed = sqlx::query_scalar(kill)
            .fetch_one(&mut holder)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = appending.await.unwrap();
    assert!(is_unavailable(&answer), "{answer:?}");
    run(&mut holder, "ROLLBACK".to_owned()).await;
    assert_eq!(group.world.conversation(group.id).await, before);
    assert_eq!(group.history().await.unwrap(), []);
    let answers = group.storage.messages().append(&batch).await.unwrap();
    for (answer, seq) in answers.into_iter().zip(1..) {
        let Ok(AppendOutcome::Appended(numbers)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(numbers.seq, seq);
    }
}

#[tokio::test]
async fn a_message_of_a_batch_is_never_stored_alone() {
    let group = Group::new().await;
    let before = group.world.conversation(group.id).await;
    // a fault in the middle of the transaction
    let fault = "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql \
                 AS $$ BEGIN RAISE 'fault'; END $$; \
                 CREATE TRIGGER fault BEFORE UPDATE OF last_seq ON conversations \
                 FOR EACH ROW EXECUTE FUNCTION fault()";
    let mut outside = group.database.outside().await;
    run(&mut outside, fault.to_owned()).await;
    let new = group.new_message("key");
    let error = group
        .storage
        .messages()
        .append(std::slice::from_ref(&new))
        .await;
    assert!(matches!(error, Err(Error::Internal { .. })), "{error:?}");
    assert_eq!(group.world.conversation(group.id).await, before);
    assert_eq!(group.storage.messages().get(new.id).await.unwrap(), None);
    run(
        &mut outside,
        "DROP TRIGGER fault ON conversations".to_owned(),
    )
    .await;
    let stored = group.storage.messages().append(&[new]).await.unwrap();
    assert!(stored[0].is_ok(), "{stored:?}");
}

#[tokio::test]
async fn nothing_is_prepared_when_the_address_says_so() {
    let database = Database::migrated().await;
    let storage = open(&format!("{}&statement-cache-capacity=0", database.url())).await;
    let storage = Arc::new(storage);
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    assert_eq!(
        storage.messages().get(message.id).await.unwrap(),
        Some(message)
    );
    let nobody = storage.blocks().block(a, world.nobody(), world.now()).await;
    assert!(matches!(nobody, Err(Error::NotFound(Entity::User))));
}

/// Two instances, batches over the same conversations in different orders, receipts of the same members, and
/// changes beside them.
#[tokio::test(flavor = "multi_thread")]
async fn contention_gives_dense_numbers_and_no_deadlock() {
    const CONVERSATIONS: usize = 5;
    const WRITERS: u32 = 8;
    const BATCHES: usize = 12;
    let database = Database::migrated().await;
    let first = database.open().await;
    let second = database.open().await;
    let world = World::over(first.clone(), 0);
    let people: [UserId; 3] = world.people().await;
    let mut conversations = Vec::new();
    for _ in 0..CONVERSATIONS {
        conversations.push(world.group(people[0], &people[1..]).await);
    }
    let writers: Vec<_> = (1..=WRITERS)
        .map(|part| {
            let storage = if part % 2 == 0 { &first } else { &second };
            let world = World::over(storage.clone(), part);
            let mut conversations = conversations.clone();
            let start = part as usize % CONVERSATIONS;
            conversations.rotate_left(start);
            if part > WRITERS / 2 {
                conversations.reverse();
            }
            tokio::spawn(async move {
                for round in 0..BATCHES {
                    write(&world, &conversations, people, round).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for id in conversations {
        let seqs: Vec<i64> = world.transcript(id).await.iter().map(|m| m.seq).collect();
        let count = i64::from(WRITERS) * i64::try_from(2 * BATCHES).unwrap();
        assert_eq!(seqs, (1..=count).collect::<Vec<_>>());
        assert_eq!(world.conversation(id).await.last_seq, count);
    }
    // a connection tells its counts at its end at the latest
    first.close().await;
    second.close().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let deadlocks: i64 = sqlx::query_scalar(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut database.outside().await)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
}

async fn write(world: &World, conversations: &[ConversationId], people: [UserId; 3], round: usize) {
    let sender = people[round % 3];
    let twice = conversations.iter().chain(conversations);
    let batch: Vec<NewMessage> = twice.map(|id| world.text(*id, sender, "words")).collect();
    let answers = world.messages().append(&batch).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let advances: Vec<WatermarkAdvance> = conversations
        .iter()
        .flat_map(|id| people.map(|user| (*id, user)))
        .map(|(conversation_id, user_id)| WatermarkAdvance {
            conversation_id,
            user_id,
            delivered_seq: i64::MAX,
            read_seq: i64::MAX,
        })
        .collect();
    let receipts = world.receipts();
    receipts.advance(&advances, world.now()).await.unwrap();
    let emoji = Emoji::parse("👍").unwrap();
    let reacted = world
        .messages()
        .add_reaction(batch[0].id, people[0], &emoji, world.now())
        .await;
    assert!(reacted.unwrap().changed);
}
