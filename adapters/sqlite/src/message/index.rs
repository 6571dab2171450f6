//! Steps of bringing the index of search up to date.
//!
//! A step reads, and makes segments of what it has read, without the write lock, since senders wait for
//! that. It counts only if no other one came between. What is edited or deleted meanwhile leaves an
//! amendment, which the next step sees to.

mod read;
mod write;

use std::collections::{BTreeMap, HashMap};

use connexus_domain::search::{AMENDMENTS_AT_ONCE, Segment, resumed_after, segments};
use connexus_domain::{ConversationId, Limit, MessageId, Result, Seq, Timestamp};

use super::tokens::tokens;
use crate::storage::{SqliteStorage, Tx};

#[cfg(test)]
pub(crate) use read::{AMENDMENTS, COVERING, NEW, RANGES};
pub(crate) use write::forget;
#[cfg(test)]
pub(crate) use write::{
    ADD_SEGMENTS, AMENDED, FORGET, FORGET_HEAD, MOVE_HEADS, REMOVE, REMOVE_TERMS, TAKE_STEP,
};
pub(super) use write::{amend, forget_up_to};

/// Parts of conversations, none of which overlap: where one starts, and its last seq.
type Ranges = BTreeMap<(ConversationId, Seq), Seq>;

/// What is to be written.
struct Step {
    /// How many there were before it.
    number: i64,
    /// The highest id that it has looked at, if it has looked at any.
    indexed_until: Option<MessageId>,
    /// Amendments that are done, and segments in whose place others come.
    outdated: Vec<i64>,
    /// With their tokens.
    segments: Vec<(Segment, String)>,
    heads: HashMap<ConversationId, Seq>,
    /// How many amendments and new messages it is about.
    count: u64,
}

pub(super) async fn index(storage: &SqliteStorage, before: Timestamp, limit: Limit) -> Result<u64> {
    let mut tx = storage.read().await?;
    let step = Step::prepare(&mut tx, before, limit.and_one() - 1).await?;
    drop(tx);
    if step.count == 0 {
        return Ok(0);
    }
    write::write(storage, &step).await
}

impl Step {
    async fn prepare(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<Self> {
        let state = read::state(tx).await?;
        let amendments = read::amendments(tx, limit.min(AMENDMENTS_AT_ONCE)).await?;
        let until = resumed_after(state.indexed_until, before);
        let new = read::new(tx, until, MessageId::first_at(before), limit).await?;
        let mut step = Self {
            number: state.steps,
            indexed_until: new.last().map(|message| message.id),
            outdated: amendments.iter().map(|amendment| amendment.num).collect(),
            segments: Vec::new(),
            heads: HashMap::new(),
            count: (amendments.len() + new.len()) as u64,
        };
        let mut ranges = step.rebuild(tx, &amendments).await?;
        ranges.extend(step.advance(&new));
        let messages = read::messages(tx, &ranges).await?;
        step.segments = segments(&messages)
            .into_iter()
            .map(|segment| {
                let tokens = tokens(segment.conversation_id, &segment.terms);
                (segment, tokens)
            })
            .collect();
        Ok(step)
    }

    /// What is to be indexed anew. What is not indexed at all will be, with the words as they are then.
    async fn rebuild(&mut self, tx: &mut Tx, amendments: &[read::Amendment]) -> Result<Ranges> {
        let indexed: Vec<(ConversationId, Seq)> = amendments
            .iter()
            .filter(|amendment| amendment.seq <= amendment.indexed_seq)
            .map(|amendment| (amendment.conversation_id, amendment.seq))
            .collect();
        let mut ranges = Ranges::new();
        for (place, covering) in read::covering(tx, &indexed).await? {
            let Some(covering) = covering else {
                ranges.insert(place, place.1);
                continue;
            };
            let start = (place.0, covering.first_seq);
            // one segment may have several messages that were changed
            if ranges.insert(start, covering.last_seq).is_none() {
                self.outdated.push(covering.num);
            }
        }
        Ok(ranges)
    }

    /// What is to be indexed for the first time: with no gap, wherever the ids of the messages between are.
    fn advance(&mut self, new: &[read::New]) -> Ranges {
        let mut ranges = Ranges::new();
        for message in new {
            if message.seq <= message.indexed_seq {
                continue;
            }
            let id = message.conversation_id;
            let head = self.heads.entry(id).or_default();
            *head = message.seq.max(*head);
            ranges.insert((id, message.indexed_seq + 1), *head);
        }
        ranges
    }
}

#[cfg(test)]
mod tests;
