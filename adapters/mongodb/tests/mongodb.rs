//! What is MongoDB's own, beside the contract.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{DateTime, Document, doc};
use connexus_contract::World;
use connexus_domain::message::AppendOutcome;
use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{Emoji, Error, Limit, UserId};
use connexus_mongodb::{MongoOptions, MongoStorage, OpenError};
use tokio::sync::Barrier;

mod support;

use support::Place;

fn open_error(error: &Error) -> &OpenError {
    match error {
        Error::Internal { source } => source.downcast_ref().expect("an OpenError"),
        other => panic!("{other:?}"),
    }
}

async fn migrated(place: &Place) -> Arc<MongoStorage> {
    let storage = place.open().await;
    storage.migrate().await.unwrap();
    storage
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_soon() {
    let options = MongoOptions {
        selection_timeout: Duration::from_millis(300),
        ..MongoOptions::default()
    };
    let started = Instant::now();
    // port 1 of this machine: nobody listens
    let error = MongoStorage::connect("mongodb://127.0.0.1:1/connexus", options)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_address_of_something_else_says_so() {
    let error = MongoStorage::connect("mysql://x", MongoOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(open_error(&error), OpenError::Address { .. }));
    assert!(open_error(&error).to_string().contains("mongodb://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once_on_a_new_database() {
    let place = Place::new();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = place.url();
            tokio::spawn(async move {
                let storage = MongoStorage::connect(&url, MongoOptions::default()).await?;
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
async fn a_migration_that_died_is_done_again() {
    let place = Place::new();
    let outside = place.outside().await;
    let schema = outside.collection::<Document>("schema");
    let left = doc! { "_id": "lock", "until": DateTime::from_millis(1_000), "owner": "gone" };
    schema.insert_one(left).await.unwrap();
    // and it had come this far
    outside.create_collection("users").await.unwrap();
    migrated(&place).await;
    let refused = outside
        .collection::<Document>("users")
        .insert_one(doc! { "_id": 1 })
        .await;
    assert!(refused.is_err(), "the rule for documents came later");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    let outside = place.outside().await;
    for newer in [
        "attachments",
        "leases",
        "search_segments",
        "search_heads",
        "search_state",
    ] {
        outside.collection::<Document>(newer).drop().await.unwrap();
    }
    outside
        .collection::<Document>("schema")
        .update_one(doc! { "_id": "version" }, doc! { "$set": { "version": 1 } })
        .await
        .unwrap();
    storage.migrate().await.unwrap();
    let file = world.file(id, a).await;
    let newer = world.put(world.with_files(id, a, &[&file])).await;
    assert_eq!(world.transcript(id).await, [message, newer]);
    let indexes = outside
        .collection::<Document>("attachments")
        .list_index_names()
        .await
        .unwrap();
    assert!(indexes.contains(&"attachments_stale".to_owned()));
}

#[tokio::test]
async fn a_conversation_keeps_how_far_few_have_come_by_sending() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage, 0);
    let people: [UserId; 17] = world.people().await;
    let id = world.group(people[0], &people[1..]).await;
    let outside = place.outside().await;
    let kept = async || {
        let conversations = outside.collection::<Document>("conversations");
        let found = conversations.find_one(doc! {}).await.unwrap().unwrap();
        let moved = doc! { "read_seq": { "$gt": 0 } };
        let members = outside.collection::<Document>("members");
        let members = members.count_documents(moved).await.unwrap();
        (found.get_document("sent").map_or(0, Document::len), members)
    };
    for _ in 0..2 {
        for user in &people[..16] {
            world.say(id, *user, "words").await;
        }
        assert_eq!(kept().await, (16, 0));
    }
    world.say(id, people[16], "words").await;
    assert_eq!(kept().await, (0, 17), "all of them, where there is room");
    world.say(id, people[1], "words").await;
    assert_eq!(kept().await, (1, 17));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    let storage = migrated(&place).await;
    place
        .outside()
        .await
        .collection::<Document>("schema")
        .update_one(
            doc! { "_id": "version" },
            doc! { "$set": { "version": 99 } },
        )
        .await
        .unwrap();
    let error = storage.migrate().await.unwrap_err();
    assert!(matches!(
        open_error(&error),
        OpenError::Newer { version: 99 }
    ));
    assert!(open_error(&error).to_string().contains("newer"));
}

/// As on every backend; those of ids are `_id_` here.
#[tokio::test]
async fn unique_values_have_the_indexes_of_every_backend() {
    let place = Place::new();
    migrated(&place).await;
    let outside = place.outside().await;
    for (collection, names) in [
        ("users", &["users_username_key", "users_email_key"]),
        (
            "conversations",
            &["conversations_direct_key", "conversations_slug_key"],
        ),
        (
            "messages",
            &["messages_conversation_seq_key", "messages_client_id_key"],
        ),
        (
            "attachments",
            &[
                "attachments_avatar_user_key",
                "attachments_avatar_conversation_key",
            ],
        ),
    ] {
        let listed = outside
            .run_command(doc! { "listIndexes": collection })
            .await
            .unwrap();
        let cursor = listed.get_document("cursor").unwrap();
        let unique: BTreeSet<&str> = cursor
            .get_array("firstBatch")
            .unwrap()
            .iter()
            .filter_map(bson::Bson::as_document)
            .filter(|index| index.get_bool("unique").unwrap_or(false))
            .map(|index| index.get_str("name").unwrap())
            .collect();
        assert_eq!(unique, names.iter().copied().collect(), "{collection}");
    }
}

#[tokio::test]
async fn a_corrupt_document_is_an_error_that_says_where() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "words").await;
    let outside = place.outside().await;
    for (change, field) in [
        (doc! { "$set": { "kind": "smell" } }, "messages.kind"),
        (doc! { "$set": { "kind": 7 } }, "messages.kind"),
        (
            doc! { "$set": { "kind": "text", "attachments": [1] } },
            "messages.attachments",
        ),
        (
            doc! { "$set": { "attachments": [] }, "$unset": { "seq": "" } },
            "messages.seq",
        ),
        (
            doc! { "$set": { "seq": 1_i64, "reactions": [{ "emoji": "x", "count": 1, "users": [] }] } },
            "messages.reactions",
        ),
    ] {
        outside
            .run_command(doc! {
                "update": "messages",
                "updates": [{ "q": {}, "u": change, "multi": true }],
                "bypassDocumentValidation": true,
            })
            .await
            .unwrap();
        let Err(Error::Internal { source }) = storage.messages().get(message.id).await else {
            panic!("{field} was let through");
        };
        let said = source.to_string();
        assert!(said.contains(field), "{said} for {field}");
        assert!(said.contains(&message.id.to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_message_of_a_batch_is_never_stored_alone() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let before = world.conversation(id).await;
    let outside = place.outside().await;
    let rule = async |last_seq: Document| {
        let command = doc! { "collMod": "conversations", "validator": { "last_seq": last_seq } };
        outside.run_command(command).await.unwrap();
    };
    // a fault in the middle of the transaction
    rule(doc! { "$lt": 1 }).await;
    let new = world.keyed(id, a, "key", "words");
    let error = storage.messages().append(std::slice::from_ref(&new)).await;
    assert!(matches!(error, Err(Error::Internal { .. })), "{error:?}");
    assert_eq!(world.conversation(id).await, before);
    assert_eq!(storage.messages().get(new.id).await.unwrap(), None);
    rule(doc! { "$gte": 0 }).await;
    let stored = storage.messages().append(&[new]).await.unwrap();
    assert!(stored[0].is_ok(), "{stored:?}");
}

/// Two instances, as two processes would, and other changes of the same conversation in between.
#[tokio::test(flavor = "multi_thread")]
async fn writers_who_meet_leave_no_hole() {
    const WRITERS: u32 = 8;
    const EACH: usize = 5;
    let place = Place::new();
    let storage = migrated(&place).await;
    let other = place.open().await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let first = world.say(id, a, "the first").await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let storage = if writer % 2 == 0 { &storage } else { &other }.clone();
        let first = first.id;
        tasks.push(tokio::spawn(async move {
            let world = World::over(storage.clone(), writer + 1);
            let thumb = Emoji::parse("👍").unwrap();
            let mut acknowledged = Vec::new();
            for n in 0..EACH {
                let new = world.keyed(id, a, &format!("{writer}-{n}"), "words");
                let answers = storage.messages().append(std::slice::from_ref(&new)).await;
                match answers.unwrap().remove(0).unwrap() {
                    AppendOutcome::Appended(numbers) => acknowledged.push((new.id, numbers.seq)),
                    AppendOutcome::Duplicate(_) => panic!("nobody else has this key"),
                }
                let messages = storage.messages();
                if n % 2 == 0 {
                    messages
                        .add_reaction(first, b, &thumb, new.at)
                        .await
                        .unwrap();
                } else {
                    messages.remove_reaction(first, b, &thumb).await.unwrap();
                }
            }
            acknowledged
        }));
    }
    let mut seqs = BTreeSet::new();
    for task in tasks {
        for (message, seq) in task.await.unwrap() {
            let stored = storage.messages().get(message).await.unwrap().unwrap();
            assert_eq!(stored.seq, seq);
            assert!(seqs.insert(seq), "{seq} was given twice");
        }
    }
    let count = i64::from(WRITERS) * i64::try_from(EACH).unwrap();
    assert_eq!(seqs, (2..=count + 1).collect());
    assert_eq!(world.conversation(id).await.last_seq, count + 1);
}

#[tokio::test]
async fn who_reacted_is_exact_beyond_those_who_are_named() {
    const REACTORS: usize = 103;
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [a] = world.people().await;
    let mut reactors = Vec::new();
    for n in 0..REACTORS {
        reactors.push(world.user(&format!("reactor{n}")).await);
    }
    let id = world.group(a, &reactors).await;
    let message = world.say(id, a, "words").await.id;
    let thumb = Emoji::parse("👍").unwrap();
    let messages = storage.messages();
    for user in &reactors {
        messages
            .add_reaction(message, *user, &thumb, world.now())
            .await
            .unwrap();
    }
    // one who is named, and one who is not
    for (gone, count) in [(reactors[0], 102), (reactors[102], 101)] {
        let changed = messages.remove_reaction(message, gone, &thumb).await;
        let changed = changed.unwrap().message;
        assert_eq!(changed.reactions[0].count, count);
        assert_eq!(changed.reactions[0].user_ids, reactors[1..101]);
        let again = messages.remove_reaction(message, gone, &thumb).await;
        assert!(!again.unwrap().changed);
    }
    let history = messages
        .history(id, HistoryRange::Latest, Limit::of(1))
        .await
        .unwrap();
    assert_eq!(history[0].reactions[0].count, 101);
    let outside = place.outside().await;
    let kept = outside.collection::<Document>("reactions");
    assert_eq!(kept.count_documents(doc! {}).await.unwrap(), 101);
}

/// Texts are values, whatever they look like.
#[tokio::test]
async fn an_operator_from_outside_is_a_text() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    for text in ["{\"$ne\": null}", "$where", "$$ROOT", "a.b", "^.*"] {
        let users = storage.users();
        let found = users.credentials_by_login(text).await.unwrap();
        assert!(found.is_none(), "{text}");
        let found = users.search(a, text, None, Limit::of(9)).await.unwrap();
        assert!(found.items.is_empty(), "{text}");
        let message = world.say(id, a, text).await;
        assert_eq!(message.body.as_deref(), Some(text));
    }
}

/// Sockets that close take along what they were asking for, in whatever state it is.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_give_up_leave_nobody_waiting() {
    let place = Place::new();
    let options = MongoOptions {
        max_connections: 2,
        // whom nobody wakes is unavailable after this
        operation_timeout: Duration::from_secs(2),
        ..MongoOptions::default()
    };
    let storage = place.open_with(options).await;
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [ann] = world.people().await;
    for round in 0..40_u64 {
        let asking: Vec<_> = (0..12)
            .map(|_| {
                let storage = storage.clone();
                tokio::spawn(async move { storage.users().get(ann).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(round * 50)).await;
        let (patient, hasty): (Vec<_>, Vec<_>) = asking
            .into_iter()
            .enumerate()
            .partition(|(n, _)| n % 3 == 0);
        for (_, hasty) in hasty {
            hasty.abort();
        }
        for (_, patient) in patient {
            let found = patient.await.unwrap();
            assert!(found.is_ok(), "in round {round}: {found:?}");
        }
    }
}

/// As a server's threads are, each with a runtime of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_the_same_from_another_runtime() {
    let place = Place::new();
    let storage = migrated(&place).await;
    let world = World::over(storage.clone(), 0);
    let [ann] = world.people().await;
    let id = world.group(ann, &[]).await;
    world.say(id, ann, "one").await;
    world.say(id, ann, "two").await;
    let here = world.transcript(id).await;
    let there = tokio::task::spawn_blocking(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let page = async {
            let range = HistoryRange::After(0);
            storage.messages().history(id, range, Limit::of(10)).await
        };
        runtime.enable_all().build().unwrap().block_on(page)
    });
    assert_eq!(there.await.unwrap().unwrap(), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_purge_at_once_goes_with_all_that_hangs_on_it() {
    let place = Place::new();
    let first = migrated(&place).await;
    let world = World::over(first.clone(), 0);
    let [a] = world.people().await;
    // they do not always meet
    for _ in 0..4 {
        let id = world.group(a, &[]).await;
        for n in 0..60 {
            world.say(id, a, &format!("message {n}")).await;
        }
        first
            .conversations()
            .delete(id, a, world.now())
            .await
            .unwrap();
        let (barrier, mut tasks) = (Arc::new(Barrier::new(4)), Vec::new());
        for _ in 0..4 {
            let (storage, barrier) = (place.open().await, barrier.clone());
            tasks.push(tokio::spawn(async move {
                barrier.wait().await;
                while storage
                    .conversations()
                    .purge_deleted(Limit::of(20))
                    .await
                    .unwrap()
                    > 0
                {}
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let outside = place.outside().await;
        for name in ["messages", "members", "conversations"] {
            let left = outside
                .collection::<Document>(name)
                .count_documents(doc! {})
                .await
                .unwrap();
            assert_eq!(left, 0, "{name}");
        }
    }
}
