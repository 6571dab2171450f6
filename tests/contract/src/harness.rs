use std::sync::Arc;

use async_trait::async_trait;
use connexus_domain::ports::Storage;

/// What an adapter provides so that the suite can run on it. Dropping it may take the data away.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A fresh, migrated, empty storage that no other case sees.
    async fn fresh() -> Self
    where
        Self: Sized;

    /// The storage; each call answers the same instance.
    fn storage(&self) -> Arc<dyn Storage>;

    /// A second, independent instance on the same data, as another process would have: a pool and caches
    /// of its own.
    async fn another(&self) -> Arc<dyn Storage>;
}
