//! The storage contract, on a database of its own for each case.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::Database;
use connexus_contract::Backend;
use connexus_domain::ports::Storage;
use connexus_postgres::PostgresStorage;

struct Postgres {
    storage: Arc<PostgresStorage>,
    database: Database,
}

#[async_trait]
impl Backend for Postgres {
    async fn fresh() -> Self {
        let database = Database::migrated().await;
        let storage = database.open().await;
        Self { storage, database }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    async fn another(&self) -> Arc<dyn Storage> {
        self.database.open().await
    }
}

connexus_contract::suite!(Postgres);
