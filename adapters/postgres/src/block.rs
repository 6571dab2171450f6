use async_trait::async_trait;
use connexus_domain::ports::BlockRepository;
use connexus_domain::{Entity, Limit, Page, Result, Timestamp, UserId};

use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{or_least, uuids};
use crate::storage::PostgresStorage;

/// One look-up each: with `EXISTS`, the planner would rather read all of a table that it takes for small.
pub(crate) const APART: &str = "\
    SELECT DISTINCT v.id FROM unnest($2::uuid[]) v(id) \
    WHERE (SELECT b.created_at FROM blocks b WHERE b.blocker_id = $1 AND b.blocked_id = v.id) IS NOT NULL \
    OR (SELECT b.created_at FROM blocks b WHERE b.blocker_id = v.id AND b.blocked_id = $1) IS NOT NULL";

#[async_trait]
impl BlockRepository for PostgresStorage {
    async fn block(&self, by: UserId, whom: UserId, now: Timestamp) -> Result<()> {
        self.writing(move || block(self, by, whom, now)).await
    }

    async fn unblock(&self, by: UserId, whom: UserId) -> Result<()> {
        self.writing(move || unblock(self, by, whom)).await
    }

    async fn list(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserId, UserId>> {
        self.reading(move || list(self, by, after, limit)).await
    }

    async fn either_blocks(&self, a: UserId, b: UserId) -> Result<bool> {
        self.reading(move || either_blocks(self, a, b)).await
    }

    async fn apart_from(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        self.reading(move || apart_from(self, user, others)).await
    }
}

async fn block(storage: &PostgresStorage, by: UserId, whom: UserId, now: Timestamp) -> Result<()> {
    let mut tx = storage.write().await?;
    sqlx::query(
        "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT DO NOTHING",
    )
    .bind(by.as_uuid())
    .bind(whom.as_uuid())
    .bind(now.as_millis())
    .execute(&mut *tx)
    .await
    .in_domain_or_missing(Entity::User)?;
    tx.commit().await.in_domain()
}

async fn unblock(storage: &PostgresStorage, by: UserId, whom: UserId) -> Result<()> {
    let mut tx = storage.write().await?;
    sqlx::query("DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2")
        .bind(by.as_uuid())
        .bind(whom.as_uuid())
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()
}

async fn list(
    storage: &PostgresStorage,
    by: UserId,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Page<UserId, UserId>> {
    let rows = sqlx::query(
        "SELECT blocked_id FROM blocks WHERE blocker_id = $1 AND blocked_id > $2 \
         ORDER BY blocked_id LIMIT $3",
    )
    .bind(by.as_uuid())
    .bind(or_least(after))
    .bind(limit.and_one())
    .fetch_all(storage.look().await?)
    .await
    .in_domain()?;
    let ids: Vec<UserId> = rows::user_ids(&rows)?;
    Ok(Page::cut(ids, limit, |id| *id))
}

async fn either_blocks(storage: &PostgresStorage, a: UserId, b: UserId) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM blocks WHERE blocker_id = $1 AND blocked_id = $2) \
         OR EXISTS (SELECT 1 FROM blocks WHERE blocker_id = $2 AND blocked_id = $1)",
    )
    .bind(a.as_uuid())
    .bind(b.as_uuid())
    .fetch_one(storage.look().await?)
    .await
    .in_domain()
}

async fn apart_from(
    storage: &PostgresStorage,
    user: UserId,
    others: &[UserId],
) -> Result<Vec<UserId>> {
    let rows = sqlx::query(APART)
        .bind(user.as_uuid())
        .bind(uuids(others.iter().copied()))
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?;
    rows::user_ids(&rows)
}
