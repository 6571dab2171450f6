use async_trait::async_trait;

use crate::error::Result;
use crate::id::UserId;
use crate::page::{Limit, Page};
use crate::time::Timestamp;

/// Who does not want to hear from whom.
#[async_trait]
pub trait BlockRepository: Send + Sync {
    /// `by` blocks `whom`. Idempotent.
    ///
    /// Errors: `NotFound(User)` when `whom` does not exist.
    async fn block(&self, by: UserId, whom: UserId, now: Timestamp) -> Result<()>;

    /// `by` blocks `whom` no longer. Idempotent.
    async fn unblock(&self, by: UserId, whom: UserId) -> Result<()>;

    /// Whom `by` blocks, in the order of their ids, after `after`.
    async fn list(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserId, UserId>>;

    /// Whether one of the two blocks the other.
    async fn either_blocks(&self, a: UserId, b: UserId) -> Result<bool>;

    /// Those of `others` who block `user`, or whom `user` blocks, each once, in no order.
    async fn apart_from(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>>;
}
