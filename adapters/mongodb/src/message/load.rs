//! Whole messages: a document has all that is shown of one, its reactions among it.

use bson::doc;
use connexus_domain::{Message, MessageId, Result};

use crate::conversation;
use crate::documents::{MessageDoc, Uuid, ids};
use crate::error::Tried;
use crate::query::Query;
use crate::tx::Tx;

/// Messages with these ids, in no order.
pub(crate) fn with_ids(list: &[MessageId]) -> Query {
    let filter = doc! { "_id": { "$in": ids(list.iter().copied()) } };
    Query::of::<MessageDoc>(filter)
}

/// Messages with these conversations and seqs, in no order.
pub(crate) fn places(places: Vec<(Uuid, i64)>) -> Query {
    let each: Vec<_> = places
        .into_iter()
        .map(|(conversation, seq)| doc! { "conversation_id": conversation, "seq": seq })
        .collect();
    Query::of::<MessageDoc>(doc! { "$or": each })
}

pub(super) async fn run(tx: &mut Tx<'_>, query: Query) -> Tried<Vec<Message>> {
    let found: Vec<MessageDoc> = tx.find(query).await?;
    let messages = found.into_iter().map(MessageDoc::into_message);
    Ok(messages.collect::<Result<_>>()?)
}

/// The message, unless its conversation is deleted.
pub(super) async fn find(tx: &mut Tx<'_>, id: MessageId) -> Tried<Option<Message>> {
    let Some(message) = run(tx, with_ids(&[id])).await?.pop() else {
        return Ok(None);
    };
    let conversation = conversation::find(tx, message.conversation_id).await?;
    Ok(conversation.map(|_| message))
}

pub(crate) async fn at(tx: &mut Tx<'_>, list: Vec<(Uuid, i64)>) -> Tried<Vec<Message>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    run(tx, places(list)).await
}
