//! No query that runs often may get slower as a collection grows: each has to find its documents by an
//! index, and in its order by one where that order has no bound.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::HashSet;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use connexus_contract::World;
use connexus_contract::world::EVER;
use connexus_domain::attachment::AvatarOwner;
use connexus_domain::ports::{HistoryRange, MessageRepository as _, MessageSearch, Storage as _};
use connexus_domain::search::Span;
use connexus_domain::{
    ActivityCursor, AttachmentId, ConversationId, Emoji, Limit, MediaKind, MessageId, Role,
    SessionId, Slug, Timestamp, UserId, terms,
};
use uuid::Uuid;

use crate::documents::{
    ClientKey, Id as _, MemberDoc, Record as _, SegmentDoc, SegmentKey, UserDoc,
};
use crate::query::Query;
use crate::{MongoOptions, MongoStorage, attachment, block, conversation, message, session, user};

const LIMIT: Limit = Limit::of(20);

#[allow(clippy::too_many_lines, reason = "it is a table")]
/// A query, and whether it may sort: only what is bounded by one user, one page or one message.
fn queries() -> Vec<(&'static str, Query, bool)> {
    let user = UserId::from_uuid(Uuid::from_u128(1));
    let id = ConversationId::from_uuid(Uuid::from_u128(2));
    let message = MessageId::from_uuid(Uuid::from_u128(3));
    let file = AttachmentId::from_uuid(Uuid::from_u128(4));
    let key = ClientKey {
        c: id.bson(),
        u: user.bson(),
        k: "key".into(),
    };
    let search = |words: &str, before| MessageSearch {
        viewer: user,
        query: terms::query(words).unwrap(),
        conversation_id: None,
        sender_id: None,
        before,
        limit: LIMIT,
    };
    let cursor = ActivityCursor {
        last_activity_at: Timestamp::from_millis(1),
        id,
    };
    let now = Timestamp::from_millis(1);
    let slug = Slug::parse("general").unwrap();
    let both = HashSet::from([id.bson(), message.bson()]);
    let all = || both.iter().copied().collect::<Vec<_>>();
    let login = |key| Query::of::<UserDoc>(user::by_login(key));
    let picture = Query::of::<crate::documents::AttachmentDoc>;
    let conversation = Query::of::<crate::documents::ConversationDoc>;
    let segments = Query::of::<SegmentDoc>;
    let other = ConversationId::from_uuid(Uuid::from_u128(5));
    let some = [id, other];
    let span = Span {
        conversation_id: id,
        first_seq: 1,
        last_seq: 9,
        newest: message,
    };
    let sent = MessageSearch {
        sender_id: Some(user),
        ..search("a", None)
    };
    vec![
        ("login by name", login("ann"), false),
        ("login by address", login("a@b.c"), false),
        (
            "users: all",
            user::candidates(user, "", Some(user), 21),
            false,
        ),
        // names that start alike are sorted by id, since no index has both orders
        ("users: prefix", user::candidates(user, "a", None, 21), true),
        ("blocks", block::list(user, Some(user), LIMIT), false),
        ("blocks among others", block::between(user, &[user]), false),
        (
            "sessions by id",
            session::with_ids(&[SessionId::from_uuid(Uuid::nil())]),
            false,
        ),
        ("sessions", session::list(user, now), false),
        ("ended sessions", session::ended_before(now, LIMIT), false),
        (
            "direct",
            conversation(conversation::by_direct_key("a:b")),
            false,
        ),
        ("slug", conversation(conversation::by_slug(&slug)), false),
        ("places", conversation::places(&[user], None), false),
        (
            "places: archived",
            conversation::places(&[user], Some(true)),
            false,
        ),
        ("list", conversation::page(all(), Some(cursor), LIMIT), true),
        ("heads", conversation::heads([id]), false),
        (
            "members",
            conversation::members(id, Some(user)).limit(21),
            false,
        ),
        ("member ids", conversation::members(id, None), false),
        ("members among", conversation::among([(id, user)]), false),
        ("successor", conversation::successor(id, Role::Admin), false),
        ("small", conversation::small(&both, Some(9)), false),
        ("together", conversation::together(all()), false),
        (
            "known keys",
            message::lookup::with_keys(&HashSet::from([key])),
            false,
        ),
        ("messages", message::with_ids(&[message]), false),
        (
            "newest",
            message::places(vec![(id.bson(), 1), (id.bson(), 2)]),
            false,
        ),
        (
            "latest",
            message::in_range(id, HistoryRange::Latest, LIMIT),
            false,
        ),
        (
            "before",
            message::in_range(id, HistoryRange::Before(9), LIMIT),
            false,
        ),
        (
            "after",
            message::in_range(id, HistoryRange::After(9), LIMIT),
            false,
        ),
        ("thread", message::in_thread(message, 1, LIMIT), false),
        (
            "changed messages",
            message::changed_messages(id, 1, 21),
            false,
        ),
        (
            "changed members",
            message::changed_members(id, 1, 21),
            false,
        ),
        (
            "search: a prefix",
            message::matching(&some, &search("a", None), None, 128),
            true,
        ),
        (
            "search: words",
            message::matching(&some, &search("a b c", Some(message)), None, 128),
            false,
        ),
        (
            "search: more",
            message::matching(&some, &search("a b c", None), Some(span), 128),
            false,
        ),
        ("search: heads", message::heads(&some), false),
        (
            "search: tail",
            message::tail(&[(id, 1), (other, 2)], &sent, Some(message), 500),
            true,
        ),
        (
            "search: candidates",
            message::candidates(&[span, span], &sent, Some(message)),
            false,
        ),
        ("index: first", message::arrived(None, now, 500), false),
        (
            "index: next",
            message::arrived(Some(message), now, 500),
            false,
        ),
        (
            "index: ranges",
            message::within(&[(id, 1, 64), (other, 9, 9)]),
            false,
        ),
        (
            "amendments",
            segments(SegmentKey::amendments(id.bson(), 1)),
            false,
        ),
        (
            "segments of a part",
            segments(SegmentKey::up_to(id.bson(), 9)),
            false,
        ),
        (
            "segments of all",
            segments(SegmentKey::of(id.bson())),
            false,
        ),
        (
            "media",
            attachment::listed(id, None, Some(file), LIMIT),
            false,
        ),
        (
            "media of a kind",
            attachment::listed(id, Some(MediaKind::Image), None, LIMIT),
            false,
        ),
        (
            "avatar of a user",
            picture(attachment::shown(AvatarOwner::User(user))),
            false,
        ),
        (
            "avatar of a group",
            picture(attachment::shown(AvatarOwner::Group(id))),
            false,
        ),
        ("stale attachments", attachment::stale(now, LIMIT), false),
        ("condemned attachments", attachment::condemned(LIMIT), false),
        (
            "reactions",
            message::first_named(message, &Emoji::parse("👍").unwrap()),
            false,
        ),
    ]
}

async fn fresh() -> Arc<MongoStorage> {
    let server = std::env::var("CONNEXUS_TEST_MONGODB_URL").expect(
        "set CONNEXUS_TEST_MONGODB_URL to a replica set's address, such as mongodb://127.0.0.1:27017",
    );
    let mut storage = MongoStorage::connect(&server, MongoOptions::default())
        .await
        .unwrap();
    let name = format!("connexus_test_{}", ObjectId::new());
    storage.database = storage.client.database(&name);
    storage.migrate().await.unwrap();
    Arc::new(storage)
}

/// The names of all stages of a plan.
fn stages(plan: &Bson, found: &mut Vec<String>) {
    match plan {
        Bson::Document(plan) => {
            if let Ok(stage) = plan.get_str("stage") {
                found.push(stage.to_owned());
            }
            for (name, part) in plan {
                if name != "rejectedPlans" {
                    stages(part, found);
                }
            }
        }
        Bson::Array(parts) => parts.iter().for_each(|part| stages(part, found)),
        _ => {}
    }
}

#[tokio::test]
async fn no_query_reads_a_whole_collection() {
    let storage = fresh().await;
    // an index of lists is another one as soon as there is a list
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let group = world.group(a, &[b]).await;
    world.say(group, a, "some words").await;
    storage.index(EVER, LIMIT).await.unwrap();
    let mut wrong = Vec::new();
    for (name, query, may_sort) in queries() {
        let explain = doc! { "explain": query.command(), "verbosity": "queryPlanner" };
        let plan = storage.database.run_command(explain).await.unwrap();
        let mut found = Vec::new();
        stages(plan.get("queryPlanner").unwrap(), &mut found);
        let has = |stage: &str| found.iter().any(|name| name == stage);
        let by_index = has("IXSCAN") || has("IDHACK");
        if has("COLLSCAN") || !by_index || (has("SORT") && !may_sort) {
            wrong.push(format!("{name}: {}", found.join(" < ")));
        }
    }
    storage.database.drop().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A `$lookup` with an expression is only worth its name when it takes the index.
#[tokio::test]
async fn counting_the_unread_reads_no_more_than_it_counts() {
    let storage = fresh().await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    for _ in 0..5 {
        world.say(id, a, "words").await;
    }
    let explain = doc! {
        "explain": {
            "aggregate": MemberDoc::COLLECTION,
            "pipeline": conversation::unread(b, &[(id.bson(), 0)]),
            "cursor": {},
        },
        "verbosity": "executionStats",
    };
    let plan = storage.database.run_command(explain).await.unwrap();
    storage.database.drop().await.unwrap();
    assert_eq!(looked_up(&plan), [5], "{plan}");
}

#[tokio::test]
async fn amendments_are_read_with_no_more_than_what_they_are_about() {
    let storage = fresh().await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let mut said = Vec::new();
    for other in [&[b][..], &[]] {
        let id = world.group(a, other).await;
        for _ in 0..2 {
            for _ in 0..5 {
                said.push(world.say(id, a, "words").await.id);
            }
            storage.index(EVER, LIMIT).await.unwrap();
        }
    }
    for id in [said[5], said[6], said[15]] {
        storage.delete(id, a, world.now()).await.unwrap();
    }
    let explain = doc! {
        "explain": {
            "aggregate": SegmentDoc::COLLECTION,
            "pipeline": message::amended(500),
            "cursor": {},
        },
        "verbosity": "executionStats",
    };
    let plan = storage.database.run_command(explain).await.unwrap();
    storage.database.drop().await.unwrap();
    let mut found = Vec::new();
    stages(&Bson::Document(plan.clone()), &mut found);
    assert!(!found.contains(&"COLLSCAN".to_owned()), "{found:?}");
    // their segments, and on the way there one amendment; and their heads
    assert_eq!(looked_up(&plan), [4, 3], "{plan}");
}

/// How many documents each `$lookup` of an explained pipeline has read, by indexes.
fn looked_up(plan: &Document) -> Vec<i64> {
    let stages = plan.get_array("stages").unwrap().iter();
    let lookups = stages
        .filter_map(Bson::as_document)
        .filter(|stage| stage.contains_key("$lookup"));
    lookups
        .map(|lookup| {
            let number = |name: &str| match lookup.get(name) {
                Some(Bson::Int64(n)) => *n,
                Some(Bson::Int32(n)) => (*n).into(),
                other => panic!("{name} is {other:?}"),
            };
            assert_eq!(number("collectionScans"), 0, "{lookup}");
            number("totalDocsExamined")
        })
        .collect()
}
