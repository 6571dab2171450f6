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

/// What has the terms, in `scope`. Ids are no order of the index, so the ids of all that matches in the
/// searcher's own conversations are sorted for a page.
pub(crate) fn matching(scope: &[ConversationId], search: &MessageSearch) -> Query {
    let mut filter = doc! {
        "conversation_id": { "$in": ids(scope.iter().copied()) },
        "terms": terms(&search.query),
    };
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

/// Both bounds of the prefix are of one and the same term.
fn terms(query: &TermQuery) -> Document {
    let mut condition = doc! { "$elemMatch": starting_with(&query.prefix) };
    if !query.all.is_empty() {
        condition.insert("$all", &query.all);
    }
    condition
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
