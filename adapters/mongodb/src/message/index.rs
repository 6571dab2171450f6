//! Bringing the index of search up to date: one transaction, whose number of round trips does not grow with
//! what is indexed.
//!
//! It is in nobody's way but those who change a message once more whose amendment it takes: what it writes,
//! those who send do not. And what is stored, edited or deleted after its snapshot is left in a tail or in an
//! amendment, for the next one.

use std::collections::{BTreeMap, HashMap};

use bson::{Document, doc};
use connexus_domain::search::{AMENDMENTS_AT_ONCE, Indexable, resumed_after, segments};
use connexus_domain::{ConversationId, Error, Limit, Message, MessageId, Seq, Timestamp};
use serde::Deserialize;

use super::search::indexed;
use crate::documents::{
    HeadDoc, Id as _, MessageDoc, Record as _, SegmentDoc, SegmentKey, StateDoc, Uuid,
    conversation_id, message_id,
};
use crate::error::{Failure, Tried, is_conflict};
use crate::indexes::MESSAGES_SEQ;
use crate::query::{Query, statement, upsert};
use crate::tx::Tx;

/// Messages of a conversation: the first, and the last.
type Range = (ConversationId, Seq, Seq);

/// A message, as it is read here.
#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: Uuid,
    conversation_id: Uuid,
    seq: i64,
    body: Option<String>,
}

impl From<Stored> for Indexable {
    fn from(stored: Stored) -> Self {
        Self {
            conversation_id: conversation_id(stored.conversation_id),
            seq: stored.seq,
            id: message_id(stored.id),
            body: stored.body,
        }
    }
}

/// An amendment, with what it is about.
#[derive(Deserialize)]
struct Amended {
    #[serde(rename = "_id")]
    key: SegmentKey,
    /// The segment that may cover it.
    before: Vec<Before>,
    head: Vec<HeadDoc>,
}

#[derive(Deserialize)]
struct Before {
    #[serde(rename = "_id")]
    key: SegmentKey,
    last_seq: i64,
}

impl Amended {
    /// What is to be indexed again, and the segment that it is now.
    fn range(&self) -> Option<(Range, Option<SegmentKey>)> {
        let (id, seq) = (conversation_id(self.key.c), self.key.s);
        // what is in a tail will be read as it is
        self.head.first().filter(|head| seq <= head.indexed_seq)?;
        let covering = self.before.first().filter(|found| found.last_seq >= seq);
        Some(match covering {
            Some(found) => ((id, found.key.s, found.last_seq), Some(found.key)),
            None => ((id, seq, seq), None),
        })
    }
}

/// All that one step writes.
#[derive(Default)]
struct Step {
    count: usize,
    gone: Vec<SegmentKey>,
    made: Vec<SegmentDoc>,
    heads: Vec<(ConversationId, Seq)>,
    until: Option<MessageId>,
}

pub(super) async fn index(tx: &mut Tx<'_>, before: Timestamp, limit: Limit) -> Tried<u64> {
    let limit = limit.and_one() - 1;
    let mut step = Step::default();
    if let Some(state) = lock(tx).await? {
        step.take_out(tx, limit).await?;
        let until = resumed_after(state.indexed_until.map(message_id), before);
        let arrived = arrived(until, before, limit);
        step.take_in(tx, arrived).await?;
    }
    if step.count == 0 {
        tx.abandon();
    } else {
        step.store(tx).await?;
    }
    Ok(step.count as u64)
}

/// The right to index, until the end of the transaction. None when somebody else has it: that is not waited for.
async fn lock(tx: &mut Tx<'_>) -> Tried<Option<StateDoc>> {
    match take_turn(tx).await {
        Err(Failure::Driver(error)) if is_conflict(&error) => Ok(None),
        taken => taken.map(Some),
    }
}

async fn take_turn(tx: &mut Tx<'_>) -> Tried<StateDoc> {
    let next = doc! { "$inc": { "turn": 1_i64 } };
    let taken = tx.change(doc! { "_id": StateDoc::ID }, next).await?;
    Ok(taken.ok_or_else(|| Error::corrupt(StateDoc::COLLECTION, "_id", StateDoc::ID))?)
}

/// Amendments, each with the segment before it, or the one that begins with it, and the head.
pub(crate) fn amended(limit: i64) -> Vec<Document> {
    let before = vec![
        doc! { "$match": {
            "$expr": { "$and": [
                { "$gt": ["$_id", "$$first"] },
                { "$lte": ["$_id", "$$last"] },
            ] },
            "_id.r": 0_i64,
        } },
        doc! { "$sort": { "_id": -1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "last_seq": 1 } },
    ];
    vec![
        doc! { "$match": { "_id.r": { "$gt": 0_i64 } } },
        doc! { "$limit": limit.min(AMENDMENTS_AT_ONCE) },
        doc! { "$project": { "_id": 1 } },
        doc! { "$lookup": {
            "from": SegmentDoc::COLLECTION,
            "let": {
                "first": { "c": "$_id.c" },
                "last": { "c": "$_id.c", "s": "$_id.s", "r": 0_i64 },
            },
            "pipeline": before,
            "as": "before",
        } },
        doc! { "$lookup": {
            "from": HeadDoc::COLLECTION,
            "localField": "_id.c",
            "foreignField": "_id",
            "as": "head",
        } },
    ]
}

/// Messages that come next.
pub(crate) fn arrived(after: Option<MessageId>, before: Timestamp, limit: i64) -> Query {
    let mut ids = doc! { "$lt": MessageId::first_at(before).bson() };
    if let Some(after) = after {
        ids.insert("$gt", after.bson());
    }
    indexable(doc! { "_id": ids })
        .sort(doc! { "_id": 1 })
        .limit(limit)
}

pub(crate) fn within(ranges_: &[Range]) -> Query {
    indexable(ranges(ranges_.iter().copied())).by(MESSAGES_SEQ)
}

fn indexable(filter: Document) -> Query {
    Query::of::<MessageDoc>(filter).fields(doc! { "conversation_id": 1, "seq": 1, "body": 1 })
}

/// Messages in any of these ranges, of which there is one at least.
pub(super) fn ranges(ranges: impl IntoIterator<Item = Range>) -> Document {
    let each: Vec<Document> = ranges
        .into_iter()
        .map(|(id, first, last)| {
            doc! { "conversation_id": id.bson(), "seq": { "$gte": first, "$lte": last } }
        })
        .collect();
    doc! { "$or": each }
}

/// Messages, in the order of their conversations and seqs.
struct Sorted(Vec<Indexable>);

impl Sorted {
    async fn read(tx: &mut Tx<'_>, query: Query) -> Tried<Self> {
        let found: Vec<Stored> = tx.find_parts(query).await?;
        Ok(Self::new(found))
    }

    fn new(stored: Vec<Stored>) -> Self {
        let mut all: Vec<Indexable> = stored.into_iter().map(Indexable::from).collect();
        all.sort_unstable_by_key(|message| (message.conversation_id, message.seq));
        Self(all)
    }

    fn part(&self, (id, first, last): Range) -> &[Indexable] {
        let place = |message: &Indexable| (message.conversation_id, message.seq);
        let from = self.0.partition_point(|found| place(found) < (id, first));
        let to = self.0.partition_point(|found| place(found) <= (id, last));
        &self.0[from..to]
    }

    fn is_whole(&self, range: Range) -> bool {
        let (_, first, last) = range;
        usize::try_from(last - first + 1).is_ok_and(|length| self.part(range).len() == length)
    }
}

impl Step {
    fn make<'m>(&mut self, messages: impl IntoIterator<Item = &'m Indexable>) {
        let made = segments(messages).into_iter().map(SegmentDoc::from);
        self.made.extend(made);
    }

    /// Indexes anew what was amended.
    async fn take_out(&mut self, tx: &mut Tx<'_>, limit: i64) -> Tried<()> {
        let amended: Vec<Amended> = tx.aggregate(SegmentDoc::COLLECTION, amended(limit)).await?;
        // several may be in one segment
        let ranges: BTreeMap<Range, Option<SegmentKey>> =
            amended.iter().filter_map(Amended::range).collect();
        self.count += amended.len();
        self.gone.extend(amended.iter().map(|found| found.key));
        self.gone.extend(ranges.values().flatten());
        if !ranges.is_empty() {
            let ranges: Vec<Range> = ranges.into_keys().collect();
            self.make(&Sorted::read(tx, within(&ranges)).await?.0);
        }
        Ok(())
    }

    /// Indexes conversations up to the highest of these messages.
    async fn take_in(&mut self, tx: &mut Tx<'_>, arrived: Query) -> Tried<()> {
        let arrived: Vec<Stored> = tx.find_parts(arrived).await?;
        let Some(last) = arrived.last() else {
            return Ok(());
        };
        self.count += arrived.len();
        self.until = Some(message_id(last.id));
        let arrived = Sorted::new(arrived);
        // of each conversation the last one stays
        let up_to: HashMap<ConversationId, Seq> = arrived
            .0
            .iter()
            .map(|message| (message.conversation_id, message.seq))
            .collect();
        let conversations: Vec<ConversationId> = up_to.keys().copied().collect();
        let indexed = indexed(tx, &conversations).await?;
        let (whole, torn): (Vec<Range>, Vec<Range>) = up_to
            .into_iter()
            .map(|(id, last)| (id, indexed.get(&id).map_or(1, |seq| seq + 1), last))
            .filter(|(_, first, last)| first <= last)
            .partition(|range| arrived.is_whole(*range));
        self.make(whole.iter().flat_map(|range| arrived.part(*range)));
        if !torn.is_empty() {
            // ids that are not in the order of seqs: what is missing was read before, or will be
            self.make(&Sorted::read(tx, within(&torn)).await?.0);
        }
        let heads = whole.into_iter().chain(torn);
        self.heads = heads.map(|(id, _, last)| (id, last)).collect();
        Ok(())
    }

    async fn store(&self, tx: &mut Tx<'_>) -> Tried<()> {
        if !self.gone.is_empty() {
            // by their whole keys: an amendment that comes meanwhile stays
            tx.delete::<SegmentDoc>(doc! { "_id": { "$in": &self.gone } })
                .await?;
        }
        tx.insert(&self.made).await?;
        let heads = self.heads.iter().map(|(id, seq)| {
            let change = doc! { "$set": { "indexed_seq": *seq } };
            upsert(doc! { "_id": id.bson() }, change)
        });
        tx.update::<HeadDoc>(heads.collect()).await?;
        let Some(until) = self.until else {
            return Ok(());
        };
        let change = doc! { "$set": { "indexed_until": until.bson() } };
        tx.update::<StateDoc>(vec![statement(doc! { "_id": StateDoc::ID }, change)])
            .await
    }
}

/// Leaves what was done to a message to the index, in place of what was left of it before.
pub(super) async fn amend(tx: &mut Tx<'_>, changed: &Message) -> Tried<()> {
    let earlier = SegmentKey::amendments(changed.conversation_id.bson(), changed.seq);
    tx.delete::<SegmentDoc>(earlier).await?;
    tx.insert(&[SegmentDoc::amendment(changed)]).await
}

/// Takes a conversation out of the index that has no messages any more. In the place of who indexes, who may
/// still see some.
pub(crate) async fn forget(tx: &mut Tx<'_>, id: ConversationId) -> Tried<()> {
    take_turn(tx).await?;
    tx.delete::<SegmentDoc>(SegmentKey::of(id.bson())).await?;
    tx.delete::<HeadDoc>(doc! { "_id": id.bson() }).await?;
    Ok(())
}
