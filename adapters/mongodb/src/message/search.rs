use std::cmp::Reverse;

use bson::{Document, doc};
use connexus_domain::ports::MessageSearch;
use connexus_domain::terms::TermQuery;
use connexus_domain::{ConversationId, Message, MessageId, Page};

use super::load;
use crate::conversation;
use crate::documents::{Id as _, MessageDoc, ids};
use crate::error::Tried;
use crate::query::{Query, starting_with};
use crate::tx::Tx;

/// What has the terms, in `scope`. With a whole term the index has all that has it in the order of ids, of
/// each conversation; with no more than a prefix the ids of all that matches are sorted for a page.
pub(crate) fn matching(scope: &[ConversationId], search: &MessageSearch) -> Query {
    let mut filter = doc! {
        "conversation_id": { "$in": ids(scope.iter().copied()) },
    };
    filter.extend(terms(&search.query));
    if let Some(sender) = search.sender_id {
        filter.insert("sender_id", sender.bson());
    }
    if let Some(before) = search.before {
        filter.insert("_id", doc! { "$lt": before.bson() });
    }
    let query = Query::of::<MessageDoc>(filter)
        .sort(doc! { "_id": -1 })
        .by("messages_terms")
        .limit(search.limit.and_one());
    load::shown(query)
}

/// Both bounds of a prefix are of one and the same term. Given a term and a prefix the planner would go
/// through all that the prefix matches, so it is kept from using that; of several terms it takes the first,
/// and the longest is likely to be the rarest.
fn terms(query: &TermQuery) -> Document {
    let prefix = doc! { "$elemMatch": starting_with(&query.prefix) };
    if query.all.is_empty() {
        return doc! { "terms": prefix };
    }
    let mut all: Vec<&str> = query.all.iter().map(String::as_str).collect();
    all.sort_by_key(|term| Reverse(term.len()));
    doc! { "terms": { "$all": all }, "$nor": [{ "terms": { "$not": prefix } }] }
}

pub(super) async fn search(
    tx: &mut Tx<'_>,
    search: &MessageSearch,
) -> Tried<Page<Message, MessageId>> {
    let scope = conversation::scope(tx, search.viewer, search.conversation_id).await?;
    if scope.is_empty() {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    }
    let messages = load::run(tx, matching(&scope, search)).await?;
    Ok(Page::cut(messages, search.limit, |last| last.id))
}
