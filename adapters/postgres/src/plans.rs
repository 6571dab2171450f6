//! No query that runs often may get slower as a table grows: each has to find its rows by an index, and in
//! its order by one where that order has no bound. The plans are those that the server keeps for prepared
//! statements (generic): those made when there are a few rows, with and without statistics, and those made when
//! there are many. A plan lives on while its tables grow, so one made of a few rows has to be the right one.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::testing::Database;
use crate::{PostgresStorage, attachment, block, conversation, message, receipt, session, user};

/// A query, and whether it may sort: only what is bounded by one user, one page, one batch or one message.
const QUERIES: [(&str, &str, bool); 60] = [
    ("append: at once", message::STORE_AT_ONCE, true),
    ("append: lock", message::LOCK, true),
    ("append: look up", message::LOOKUP, true),
    ("append: store", message::STORE, true),
    ("append: move roots", message::MOVE_ROOTS, false),
    ("history before", message::HISTORY_BEFORE, false),
    ("history after", message::HISTORY_AFTER, false),
    ("changed messages", message::CHANGED_MESSAGES, false),
    ("sent messages", message::SENT_MESSAGES, false),
    ("changed members", message::CHANGED_MEMBERS, false),
    ("thread", message::THREAD, false),
    ("message", message::BY_ID, false),
    ("newest messages", message::NEWEST, false),
    ("search: tail", message::TAIL, true),
    ("search: segments", message::SEGMENTS, true),
    ("search: candidates", message::CANDIDATES, false),
    ("index: state", message::LOCK_STATE, false),
    ("index: amend", message::AMEND, false),
    ("index: amendments", message::AMENDMENTS, false),
    ("index: new", message::NEW, false),
    ("index: heads", message::HEADS, false),
    // all of a step is sorted
    ("index: ranges", message::RANGES, true),
    ("index: remove", message::REMOVE, false),
    ("lock of a message", message::LOCK_OF, false),
    ("purge: messages", message::PURGE, false),
    ("lock", conversation::LOCK, false),
    ("summary", conversation::SUMMARY, false),
    ("conversation list", conversation::LIST, true),
    ("heads", conversation::HEADS, true),
    ("members", conversation::MEMBERS, false),
    ("member ids", conversation::MEMBER_IDS, true),
    ("successor", conversation::SUCCESSOR, false),
    ("behind", conversation::BEHIND, false),
    ("peers", conversation::PEERS, true),
    ("in one conversation", conversation::SHARED, false),
    (
        "purge: a deleted conversation",
        conversation::SOME_DELETED,
        false,
    ),
    ("attachments", attachment::BY_ID, false),
    ("attachments: lock", attachment::LOCK, true),
    ("attach", attachment::ATTACH, false),
    ("condemn", attachment::CONDEMN, false),
    ("condemn: stale", attachment::CONDEMN_STALE, false),
    ("condemned", attachment::CONDEMNED, false),
    ("remove", attachment::REMOVE, false),
    ("media", attachment::MEDIA, false),
    ("media of a kind", attachment::MEDIA_KIND, false),
    // all of a conversation's files are read to count them
    ("media: statistics", attachment::STATS, true),
    ("advance", receipt::ADVANCE, true),
    ("users", user::BY_ID, false),
    ("touch", user::TOUCH, false),
    ("user search: all", user::SEARCH_ALL, false),
    // names that start alike are sorted by id, since no index has both orders
    ("user search: prefix", user::SEARCH_PREFIX, true),
    ("sessions by id", session::BY_IDS, false),
    ("sessions", session::LIST, false),
    ("end sessions", session::END_ALL, false),
    ("purge: sessions", session::PURGE, false),
    ("rotate", session::BY_TOKEN, false),
    ("conversation with member", conversation::WITH_MEMBER, false),
    ("direct conversation", conversation::DIRECT, false),
    ("room", conversation::BY_SLUG, false),
    ("blocks among others", block::APART, true),
];

/// What runs with every message and every page: its plan is the same whatever the statistics say.
const HOT: [&str; 10] = [
    "append: at once",
    "append: lock",
    "append: look up",
    "append: store",
    "append: move roots",
    "history before",
    "history after",
    "message",
    "advance",
    "sessions by id",
];

/// The columns of each index.
type Indexes = HashMap<String, Vec<String>>;

/// Enough rows that a wrong index costs more than the right one.
const FILL: [&str; 14] = [
    // statistics that come by themselves, of tables that are half full, would make other plans
    "DO $do$ DECLARE name text; BEGIN \
       FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP \
         EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = off)', name); END LOOP; END $do$",
    "INSERT INTO users SELECT gen_random_uuid(), 'u' || n, 'u' || n, n || '@x', n || '@x', 'U', 'u', \
       NULL, NULL, 'online', NULL, 'everyone', TRUE, TRUE, '', NULL, 0, 0 \
     FROM generate_series(1, $USERS) n",
    "INSERT INTO blocks SELECT a.id, b.id, 0 FROM (SELECT id FROM users LIMIT 10) a, \
       (SELECT id FROM users) b",
    "INSERT INTO sessions SELECT gen_random_uuid(), id, NULL, 0, 0, 1000, NULL FROM users",
    "INSERT INTO refresh_tokens SELECT sha256(id::text::bytea), id, TRUE FROM sessions",
    "INSERT INTO conversations SELECT gen_random_uuid(), 'room', NULL, 'r' || row_number() OVER (), 'r', \
       NULL, NULL, id, 0, 0, 20, 40, 1, 10, CASE WHEN username LIKE '%99' THEN 1 END \
     FROM users",
    "INSERT INTO members SELECT c.id, u.id, 'member', 0, CASE WHEN u.n % 10 = 7 THEN 1 END, u.n, 0, NULL, 0, \
       NULL, FALSE, FALSE, NULL \
     FROM (SELECT id, row_number() OVER () AS n FROM conversations) c \
     JOIN (SELECT id, row_number() OVER () AS n FROM users) u ON u.n BETWEEN c.n AND c.n + 9",
    "INSERT INTO messages SELECT gen_random_uuid(), c.id, n, n + 20, c.created_by, 'text', 'words', \
       NULL, NULL, CASE WHEN n % 5 = 0 THEN gen_random_uuid() END, 0, (n % 10 = 0)::int, \
       CASE WHEN n % 2 = 0 THEN 'k' || n END, NULL, 0, NULL, NULL \
     FROM conversations c, generate_series(1, 20) n",
    "INSERT INTO search_segments SELECT conversation_id, seq, seq + 4, CASE WHEN seq > 15 THEN rev ELSE 0 END, \
       id, id, array_to_tsvector(ARRAY[right(conversation_id::text, 8) || 'a']) \
     FROM messages WHERE seq % 5 = 1",
    "INSERT INTO search_heads SELECT id, 15 FROM conversations",
    "INSERT INTO reaction_groups SELECT id, e, 1, 1 FROM messages, unnest(ARRAY['👍', '🎉']) e \
     WHERE emoji_count > 0",
    "INSERT INTO reactions SELECT message_id, emoji, 1, gen_random_uuid(), 0 FROM reaction_groups",
    "INSERT INTO attachments SELECT gen_random_uuid(), m.sender_id, m.conversation_id, \
       CASE m.seq WHEN 3 THEN 'condemned' WHEN 6 THEN 'ready' ELSE 'attached' END, m.id, \
       CASE m.seq % 2 WHEN 0 THEN 'image' ELSE 'file' END, 'a', 'b', 1, '', NULL, NULL, NULL, FALSE, 0, m.seq \
     FROM messages m WHERE m.seq % 3 = 0",
    "UPDATE messages m SET attachments = ARRAY[f.id] FROM attachments f WHERE f.message_id = m.id",
];

#[tokio::test]
async fn no_query_reads_a_whole_table() {
    let mut wrong = Vec::new();
    let mut chosen: HashMap<&str, Vec<String>> = HashMap::new();
    for (users, then) in [("3000", "ANALYZE"), ("20", "SELECT"), ("20", "ANALYZE")] {
        let database = Database::migrated().await;
        let storage = database.open().await;
        let mut outside = database.outside().await;
        let indexes = indexes(&mut outside).await;
        for sql in FILL.into_iter().chain([then]) {
            let sql = AssertSqlSafe(sql.replace("$USERS", users));
            sqlx::query(sql).execute(&mut outside).await.unwrap();
        }
        for (name, sql, may_sort) in QUERIES {
            // a few rows are sorted sooner than looked up in their order
            let may_sort = may_sort || users == "20";
            let plan = plan(&storage, sql).await;
            let mut faults = Vec::new();
            find_faults(&plan, may_sort, &indexes, &mut faults);
            let mut used = Vec::new();
            find_conditions(&plan, &mut used);
            used.sort();
            let right = chosen.entry(name).or_insert_with(|| used.clone());
            if HOT.contains(&name) && *right != used {
                faults.push(format!("with many rows it uses {right:#?}"));
            }
            if !faults.is_empty() {
                let faults = faults.join(", ");
                let mut steps = String::new();
                describe(&plan, 1, &mut steps);
                wrong.push(format!("{name}, {users} users, {then}: {faults}{steps}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The index of keys that clients gave their messages.
const KEYS: &str = "messages_client_id_key";

/// Each index that is used, and what for.
fn find_conditions(node: &Value, found: &mut Vec<String>) {
    if let Some(index) = node["Index Name"].as_str() {
        let condition = node["Index Cond"].as_str().unwrap_or_default();
        found.push(format!("{index} {condition}"));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        find_conditions(child, found);
    }
}

/// On a connection such as all others, with all that it was given at its start.
async fn plan(storage: &PostgresStorage, sql: &str) -> Value {
    let mut tx = storage.write().await.unwrap();
    let prepare = AssertSqlSafe(format!("PREPARE q AS {sql}"));
    sqlx::raw_sql(prepare).execute(&mut *tx).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE q{}", nulls(sql)));
    let row = sqlx::query(explain).fetch_one(&mut *tx).await.unwrap();
    sqlx::raw_sql("DEALLOCATE q")
        .execute(&mut *tx)
        .await
        .unwrap();
    let Json(mut plan): Json<Value> = row.get(0);
    plan[0]["Plan"].take()
}

/// As many arguments as the statement has parameters.
fn nulls(sql: &str) -> String {
    let parameters = (1..=30).take_while(|n| sql.contains(&format!("${n}")));
    let nulls: Vec<&str> = parameters.map(|_| "NULL").collect();
    if nulls.is_empty() {
        String::new()
    } else {
        format!("({})", nulls.join(", "))
    }
}

fn find_faults(node: &Value, may_sort: bool, indexes: &Indexes, faults: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap();
    let on = node["Index Name"]
        .as_str()
        .or(node["Relation Name"].as_str());
    let on = on.unwrap_or_default();
    // what is asked of each row of a page is small; and these indexes are of the rows that are meant
    let may_sort = may_sort || node["Parent Relationship"] == "SubPlan";
    let is_whole = matches!(kind, "Index Scan" | "Index Only Scan" | "Bitmap Index Scan")
        && !starts_at_the_front(node["Index Cond"].as_str(), &indexes[on])
        && ![
            "conversations_deleted",
            "attachments_condemned",
            "search_segments_amended",
        ]
        .contains(&on);
    // one key may be that of a sender's messages to everybody
    let condition = node["Index Cond"].as_str().unwrap_or_default();
    let is_half = on == KEYS && !condition.contains("(conversation_id ");
    if kind == "Seq Scan" || is_whole || is_half || (kind.contains("Sort") && !may_sort) {
        faults.push(format!("{kind} {on}"));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        find_faults(child, may_sort, indexes, faults);
    }
}

/// Whether the condition is of the first columns of the index: with any other it is read whole.
fn starts_at_the_front(condition: Option<&str>, columns: &[String]) -> bool {
    let condition = condition.unwrap_or_default();
    let is_named = |column: &String| condition.contains(&format!("({column} "));
    let named = columns.iter().filter(|column| is_named(column)).count();
    named > 0 && columns[..named].iter().all(is_named)
}

async fn indexes(connection: &mut PgConnection) -> Indexes {
    sqlx::query_as(
        "SELECT i.indexrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum) \
         FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid \
         WHERE i.indrelid >= 16384 GROUP BY 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
    .into_iter()
    .collect()
}

fn describe(node: &Value, depth: usize, steps: &mut String) {
    let part = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    let indent = "  ".repeat(depth);
    let (kind, on, index, condition) = (
        part("Node Type"),
        part("Alias"),
        part("Index Name"),
        part("Index Cond"),
    );
    write!(steps, "\n{indent}{kind} {on} {index} {condition}").unwrap();
    for child in node["Plans"].as_array().into_iter().flatten() {
        describe(child, depth + 1, steps);
    }
}
