//! What the index of search keeps.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use common::Database;
use connexus_contract::World;
use connexus_contract::world::{ALL, EVER, body};
use connexus_domain::ports::Storage as _;
use sqlx::postgres::PgConnection;

/// All terms of the index, without the tags of their conversations.
async fn terms(connection: &mut PgConnection) -> String {
    sqlx::query_scalar(
        "SELECT coalesce(string_agg(DISTINCT substr(lexeme, 9), ' ' ORDER BY substr(lexeme, 9)), '') \
         FROM search_segments, unnest(tsvector_to_array(terms)) lexeme",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

async fn rows(connection: &mut PgConnection) -> i64 {
    let count =
        "SELECT (SELECT count(*) FROM search_segments) + (SELECT count(*) FROM search_heads)";
    sqlx::query_scalar(count)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_word_that_is_not_said_any_more_is_not_kept() {
    let database = Database::migrated().await;
    let storage = database.open().await;
    let world = World::over(storage.clone(), 0);
    let mut outside = database.outside().await;
    let [by] = world.people().await;
    let id = world.group(by, &[]).await;
    let edited = world.say(id, by, "red words").await;
    let deleted = world.say(id, by, "blue words").await;
    assert_eq!(rows(&mut outside).await, 0, "sending leaves it alone");
    storage.messages().index(EVER, ALL).await.unwrap();
    assert_eq!(terms(&mut outside).await, "blue red words");

    let messages = storage.messages();
    messages
        .edit(edited.id, by, &body("green"), world.now())
        .await
        .unwrap();
    messages.delete(deleted.id, by, world.now()).await.unwrap();
    assert_eq!(terms(&mut outside).await, "blue green red words");
    assert_eq!(messages.index(EVER, ALL).await.unwrap(), 2);
    assert_eq!(terms(&mut outside).await, "green");
    assert_eq!(rows(&mut outside).await, 2);

    let conversations = storage.conversations();
    conversations.delete(id, by, world.now()).await.unwrap();
    while conversations.purge_deleted(ALL).await.unwrap() > 0 {}
    assert_eq!(rows(&mut outside).await, 0);
}
