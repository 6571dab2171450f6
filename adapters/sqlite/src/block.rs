use async_trait::async_trait;
use connexus_domain::ports::BlockRepository;
use connexus_domain::{Entity, Limit, Page, Result, Timestamp, UserId};

use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{bytes_or_least, json_ids};
use crate::storage::SqliteStorage;

pub(crate) const LIST: &str = "\
    SELECT blocked_id FROM blocks WHERE blocker_id = ?1 AND blocked_id > ?2 \
    ORDER BY blocked_id LIMIT +?3";

pub(crate) const APART: &str = "\
    SELECT v.id FROM (SELECT DISTINCT unhex(value) AS id FROM json_each(?2)) v \
    WHERE EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = ?1 AND b.blocked_id = v.id) \
    OR EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = v.id AND b.blocked_id = ?1)";

#[async_trait]
impl BlockRepository for SqliteStorage {
    async fn block(&self, by: UserId, whom: UserId, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES (?1, ?2, ?3) \
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

    async fn unblock(&self, by: UserId, whom: UserId) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM blocks WHERE blocker_id = ?1 AND blocked_id = ?2")
            .bind(by.as_uuid())
            .bind(whom.as_uuid())
            .execute(&mut *tx)
            .await
            .in_domain()?;
        tx.commit().await.in_domain()
    }

    async fn list(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserId, UserId>> {
        let rows = sqlx::query(LIST)
            .bind(by.as_uuid())
            .bind(bytes_or_least(after))
            .bind(limit.and_one())
            .fetch_all(&self.readers)
            .await
            .in_domain()?;
        let ids: Vec<UserId> = rows::user_ids(&rows)?;
        Ok(Page::cut(ids, limit, |id| *id))
    }

    async fn either_blocks(&self, a: UserId, b: UserId) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM blocks WHERE blocker_id = ?1 AND blocked_id = ?2) \
             OR EXISTS (SELECT 1 FROM blocks WHERE blocker_id = ?2 AND blocked_id = ?1)",
        )
        .bind(a.as_uuid())
        .bind(b.as_uuid())
        .fetch_one(&self.readers)
        .await
        .in_domain()
    }

    async fn apart_from(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        let rows = sqlx::query(APART)
            .bind(user.as_uuid())
            .bind(json_ids(others.iter().copied()))
            .fetch_all(&self.readers)
            .await
            .in_domain()?;
        rows::user_ids(&rows)
    }
}
