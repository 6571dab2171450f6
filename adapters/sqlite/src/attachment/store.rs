//! Single attachments, and the ends of many.

use connexus_domain::attachment::{Attachment, AttachmentState};
use connexus_domain::{AttachmentId, ConversationId, Limit, MessageId, Result, Timestamp};

use crate::error::InDomain as _;
use crate::rows::{self, attachment_columns};
use crate::sql::{JsonArray, json_ids};
use crate::storage::{SqliteStorage, Tx};

pub(crate) const BY_ID: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    " FROM attachments f WHERE f.id IN (SELECT unhex(j.value) FROM json_each(?1) j)"
);

/// `?1` are rows of attachment and message.
pub(crate) const ATTACH: &str = "\
    UPDATE attachments AS f SET state = 'attached', message_id = v.message_id \
    FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS message_id FROM json_each(?1)) v \
    WHERE f.id = v.id";

pub(crate) const CONDEMN: &str = "\
    UPDATE attachments SET state = 'condemned', avatar_user_id = NULL, avatar_conversation_id = NULL \
    WHERE id IN (SELECT unhex(value) FROM json_each(?1))";

pub(crate) const CONDEMN_STALE: &str = "\
    UPDATE attachments SET state = 'condemned' WHERE id IN (\
      SELECT id FROM attachments INDEXED BY attachments_stale \
      WHERE state IN ('pending', 'ready') AND since < ?1 ORDER BY since LIMIT +?2)";

pub(crate) const CONDEMNED: &str =
    "SELECT id FROM attachments WHERE state = 'condemned' ORDER BY id LIMIT +?1";

pub(super) async fn insert(tx: &mut Tx, new: &Attachment) -> Result<()> {
    sqlx::query(
        "INSERT INTO attachments \
         (id, uploader_id, conversation_id, state, message_id, kind, name, media_type, size, \
          sha256, width, height, duration_ms, thumbnails, created_at, since) \
         VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, 0, ?8, NULL, NULL, NULL, FALSE, ?9, ?9)",
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
    .execute(&mut **tx)
    .await
    .in_domain()?;
    Ok(())
}

/// Writes back what a finished upload has made known.
pub(super) async fn save_ready(tx: &mut Tx, ready: &Attachment, now: Timestamp) -> Result<()> {
    sqlx::query(
        "UPDATE attachments SET state = ?2, kind = ?3, media_type = ?4, size = ?5, sha256 = ?6, \
         width = ?7, height = ?8, duration_ms = ?9, thumbnails = ?10, since = ?11 WHERE id = ?1",
    )
    .bind(ready.id.as_uuid())
    .bind(ready.state.as_str())
    .bind(ready.kind.as_str())
    .bind(&ready.media_type)
    .bind(ready.size.cast_signed())
    .bind(ready.sha256.0.to_vec())
    .bind(ready.width)
    .bind(ready.height)
    .bind(ready.duration_ms.map(u64::cast_signed))
    .bind(ready.thumbnails)
    .bind(now.as_millis())
    .execute(&mut **tx)
    .await
    .in_domain()?;
    Ok(())
}

pub(super) async fn find(tx: &mut Tx, id: AttachmentId) -> Result<Option<Attachment>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Those that exist, in no order.
pub(crate) async fn find_many(tx: &mut Tx, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
    sqlx::query(BY_ID)
        .bind(json_ids(ids.iter().copied()))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(rows::attachment)
        .collect()
}

/// Makes free attachments part of their messages.
pub(crate) async fn attach(tx: &mut Tx, claimed: &[(AttachmentId, MessageId)]) -> Result<()> {
    if claimed.is_empty() {
        return Ok(());
    }
    let mut rows = JsonArray::new();
    for (id, message) in claimed {
        rows.row(|row| {
            row.id(*id).id(*message);
        });
    }
    sqlx::query(ATTACH)
        .bind(rows.finish())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Condemns those that something has just stopped using.
pub(crate) async fn condemn_all(tx: &mut Tx, ids: &[AttachmentId]) -> Result<()> {
    if !ids.is_empty() {
        sqlx::query(CONDEMN)
            .bind(json_ids(ids.iter().copied()))
            .execute(&mut **tx)
            .await
            .in_domain()?;
    }
    Ok(())
}

pub(super) async fn condemn(storage: &SqliteStorage, id: AttachmentId) -> Result<bool> {
    let mut tx = storage.write().await?;
    let Some(found) = find(&mut tx, id).await? else {
        return Ok(false);
    };
    match found.state {
        AttachmentState::Attached => return Ok(false),
        AttachmentState::Condemned => return Ok(true),
        AttachmentState::Pending | AttachmentState::Ready => {}
    }
    condemn_all(&mut tx, &[id]).await?;
    tx.commit().await.in_domain()?;
    Ok(true)
}

pub(super) async fn condemn_stale(
    storage: &SqliteStorage,
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

pub(super) async fn condemned(storage: &SqliteStorage, limit: Limit) -> Result<Vec<AttachmentId>> {
    sqlx::query(CONDEMNED)
        .bind(limit.and_one() - 1)
        .fetch_all(&storage.readers)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::id(row, 0).map(AttachmentId::from_uuid))
        .collect()
}

pub(super) async fn remove(storage: &SqliteStorage, ids: &[AttachmentId]) -> Result<u64> {
    let mut tx = storage.write().await?;
    let done = sqlx::query(
        "DELETE FROM attachments \
         WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND state = 'condemned'",
    )
    .bind(json_ids(ids.iter().copied()))
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected())
}
