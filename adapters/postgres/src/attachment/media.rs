//! What was sent in a conversation.

use connexus_domain::attachment::{Attachment, MediaKind, MediaStats};
use connexus_domain::{AttachmentId, ConversationId, Error, Limit, Page, Result};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::InDomain as _;
use crate::rows::{self, attachment_columns};
use crate::storage::PostgresStorage;

/// Of a conversation that is not deleted, below an id.
macro_rules! media {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            attachment_columns!(),
            " FROM attachments f WHERE f.conversation_id = $1 AND f.state = 'attached' \
             AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $1 AND c.deleted_at IS NULL) \
             AND f.id < $2 ",
            $condition,
            " ORDER BY f.id DESC LIMIT $3"
        )
    };
}

pub(crate) const MEDIA: &str = media!("");
pub(crate) const MEDIA_KIND: &str = media!("AND f.kind = $4");

/// The sum is of any size, but there are not that many bytes.
pub(crate) const STATS: &str = "\
    SELECT f.kind, count(*), sum(f.size)::int8 FROM attachments f \
    WHERE f.conversation_id = $1 AND f.state = 'attached' \
    AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $1 AND c.deleted_at IS NULL) \
    GROUP BY f.kind";

pub(super) async fn media(
    storage: &PostgresStorage,
    id: ConversationId,
    kind: Option<MediaKind>,
    before: Option<AttachmentId>,
    limit: Limit,
) -> Result<Page<Attachment, AttachmentId>> {
    let query = sqlx::query(if kind.is_some() { MEDIA_KIND } else { MEDIA })
        .bind(id.as_uuid())
        .bind(before.map_or(Uuid::max(), AttachmentId::as_uuid))
        .bind(limit.and_one());
    let query = match kind {
        Some(kind) => query.bind(kind.as_str()),
        None => query,
    };
    let files = query
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::attachment)
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::cut(files, limit, |file| file.id))
}

pub(super) async fn stats(
    storage: &PostgresStorage,
    id: ConversationId,
) -> Result<Vec<MediaStats>> {
    let mut stats = sqlx::query(STATS)
        .bind(id.as_uuid())
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(|row| of_kind(row, id))
        .collect::<Result<Vec<_>>>()?;
    stats.sort_by_key(|stats| stats.kind);
    Ok(stats)
}

fn of_kind(row: &PgRow, id: ConversationId) -> Result<MediaStats> {
    let kind: &str = row.try_get(0).in_domain()?;
    let (count, total): (i64, i64) = (row.try_get(1).in_domain()?, row.try_get(2).in_domain()?);
    Ok(MediaStats {
        kind: MediaKind::parse(kind).ok_or_else(|| Error::corrupt("attachments", "kind", id))?,
        count: count.unsigned_abs(),
        total_size: total.unsigned_abs(),
    })
}
