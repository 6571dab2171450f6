//! The database as somebody sees it who has never heard of Connexus: through the plain drivers.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

type Id = [u8; 16];

/// What every backend enforces by a unique index of this name.
const UNIQUE: [&str; 6] = [
    "conversations_direct_key",
    "conversations_slug_key",
    "messages_client_id_key",
    "messages_conversation_seq_key",
    "users_email_key",
    "users_username_key",
];

/// What is stored, as far as promises are made about it.
#[derive(Debug, Default)]
pub struct Stored {
    /// Names of unique indexes.
    unique: BTreeSet<String>,
    /// The last seq of each conversation.
    conversations: BTreeMap<Id, i64>,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    conversation: Id,
    seq: i64,
    sender: Id,
    client_id: Option<String>,
}

impl Stored {
    pub(crate) async fn read(url: &str) -> Self {
        match url.split_once(':') {
            Some(("sqlite", path)) => sqlite(path).await,
            Some(("postgres" | "postgresql", _)) => postgres(url).await,
            Some(("mongodb", _)) => mongodb(url).await,
            _ => panic!("no way to look into {url}"),
        }
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Fails the test unless all holds that is promised of a database, whichever it is.
    pub fn check(&self) {
        let missing: Vec<&str> = UNIQUE
            .into_iter()
            .filter(|name| !self.unique.contains(*name))
            .collect();
        assert!(missing.is_empty(), "no unique index {missing:?}");

        let mut seqs: BTreeMap<Id, Vec<i64>> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for message in &self.messages {
            let conversation = message.conversation;
            assert!(
                self.conversations.contains_key(&conversation),
                "a message without its conversation: {message:?}"
            );
            seqs.entry(conversation).or_default().push(message.seq);
            if let Some(client_id) = &message.client_id {
                let key = (conversation, message.sender, client_id);
                assert!(keys.insert(key), "a key is there twice: {message:?}");
            }
        }
        for (conversation, last_seq) in &self.conversations {
            let mut seqs = seqs.remove(conversation).unwrap_or_default();
            seqs.sort_unstable();
            let dense: Vec<i64> = (1..=*last_seq).collect();
            assert_eq!(seqs, dense, "the seqs of a conversation up to its last");
        }
    }
}

const CONVERSATIONS: &str = "SELECT id, last_seq FROM conversations";
const MESSAGES: &str = "SELECT conversation_id, seq, sender_id, client_id FROM messages";

async fn sqlite(path: &str) -> Stored {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let options = options.disable_statement_logging();
    let mut connection: SqliteConnection = options.connect().await.unwrap();
    let id = |row: &SqliteRow, n: usize| -> Id { row.get::<Vec<u8>, _>(n).try_into().unwrap() };
    let unique = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE INDEX %'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    // in one moment, since the server runs
    let mut moment = connection.begin().await.unwrap();
    let conversations = sqlx::query(CONVERSATIONS).fetch_all(&mut *moment).await;
    let messages = sqlx::query(MESSAGES).fetch_all(&mut *moment).await;
    Stored {
        unique: unique.into_iter().collect(),
        conversations: conversations
            .unwrap()
            .iter()
            .map(|row| (id(row, 0), row.get(1)))
            .collect(),
        messages: messages
            .unwrap()
            .iter()
            .map(|row| Message {
                conversation: id(row, 0),
                seq: row.get(1),
                sender: id(row, 2),
                client_id: row.get(3),
            })
            .collect(),
    }
}

async fn postgres(url: &str) -> Stored {
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.disable_statement_logging();
    let mut connection: PgConnection = options.connect().await.unwrap();
    let id = |row: &PgRow, n: usize| row.get::<uuid::Uuid, _>(n).into_bytes();
    let unique = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indisunique AND i.indisvalid",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut moment = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await
        .unwrap();
    let conversations = sqlx::query(CONVERSATIONS).fetch_all(&mut *moment).await;
    let messages = sqlx::query(MESSAGES).fetch_all(&mut *moment).await;
    Stored {
        unique: unique.into_iter().collect(),
        conversations: conversations
            .unwrap()
            .iter()
            .map(|row| (id(row, 0), row.get(1)))
            .collect(),
        messages: messages
            .unwrap()
            .iter()
            .map(|row| Message {
                conversation: id(row, 0),
                seq: row.get(1),
                sender: id(row, 2),
                client_id: row.get(3),
            })
            .collect(),
    }
}

async fn mongodb(url: &str) -> Stored {
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.default_database().unwrap();
    let mut stored = Stored::default();
    for name in database.list_collection_names().await.unwrap() {
        let collection = database.collection::<Document>(&name);
        let indexes: Vec<_> = collection
            .list_indexes()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let unique = indexes.into_iter().filter_map(|index| index.options);
        let unique = unique.filter(|options| options.unique == Some(true));
        stored
            .unique
            .extend(unique.filter_map(|options| options.name));
    }
    let id = |document: &Document, key: &str| match document.get(key) {
        Some(Bson::Binary(binary)) => binary.to_uuid().unwrap().bytes(),
        other => panic!("{key} is {other:?}"),
    };
    let mut moment = client.start_session().snapshot(true).await.unwrap();
    let conversations = database.collection::<Document>("conversations");
    let mut cursor = conversations
        .find(doc! {})
        .session(&mut moment)
        .await
        .unwrap();
    while let Some(document) = cursor.next(&mut moment).await {
        let document = document.unwrap();
        let last_seq = document.get_i64("last_seq").unwrap();
        stored.conversations.insert(id(&document, "_id"), last_seq);
    }
    let messages = database.collection::<Document>("messages");
    let mut cursor = messages.find(doc! {}).session(&mut moment).await.unwrap();
    while let Some(document) = cursor.next(&mut moment).await {
        let document = document.unwrap();
        let key = document.get_document("client_key").ok();
        stored.messages.push(Message {
            conversation: id(&document, "conversation_id"),
            seq: document.get_i64("seq").unwrap(),
            sender: id(&document, "sender_id"),
            client_id: key.map(|key| key.get_str("k").unwrap().to_owned()),
        });
    }
    stored
}
