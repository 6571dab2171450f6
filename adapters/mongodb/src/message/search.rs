//! What one search reads.

use std::cmp::Reverse;
use std::collections::HashMap;

use bson::{Document, doc};
use connexus_domain::ports::MessageSearch;
use connexus_domain::search::{Candidate, SearchSource, Span, find};
use connexus_domain::{ConversationId, Message, MessageId, Page, Seq};
use serde::Deserialize;

use super::index::ranges;
use super::load;
use crate::conversation;
use crate::documents::{
    HeadDoc, Id as _, MessageDoc, SegmentDoc, SpanPart, Uuid, conversation_id, ids, message_id,
};
use crate::error::{Failure, Tried};
use crate::indexes::{MESSAGES_SEQ, SEGMENTS_TERMS};
use crate::query::{Query, starting_with};
use crate::tx::Tx;

/// Segments in `scope` that have the terms. With a whole term the index has all that has it in the order of
/// the newest, of each conversation; with no more than a prefix all that matches is sorted.
pub(crate) fn matching(
    scope: &[ConversationId],
    search: &MessageSearch,
    after: Option<Span>,
    limit: i64,
) -> Query {
    let mut filter = doc! { "_id.c": { "$in": ids(scope.iter().copied()) } };
    // what it is not: nothing of this is planned with
    let mut nor: Vec<Document> = Vec::new();
    // both bounds of a prefix are of one and the same term
    let prefix = doc! { "$elemMatch": starting_with(&search.query.prefix) };
    if search.query.all.is_empty() {
        filter.insert("terms", prefix);
    } else {
        // given a term and a prefix the planner would go through all that the prefix matches; and of several
        // terms it takes the first: the longest is likely to be the rarest
        let mut all: Vec<&str> = search.query.all.iter().map(String::as_str).collect();
        all.sort_by_key(|term| Reverse(term.len()));
        filter.insert("terms", doc! { "$all": all });
        nor.push(doc! { "terms": { "$not": prefix } });
    }
    if let Some(before) = search.before {
        filter.insert("oldest", doc! { "$lt": before.bson() });
    }
    if let Some(after) = after {
        let newest = after.newest.bson();
        filter.insert("newest", doc! { "$lte": newest });
        nor.push(doc! { "newest": newest, "_id.s": { "$gte": after.first_seq } });
    }
    if !nor.is_empty() {
        filter.insert("$nor", nor);
    }
    // an amendment comes after a segment that begins with its message: who goes on between the two has read both
    Query::of::<SegmentDoc>(filter)
        .sort(doc! { "newest": -1, "_id.s": -1, "_id.r": 1 })
        .by(SEGMENTS_TERMS)
        .limit(limit)
        .fields(doc! { "last_seq": 1, "newest": 1 })
}

/// Live messages of the search's sender below `before`, of those that `places` says.
fn live(mut places: Document, search: &MessageSearch, before: Option<MessageId>) -> Query {
    places.insert("body", doc! { "$exists": true });
    if let Some(sender) = search.sender_id {
        places.insert("sender_id", sender.bson());
    }
    if let Some(before) = before {
        places.insert("_id", doc! { "$lt": before.bson() });
    }
    Query::of::<MessageDoc>(places)
        .by(MESSAGES_SEQ)
        .fields(doc! { "body": 1 })
}

/// What is behind these places. As little as was sent in the last seconds, so that it may be sorted.
pub(crate) fn tail(
    behind: &[(ConversationId, Seq)],
    search: &MessageSearch,
    before: Option<MessageId>,
    limit: i64,
) -> Query {
    let each: Vec<Document> = behind
        .iter()
        .map(|(id, seq)| doc! { "conversation_id": id.bson(), "seq": { "$gt": *seq } })
        .collect();
    live(doc! { "$or": each }, search, before)
        .sort(doc! { "_id": -1 })
        .limit(limit)
}

pub(crate) fn candidates(
    spans: &[Span],
    search: &MessageSearch,
    before: Option<MessageId>,
) -> Query {
    let spans = spans
        .iter()
        .map(|span| (span.conversation_id, span.first_seq, span.last_seq));
    live(ranges(spans), search, before)
}

pub(crate) fn heads(conversations: &[ConversationId]) -> Query {
    let filter = doc! { "_id": { "$in": ids(conversations.iter().copied()) } };
    Query::of::<HeadDoc>(filter)
}

/// Up to where conversations are indexed; those that are not are not among them.
pub(super) async fn indexed(
    tx: &mut Tx<'_>,
    conversations: &[ConversationId],
) -> Tried<HashMap<ConversationId, Seq>> {
    let found: Vec<HeadDoc> = tx.find(heads(conversations)).await?;
    Ok(found
        .into_iter()
        .map(|head| (conversation_id(head.id), head.indexed_seq))
        .collect())
}

struct Source<'s, 'a> {
    tx: &'s mut Tx<'a>,
    search: &'s MessageSearch,
    scope: Vec<ConversationId>,
    /// Where the tails begin, of those conversations that have one.
    behind: Vec<(ConversationId, Seq)>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(rename = "_id")]
    id: Uuid,
    body: String,
}

impl Source<'_, '_> {
    async fn read(&mut self, query: Query) -> Tried<Vec<Candidate>> {
        let found: Vec<Words> = self.tx.find_parts(query).await?;
        let found = found.into_iter().map(|words| Candidate {
            id: message_id(words.id),
            body: words.body,
        });
        Ok(found.collect())
    }
}

impl SearchSource for Source<'_, '_> {
    type Error = Failure;

    async fn tail(&mut self, before: Option<MessageId>, limit: i64) -> Tried<Vec<Candidate>> {
        if self.behind.is_empty() {
            return Ok(Vec::new());
        }
        self.read(tail(&self.behind, self.search, before, limit))
            .await
    }

    async fn segments(&mut self, after: Option<Span>, limit: i64) -> Tried<Vec<Span>> {
        let query = matching(&self.scope, self.search, after, limit);
        let found: Vec<SpanPart> = self.tx.find_parts(query).await?;
        Ok(found.into_iter().map(Span::from).collect())
    }

    async fn candidates(
        &mut self,
        spans: &[Span],
        before: Option<MessageId>,
    ) -> Tried<Vec<Candidate>> {
        self.read(candidates(spans, self.search, before)).await
    }
}

pub(super) async fn search(
    tx: &mut Tx<'_>,
    search: &MessageSearch,
) -> Tried<Page<Message, MessageId>> {
    let mut messages = Vec::new();
    let found = matches(tx, search).await?;
    if !found.is_empty() {
        messages = load::run(tx, load::with_ids(&found)).await?;
        messages.sort_unstable_by_key(|message| Reverse(message.id));
    }
    Ok(Page::cut(messages, search.limit, |last| last.id))
}

async fn matches(tx: &mut Tx<'_>, search: &MessageSearch) -> Tried<Vec<MessageId>> {
    let standing = conversation::scope(tx, search.viewer, search.conversation_id).await?;
    if standing.is_empty() {
        return Ok(Vec::new());
    }
    let scope: Vec<ConversationId> = standing.iter().map(|(id, _)| *id).collect();
    let indexed = indexed(tx, &scope).await?;
    let behind = standing.into_iter().filter_map(|(id, last_seq)| {
        let indexed = indexed.get(&id).copied().unwrap_or_default();
        (last_seq > indexed).then_some((id, indexed))
    });
    let mut source = Source {
        behind: behind.collect(),
        tx,
        search,
        scope,
    };
    find(&mut source, &search.query, search.before, search.limit).await
}
