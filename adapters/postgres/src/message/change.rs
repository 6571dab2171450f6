//! Edits, deletions and reactions; and the end of messages whose conversation is deleted.

use connexus_domain::message::{Changed, REACTIONS_MAX};
use connexus_domain::{
    AttachmentId, ConversationId, Emoji, Entity, Error, MemberAccess, Message, MessageBody,
    MessageId, Result, Timestamp, UserId,
};

use super::{index, load};
use crate::error::InDomain as _;
use crate::rows;
use crate::storage::{PostgresStorage, Tx};
use crate::{attachment, conversation};

pub(crate) const LOCK_OF: &str = "SELECT c.id FROM messages m \
    JOIN conversations c ON c.id = m.conversation_id AND c.deleted_at IS NULL \
    WHERE m.id = $1 FOR NO KEY UPDATE OF c";

/// What the messages had is condemned by the same statement.
pub(crate) const PURGE: &str = "\
    WITH gone AS (\
      DELETE FROM messages WHERE id = ANY(ARRAY(\
        SELECT id FROM messages WHERE conversation_id = $1 ORDER BY seq LIMIT $2)) \
      RETURNING attachments\
    ), condemned AS (\
      UPDATE attachments SET state = 'condemned' \
      WHERE id = ANY(ARRAY(SELECT unnest(attachments) FROM gone))\
    ) \
    SELECT count(*) FROM gone";

/// A message that somebody wants to change, in the transaction that may.
struct Target {
    tx: Tx,
    message: Message,
    access: MemberAccess,
}

impl Target {
    async fn find(storage: &PostgresStorage, id: MessageId, by: UserId) -> Result<Self> {
        let mut tx = storage.write().await?;
        let conversation = lock_conversation_of(&mut tx, id).await?;
        let message = load::find(&mut *tx, id)
            .await?
            .ok_or(Error::NotFound(Entity::Message))?;
        let access = conversation::access(&mut tx, conversation, by).await?;
        Ok(Self {
            tx,
            message,
            access,
        })
    }

    fn unchanged(self) -> Changed {
        Changed {
            message: self.message,
            changed: false,
        }
    }

    /// Commits, and answers the message as it is then.
    async fn changed(mut self) -> Result<Changed> {
        let message = load::find(&mut *self.tx, self.message.id)
            .await?
            .ok_or(Error::NotFound(Entity::Message))?;
        self.tx.commit().await.in_domain()?;
        Ok(Changed {
            message,
            changed: true,
        })
    }

    async fn take_rev(&mut self) -> Result<i64> {
        conversation::take_rev(&mut self.tx, self.message.conversation_id).await
    }
}

/// What is read of the message itself is read after this, when nobody else changes it any more.
async fn lock_conversation_of(tx: &mut Tx, id: MessageId) -> Result<ConversationId> {
    let row = sqlx::query(LOCK_OF)
        .bind(id.as_uuid())
        .fetch_optional(&mut **tx)
        .await
        .in_domain()?
        .ok_or(Error::NotFound(Entity::Message))?;
    rows::id(&row, 0).map(ConversationId::from_uuid)
}

pub(super) async fn edit(
    storage: &PostgresStorage,
    id: MessageId,
    by: UserId,
    body: &MessageBody,
    now: Timestamp,
) -> Result<Changed> {
    let mut target = Target::find(storage, id, by).await?;
    target.message.check_edit(&target.access)?;
    if target.message.body.as_deref() == Some(body.as_str()) {
        return Ok(target.unchanged());
    }
    let rev = target.take_rev().await?;
    sqlx::query(
        "UPDATE messages SET body = $2, edited_at = $3, rev = $4, changed = true WHERE id = $1",
    )
    .bind(target.message.id.as_uuid())
    .bind(body.as_str())
    .bind(now.as_millis())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    index::amend(&mut target.tx, &target.message, rev, Some(body.as_str())).await?;
    target.changed().await
}

pub(super) async fn delete(
    storage: &PostgresStorage,
    id: MessageId,
    by: UserId,
    now: Timestamp,
) -> Result<Changed> {
    let mut target = Target::find(storage, id, by).await?;
    target.message.check_delete(&target.access)?;
    if !target.message.is_live() {
        return Ok(target.unchanged());
    }
    let rev = target.take_rev().await?;
    let tombstone = target.message.clone().into_tombstone(rev, now);
    sqlx::query(
        "UPDATE messages SET body = NULL, attachments = NULL, emoji_count = 0, \
         deleted_at = $2, rev = $3, changed = true WHERE id = $1",
    )
    .bind(target.message.id.as_uuid())
    .bind(now.as_millis())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    index::amend(&mut target.tx, &target.message, rev, None).await?;
    let files: Vec<AttachmentId> = (target.message.attachments.iter())
        .map(|file| file.id)
        .collect();
    attachment::condemn_all(&mut target.tx, &files).await?;
    // those who reacted go with their groups
    sqlx::query("DELETE FROM reaction_groups WHERE message_id = $1")
        .bind(target.message.id.as_uuid())
        .execute(&mut *target.tx)
        .await
        .in_domain()?;
    if let Some(root) = tombstone.thread_id {
        sqlx::query(
            "UPDATE messages SET reply_count = greatest(reply_count - 1, 0), rev = $2, \
             changed = true WHERE id = $1",
        )
        .bind(root.as_uuid())
        .bind(rev)
        .execute(&mut *target.tx)
        .await
        .in_domain()?;
    }
    target.tx.commit().await.in_domain()?;
    Ok(Changed {
        message: tombstone,
        changed: true,
    })
}

pub(super) async fn add_reaction(
    storage: &PostgresStorage,
    id: MessageId,
    by: UserId,
    emoji: &Emoji,
    now: Timestamp,
) -> Result<Changed> {
    let mut target = Target::find(storage, id, by).await?;
    target.message.check_live()?;
    if has_reacted(&mut target, by, emoji).await? {
        return Ok(target.unchanged());
    }
    let reactions = &target.message.reactions;
    let is_new = reactions.iter().all(|reaction| reaction.emoji != *emoji);
    if is_new && reactions.len() >= REACTIONS_MAX {
        return Err(Error::invalid(
            "emoji",
            format!("must be one of the {REACTIONS_MAX} that are there"),
        ));
    }
    let rev = target.take_rev().await?;
    sqlx::query(
        "INSERT INTO reaction_groups (message_id, emoji, first_rev, user_count) \
         VALUES ($1, $2, $3, 1) \
         ON CONFLICT (message_id, emoji) \
         DO UPDATE SET user_count = reaction_groups.user_count + 1",
    )
    .bind(target.message.id.as_uuid())
    .bind(emoji.as_str())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    sqlx::query(
        "INSERT INTO reactions (message_id, emoji, rev, user_id, reacted_at) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(target.message.id.as_uuid())
    .bind(emoji.as_str())
    .bind(rev)
    .bind(by.as_uuid())
    .bind(now.as_millis())
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    save_reactions(&mut target, rev).await?;
    target.changed().await
}

pub(super) async fn remove_reaction(
    storage: &PostgresStorage,
    id: MessageId,
    by: UserId,
    emoji: &Emoji,
) -> Result<Changed> {
    let mut target = Target::find(storage, id, by).await?;
    target.message.check_live()?;
    if !has_reacted(&mut target, by, emoji).await? {
        return Ok(target.unchanged());
    }
    let rev = target.take_rev().await?;
    sqlx::query("DELETE FROM reactions WHERE message_id = $1 AND emoji = $2 AND user_id = $3")
        .bind(target.message.id.as_uuid())
        .bind(emoji.as_str())
        .bind(by.as_uuid())
        .execute(&mut *target.tx)
        .await
        .in_domain()?;
    let left: i64 = sqlx::query_scalar(
        "UPDATE reaction_groups SET user_count = user_count - 1 \
         WHERE message_id = $1 AND emoji = $2 RETURNING user_count",
    )
    .bind(target.message.id.as_uuid())
    .bind(emoji.as_str())
    .fetch_one(&mut *target.tx)
    .await
    .in_domain()?;
    if left == 0 {
        sqlx::query("DELETE FROM reaction_groups WHERE message_id = $1 AND emoji = $2")
            .bind(target.message.id.as_uuid())
            .bind(emoji.as_str())
            .execute(&mut *target.tx)
            .await
            .in_domain()?;
    }
    save_reactions(&mut target, rev).await?;
    target.changed().await
}

/// The loaded message names only the first of those who reacted.
async fn has_reacted(target: &mut Target, by: UserId, emoji: &Emoji) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM reactions \
         WHERE message_id = $1 AND emoji = $2 AND user_id = $3)",
    )
    .bind(target.message.id.as_uuid())
    .bind(emoji.as_str())
    .bind(by.as_uuid())
    .fetch_one(&mut *target.tx)
    .await
    .in_domain()
}

async fn save_reactions(target: &mut Target, rev: i64) -> Result<()> {
    sqlx::query(
        "UPDATE messages SET rev = $2, changed = true, emoji_count = \
         (SELECT count(*) FROM reaction_groups WHERE message_id = $1) WHERE id = $1",
    )
    .bind(target.message.id.as_uuid())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    Ok(())
}

/// Takes up to `limit` messages of a deleted conversation out, and their reactions with them; answers how many.
pub(crate) async fn purge(tx: &mut Tx, id: ConversationId, limit: i64) -> Result<i64> {
    sqlx::query_scalar(PURGE)
        .bind(id.as_uuid())
        .bind(limit)
        .fetch_one(&mut **tx)
        .await
        .in_domain()
}
