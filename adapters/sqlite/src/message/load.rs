//! Single messages, and the newest ones.

use connexus_domain::{Conversation, Message, MessageId, Result};
use sqlx::SqliteExecutor;

use crate::error::InDomain as _;
use crate::rows::{self, message_columns};
use crate::sql::{JsonArray, json_ids};

/// Messages with the ids `?1`, in no order.
pub(crate) const BY_ID: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM json_each(?1) j CROSS JOIN messages m ON m.id = unhex(j.value) \
     CROSS JOIN conversations c ON c.id = m.conversation_id AND c.deleted_at IS NULL"
);

/// Messages with the conversations and seqs `?1`.
pub(crate) const NEWEST: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM json_each(?1) j CROSS JOIN messages m \
     ON m.conversation_id = unhex(j.value ->> 0) AND m.seq = j.value ->> 1"
);

pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    id: MessageId,
) -> Result<Option<Message>> {
    Ok(find_many(executor, &[id]).await?.pop())
}

pub(super) async fn find_many(
    executor: impl SqliteExecutor<'_>,
    ids: &[MessageId],
) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(BY_ID)
        .bind(json_ids(ids.iter().copied()))
        .fetch_all(executor)
        .await
        .in_domain()?;
    rows::messages(&rows)
}

/// The newest message of each of these conversations that has any.
pub(crate) async fn newest(
    executor: impl SqliteExecutor<'_>,
    conversations: impl Iterator<Item = &Conversation>,
) -> Result<Vec<Message>> {
    let any: Vec<&Conversation> = conversations.filter(|found| found.last_seq > 0).collect();
    if any.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = JsonArray::new();
    for conversation in any {
        wanted.row(|row| {
            row.id(conversation.id).number(conversation.last_seq);
        });
    }
    let rows = sqlx::query(NEWEST)
        .bind(wanted.finish())
        .fetch_all(executor)
        .await
        .in_domain()?;
    rows::messages(&rows)
}
