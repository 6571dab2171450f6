//! Single attachments, and the ends of many.

use bson::{Document, doc};
use connexus_domain::attachment::{Attachment, Measured};
use connexus_domain::{AttachmentId, Entity, Error, Limit, MessageId, Result, Timestamp};
use serde::Deserialize;

use crate::documents::{AttachmentDoc, Id as _, Uuid, attachment_id, date, ids};
use crate::error::Tried;
use crate::query::{Query, statement};
use crate::tx::Tx;

/// One of which only the id is wanted.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: Uuid,
}

pub(super) async fn find(tx: &mut Tx<'_>, id: AttachmentId) -> Tried<Attachment> {
    let found = find_many(tx, &[id]).await?.pop();
    found.ok_or_else(|| Error::NotFound(Entity::Attachment).into())
}

/// Those that exist, in no order.
pub(crate) async fn find_many(tx: &mut Tx<'_>, list: &[AttachmentId]) -> Tried<Vec<Attachment>> {
    let filter = doc! { "_id": { "$in": ids(list.iter().copied()) } };
    let found: Vec<AttachmentDoc> = tx.find(Query::of::<AttachmentDoc>(filter)).await?;
    let files = found.into_iter().map(AttachmentDoc::into_attachment);
    Ok(files.collect::<Result<_>>()?)
}

pub(super) async fn complete(
    tx: &mut Tx<'_>,
    id: AttachmentId,
    measured: &Measured,
    now: Timestamp,
) -> Tried<Attachment> {
    let ready = find(tx, id).await?.completed(measured)?;
    let new = AttachmentDoc {
        since: date(now),
        ..AttachmentDoc::from(&ready)
    };
    let file = bson::serialize_to_document(&new.file).map_err(Error::internal)?;
    let fields = doc! { "state": new.state, "since": new.since, "file": file };
    tx.update_many::<AttachmentDoc>(doc! { "_id": new.id }, doc! { "$set": fields })
        .await?;
    Ok(ready)
}

/// Makes free attachments part of their messages.
pub(crate) async fn attach(tx: &mut Tx<'_>, claimed: &[(AttachmentId, MessageId)]) -> Tried<()> {
    let statements = claimed.iter().map(|(id, message)| {
        let fields = doc! { "state": "attached", "message_id": message.bson() };
        statement(doc! { "_id": id.bson() }, doc! { "$set": fields })
    });
    tx.update::<AttachmentDoc>(statements.collect()).await
}

/// Who was shown by it is not any more.
pub(crate) fn condemning() -> Document {
    doc! {
        "$set": { "state": "condemned" },
        "$unset": { "avatar_user_id": "", "avatar_conversation_id": "" },
    }
}

/// Condemns those that something has just stopped using.
pub(crate) async fn condemn_all(tx: &mut Tx<'_>, list: Vec<Uuid>) -> Tried<()> {
    if !list.is_empty() {
        let filter = doc! { "_id": { "$in": list } };
        tx.update_many::<AttachmentDoc>(filter, condemning())
            .await?;
    }
    Ok(())
}

pub(crate) fn stale(before: Timestamp, limit: Limit) -> Query {
    let filter = doc! {
        "state": { "$in": ["pending", "ready"] }, "since": { "$lt": date(before) },
    };
    Query::of::<AttachmentDoc>(filter)
        .by("attachments_stale")
        .limit(limit.and_one() - 1)
        .fields(doc! { "_id": 1 })
}

pub(super) async fn condemn_stale(tx: &mut Tx<'_>, before: Timestamp, limit: Limit) -> Tried<u64> {
    let found: Vec<Named> = tx.find_parts(stale(before, limit)).await?;
    let count = found.len() as u64;
    condemn_all(tx, found.into_iter().map(|file| file.id).collect()).await?;
    Ok(count)
}

pub(crate) fn condemned(limit: Limit) -> Query {
    Query::of::<AttachmentDoc>(doc! { "state": "condemned" })
        .by("attachments_condemned")
        .sort(doc! { "_id": 1 })
        .limit(limit.and_one() - 1)
        .fields(doc! { "_id": 1 })
}

pub(super) async fn some_condemned(tx: &mut Tx<'_>, limit: Limit) -> Tried<Vec<AttachmentId>> {
    let found: Vec<Named> = tx.find_parts(condemned(limit)).await?;
    Ok(found.iter().map(|file| attachment_id(file.id)).collect())
}
