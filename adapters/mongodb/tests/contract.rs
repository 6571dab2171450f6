//! The storage contract, on a database of its own for each case.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::Arc;

use async_trait::async_trait;
use connexus_contract::Backend;
use connexus_domain::ports::Storage;
use connexus_mongodb::MongoStorage;

mod support;

use support::Place;

struct Mongo {
    place: Place,
    storage: Arc<MongoStorage>,
}

#[async_trait]
impl Backend for Mongo {
    async fn fresh() -> Self {
        let place = Place::new();
        let storage = place.open().await;
        storage.migrate().await.unwrap();
        Self { place, storage }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    async fn another(&self) -> Arc<dyn Storage> {
        self.place.open().await
    }
}

connexus_contract::suite!(Mongo);
