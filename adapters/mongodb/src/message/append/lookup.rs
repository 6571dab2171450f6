//! What decides over a batch: one query for each kind of thing, however many are asked for.

use std::collections::{HashMap, HashSet};

use bson::{Document, doc};
use connexus_domain::attachment::Claims;
use connexus_domain::message::Fingerprint;
use connexus_domain::{
    AttachmentId, ConversationId, Error, MessageId, NewMessage, Result, Rev, Seq, Timestamp, UserId,
};
use serde::Deserialize;

use super::senders::KnownSenders;
use crate::attachment;
use crate::conversation;
use crate::documents::{
    Binary, ClientKey, ConversationDoc, DateTime, Id as _, MOST, Mark, MessageDoc, Sent, Uuid,
    conversation_id, date, fingerprint, ids, message_id, time,
};
use crate::error::Tried;
use crate::query::Query;
use crate::tx::Tx;

/// Where a conversation stands, as the batch goes on.
pub(crate) struct Standing {
    pub last_seq: Seq,
    pub rev: Rev,
    pub last_activity_at: Timestamp,
    /// Who sent last, before the batch.
    pub sent: Sent,
    /// How far those have come who send something of the batch.
    pub marks: HashMap<UserId, Mark>,
}

/// Where the watermarks of who sends go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Beside the conversation's counters.
    Kept,
    /// To their members, with all that the conversation has kept: it would have too many.
    Spilled,
    /// To their members, past the conversation: the batch alone has too many.
    Passed,
}

impl Standing {
    pub fn keeping(&self) -> Keeping {
        if self.marks.len() > MOST as usize {
            Keeping::Passed
        } else if self.sent.have_room_for(self.marks.keys()) {
            Keeping::Kept
        } else {
            Keeping::Spilled
        }
    }

    fn of(found: ConversationDoc) -> (ConversationId, Self) {
        let standing = Self {
            last_seq: found.last_seq,
            rev: found.rev,
            last_activity_at: time(found.last_activity_at),
            sent: found.sent,
            marks: HashMap::new(),
        };
        (conversation_id(found.id), standing)
    }

    /// How many changes there were but new messages (of which each takes a rev and a seq). They never become fewer,
    /// and who leaves makes one more.
    pub fn changes(&self) -> i64 {
        self.rev - self.last_seq
    }
}

/// A stored message that another one names.
#[derive(Clone, Copy)]
pub(crate) struct Referred {
    pub conversation_id: ConversationId,
    pub in_thread: bool,
}

/// Where the batch's conversations stand.
pub(super) async fn standings(
    tx: &mut Tx<'_>,
    batch: &[NewMessage],
) -> Tried<HashMap<ConversationId, Standing>> {
    read(tx, filter(&distinct(batch))).await
}

/// The batch's conversation, if it has but one.
pub(super) fn only(batch: &[NewMessage]) -> Option<ConversationId> {
    let first = batch.first()?.conversation_id;
    let same = batch.iter().all(|new| new.conversation_id == first);
    same.then_some(first)
}

/// Moves a conversation past the batch, all of which is for it and by so many `senders`; where it stood before, unless
/// it is deleted. That is looked at here: a filter of nothing but the id takes no planning.
pub(super) async fn advance(
    tx: &mut Tx<'_>,
    id: ConversationId,
    batch: &[NewMessage],
    senders: usize,
) -> Tried<Option<Standing>> {
    let fields = moved(batch)?;
    let change = if senders > MOST as usize {
        vec![doc! { "$set": fields }]
    } else {
        let mut all = marked(batch);
        all.extend(fields);
        vec![doc! { "$set": all }, doc! { "$set": emptied() }]
    };
    let before: Option<ConversationDoc> = tx.change_from(doc! { "_id": id.bson() }, change).await?;
    let before = before.filter(|found| found.deleted_at.is_none());
    Ok(before.map(|found| Standing::of(found).1))
}

/// The counters when all of the batch is stored, told by where they stand before.
fn moved(batch: &[NewMessage]) -> Result<Document> {
    let newest = batch.iter().map(|new| date(new.at)).max();
    let count = i64::try_from(batch.len()).map_err(Error::internal)?;
    Ok(doc! {
        "last_seq": { "$add": ["$last_seq", count] },
        "rev": { "$add": ["$rev", count] },
        "last_activity_at": { "$max": ["$last_activity_at", newest] },
    })
}

/// The watermarks of who sends, told by the same.
fn marked(batch: &[NewMessage]) -> Document {
    let mut marks = Document::new();
    let mut newest = None;
    for (new, place) in batch.iter().zip(1_i64..) {
        newest = newest.max(Some(date(new.at)));
        let mark = doc! {
            "seq": { "$add": ["$last_seq", place] },
            "at": { "$max": ["$last_activity_at", newest] },
        };
        marks.insert(Sent::path(new.sender_id), mark);
    }
    marks
}

/// The same once they are locked, in the order of their ids. Until the end of the transaction nobody else gets
/// at them.
pub(super) async fn locked(
    tx: &mut Tx<'_>,
    batch: &[NewMessage],
) -> Tried<HashMap<ConversationId, Standing>> {
    let distinct = distinct(batch);
    // the rev that a lock takes is given back, since messages take their own
    if let (1, Some(only)) = (distinct.len(), distinct.iter().next()) {
        let locked = conversation::lock_stored(tx, *only).await?;
        let standing = locked.map(|mut locked| {
            locked.rev -= 1;
            Standing::of(locked)
        });
        return Ok(standing.into_iter().collect());
    }
    if let Some(first) = distinct.iter().min() {
        tx.want(*first);
    }
    let filter = filter(&distinct);
    tx.update_many::<ConversationDoc>(filter.clone(), doc! { "$inc": { "rev": 1_i64 } })
        .await?;
    let mut standings = read(tx, filter).await?;
    for standing in standings.values_mut() {
        standing.rev -= 1;
    }
    Ok(standings)
}

/// Nothing is kept of who sent when it is too much: [`Keeping::Spilled`].
fn emptied() -> Document {
    let kept = doc! { "$size": { "$objectToArray": "$sent" } };
    let too_many = doc! { "$gt": [kept, MOST] };
    doc! { "sent": { "$cond": [too_many, "$$REMOVE", "$sent"] } }
}

fn distinct(batch: &[NewMessage]) -> HashSet<ConversationId> {
    batch.iter().map(|new| new.conversation_id).collect()
}

fn filter(conversations: &HashSet<ConversationId>) -> Document {
    doc! { "_id": { "$in": ids(conversations.iter().copied()) }, "deleted_at": null }
}

async fn read(tx: &mut Tx<'_>, filter: Document) -> Tried<HashMap<ConversationId, Standing>> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(rename = "_id")]
        id: Uuid,
        last_seq: i64,
        rev: i64,
        last_activity_at: DateTime,
        #[serde(default)]
        sent: Sent,
    }
    let query = Query::of::<ConversationDoc>(filter)
        .fields(doc! { "last_seq": 1, "rev": 1, "last_activity_at": 1, "sent": 1 });
    let found: Vec<Part> = tx.find_parts(query).await?;
    let standings = found.into_iter().map(|part| {
        let standing = Standing {
            last_seq: part.last_seq,
            rev: part.rev,
            last_activity_at: time(part.last_activity_at),
            sent: part.sent,
            marks: HashMap::new(),
        };
        (conversation_id(part.id), standing)
    });
    Ok(standings.collect())
}

/// Who sends what, and where.
pub(super) fn senders(batch: &[NewMessage]) -> HashSet<(ConversationId, UserId)> {
    let senders = batch.iter().map(|new| (new.conversation_id, new.sender_id));
    senders.collect()
}

/// Those of the senders who are members, of conversations that stand so. Only those who are not known are looked up.
pub(super) async fn members_among(
    tx: &mut Tx<'_>,
    known: &KnownSenders,
    senders: HashSet<(ConversationId, UserId)>,
    standings: &HashMap<ConversationId, Standing>,
) -> Tried<HashSet<(ConversationId, UserId)>> {
    let (mut members, unknown): (HashSet<_>, HashSet<_>) =
        senders.into_iter().partition(|sender| {
            let standing = standings.get(&sender.0);
            standing.is_some_and(|standing| known.has(sender, standing))
        });
    if !unknown.is_empty() {
        members.extend(conversation::present_among(tx, unknown).await?);
    }
    Ok(members)
}

/// The key that a message brings, if any.
pub(super) fn client_key(new: &NewMessage) -> Option<ClientKey> {
    let client_id = new.client_id.as_ref()?;
    Some(ClientKey::new(
        new.conversation_id,
        new.sender_id,
        client_id,
    ))
}

pub(crate) fn with_keys(keys: &HashSet<ClientKey>) -> Query {
    let keys: Vec<bson::Bson> = keys.iter().map(Into::into).collect();
    Query::of::<MessageDoc>(doc! { "client_key": { "$in": keys } })
        .by("messages_client_id_key")
        .fields(doc! { "client_key": 1, "fingerprint": 1 })
}

/// Those of the batch's client ids that are stored.
pub(super) async fn known(
    tx: &mut Tx<'_>,
    batch: &[NewMessage],
) -> Tried<HashMap<ClientKey, (MessageId, Fingerprint)>> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(rename = "_id")]
        id: Uuid,
        client_key: ClientKey,
        fingerprint: Option<Binary>,
    }
    let asked: HashSet<ClientKey> = batch.iter().filter_map(client_key).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<Part> = tx.find_parts(with_keys(&asked)).await?;
    let known = found.into_iter().map(|part| {
        let print = fingerprint(part.fingerprint.as_ref(), part.id)?;
        Ok((part.client_key, (message_id(part.id), print)))
    });
    Ok(known.collect::<Result<_>>()?)
}

/// Those of the messages that the batch answers or continues that are stored.
pub(super) async fn referred(
    tx: &mut Tx<'_>,
    batch: &[NewMessage],
) -> Tried<HashMap<MessageId, Referred>> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(rename = "_id")]
        id: Uuid,
        conversation_id: Uuid,
        thread_id: Option<Uuid>,
    }
    let named: HashSet<MessageId> = batch
        .iter()
        .flat_map(|new| [new.reply_to, new.thread_id])
        .flatten()
        .collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let query = Query::of::<MessageDoc>(doc! { "_id": { "$in": ids(named) } })
        .fields(doc! { "conversation_id": 1, "thread_id": 1 });
    let found: Vec<Part> = tx.find_parts(query).await?;
    let referred = found.into_iter().map(|part| {
        let referred = Referred {
            conversation_id: conversation_id(part.conversation_id),
            in_thread: part.thread_id.is_some(),
        };
        (message_id(part.id), referred)
    });
    Ok(referred.collect())
}

/// Those of the attachments that the batch names that are stored. Who changes one at the same time is in
/// the way of this transaction.
pub(super) async fn claims(tx: &mut Tx<'_>, batch: &[NewMessage]) -> Tried<Claims> {
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
