//! Searching messages: what a backend keeps for it, and how matches are found in what it keeps.
//!
//! To index each message when it is stored would add half or more to what storing it costs. So neighbouring messages of a
//! conversation are indexed together, some time after they were stored, as a *segment*, which has every term
//! that one of them has. What is not indexed yet, a conversation's *tail*, is read by the search itself. An
//! index of segments says where to look; whether a message matches is decided by its words as they are.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::iter;
use std::time::Duration;

use crate::id::{ConversationId, MessageId};
use crate::page::Limit;
use crate::sync::Seq;
use crate::terms::{TermQuery, terms};
use crate::time::Timestamp;

/// Most messages of a segment.
pub const SEGMENT_MESSAGES: usize = 64;
/// A segment with this many terms takes no further message.
pub const SEGMENT_TERMS: usize = 1_000;

/// Most amendments that a step of indexing takes up: for each a whole segment may have to be read again.
pub const AMENDMENTS_AT_ONCE: i64 = 256;

/// After which message to go on indexing what was made before `before`, when all up to `until` is indexed. A clock that was
/// ahead has left `until` in its future, and nothing would be indexed until that has come: then it is what was made in
/// the last day, most of which is indexed already, and is not indexed again.
pub fn resumed_after(until: Option<MessageId>, before: Timestamp) -> Option<MessageId> {
    /// By how much the clocks of several processes may differ.
    const SKEW: Duration = Duration::from_mins(5);
    const DAY: Duration = Duration::from_hours(24);
    let future = MessageId::first_at(before.plus(SKEW));
    match until {
        Some(until) if until > future => Some(MessageId::first_at(before.minus(DAY))),
        other => other,
    }
}

/// A stored message, as far as the index is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexable {
    /// Where it is.
    pub conversation_id: ConversationId,
    /// Its number there.
    pub seq: Seq,
    /// Its id.
    pub id: MessageId,
    /// Its words; none of a tombstone.
    pub body: Option<String>,
}

/// Neighbouring messages of a conversation, and their terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where they are.
    pub conversation_id: ConversationId,
    /// The lowest number among them.
    pub first_seq: Seq,
    /// The highest number among them.
    pub last_seq: Seq,
    /// The lowest id among them.
    pub oldest: MessageId,
    /// The highest id among them.
    pub newest: MessageId,
    /// What at least one of them has; never none.
    pub terms: BTreeSet<String>,
}

impl Segment {
    fn of(message: &Indexable, terms: BTreeSet<String>) -> Self {
        Self {
            conversation_id: message.conversation_id,
            first_seq: message.seq,
            last_seq: message.seq,
            oldest: message.id,
            newest: message.id,
            terms,
        }
    }

    /// Whether one more message behind its last fits in.
    fn takes(&self, message: &Indexable) -> bool {
        let length = usize::try_from(message.seq - self.first_seq);
        length.is_ok_and(|length| length < SEGMENT_MESSAGES) && self.terms.len() < SEGMENT_TERMS
    }

    fn take(&mut self, message: &Indexable, terms: BTreeSet<String>) {
        self.last_seq = message.seq;
        self.oldest = self.oldest.min(message.id);
        self.newest = self.newest.max(message.id);
        self.terms.extend(terms);
    }
}

/// Cuts messages, sorted by conversation and seq, into segments, which end at holes. Messages without words are
/// in none, unless others are around them.
pub fn segments<'m>(messages: impl IntoIterator<Item = &'m Indexable>) -> Vec<Segment> {
    let mut done = Vec::new();
    let mut open: Option<Segment> = None;
    let mut next = None;
    for message in messages {
        let place = (message.conversation_id, message.seq);
        if next != Some(place) {
            done.extend(open.take());
        }
        next = Some((message.conversation_id, message.seq + 1));
        let terms = message.body.as_deref().map(terms).unwrap_or_default();
        if terms.is_empty() {
            continue;
        }
        let terms = BTreeSet::from_iter(terms);
        match &mut open {
            Some(segment) if segment.takes(message) => segment.take(message, terms),
            _ => done.extend(open.replace(Segment::of(message, terms))),
        }
    }
    done.extend(open);
    done
}

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The lowest number among its messages.
    pub first_seq: Seq,
    /// The highest number among its messages.
    pub last_seq: Seq,
    /// The highest id among its messages.
    pub newest: MessageId,
}

/// A message that may match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: MessageId,
    /// Its words.
    pub body: String,
}

/// What a backend has for one search, as of one moment. All of it is of the searcher's scope: conversations
/// and sender; and live.
pub trait SearchSource: Send {
    /// Why it cannot be read.
    type Error: Send;

    /// Messages that are not indexed, with ids below `before`, the highest id first.
    fn tail(
        &mut self,
        before: Option<MessageId>,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<Candidate>, Self::Error>> + Send;

    /// Segments that have all the terms, in the order of `newest`, `first_seq` and `last_seq`, the highest first;
    /// behind `after`. (An amendment may share the first two with the segment of its message.)
    fn segments(
        &mut self,
        after: Option<Span>,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<Span>, Self::Error>> + Send;

    /// Messages of these segments, with ids below `before`, in any order.
    fn candidates(
        &mut self,
        spans: &[Span],
        before: Option<MessageId>,
    ) -> impl Future<Output = Result<Vec<Candidate>, Self::Error>> + Send;
}

/// How many messages of tails, and how many segments, are looked up first. To find the next few may cost as much
/// as to find many, since all that is left is sorted for it: so each time more are asked for.
const STEP: u16 = 256;
const STEP_GROWTH: u16 = 8;
const STEP_MAX: u16 = 16_384;
/// Of how many segments messages are read at once.
const SPANS_AT_ONCE: usize = 8;

/// The highest ids of what matches, the highest first: as many as `limit`, and one more if there is.
pub async fn find<S: SearchSource>(
    source: &mut S,
    query: &TermQuery,
    before: Option<MessageId>,
    limit: Limit,
) -> Result<Vec<MessageId>, S::Error> {
    let mut found = Found {
        query,
        wanted: limit.rows() + 1,
        ids: BTreeSet::new(),
    };
    let mut below = before;
    for step in steps() {
        let tail = source.tail(below, i64::from(step)).await?;
        let last = tail.last().map(|candidate| candidate.id);
        let more = tail.len() >= usize::from(step);
        found.take(tail);
        match last {
            Some(last) if more && !found.is_complete_down_to(last) => below = Some(last),
            _ => break,
        }
    }
    let mut after = None;
    for step in steps() {
        let spans = source.segments(after, i64::from(step)).await?;
        for some in spans.chunks(SPANS_AT_ONCE) {
            if found.is_complete_down_to(some[0].newest) {
                return Ok(found.page());
            }
            found.take(source.candidates(some, before).await?);
        }
        match spans.last() {
            Some(last) if spans.len() >= usize::from(step) => after = Some(*last),
            _ => break,
        }
    }
    Ok(found.page())
}

fn steps() -> impl Iterator<Item = u16> {
    iter::successors(Some(STEP), |step| {
        Some(step.saturating_mul(STEP_GROWTH).min(STEP_MAX))
    })
}

struct Found<'q> {
    query: &'q TermQuery,
    wanted: usize,
    ids: BTreeSet<Reverse<MessageId>>,
}

impl Found<'_> {
    fn take(&mut self, candidates: Vec<Candidate>) {
        let matching = candidates
            .into_iter()
            .filter(|candidate| self.query.matches(&candidate.body));
        self.ids
            .extend(matching.map(|candidate| Reverse(candidate.id)));
        while self.ids.len() > self.wanted {
            self.ids.pop_last();
        }
    }

    /// Whether nothing with this id, or a lower one, would be of any use.
    fn is_complete_down_to(&self, id: MessageId) -> bool {
        self.ids.len() == self.wanted && self.ids.last().is_some_and(|Reverse(last)| *last >= id)
    }

    fn page(self) -> Vec<MessageId> {
        self.ids.into_iter().map(|Reverse(id)| id).collect()
    }
}

#[cfg(test)]
mod tests;
