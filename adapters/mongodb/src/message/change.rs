//! Edits and deletions; and the end of messages whose conversation is deleted.

use bson::{Bson, Document, doc};
use connexus_domain::message::Changed;
use connexus_domain::{
    Entity, Error, MemberAccess, Message, MessageBody, MessageId, Result, Rev, Timestamp, UserId,
};
use futures_util::TryStreamExt as _;
use mongodb::options::ReadConcern;

use super::{index, load};
use crate::attachment::{condemn_all, condemning};
use crate::conversation;
use crate::documents::{
    AttachmentDoc, Id as _, MessageDoc, ReactionDoc, Record as _, SegmentDoc, SegmentKey, date,
};
use crate::error::{InDomain as _, Tried};
use crate::query::statement;
use crate::storage::MongoStorage;
use crate::tx::Tx;

/// How many reactions go in the transaction that deletes their message.
const REACTIONS_AT_ONCE: u32 = 1_000;

/// A message that somebody wants to change, its conversation [locked](conversation::lock).
pub(super) struct Target {
    pub message: Message,
    pub access: MemberAccess,
    /// The one that the change takes.
    pub rev: Rev,
}

impl Target {
    pub async fn find(tx: &mut Tx<'_>, id: MessageId, by: UserId) -> Tried<Self> {
        let missing = || Error::NotFound(Entity::Message);
        let mut found = load::run(tx, load::with_ids(&[id])).await?;
        let message = found.pop().ok_or_else(missing)?;
        let conversation = conversation::lock(tx, message.conversation_id)
            .await?
            .ok_or_else(missing)?;
        let access = conversation::access(tx, conversation.id, by).await?;
        Ok(Self {
            message,
            access,
            rev: conversation.rev,
        })
    }

    pub async fn unchanged(self, tx: &mut Tx<'_>) -> Tried<Changed> {
        conversation::unlock(tx, self.message.conversation_id).await?;
        Ok(Changed {
            message: self.message,
            changed: false,
        })
    }
}

pub(super) async fn edit(
    tx: &mut Tx<'_>,
    id: MessageId,
    by: UserId,
    body: &MessageBody,
    now: Timestamp,
) -> Tried<Changed> {
    let target = Target::find(tx, id, by).await?;
    target.message.check_edit(&target.access)?;
    if target.message.body.as_deref() == Some(body.as_str()) {
        return target.unchanged(tx).await;
    }
    let message = Message {
        body: Some(body.as_str().to_owned()),
        edited_at: Some(now),
        rev: target.rev,
        ..target.message
    };
    let change = doc! {
        "$set": { "body": body.as_str(), "edited_at": date(now), "rev": target.rev },
        // which an older version has left
        "$unset": { "terms": "" },
    };
    tx.update::<MessageDoc>(vec![statement(doc! { "_id": id.bson() }, change)])
        .await?;
    index::amend(tx, &message).await?;
    Ok(Changed {
        message,
        changed: true,
    })
}

/// Deletes a message for everybody, with who reacted to it: thousands may have, more than a transaction should take.
/// Those go after it, which nobody waits for, or with the conversation if that fails; nobody is shown them any more.
pub(super) async fn delete(
    storage: &MongoStorage,
    id: MessageId,
    by: UserId,
    now: Timestamp,
) -> Result<Changed> {
    let (changed, many) = storage
        .transact(|tx| Box::pin(delete_in(tx, id, by, now)))
        .await?;
    if many {
        let again = storage.clone();
        storage.later(async move {
            let reactions = again.delete_many::<ReactionDoc>(doc! { "_id.m": id.bson() });
            if let Err(error) = again.purging(reactions).await {
                tracing::warn!(%error, message = %id, "its reactions could not be deleted");
            }
        });
    }
    Ok(changed)
}

/// The same in a transaction, and whether there are too many reactions for it.
async fn delete_in(
    tx: &mut Tx<'_>,
    id: MessageId,
    by: UserId,
    now: Timestamp,
) -> Tried<(Changed, bool)> {
    let target = Target::find(tx, id, by).await?;
    target.message.check_delete(&target.access)?;
    if !target.message.is_live() {
        return Ok((target.unchanged(tx).await?, false));
    }
    let attachments = target.message.attachments.iter();
    condemn_all(tx, attachments.map(|file| file.id.bson()).collect()).await?;
    let reactions: u32 = target.message.reactions.iter().map(|r| r.count).sum();
    let many = reactions > REACTIONS_AT_ONCE;
    let tombstone = target.message.into_tombstone(target.rev, now);
    let change = doc! {
        "$set": { "deleted_at": date(now), "rev": target.rev },
        "$unset": { "body": "", "attachments": "", "reactions": "", "terms": "" },
    };
    let mut statements = vec![statement(doc! { "_id": id.bson() }, change)];
    if let Some(root) = tombstone.thread_id {
        let one_less = doc! { "$max": [0_i64, { "$subtract": ["$reply_count", 1_i64] }] };
        let change = vec![doc! { "$set": { "reply_count": one_less, "rev": target.rev } }];
        statements.push(statement(doc! { "_id": root.bson() }, change));
    }
    tx.update::<MessageDoc>(statements).await?;
    if reactions > 0 && !many {
        tx.delete::<ReactionDoc>(doc! { "_id.m": id.bson() })
            .await?;
    }
    index::amend(tx, &tombstone).await?;
    let changed = Changed {
        message: tombstone,
        changed: true,
    };
    Ok((changed, many))
}

/// Takes up to `limit` messages of a deleted conversation out, their reactions, files and segments first;
/// answers how many there were. Another process may have been faster with some of them, or all: that is no sign that
/// none are left.
pub(crate) async fn purge(storage: &MongoStorage, id: bson::Uuid, limit: i64) -> Result<i64> {
    let database = &storage.database;
    let messages = database.collection::<Document>(MessageDoc::COLLECTION);
    let found: Vec<Document> = messages
        .find(doc! { "conversation_id": id })
        .read_concern(ReadConcern::majority())
        .sort(doc! { "seq": 1 })
        .projection(doc! { "_id": 1, "seq": 1, "attachments.id": 1 })
        .limit(limit)
        .await
        .in_domain()?
        .try_collect()
        .await
        .in_domain()?;
    let files: Vec<Bson> = found
        .iter()
        .filter_map(|message| message.get_array("attachments").ok())
        .flatten()
        .filter_map(|file| file.as_document()?.get("id").cloned())
        .collect();
    if !files.is_empty() {
        database
            .collection::<Document>(AttachmentDoc::COLLECTION)
            .update_many(doc! { "_id": { "$in": files } }, condemning())
            .await
            .in_domain()?;
    }
    let Some(last) = found.last() else {
        return Ok(0);
    };
    let last_seq = last
        .get_i64("seq")
        .ok()
        .ok_or_else(|| Error::corrupt(MessageDoc::COLLECTION, "seq", last))?;
    storage
        .delete_many::<SegmentDoc>(SegmentKey::up_to(id, last_seq))
        .await?;
    let ids: Vec<Bson> = found
        .into_iter()
        .filter_map(|mut message| message.remove("_id"))
        .collect();
    storage
        .delete_many::<ReactionDoc>(doc! { "_id.m": { "$in": &ids } })
        .await?;
    let count = i64::try_from(ids.len()).map_err(Error::internal)?;
    storage
        .delete_many::<MessageDoc>(doc! { "_id": { "$in": ids } })
        .await?;
    Ok(count)
}
