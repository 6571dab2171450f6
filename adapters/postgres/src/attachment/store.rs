//! Single attachments, and the ends of many.

use connexus_domain::attachment::{Attachment, Measured};
use connexus_domain::{
    AttachmentId, ConversationId, Entity, Error, Limit, MessageId, Result, Timestamp,
};

use crate::error::InDomain as _;
use crate::rows::{self, attachment_columns};
use crate::sql::uuids;
use crate::storage::{PostgresStorage, Tx};

pub(crate) const BY_ID: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    " FROM attachments f WHERE f.id = ANY($1)"
);

/// In the order of their ids, so that no two batches wait for each other.
pub(crate) const LOCK: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    " FROM attachments f WHERE f.id = ANY($1) ORDER BY f.id FOR NO KEY UPDATE"
);

pub(crate) const ATTACH: &str = "\
    UPDATE attachments f SET state = 'attached', message_id = v.message_id \
    FROM unnest($1::uuid[], $2::uuid[]) v(id, message_id) WHERE f.id = v.id";

pub(crate) const CONDEMN: &str = "UPDATE attachments SET state = 'condemned' WHERE id = ANY($1)";

/// What somebody is just about to send is left to that.
pub(crate) const CONDEMN_STALE: &str = "\
    UPDATE attachments SET state = 'condemned' WHERE id = ANY(ARRAY(\
      SELECT id FROM attachments WHERE state IN ('pending', 'ready') AND since < $1 \
      ORDER BY since LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED))";

pub(crate) const CONDEMNED: &str =
    "SELECT id FROM attachments WHERE state = 'condemned' ORDER BY id LIMIT $1";

pub(crate) const REMOVE: &str =
    "DELETE FROM attachments WHERE id = ANY($1) AND state = 'condemned'";

pub(super) async fn insert(storage: &PostgresStorage, new: &Attachment) -> Result<()> {
    let mut tx = storage.write().await?;
    sqlx::query(
        "INSERT INTO attachments \
         (id, uploader_id, conversation_id, state, kind, name, media_type, size, sha256, \
          thumbnails, created_at, since) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, FALSE, $9, $9)",
    )
    .bind(new.id.as_uuid())
    .bind(new.uploader_id.as_uuid())
    .bind(new.purpose.conversation_id().map(ConversationId::as_uuid))
    .bind(new.state.as_str())
    .bind(new.kind.as_str())
    .bind(&new.name)
    .bind(&new.media_type)
    .bind(new.sha256.0.to_vec())
    .bind(new.created_at.as_millis())
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()
}

pub(super) async fn complete(
    storage: &PostgresStorage,
    id: AttachmentId,
    measured: &Measured,
    now: Timestamp,
) -> Result<Attachment> {
    let mut tx = storage.write().await?;
    let ready = lock(&mut tx, id).await?.completed(measured)?;
    sqlx::query(
        "UPDATE attachments SET state = $2, kind = $3, media_type = $4, size = $5, sha256 = $6, \
         width = $7, height = $8, duration_ms = $9, thumbnails = $10, since = $11 WHERE id = $1",
    )
    .bind(id.as_uuid())
    .bind(ready.state.as_str())
    .bind(ready.kind.as_str())
    .bind(&ready.media_type)
    .bind(ready.size.cast_signed())
    .bind(ready.sha256.0.to_vec())
    .bind(ready.width.map(i64::from))
    .bind(ready.height.map(i64::from))
    .bind(ready.duration_ms.map(u64::cast_signed))
    .bind(ready.thumbnails)
    .bind(now.as_millis())
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(ready)
}

/// Those that exist, in no order.
pub(super) async fn find_many(
    storage: &PostgresStorage,
    ids: &[AttachmentId],
) -> Result<Vec<Attachment>> {
    sqlx::query(BY_ID)
        .bind(uuids(ids.iter().copied()))
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::attachment)
        .collect()
}

/// Those that exist: nobody else changes them until the transaction ends.
pub(crate) async fn lock_many(tx: &mut Tx, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
    sqlx::query(LOCK)
        .bind(uuids(ids.iter().copied()))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(rows::attachment)
        .collect()
}

pub(super) async fn lock(tx: &mut Tx, id: AttachmentId) -> Result<Attachment> {
    let found = lock_many(tx, &[id]).await?.pop();
    found.ok_or(Error::NotFound(Entity::Attachment))
}

/// Makes free attachments part of their messages.
pub(crate) async fn attach(tx: &mut Tx, claimed: &[(AttachmentId, MessageId)]) -> Result<()> {
    if claimed.is_empty() {
        return Ok(());
    }
    sqlx::query(ATTACH)
        .bind(uuids(claimed.iter().map(|pair| pair.0)))
        .bind(uuids(claimed.iter().map(|pair| pair.1)))
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Condemns those that something has just stopped using.
pub(crate) async fn condemn_all(tx: &mut Tx, ids: &[AttachmentId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(CONDEMN)
        .bind(uuids(ids.iter().copied()))
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

pub(super) async fn condemn(storage: &PostgresStorage, id: AttachmentId) -> Result<bool> {
    let mut tx = storage.write().await?;
    // what is condemned is so again, which changes nothing
    let done = sqlx::query(
        "UPDATE attachments SET state = 'condemned' WHERE id = $1 AND state <> 'attached'",
    )
    .bind(id.as_uuid())
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn condemn_stale(
    storage: &PostgresStorage,
    before: Timestamp,
    limit: Limit,
) -> Result<u64> {
    let mut tx = storage.write().await?;
    let done = sqlx::query(CONDEMN_STALE)
        .bind(before.as_millis())
        .bind(limit.and_one() - 1)
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected())
}

pub(super) async fn condemned(
    storage: &PostgresStorage,
    limit: Limit,
) -> Result<Vec<AttachmentId>> {
    sqlx::query(CONDEMNED)
        .bind(limit.and_one() - 1)
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::id(row, 0).map(AttachmentId::from_uuid))
        .collect()
}

pub(super) async fn remove(storage: &PostgresStorage, ids: &[AttachmentId]) -> Result<u64> {
    let mut tx = storage.write().await?;
    let done = sqlx::query(REMOVE)
        .bind(uuids(ids.iter().copied()))
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected())
}
