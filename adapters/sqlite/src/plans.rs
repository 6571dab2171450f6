//! No query that runs often may get slower as a table grows: each has to find its rows by an index, and in
//! its order by one where that order has no bound. The plans are those of production, since no statistics
//! are ever gathered (see `open`). None is planned again when it is run: a parameter of LIMIT is written `+?1`.

use connexus_domain::ports::Storage as _;
use sqlx::{AssertSqlSafe, Row as _};

use crate::{
    SqliteOptions, SqliteStorage, attachment, block, conversation, message, receipt, session, user,
};

/// A query, and whether it may sort: only what is bounded by one user, one page or one message.
const QUERIES: [(&str, &str, bool); 56] = [
    ("append: conversations", message::CONVERSATIONS, false),
    ("append: members", message::MEMBERS, false),
    ("append: known keys", message::KNOWN, false),
    ("append: referred", message::REFERRED, false),
    (
        "append: move conversations",
        message::MOVE_CONVERSATIONS,
        false,
    ),
    ("append: move readers", message::MOVE_READERS, false),
    ("append: move roots", message::MOVE_ROOTS, false),
    (
        "append: next number",
        "SELECT coalesce(max(num), 0) + 1 FROM messages",
        false,
    ),
    ("history before", message::HISTORY_BEFORE, false),
    ("history after", message::HISTORY_AFTER, false),
    ("changed messages", message::CHANGED_MESSAGES, false),
    ("sent messages", message::SENT_MESSAGES, false),
    ("changed members", message::CHANGED_MEMBERS, false),
    ("thread", message::THREAD, false),
    ("message", message::BY_ID, false),
    ("newest messages", message::NEWEST, false),
    ("search: scope", message::SCOPE, false),
    // bounded by what is not indexed yet
    ("search: tail", message::TAIL, true),
    // bounded by what matches in the searcher's own conversations
    ("search: segments", message::SEGMENTS, true),
    ("search: candidates", message::CANDIDATES, false),
    (
        "index: state",
        "SELECT indexed_until, steps FROM search_state WHERE id = 1",
        false,
    ),
    ("index: amendments", message::AMENDMENTS, false),
    ("index: covering", message::COVERING, false),
    ("index: new", message::NEW, false),
    ("index: ranges", message::RANGES, false),
    ("index: take a step", message::TAKE_STEP, false),
    ("index: add segments", message::ADD_SEGMENTS, false),
    ("index: move heads", message::MOVE_HEADS, false),
    ("index: remove terms", message::REMOVE_TERMS, false),
    ("index: remove", message::REMOVE, false),
    ("amended", message::AMENDED, false),
    ("summary", conversation::SUMMARY, false),
    ("conversation list", conversation::LIST, true),
    ("heads", conversation::HEADS, true),
    ("members", conversation::MEMBERS, false),
    ("successor", conversation::SUCCESSOR, false),
    ("behind", conversation::BEHIND, false),
    ("peers", conversation::PEERS, true),
    ("advance", receipt::ADVANCE, false),
    ("user search: all", user::SEARCH_ALL, false),
    // names that start alike are sorted by id, since no index has both orders
    ("user search: prefix", user::SEARCH_PREFIX, true),
    (
        "purge: a deleted conversation",
        "SELECT id FROM conversations WHERE deleted_at IS NOT NULL LIMIT 1",
        false,
    ),
    ("attachments", attachment::BY_ID, false),
    ("attach", attachment::ATTACH, false),
    ("condemn", attachment::CONDEMN, false),
    ("condemn: stale", attachment::CONDEMN_STALE, false),
    ("condemned", attachment::CONDEMNED, false),
    ("media", attachment::MEDIA, false),
    ("media of a kind", attachment::MEDIA_KIND, false),
    ("media: statistics", attachment::STATS, false),
    ("purge: messages", message::PURGED, false),
    ("purge: segments", message::FORGET, false),
    ("purge: heads", message::FORGET_HEAD, false),
    ("purge: ended sessions", session::PURGE, false),
    ("blocks", block::LIST, false),
    ("blocks among others", block::APART, true),
];

#[tokio::test]
async fn no_query_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/plans.db", folder.path().display());
    let storage = SqliteStorage::connect(&url, SqliteOptions::default())
        .await
        .unwrap();
    storage.migrate().await.unwrap();
    let mut wrong = Vec::new();
    for (name, sql, may_sort) in QUERIES {
        let plan: Vec<String> = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&storage.writer)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get("detail"))
            .collect();
        let scans = plan.iter().any(|step| is_scan(step));
        // the parts of one message are few
        let sorts = plan.iter().any(|step| {
            step.contains("TEMP B-TREE") && !step.ends_with("FOR json_group_array(ORDER BY)")
        });
        if scans || (sorts && !may_sort) {
            wrong.push(format!("{name}:\n  {}", plan.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// SQLite plans a query again each time a bare parameter of LIMIT gets a value, which may cost more than to run it.
#[test]
fn no_query_is_planned_each_time_it_is_run() {
    let replanned = QUERIES
        .into_iter()
        .filter(|(_, sql, _)| sql.contains("LIMIT ?"));
    let names: Vec<&str> = replanned.map(|(name, _, _)| name).collect();
    assert!(names.is_empty(), "write LIMIT +?1, not LIMIT ?1: {names:?}");
}

/// A SCAN of a table: not of a list that comes with the query, nor of a subquery (it is in the plan itself),
/// nor of the partial index of the rows that are meant.
fn is_scan(step: &str) -> bool {
    const BOUNDED: [&str; 14] = [
        "a VIRTUAL TABLE",
        "j VIRTUAL TABLE",
        "json_each VIRTUAL TABLE",
        // of a MATCH, and of a rowid
        "t VIRTUAL TABLE INDEX 0:M1",
        "segment_terms VIRTUAL TABLE INDEX 0:=",
        "(subquery",
        "page",
        "found",
        "r",
        "v",
        "to_",
        "s USING INDEX search_segments_amendments",
        "conversations USING COVERING INDEX conversations_deleted",
        "attachments USING COVERING INDEX attachments_condemned",
    ];
    step.strip_prefix("SCAN ").is_some_and(|what| {
        !BOUNDED.iter().any(|name| {
            what.strip_prefix(name).is_some_and(|rest| {
                name.starts_with('(') || rest.is_empty() || rest.starts_with(' ')
            })
        })
    })
}
