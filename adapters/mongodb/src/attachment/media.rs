//! What was sent in a conversation.

use bson::{Document, doc};
use connexus_domain::attachment::{Attachment, MediaKind, MediaStats};
use connexus_domain::{AttachmentId, ConversationId, Error, Limit, Page, Result};
use serde::Deserialize;

use crate::conversation;
use crate::documents::{AttachmentDoc, Id as _, Record as _};
use crate::error::Tried;
use crate::query::Query;
use crate::tx::Tx;

pub(crate) fn listed(
    id: ConversationId,
    kind: Option<MediaKind>,
    before: Option<AttachmentId>,
    limit: Limit,
) -> Query {
    let mut filter = doc! { "conversation_id": id.bson(), "state": "attached" };
    let index = match kind {
        Some(kind) => {
            filter.insert("file.kind", kind.as_str());
            "attachments_media_kind"
        }
        None => "attachments_media",
    };
    if let Some(before) = before {
        filter.insert("_id", doc! { "$lt": before.bson() });
    }
    Query::of::<AttachmentDoc>(filter)
        .by(index)
        .sort(doc! { "_id": -1 })
        .limit(limit.and_one())
}

pub(super) async fn media(
    tx: &mut Tx<'_>,
    id: ConversationId,
    kind: Option<MediaKind>,
    before: Option<AttachmentId>,
    limit: Limit,
) -> Tried<Page<Attachment, AttachmentId>> {
    let mut files = Vec::new();
    if conversation::find(tx, id).await?.is_some() {
        let found: Vec<AttachmentDoc> = tx.find(listed(id, kind, before, limit)).await?;
        for file in found {
            files.push(file.into_attachment()?);
        }
    }
    Ok(Page::cut(files, limit, |file| file.id))
}

fn statistics(id: ConversationId) -> Vec<Document> {
    let total = doc! {
        "_id": "$file.kind", "count": { "$sum": 1_i64 }, "total_size": { "$sum": "$file.size" },
    };
    vec![
        doc! { "$match": { "conversation_id": id.bson(), "state": "attached" } },
        doc! { "$group": total },
    ]
}

pub(super) async fn stats(tx: &mut Tx<'_>, id: ConversationId) -> Tried<Vec<MediaStats>> {
    #[derive(Deserialize)]
    struct OfKind {
        #[serde(rename = "_id")]
        kind: String,
        count: i64,
        total_size: i64,
    }
    if conversation::find(tx, id).await?.is_none() {
        return Ok(Vec::new());
    }
    let found: Vec<OfKind> = tx
        .aggregate(AttachmentDoc::COLLECTION, statistics(id))
        .await?;
    let stats = found.into_iter().map(|found| {
        let corrupt = || Error::corrupt(AttachmentDoc::COLLECTION, "file", id);
        Ok(MediaStats {
            kind: MediaKind::parse(&found.kind).ok_or_else(corrupt)?,
            count: found.count.unsigned_abs(),
            total_size: found.total_size.unsigned_abs(),
        })
    });
    let mut stats = stats.collect::<Result<Vec<_>>>()?;
    stats.sort_by_key(|stats| stats.kind);
    Ok(stats)
}
