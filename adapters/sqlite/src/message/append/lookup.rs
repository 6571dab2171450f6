//! What decides over a batch: one query for each kind of thing, however many are asked for.

use std::collections::{HashMap, HashSet};

use connexus_domain::attachment::Claims;
use connexus_domain::message::Fingerprint;
use connexus_domain::{
    AttachmentId, ConversationId, Error, MessageId, NewMessage, Result, Rev, Seq, Timestamp, UserId,
};
use sqlx::Row as _;

use crate::attachment;
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{JsonArray, json_ids};
use crate::storage::Tx;

pub(crate) const CONVERSATIONS: &str = "\
    SELECT c.id, c.last_seq, c.rev, c.last_activity_at \
    FROM json_each(?1) j CROSS JOIN conversations c ON c.id = unhex(j.value) \
    WHERE c.deleted_at IS NULL";

pub(crate) const MEMBERS: &str = "\
    SELECT p.conversation_id, p.user_id FROM json_each(?1) j CROSS JOIN members p \
    ON p.conversation_id = unhex(j.value ->> 0) AND p.user_id = unhex(j.value ->> 1) \
    WHERE p.left_at IS NULL";

pub(crate) const KNOWN: &str = "\
    SELECT j.key, m.id, m.fingerprint \
    FROM json_each(?1) j CROSS JOIN messages m \
    ON m.conversation_id = unhex(j.value ->> 0) AND m.sender_id = unhex(j.value ->> 1) \
    AND m.client_id = CAST(unhex(j.value ->> 2) AS TEXT)";

pub(crate) const REFERRED: &str = "\
    SELECT m.id, m.conversation_id, m.thread_id IS NOT NULL \
    FROM json_each(?1) j CROSS JOIN messages m ON m.id = unhex(j.value)";

pub(super) type ClientKey<'b> = (ConversationId, UserId, &'b str);

/// Where a conversation stands, as the batch goes on.
pub(super) struct Standing {
    pub last_seq: Seq,
    pub rev: Rev,
    pub last_activity_at: Timestamp,
    pub moved: bool,
}

/// A stored message that another one names.
#[derive(Clone, Copy)]
pub(super) struct Referred {
    pub conversation_id: ConversationId,
    pub in_thread: bool,
}

pub(super) async fn conversations(
    tx: &mut Tx,
    batch: &[NewMessage],
) -> Result<HashMap<ConversationId, Standing>> {
    let ids: HashSet<ConversationId> = batch.iter().map(|new| new.conversation_id).collect();
    sqlx::query(CONVERSATIONS)
        .bind(json_ids(ids))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let standing = Standing {
                last_seq: row.try_get(1).in_domain()?,
                rev: row.try_get(2).in_domain()?,
                last_activity_at: Timestamp::from_millis(row.try_get(3).in_domain()?),
                moved: false,
            };
            Ok((ConversationId::from_uuid(rows::id(row, 0)?), standing))
        })
        .collect()
}

pub(super) async fn members(
    tx: &mut Tx,
    batch: &[NewMessage],
) -> Result<HashSet<(ConversationId, UserId)>> {
    let pairs: HashSet<(ConversationId, UserId)> = batch
        .iter()
        .map(|new| (new.conversation_id, new.sender_id))
        .collect();
    let mut wanted = JsonArray::new();
    for (conversation, user) in pairs {
        wanted.row(|row| {
            row.id(conversation).id(user);
        });
    }
    sqlx::query(MEMBERS)
        .bind(wanted.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let conversation = ConversationId::from_uuid(rows::id(row, 0)?);
            Ok((conversation, UserId::from_uuid(rows::id(row, 1)?)))
        })
        .collect()
}

/// Those of the batch's client ids that are stored.
pub(super) async fn known<'b>(
    tx: &mut Tx,
    batch: &'b [NewMessage],
) -> Result<HashMap<ClientKey<'b>, (MessageId, Fingerprint)>> {
    let asked: HashSet<ClientKey<'b>> = batch
        .iter()
        .filter_map(|new| {
            let client_id = new.client_id.as_ref()?.as_str();
            Some((new.conversation_id, new.sender_id, client_id))
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let mut wanted = JsonArray::new();
    let mut keys = HashMap::with_capacity(asked.len());
    for (place, key) in (0_i64..).zip(asked) {
        wanted.row(|row| {
            row.id(key.0).id(key.1).hex(key.2.as_bytes());
        });
        keys.insert(place, key);
    }
    sqlx::query(KNOWN)
        .bind(wanted.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let place: i64 = row.try_get(0).in_domain()?;
            let id = MessageId::from_uuid(rows::id(row, 1)?);
            let corrupt = || Error::corrupt("messages", "fingerprint", id);
            let key = keys.remove(&place).ok_or_else(corrupt)?;
            let bytes: Option<&[u8]> = row.try_get(2).in_domain()?;
            let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            Ok((key, (id, Fingerprint(bytes.ok_or_else(corrupt)?))))
        })
        .collect()
}

/// Those of the messages that the batch answers or continues that are stored.
pub(super) async fn referred(
    tx: &mut Tx,
    batch: &[NewMessage],
) -> Result<HashMap<MessageId, Referred>> {
    let ids: HashSet<MessageId> = batch
        .iter()
        .flat_map(|new| [new.reply_to, new.thread_id])
        .flatten()
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    sqlx::query(REFERRED)
        .bind(json_ids(ids))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let referred = Referred {
                conversation_id: ConversationId::from_uuid(rows::id(row, 1)?),
                in_thread: row.try_get(2).in_domain()?,
            };
            Ok((MessageId::from_uuid(rows::id(row, 0)?), referred))
        })
        .collect()
}

/// Those of the attachments that the batch names that are stored.
pub(super) async fn claims(tx: &mut Tx, batch: &[NewMessage]) -> Result<Claims> {
    let named: Vec<AttachmentId> = batch
        .iter()
        .flat_map(|new| new.attachments.iter().copied())
        .collect();
    if named.is_empty() {
        return Ok(Claims::default());
    }
    let stored = attachment::find_many(tx, &named).await?;
    Ok(Claims::among(stored))
}
