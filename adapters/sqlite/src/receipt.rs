use std::collections::HashMap;

use async_trait::async_trait;
use connexus_domain::ports::ReceiptRepository;
use connexus_domain::{
    ConversationId, Limit, Member, Page, Receipt, Result, Seq, Timestamp, UserId, WatermarkAdvance,
};

use crate::conversation::members_page;
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::JsonArray;
use crate::storage::SqliteStorage;

/// `?1` are rows of conversation, user, delivered and read; `?2` is now.
pub(crate) const ADVANCE: &str = "UPDATE members AS p SET \
       delivered_seq = max(p.delivered_seq, to_.delivered_seq), \
       delivered_at = iif(to_.delivered_seq > p.delivered_seq, ?2, p.delivered_at), \
       read_seq = max(p.read_seq, to_.read_seq), \
       read_at = iif(to_.read_seq > p.read_seq, ?2, p.read_at) \
     FROM (\
       SELECT c.id AS conversation_id, unhex(j.value ->> 1) AS user_id, \
         min(max(j.value ->> 2, j.value ->> 3), c.last_seq) AS delivered_seq, \
         min(j.value ->> 3, c.last_seq) AS read_seq \
       FROM json_each(?1) j CROSS JOIN conversations c ON c.id = unhex(j.value ->> 0) \
       WHERE c.deleted_at IS NULL) to_ \
     WHERE p.conversation_id = to_.conversation_id AND p.user_id = to_.user_id \
       AND p.left_at IS NULL \
       AND (to_.delivered_seq > p.delivered_seq OR to_.read_seq > p.read_seq) \
     RETURNING conversation_id, user_id, role, joined_at, left_at, rev, delivered_seq, delivered_at, \
     read_seq, read_at, archived, pinned, muted_until";

#[async_trait]
impl ReceiptRepository for SqliteStorage {
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let moved = sqlx::query(ADVANCE)
            .bind(highest(batch))
            .bind(now.as_millis())
            .fetch_all(&mut *tx)
            .await
            .in_domain()?
            .iter()
            .map(|row| rows::member(row, 0).map(|member| member.receipt()))
            .collect::<Result<Vec<_>>>()?;
        tx.commit().await.in_domain()?;
        Ok(moved)
    }

    async fn list(
        &self,
        conversation_id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>> {
        let page = members_page(&self.readers, conversation_id, after, limit).await?;
        Ok(page.map(|member: Member| member.receipt()))
    }
}

/// One row per member: an UPDATE would take any one of several.
fn highest(batch: &[WatermarkAdvance]) -> String {
    let mut to: HashMap<(ConversationId, UserId), (Seq, Seq)> = HashMap::new();
    for advance in batch {
        let (delivered, read) = to
            .entry((advance.conversation_id, advance.user_id))
            .or_default();
        *delivered = advance.delivered_seq.max(*delivered);
        *read = advance.read_seq.max(*read);
    }
    let mut rows = JsonArray::new();
    for ((conversation, user), (delivered, read)) in to {
        rows.row(|row| {
            row.id(conversation).id(user).number(delivered).number(read);
        });
    }
    rows.finish()
}
