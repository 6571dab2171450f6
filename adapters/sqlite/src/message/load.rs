//! Whole messages: their own rows, and their reactions and attachments when they have any.

use std::collections::HashMap;

use connexus_domain::message::Reaction;
use connexus_domain::{Attachment, AttachmentId, Conversation, Error, Message, MessageId, Result};
use sqlx::sqlite::SqliteRow;

use crate::attachment;
use crate::error::InDomain as _;
use crate::rows::{self, MessageRow, message_columns};
use crate::sql::{JsonArray, json_ids};
use crate::storage::Tx;

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

/// Reactions to the messages `?1`, each emoji's in the order in which it first came. 100 is
/// `REACTION_USERS_MAX`.
pub(crate) const REACTIONS: &str = "\
    SELECT g.message_num, g.emoji, g.user_count, \
      (SELECT coalesce(group_concat(hex(r.user_id), '' ORDER BY r.rev), '') FROM (\
         SELECT user_id, rev FROM reactions \
         WHERE message_num = g.message_num AND emoji = g.emoji ORDER BY rev LIMIT 100) r) \
    FROM json_each(?1) j CROSS JOIN reaction_groups g ON g.message_num = j.value \
    ORDER BY g.message_num, g.first_rev";

pub(super) async fn find(tx: &mut Tx, id: MessageId) -> Result<Option<Message>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

pub(super) async fn find_many(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(BY_ID)
        .bind(json_ids(ids.iter().copied()))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    complete(tx, &rows).await
}

/// The newest message of each of these conversations that has any.
pub(crate) async fn newest(
    tx: &mut Tx,
    conversations: impl Iterator<Item = &Conversation>,
) -> Result<Vec<Message>> {
    let mut wanted = JsonArray::new();
    for conversation in conversations.filter(|conversation| conversation.last_seq > 0) {
        wanted.row(|row| {
            row.id(conversation.id).number(conversation.last_seq);
        });
    }
    let rows = sqlx::query(NEWEST)
        .bind(wanted.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    complete(tx, &rows).await
}

/// Messages in the order of their rows.
pub(super) async fn complete(tx: &mut Tx, rows: &[SqliteRow]) -> Result<Vec<Message>> {
    let mut messages = rows.iter().map(rows::message).collect::<Result<Vec<_>>>()?;
    let mut reactions = reactions(tx, &messages).await?;
    let mut files = files(tx, &messages).await?;
    for row in &mut messages {
        row.message.reactions = reactions.remove(&row.num).unwrap_or_default();
        let own = row.attachments.iter().map(|id| files.remove(id));
        row.message.attachments = own
            .collect::<Option<_>>()
            .ok_or_else(|| Error::corrupt("messages", "attachments", row.message.id))?;
    }
    Ok(messages.into_iter().map(|row| row.message).collect())
}

async fn files(tx: &mut Tx, messages: &[MessageRow]) -> Result<HashMap<AttachmentId, Attachment>> {
    let named: Vec<AttachmentId> = messages
        .iter()
        .flat_map(|row| row.attachments.iter().copied())
        .collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let found = attachment::find_many(tx, &named).await?;
    Ok(found.into_iter().map(|file| (file.id, file)).collect())
}

async fn reactions(tx: &mut Tx, messages: &[MessageRow]) -> Result<HashMap<i64, Vec<Reaction>>> {
    let ids: HashMap<i64, MessageId> = messages
        .iter()
        .filter(|row| row.emoji_count > 0)
        .map(|row| (row.num, row.message.id))
        .collect();
    let mut found: HashMap<i64, Vec<Reaction>> = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut wanted = JsonArray::new();
    for num in ids.keys() {
        wanted.number(*num);
    }
    let rows = sqlx::query(REACTIONS)
        .bind(wanted.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    for row in &rows {
        let (num, reaction) = rows::reaction(row, &ids)?;
        found.entry(num).or_default().push(reaction);
    }
    Ok(found)
}
