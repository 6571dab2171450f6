use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::time::Timestamp;

/// Leases: who may do a job that only one process shall do.
#[async_trait]
pub trait LeaseRepository: Send + Sync {
    /// Gives the lease called `name` to `holder` from `now` until `now + ttl` when nobody has it, when it
    /// has ended (its end is at or before `now`), or when `holder` has it; answers whether it was given.
    ///
    /// MUST never give it to two holders for one moment, however many ask at once. Times are those of the
    /// askers' clocks, so let `ttl` be far above what those differ by.
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool>;
}
