//! Page numbers, as these clients count, onto the dense numbers of messages: no page is ever searched for by
//! counting over what stands before it.

use connexus_application::{Actor, Connexus};
use connexus_domain::ports::HistoryRange;
use connexus_domain::{ConversationId, Limit, Message, Result, Seq};

/// One page of a conversation's history.
pub struct HistoryPage {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// How many messages there are, tombstones included.
    pub total: Seq,
    /// Whether older ones follow.
    pub more: bool,
}

/// The messages before the newest `skip`, oldest first. Who asks has been handed them.
pub async fn history(
    app: &Connexus,
    actor: &Actor,
    id: ConversationId,
    skip: Seq,
    limit: Limit,
) -> Result<HistoryPage> {
    // the newest message has the number of all
    let known = match skip {
        0 => None,
        _ => Some(app.conversations.last_seq(actor, id).await?),
    };
    let range = known.map_or(HistoryRange::Latest, |total| {
        HistoryRange::Before(total.saturating_sub(skip).saturating_add(1))
    });
    let mut messages = app.messages.history(actor, id, range, limit).await?;
    let newest = messages.first().map_or(0, |message| message.seq);
    let total = known.unwrap_or(newest);
    messages.reverse();
    app.missed.handed(actor, &messages);
    Ok(HistoryPage {
        more: messages.first().is_some_and(|oldest| oldest.seq > 1),
        messages,
        total,
    })
}

/// The number of messages before page `page` (from 1) of `limit` each.
pub fn skipped(page: Option<u32>, limit: Limit) -> Seq {
    let page = Seq::from(page.unwrap_or(1).max(1));
    (page - 1).saturating_mul(Seq::try_from(limit.rows()).unwrap_or(Seq::MAX))
}
