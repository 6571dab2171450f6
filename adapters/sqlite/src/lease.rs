use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::LeaseRepository;
use connexus_domain::{Result, Timestamp};

use crate::error::InDomain as _;
use crate::storage::SqliteStorage;

#[async_trait]
impl LeaseRepository for SqliteStorage {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO leases (name, holder, ends) VALUES (?1, ?2, ?3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = excluded.ends \
             WHERE leases.holder = excluded.holder OR leases.ends <= ?4",
        )
        .bind(name)
        .bind(holder)
        .bind(now.plus(ttl).as_millis())
        .bind(now.as_millis())
        .execute(&mut *tx)
        .await
        .in_domain()?;
        tx.commit().await.in_domain()?;
        Ok(done.rows_affected() > 0)
    }
}
