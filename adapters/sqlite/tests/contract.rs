//! The storage contract, on a database in a folder of its own for each case.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::Arc;

use async_trait::async_trait;
use connexus_contract::Backend;
use connexus_domain::ports::Storage;
use connexus_sqlite::{SqliteOptions, SqliteStorage};
use tempfile::TempDir;

struct Sqlite {
    folder: TempDir,
    storage: Arc<SqliteStorage>,
}

#[async_trait]
impl Backend for Sqlite {
    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = open(&folder).await;
        storage.migrate().await.unwrap();
        Self { folder, storage }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    async fn another(&self) -> Arc<dyn Storage> {
        open(&self.folder).await
    }
}

async fn open(folder: &TempDir) -> Arc<SqliteStorage> {
    let url = format!("sqlite:{}/connexus.db", folder.path().display());
    let storage = SqliteStorage::connect(&url, SqliteOptions::default()).await;
    Arc::new(storage.unwrap())
}

connexus_contract::suite!(Sqlite);
