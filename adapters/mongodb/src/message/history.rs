//! Messages in their order, and changes in theirs.

use bson::{Document, doc};
use connexus_domain::ports::{HistoryRange, Snapshot};
use connexus_domain::{
    Change, ChangePage, Conversation, ConversationId, Limit, Message, MessageId, Result, Rev, Seq,
};

use super::load;
use crate::conversation;
use crate::documents::{Id as _, MemberDoc, MessageDoc, Sent};
use crate::error::Tried;
use crate::indexes::MESSAGES_SEQ;
use crate::query::Query;
use crate::tx::Tx;

pub(crate) fn in_range(id: ConversationId, range: HistoryRange, limit: Limit) -> Query {
    let (bound, direction): (Option<Document>, i32) = match range {
        HistoryRange::Latest => (None, -1),
        HistoryRange::Before(seq) => (Some(doc! { "$lt": seq }), -1),
        HistoryRange::After(seq) => (Some(doc! { "$gt": seq }), 1),
    };
    let mut filter = doc! { "conversation_id": id.bson() };
    if let Some(bound) = bound {
        filter.insert("seq", bound);
    }
    Query::of::<MessageDoc>(filter)
        .by(MESSAGES_SEQ)
        .sort(doc! { "seq": direction })
        .limit(limit.and_one() - 1)
}

pub(crate) fn changed_messages(id: ConversationId, rev: Rev, limit: i64) -> Query {
    let filter = doc! { "conversation_id": id.bson(), "rev": { "$gt": rev } };
    Query::of::<MessageDoc>(filter)
        .sort(doc! { "rev": 1, "seq": 1 })
        .limit(limit)
}

pub(crate) fn changed_members(id: ConversationId, rev: Rev, limit: i64) -> Query {
    Query::of::<MemberDoc>(doc! { "_id.c": id.bson(), "rev": { "$gt": rev } })
        .sort(doc! { "rev": 1 })
        .limit(limit)
}

pub(crate) fn in_thread(root: MessageId, after: Seq, limit: Limit) -> Query {
    let filter = doc! { "thread_id": root.bson(), "seq": { "$gt": after } };
    Query::of::<MessageDoc>(filter)
        .sort(doc! { "seq": 1 })
        .limit(limit.and_one() - 1)
}

pub(super) async fn history(
    tx: &mut Tx<'_>,
    id: ConversationId,
    range: HistoryRange,
    limit: Limit,
) -> Tried<Vec<Message>> {
    load::run(tx, in_range(id, range, limit)).await
}

pub(super) async fn thread(
    tx: &mut Tx<'_>,
    root: MessageId,
    after: Seq,
    limit: Limit,
) -> Tried<Vec<Message>> {
    let messages = load::run(tx, in_thread(root, after, limit)).await?;
    // a thread is of one conversation
    let Some(first) = messages.first() else {
        return Ok(messages);
    };
    match conversation::find(tx, first.conversation_id).await? {
        Some(_) => Ok(messages),
        None => Ok(Vec::new()),
    }
}

pub(super) async fn snapshot(
    tx: &mut Tx<'_>,
    id: ConversationId,
    limit: Limit,
) -> Tried<Option<Snapshot>> {
    let Some(conversation) = conversation::find(tx, id).await? else {
        return Ok(None);
    };
    let mut messages = history(tx, id, HistoryRange::Latest, limit).await?;
    messages.reverse();
    Ok(Some(Snapshot {
        conversation,
        messages,
    }))
}

pub(super) async fn changes_since(
    tx: &mut Tx<'_>,
    id: ConversationId,
    rev: Rev,
    limit: Limit,
) -> Tried<Option<ChangePage>> {
    let Some(found) = conversation::find_stored(tx, id).await? else {
        return Ok(None);
    };
    let sent = found.sent.clone();
    let conversation = found.into_conversation()?;
    let current = conversation.rev;
    if current <= rev {
        return Ok(Some(page(Vec::new(), limit, current)));
    }
    // a page, one more of its last rev, and one that shows that there are further ones
    let enough = limit.and_one() + 1;
    let messages = load::run(tx, changed_messages(id, rev, enough)).await?;
    let mut changes: Vec<Change> = messages.into_iter().map(Change::Message).collect();
    changes.extend(members(tx, changed_members(id, rev, enough), &sent).await?);
    changes.extend(changed(conversation, rev));
    Ok(Some(page(changes, limit, current)))
}

fn changed(conversation: Conversation, rev: Rev) -> Option<Change> {
    (conversation.changed_rev > rev).then_some(Change::Conversation(conversation))
}

async fn members(tx: &mut Tx<'_>, query: Query, sent: &Sent) -> Tried<Vec<Change>> {
    let found: Vec<MemberDoc> = tx.find(query).await?;
    let changes = found.into_iter().map(|found| {
        let member = found.having(sent).into_member()?;
        Ok(if member.is_present() {
            Change::Member(member)
        } else {
            Change::Left(member)
        })
    });
    Ok(changes.collect::<Result<_>>()?)
}

/// Cuts after `limit` changes, or one later when the cut would part two of the same rev.
fn page(mut changes: Vec<Change>, limit: Limit, current: Rev) -> ChangePage {
    changes.sort_by_key(Change::order);
    let mut end = limit.rows().min(changes.len());
    while end < changes.len() && end > 0 && changes[end].rev() == changes[end - 1].rev() {
        end += 1;
    }
    let more = end < changes.len();
    changes.truncate(end);
    let rev = match changes.last() {
        Some(last) if more => last.rev(),
        _ => current,
    };
    ChangePage { changes, rev, more }
}
