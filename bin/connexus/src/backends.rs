//! The storage backends of this build, by the scheme of `storage.url`. The only place that names drivers.

use std::sync::Arc;

use connexus_domain::ports::Storage;
use connexus_domain::{Error, Result};

use crate::config::Config;

/// The schemes that this build has a backend for.
pub const SCHEMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "postgres")]
    "postgres",
    #[cfg(feature = "postgres")]
    "postgresql",
    #[cfg(feature = "mongodb")]
    "mongodb",
    #[cfg(feature = "mongodb")]
    "mongodb+srv",
];

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mongodb")))]
compile_error!("a build needs a storage backend: one of the features sqlite, postgres, mongodb");

/// The scheme of a URL.
pub fn scheme(url: &str) -> &str {
    url.split_once(':').map_or(url, |(scheme, _)| scheme)
}

/// Connects to the database that the configuration names.
pub async fn connect(config: &Config) -> Result<Arc<dyn Storage>> {
    match scheme(&config.storage.url) {
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(config).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => postgres(config).await,
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => mongodb(config).await,
        _ => Err(Error::invalid("storage.url", "no backend of this build")),
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(config: &Config) -> Result<Arc<dyn Storage>> {
    use connexus_sqlite::{SqliteOptions, SqliteStorage};
    let options = SqliteOptions {
        max_read_connections: config.storage.max_connections,
        busy_timeout: millis(config.storage.statement_timeout_ms),
    };
    let storage = SqliteStorage::connect(&config.storage.url, options).await?;
    Ok(Arc::new(storage))
}

#[cfg(feature = "postgres")]
async fn postgres(config: &Config) -> Result<Arc<dyn Storage>> {
    use connexus_postgres::{PostgresOptions, PostgresStorage};
    let options = PostgresOptions {
        max_connections: config.storage.max_connections,
        statement_timeout: millis(config.storage.statement_timeout_ms),
        acquire_timeout: millis(config.storage.acquire_timeout_ms),
    };
    let storage = PostgresStorage::connect(&config.storage.url, options).await?;
    Ok(Arc::new(storage))
}

fn millis(millis: u64) -> std::time::Duration {
    std::time::Duration::from_millis(millis)
}

#[cfg(feature = "mongodb")]
async fn mongodb(config: &Config) -> Result<Arc<dyn Storage>> {
    use connexus_mongodb::{MongoOptions, MongoStorage};
    let options = MongoOptions {
        max_connections: config.storage.max_connections.max(2),
        selection_timeout: millis(config.storage.acquire_timeout_ms),
        operation_timeout: millis(config.storage.statement_timeout_ms),
        ..MongoOptions::default()
    };
    let storage = MongoStorage::connect(&config.storage.url, options).await?;
    Ok(Arc::new(storage))
}
