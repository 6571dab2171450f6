//! Single messages, and the newest ones.

use connexus_domain::{Conversation, Message, MessageId, Result};
use sqlx::PgExecutor;
use sqlx::postgres::PgBindIterExt as _;

use crate::error::InDomain as _;
use crate::rows::{self, message_columns};
use crate::sql::uuids;
use crate::storage::PostgresStorage;

/// Messages with the ids `$1`, in no order. `OFFSET 0` keeps the planner from starting at the conversations.
pub(crate) const BY_ID: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.id = ANY($1) AND EXISTS (\
       SELECT 1 FROM conversations c WHERE c.id = m.conversation_id AND c.deleted_at IS NULL \
       OFFSET 0)"
);

/// Messages with the conversations `$1` and seqs `$2`.
pub(crate) const NEWEST: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::int8[]) v(conversation_id, seq) \
     JOIN messages m ON m.conversation_id = v.conversation_id AND m.seq = v.seq"
);

pub(super) async fn get(storage: &PostgresStorage, id: MessageId) -> Result<Option<Message>> {
    find(storage.look().await?, id).await
}

pub(super) async fn find(executor: impl PgExecutor<'_>, id: MessageId) -> Result<Option<Message>> {
    Ok(find_many(executor, &[id]).await?.pop())
}

pub(super) async fn find_many(
    executor: impl PgExecutor<'_>,
    ids: &[MessageId],
) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(BY_ID)
        .bind(uuids(ids.iter().copied()))
        .fetch_all(executor)
        .await
        .in_domain()?;
    rows::messages(&rows)
}

/// The newest message of each of these conversations that has any.
pub(crate) async fn newest(
    executor: impl PgExecutor<'_>,
    conversations: impl Iterator<Item = &Conversation>,
) -> Result<Vec<Message>> {
    let any: Vec<&Conversation> = conversations.filter(|found| found.last_seq > 0).collect();
    if any.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(NEWEST)
        .bind(uuids(any.iter().map(|conversation| conversation.id)))
        .bind(
            any.iter()
                .map(|conversation| conversation.last_seq)
                .bind_iter(),
        )
        .fetch_all(executor)
        .await
        .in_domain()?;
    rows::messages(&rows)
}
