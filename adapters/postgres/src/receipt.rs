use std::collections::BTreeMap;

use async_trait::async_trait;
use connexus_domain::ports::ReceiptRepository;
use connexus_domain::{
    ConversationId, Limit, Member, Page, Receipt, Result, Seq, Timestamp, UserId, WatermarkAdvance,
};
use sqlx::postgres::PgBindIterExt as _;

use crate::conversation::members_page;
use crate::error::InDomain as _;
use crate::rows::{self, member_columns};
use crate::storage::PostgresStorage;

/// `$1` to `$4` are conversations, users, delivered and read; `$5` is now. What moves meanwhile is looked at
/// again once its row is free, so nothing moves back. As a plain condition, `left_at IS NULL` would tempt the
/// planner to start from an index of all who are present. Rows are locked in the order of their ids, as senders'
/// are where messages are stored, or the two would wait for each other.
pub(crate) const ADVANCE: &str = concat!(
    "UPDATE members p SET \
       delivered_seq = greatest(p.delivered_seq, to_.delivered_seq), \
       delivered_at = CASE WHEN to_.delivered_seq > p.delivered_seq THEN $5::int8 ELSE p.delivered_at END, \
       read_seq = greatest(p.read_seq, to_.read_seq), \
       read_at = CASE WHEN to_.read_seq > p.read_seq THEN $5::int8 ELSE p.read_at END \
     FROM (\
       SELECT c.id AS conversation_id, v.user_id, \
         least(greatest(v.delivered, v.read), c.last_seq) AS delivered_seq, \
         least(v.read, c.last_seq) AS read_seq \
       FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[]) \
         v(conversation_id, user_id, delivered, read) \
       JOIN conversations c ON c.id = v.conversation_id AND c.deleted_at IS NULL \
       JOIN members m ON m.conversation_id = v.conversation_id AND m.user_id = v.user_id \
       ORDER BY c.id, v.user_id FOR NO KEY UPDATE OF m) to_ \
     WHERE p.conversation_id = to_.conversation_id AND p.user_id = to_.user_id \
       AND CASE WHEN p.left_at IS NULL \
         THEN to_.delivered_seq > p.delivered_seq OR to_.read_seq > p.read_seq ELSE FALSE END \
     RETURNING ",
    member_columns!()
);

/// What to move: one for each member.
type Advances = BTreeMap<(ConversationId, UserId), (Seq, Seq)>;

#[async_trait]
impl ReceiptRepository for PostgresStorage {
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let to = &highest(batch);
        self.writing(move || advance(self, to, now)).await
    }

    async fn list(
        &self,
        conversation_id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>> {
        let page = members_page(self, conversation_id, after, limit).await?;
        Ok(page.map(|member: Member| member.receipt()))
    }
}

async fn advance(storage: &PostgresStorage, to: &Advances, now: Timestamp) -> Result<Vec<Receipt>> {
    let rows = sqlx::query(ADVANCE)
        .bind(to.keys().map(|key| key.0.as_uuid()).bind_iter())
        .bind(to.keys().map(|key| key.1.as_uuid()).bind_iter())
        .bind(to.values().map(|seqs| seqs.0).bind_iter())
        .bind(to.values().map(|seqs| seqs.1).bind_iter())
        .bind(now.as_millis());
    let rows = if storage.stores_at_once() {
        rows.fetch_all(storage.look().await?).await
    } else {
        let mut tx = storage.write().await?;
        let rows = rows.fetch_all(&mut *tx).await.in_domain()?;
        tx.commit().await.map(|()| rows)
    };
    rows.in_domain()?
        .iter()
        .map(|row| rows::member(row, 0).map(|member| member.receipt()))
        .collect()
}

/// One row per member: an UPDATE would take any one of several.
fn highest(batch: &[WatermarkAdvance]) -> Advances {
    let mut to = Advances::new();
    for advance in batch {
        let (delivered, read) = to
            .entry((advance.conversation_id, advance.user_id))
            .or_default();
        *delivered = advance.delivered_seq.max(*delivered);
        *read = advance.read_seq.max(*read);
    }
    to
}
