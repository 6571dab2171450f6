//! Edits, deletions and reactions; and the end of messages whose conversation is deleted.

use super::{index, load};
use crate::error::InDomain as _;
use crate::storage::{SqliteStorage, Tx};
use crate::{attachment, conversation, rows};
use connexus_domain::message::{Changed, REACTIONS_MAX};
use connexus_domain::{
    AttachmentId, ConversationId, Emoji, Entity, Error, MemberAccess, Message, MessageBody,
    MessageId, Result, Timestamp, UserId,
};
use sqlx::Row as _;

/// The next messages of a deleted conversation to be taken out: number, seq, ids of attachments.
pub(crate) const PURGED: &str = "\
    SELECT m.num, m.seq, m.attachments FROM messages m WHERE m.conversation_id = ?1 ORDER BY m.seq LIMIT +?2";

/// A message that somebody wants to change, in the transaction that may.
struct Target {
    tx: Tx,
    num: i64,
    message: Message,
    access: MemberAccess,
}

impl Target {
    async fn find(storage: &SqliteStorage, id: MessageId, by: UserId) -> Result<Self> {
        let mut tx = storage.write().await?;
        let message = load::find(&mut *tx, id)
            .await?
            .ok_or(Error::NotFound(Entity::Message))?;
        let access = conversation::access(&mut tx, message.conversation_id, by).await?;
        let num = sqlx::query_scalar("SELECT num FROM messages WHERE id = ?1")
            .bind(id.as_uuid())
            .fetch_one(&mut *tx)
            .await
            .in_domain()?;
        Ok(Self {
            tx,
            num,
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

pub(super) async fn edit(
    storage: &SqliteStorage,
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
        "UPDATE messages SET body = ?2, edited_at = ?3, rev = ?4, changed = TRUE WHERE num = ?1",
    )
    .bind(target.num)
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
    storage: &SqliteStorage,
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
        "UPDATE messages SET body = NULL, attachments = NULL, emoji_count = 0, deleted_at = ?2, \
         rev = ?3, changed = TRUE WHERE num = ?1",
    )
    .bind(target.num)
    .bind(now.as_millis())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    let files: Vec<AttachmentId> = (target.message.attachments.iter())
        .map(|file| file.id)
        .collect();
    attachment::condemn_all(&mut target.tx, &files).await?;
    // those who reacted go with their groups
    sqlx::query("DELETE FROM reaction_groups WHERE message_num = ?1")
        .bind(target.num)
        .execute(&mut *target.tx)
        .await
        .in_domain()?;
    index::amend(&mut target.tx, &tombstone, rev, None).await?;
    if let Some(root) = tombstone.thread_id {
        sqlx::query(
            "UPDATE messages SET reply_count = max(reply_count - 1, 0), rev = ?2, \
             changed = TRUE WHERE id = ?1",
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
    storage: &SqliteStorage,
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
        "INSERT INTO reaction_groups (message_num, emoji, first_rev, user_count) \
         VALUES (?1, ?2, ?3, 1) \
         ON CONFLICT (message_num, emoji) DO UPDATE SET user_count = user_count + 1",
    )
    .bind(target.num)
    .bind(emoji.as_str())
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    sqlx::query(
        "INSERT INTO reactions (message_num, emoji, rev, user_id, reacted_at) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(target.num)
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
    storage: &SqliteStorage,
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
    sqlx::query("DELETE FROM reactions WHERE message_num = ?1 AND emoji = ?2 AND user_id = ?3")
        .bind(target.num)
        .bind(emoji.as_str())
        .bind(by.as_uuid())
        .execute(&mut *target.tx)
        .await
        .in_domain()?;
    let left: i64 = sqlx::query_scalar(
        "UPDATE reaction_groups SET user_count = user_count - 1 \
         WHERE message_num = ?1 AND emoji = ?2 RETURNING user_count",
    )
    .bind(target.num)
    .bind(emoji.as_str())
    .fetch_one(&mut *target.tx)
    .await
    .in_domain()?;
    if left == 0 {
        sqlx::query("DELETE FROM reaction_groups WHERE message_num = ?1 AND emoji = ?2")
            .bind(target.num)
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
         WHERE message_num = ?1 AND emoji = ?2 AND user_id = ?3)",
    )
    .bind(target.num)
    .bind(emoji.as_str())
    .bind(by.as_uuid())
    .fetch_one(&mut *target.tx)
    .await
    .in_domain()
}

async fn save_reactions(target: &mut Target, rev: i64) -> Result<()> {
    sqlx::query(
        "UPDATE messages SET rev = ?2, changed = TRUE, emoji_count = \
         (SELECT count(*) FROM reaction_groups WHERE message_num = ?1) WHERE num = ?1",
    )
    .bind(target.num)
    .bind(rev)
    .execute(&mut *target.tx)
    .await
    .in_domain()?;
    Ok(())
}

/// Takes up to `limit` messages of a deleted conversation out; answers how many.
pub(crate) async fn purge(tx: &mut Tx, id: ConversationId, limit: i64) -> Result<i64> {
    let rows = sqlx::query(PURGED)
        .bind(id.as_uuid())
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    let mut files: Vec<AttachmentId> = Vec::new();
    for row in &rows {
        files.extend(rows::purged_files(row)?);
    }
    attachment::condemn_all(tx, &files).await?;
    if let Some(last) = rows.last() {
        index::forget_up_to(tx, id, last.try_get(1).in_domain()?).await?;
    }
    let mut purged = 0;
    for row in &rows {
        // reactions go with their message
        sqlx::query("DELETE FROM messages WHERE num = ?1")
            .bind(row.try_get::<i64, _>(0).in_domain()?)
            .execute(&mut **tx)
            .await
            .in_domain()?;
        purged += 1;
    }
    Ok(purged)
}
