//! What decides over a batch: the conversations, locked, and one row for each message.

use std::collections::{BTreeMap, BTreeSet};

use connexus_domain::attachment::Claims;
use connexus_domain::message::Fingerprint;
use connexus_domain::{
    AttachmentId, ClientId, ConversationId, Error, MessageId, Result, Rev, Seq, Timestamp,
};
use sqlx::Row as _;
use sqlx::postgres::{PgBindIterExt as _, PgRow};
use uuid::Uuid;

use super::Prepared;
use crate::attachment;
use crate::error::InDomain as _;
use crate::sql::uuids;
use crate::storage::Tx;

/// In the order of their ids, so that no two batches wait for each other.
pub(crate) const LOCK: &str = "\
    SELECT c.id, c.last_seq, c.rev, c.last_activity_at FROM conversations c \
    WHERE c.id = ANY($1) AND c.deleted_at IS NULL ORDER BY c.id FOR NO KEY UPDATE";

/// For messages of conversation, sender, `client_id`, `reply_to` and `thread_id`: whether the sender is
/// there, and what is stored of what they name.
pub(crate) const LOOKUP: &str = concat!(
    "\
    SELECT p.user_id IS NOT NULL AND p.left_at IS NULL, k.id, k.fingerprint, a.conversation_id, t.conversation_id, \
      t.thread_id IS NOT NULL \
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[]) WITH ORDINALITY \
      v(conversation_id, sender_id, client_id, reply_to, thread_id, place) \
    LEFT JOIN members p ON p.conversation_id = v.conversation_id AND p.user_id = v.sender_id \
    LEFT JOIN LATERAL (SELECT k.id, k.fingerprint, k.conversation_id",
    at_key!(),
    ") k \
      ON k.conversation_id = v.conversation_id \
    LEFT JOIN messages a ON a.id = v.reply_to \
    LEFT JOIN messages t ON t.id = v.thread_id \
    ORDER BY v.place"
);

/// Where a conversation stands, as the batch goes on.
pub(super) struct Standing {
    pub last_seq: Seq,
    pub rev: Rev,
    pub last_activity_at: Timestamp,
    pub moved: bool,
}

/// A message that another one names.
#[derive(Clone, Copy)]
pub(super) struct Referred {
    pub conversation_id: ConversationId,
    pub in_thread: bool,
}

/// What the database knows of one new message.
pub(super) struct Found {
    pub is_member: bool,
    /// The message with the same `client_id`.
    pub known: Option<(MessageId, Fingerprint)>,
    pub reply_to: Option<Referred>,
    pub root: Option<Referred>,
}

/// The live ones among the conversations of the batch: nobody else changes them, nor anything in them, until
/// the transaction ends.
pub(super) async fn lock(
    tx: &mut Tx,
    batch: &[Prepared<'_>],
) -> Result<BTreeMap<ConversationId, Standing>> {
    let ids: BTreeSet<ConversationId> = batch
        .iter()
        .map(|prepared| prepared.new.conversation_id)
        .collect();
    sqlx::query(LOCK)
        .bind(uuids(ids))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let id: Uuid = row.try_get(0).in_domain()?;
            let standing = Standing {
                last_seq: row.try_get(1).in_domain()?,
                rev: row.try_get(2).in_domain()?,
                last_activity_at: Timestamp::from_millis(row.try_get(3).in_domain()?),
                moved: false,
            };
            Ok((ConversationId::from_uuid(id), standing))
        })
        .collect()
}

/// Those of the attachments that the batch names that are stored: locked, since who cleans does not lock
/// their conversation.
pub(super) async fn claims(tx: &mut Tx, batch: &[Prepared<'_>]) -> Result<Claims> {
    let named: Vec<AttachmentId> = batch
        .iter()
        .flat_map(|prepared| prepared.new.attachments.iter().copied())
        .collect();
    if named.is_empty() {
        return Ok(Claims::default());
    }
    let stored = attachment::lock_many(tx, &named).await?;
    Ok(Claims::among(stored))
}

/// One for each message of the batch, in its order.
pub(super) async fn look_up(tx: &mut Tx, batch: &[Prepared<'_>]) -> Result<Vec<Found>> {
    let new = || batch.iter().map(|prepared| prepared.new);
    sqlx::query(LOOKUP)
        .bind(uuids(new().map(|new| new.conversation_id)))
        .bind(uuids(new().map(|new| new.sender_id)))
        .bind(
            new()
                .map(|new| new.client_id.as_ref().map(ClientId::as_str))
                .bind_iter(),
        )
        .bind(
            new()
                .map(|new| new.reply_to.map(MessageId::as_uuid))
                .bind_iter(),
        )
        .bind(
            new()
                .map(|new| new.thread_id.map(MessageId::as_uuid))
                .bind_iter(),
        )
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(found)
        .collect()
}

fn found(row: &PgRow) -> Result<Found> {
    let original: Option<Uuid> = row.try_get(1).in_domain()?;
    Ok(Found {
        is_member: row.try_get(0).in_domain()?,
        known: original.map(|id| known(row, id)).transpose()?,
        reply_to: referred(row, 3, false)?,
        root: referred(row, 4, row.try_get(5).in_domain()?)?,
    })
}

fn known(row: &PgRow, id: Uuid) -> Result<(MessageId, Fingerprint)> {
    let bytes: Option<&[u8]> = row.try_get(2).in_domain()?;
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| Error::corrupt("messages", "fingerprint", id))?;
    Ok((MessageId::from_uuid(id), Fingerprint(bytes)))
}

fn referred(row: &PgRow, at: usize, in_thread: bool) -> Result<Option<Referred>> {
    let conversation: Option<Uuid> = row.try_get(at).in_domain()?;
    Ok(conversation.map(|id| Referred {
        conversation_id: ConversationId::from_uuid(id),
        in_thread,
    }))
}
