//! What is kept for search, beside the contract.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use connexus_contract::World;
use connexus_contract::world::{ALL, EVER};
use connexus_domain::message::MessageBody;
use connexus_domain::ports::Storage;
use connexus_domain::{Limit, MessageId};
use connexus_mongodb::MongoStorage;
use futures_util::TryStreamExt as _;
use mongodb::{Database, IndexModel};

mod support;

use support::Place;

async fn migrated(place: &Place) -> (Arc<MongoStorage>, World, Database) {
    let storage = place.open().await;
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    (storage, world, place.outside().await)
}

async fn index(storage: &MongoStorage) -> u64 {
    storage.messages().index(EVER, ALL).await.unwrap()
}

async fn all(database: &Database, collection: &str) -> Vec<Document> {
    let collection = database.collection::<Document>(collection);
    let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
    found.await.unwrap().try_collect().await.unwrap()
}

/// First seq, last seq, and whether it is an amendment, of all segments.
async fn spans(database: &Database) -> Vec<(i64, i64, bool)> {
    let segments = all(database, "search_segments").await;
    let span = |segment: &Document| {
        let key = segment.get_document("_id").unwrap();
        let (first, rev) = (key.get_i64("s").unwrap(), key.get_i64("r").unwrap());
        (first, segment.get_i64("last_seq").unwrap(), rev > 0)
    };
    segments.iter().map(span).collect()
}

async fn words(database: &Database) -> BTreeSet<String> {
    let segments = all(database, "search_segments").await;
    let terms = segments
        .iter()
        .filter_map(|segment| segment.get_array("terms").ok())
        .flatten()
        .map(|term| term.as_str().unwrap().to_owned());
    terms.collect()
}

#[tokio::test]
async fn who_sends_writes_nothing_for_search() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let message = world.say(id, a, "some words").await;
    for collection in ["search_segments", "search_heads"] {
        assert_eq!(all(&outside, collection).await, []);
    }
    assert!(!all(&outside, "messages").await[0].contains_key("terms"));
    assert_eq!(world.found(b, "words").await, [message.id]);
    assert_eq!(index(&storage).await, 1);
    assert_eq!(index(&storage).await, 0);
    assert_eq!(spans(&outside).await, [(1, 1, false)]);
    assert_eq!(world.found(b, "words").await, [message.id]);
}

#[tokio::test]
async fn what_was_edited_or_deleted_leaves_no_word_in_the_index() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a] = world.people().await;
    let id = world.group(a, &[]).await;
    let mut said = Vec::new();
    for text in ["red one", "red two", "green three", "blue four"] {
        said.push(world.say(id, a, text).await.id);
    }
    index(&storage).await;
    let edit = async |at: usize, text: &str| {
        let body = MessageBody::parse(text).unwrap();
        let messages = storage.messages();
        let edited = messages.edit(said[at], a, &body, world.now()).await;
        assert!(edited.unwrap().changed);
    };
    edit(0, "violet one").await;
    edit(0, "yellow one").await;
    edit(3, "?!").await;
    let gone = storage.messages().delete(said[2], a, world.now()).await;
    assert!(gone.unwrap().changed);
    // of what was edited twice, the later
    assert_eq!(
        spans(&outside).await,
        [(1, 4, false), (1, 1, true), (3, 3, true), (4, 4, true)]
    );
    assert_eq!(world.found(a, "yellow").await, [said[0]]);
    assert_eq!(index(&storage).await, 3);
    assert_eq!(spans(&outside).await, [(1, 2, false)]);
    let left = ["one", "red", "two", "yellow"].map(str::to_owned);
    assert_eq!(words(&outside).await, BTreeSet::from(left));
    // one that had no words, and is in no segment
    edit(3, "blue again").await;
    assert_eq!(index(&storage).await, 1);
    assert_eq!(spans(&outside).await, [(1, 2, false), (4, 4, false)]);
    assert_eq!(world.found(a, "blue").await, [said[3]]);
}

#[tokio::test]
async fn segments_are_made_anew_each_in_its_place() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a] = world.people().await;
    let id = world.group(a, &[]).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(world.say(id, a, "one").await.id);
        said.push(world.say(id, a, "two").await.id);
        index(&storage).await;
    }
    for at in [0, 1, 5] {
        let body = MessageBody::parse("other").unwrap();
        let edited = storage.messages().edit(said[at], a, &body, world.now());
        assert!(edited.await.unwrap().changed);
    }
    assert_eq!(index(&storage).await, 3);
    let expected = [(1, 2, false), (3, 4, false), (5, 6, false)];
    assert_eq!(spans(&outside).await, expected);
    assert_eq!(world.found(a, "other").await, [said[5], said[1], said[0]]);
}

/// A node whose clock is ahead, or a batch that came late.
#[tokio::test]
async fn ids_need_not_be_in_the_order_of_seqs() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a] = world.people().await;
    let id = world.group(a, &[]).await;
    let mut batch: Vec<_> = (0..3).map(|_| world.text(id, a, "words")).collect();
    batch.reverse();
    let stored = storage.messages().append(&batch).await.unwrap();
    assert!(stored.iter().all(Result::is_ok), "{stored:?}");
    let expected: Vec<MessageId> = batch.iter().map(|new| new.id).collect();
    for _ in 0..3 {
        let one = Limit::of(1);
        assert_eq!(storage.messages().index(EVER, one).await.unwrap(), 1);
        assert_eq!(spans(&outside).await, [(1, 3, false)]);
        assert_eq!(world.found(a, "words").await, expected);
    }
    assert_eq!(index(&storage).await, 0);
    assert_eq!(all(&outside, "search_heads").await.len(), 1);
}

#[tokio::test]
async fn who_comes_second_leaves_it_to_the_first() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a] = world.people().await;
    let id = world.group(a, &[]).await;
    world.say(id, a, "words").await;
    let mut first = outside.client().start_session().await.unwrap();
    first.start_transaction().await.unwrap();
    let state = outside.collection::<Document>("search_state");
    state
        .update_one(doc! {}, doc! { "$inc": { "turn": 1_i64 } })
        .session(&mut first)
        .await
        .unwrap();
    let started = Instant::now();
    assert_eq!(index(&storage).await, 0);
    assert!(started.elapsed() < Duration::from_secs(1));
    first.abort_transaction().await.unwrap();
    assert_eq!(index(&storage).await, 1);
}

#[tokio::test]
async fn a_deleted_conversation_goes_with_what_it_was_found_by() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a, b] = world.people().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = world.group(a, &[b]).await;
        for n in 0..5 {
            let message = world.say(id, a, &format!("number{n}")).await.id;
            index(&storage).await;
            if n == 3 {
                let messages = storage.messages();
                messages.delete(message, a, world.now()).await.unwrap();
            }
        }
        // not indexed, and amended
        let last = world.say(id, a, "the last").await.id;
        let body = MessageBody::parse("the very last").unwrap();
        let edited = storage.messages().edit(last, a, &body, world.now());
        assert!(edited.await.unwrap().changed);
        ids.push(id);
    }
    let conversations = storage.conversations();
    conversations.delete(ids[0], a, world.now()).await.unwrap();
    let left = async |id: connexus_domain::ConversationId| {
        let id = bson::Uuid::from_bytes(*id.as_uuid().as_bytes());
        let segments = outside.collection::<Document>("search_segments");
        let heads = outside.collection::<Document>("search_heads");
        (
            segments
                .count_documents(doc! { "_id.c": id })
                .await
                .unwrap(),
            heads.count_documents(doc! { "_id": id }).await.unwrap(),
        )
    };
    let before = (left(ids[0]).await, left(ids[1]).await);
    assert!(before.0.0 > 2 && before.0.1 == 1, "{before:?}");
    let step = conversations.purge_deleted(Limit::of(2)).await.unwrap();
    assert_eq!(step, 2);
    assert!(left(ids[0]).await < before.0);
    while conversations.purge_deleted(Limit::of(2)).await.unwrap() > 0 {}
    assert_eq!(left(ids[0]).await, (0, 0));
    assert_eq!(left(ids[1]).await, before.1);
}

/// As version 2 has left it: with terms in messages, and an index of them.
#[tokio::test]
async fn what_an_older_version_stored_is_found_before_it_is_indexed_and_after() {
    let place = Place::new();
    let (storage, world, outside) = migrated(&place).await;
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    let mut said = Vec::new();
    for text in ["red apple", "green apple", "blue apple"] {
        said.push(world.say(id, a, text).await.id);
    }
    for newer in ["search_segments", "search_heads", "search_state"] {
        outside.collection::<Document>(newer).drop().await.unwrap();
    }
    let messages = outside.collection::<Document>("messages");
    messages
        .update_many(
            doc! {},
            vec![doc! { "$set": { "terms": { "$split": ["$body", " "] } } }],
        )
        .await
        .unwrap();
    let options = mongodb::options::IndexOptions::builder()
        .name("messages_terms".to_owned())
        .partial_filter_expression(doc! { "terms": { "$exists": true } })
        .build();
    let index_of_terms = IndexModel::builder()
        .keys(doc! { "conversation_id": 1, "terms": 1, "_id": -1 })
        .options(options)
        .build();
    messages.create_index(index_of_terms).await.unwrap();
    outside
        .collection::<Document>("schema")
        .update_one(doc! { "_id": "version" }, doc! { "$set": { "version": 2 } })
        .await
        .unwrap();
    storage.migrate().await.unwrap();
    let indexes = messages.list_index_names().await.unwrap();
    assert!(!indexes.contains(&"messages_terms".to_owned()));

    said.reverse();
    assert_eq!(world.found(b, "apple").await, said);
    assert_eq!(index(&storage).await, 3);
    assert_eq!(spans(&outside).await, [(1, 3, false)]);
    assert_eq!(world.found(b, "apple").await, said);
    assert_eq!(world.found(b, "app gre").await, []);
    assert_eq!(world.found(b, "apple gre").await, [said[1]]);
    // and what is changed is rid of its terms
    let gone = storage.messages().delete(said[1], a, world.now()).await;
    assert!(gone.unwrap().changed);
    let body = MessageBody::parse("violet").unwrap();
    let edited = storage.messages().edit(said[0], a, &body, world.now());
    assert!(edited.await.unwrap().changed);
    let with_terms = messages.count_documents(doc! { "terms": { "$exists": true } });
    assert_eq!(with_terms.await.unwrap(), 1);
    assert_eq!(index(&storage).await, 2);
    let left = ["apple", "red", "violet"].map(str::to_owned);
    assert_eq!(words(&outside).await, BTreeSet::from(left));
}
