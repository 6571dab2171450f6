//! One random sequence of operations on PostgreSQL and on SQLite: what users see must be the same.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use std::sync::Arc;

use common::Database;
use connexus_contract::model::compare;
use connexus_domain::ports::Storage as _;
use connexus_sqlite::{SqliteOptions, SqliteStorage};

#[tokio::test(flavor = "multi_thread")]
async fn users_see_the_same_as_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..=3 {
        let url = format!("sqlite:{}/{seed}.db", folder.path().display());
        let trusted = SqliteStorage::connect(&url, SqliteOptions::default()).await;
        let trusted = Arc::new(trusted.unwrap());
        trusted.migrate().await.unwrap();
        let database = Database::migrated().await;
        compare(database.open().await, trusted, seed, 120).await;
    }
}
