//! Messages in their order, and changes in theirs.

use connexus_domain::ports::{HistoryRange, Snapshot};
use connexus_domain::{
    Change, ChangePage, Conversation, ConversationId, Limit, Message, MessageId, Result, Rev, Seq,
};

use sqlx::PgExecutor;

use crate::conversation;
use crate::error::InDomain as _;
use crate::rows::{self, member_columns, message_columns};
use crate::storage::{PostgresStorage, Tx};

macro_rules! of_a_conversation {
    () => {
        " FROM messages m WHERE m.conversation_id = $1 "
    };
}

pub(crate) const HISTORY_BEFORE: &str = concat!(
    "SELECT ",
    message_columns!(),
    of_a_conversation!(),
    "AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3"
);

pub(crate) const HISTORY_AFTER: &str = concat!(
    "SELECT ",
    message_columns!(),
    of_a_conversation!(),
    "AND m.seq > $2 ORDER BY m.seq LIMIT $3"
);

pub(crate) const CHANGED_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    of_a_conversation!(),
    "AND m.changed AND m.rev > $2 ORDER BY m.rev, m.seq LIMIT $3"
);

/// Messages that are as they were sent have their revs in the order of their seqs. Each change of anything else
/// takes a rev and no seq, so a message's rev is ahead of its seq by no more than the conversation's is.
pub(crate) const SENT_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    of_a_conversation!(),
    "AND NOT m.changed AND m.rev > $2 \
     AND m.seq > $2 - (SELECT c.rev - c.last_seq FROM conversations c WHERE c.id = $1) \
     ORDER BY m.seq LIMIT $3"
);

pub(crate) const CHANGED_MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM members p WHERE p.conversation_id = $1 AND p.rev > $2 ORDER BY p.rev LIMIT $3"
);

pub(crate) const THREAD: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.thread_id = $1 AND m.seq > $2 AND EXISTS (\
       SELECT 1 FROM conversations c WHERE c.id = m.conversation_id AND c.deleted_at IS NULL \
       OFFSET 0) \
     ORDER BY m.seq LIMIT $3"
);

pub(super) async fn history(
    storage: &PostgresStorage,
    id: ConversationId,
    range: HistoryRange,
    limit: Limit,
) -> Result<Vec<Message>> {
    part(storage.look().await?, id, range, limit).await
}

async fn part(
    executor: impl PgExecutor<'_>,
    id: ConversationId,
    range: HistoryRange,
    limit: Limit,
) -> Result<Vec<Message>> {
    let (sql, seq) = match range {
        HistoryRange::Latest => (HISTORY_BEFORE, Seq::MAX),
        HistoryRange::Before(seq) => (HISTORY_BEFORE, seq),
        HistoryRange::After(seq) => (HISTORY_AFTER, seq),
    };
    messages(executor, sql, id, seq, limit.and_one() - 1).await
}

pub(super) async fn thread(
    storage: &PostgresStorage,
    root: MessageId,
    after: Seq,
    limit: Limit,
) -> Result<Vec<Message>> {
    let rows = sqlx::query(THREAD)
        .bind(root.as_uuid())
        .bind(after)
        .bind(limit.and_one() - 1)
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?;
    rows::messages(&rows)
}

pub(super) async fn snapshot(
    storage: &PostgresStorage,
    id: ConversationId,
    limit: Limit,
) -> Result<Option<Snapshot>> {
    let mut tx = storage.snapshot().await?;
    let Some(conversation) = conversation::find(&mut *tx, id).await? else {
        return Ok(None);
    };
    let mut messages = part(&mut *tx, id, HistoryRange::Latest, limit).await?;
    messages.reverse();
    Ok(Some(Snapshot {
        conversation,
        messages,
    }))
}

pub(super) async fn changes_since(
    storage: &PostgresStorage,
    id: ConversationId,
    rev: Rev,
    limit: Limit,
) -> Result<Option<ChangePage>> {
    let mut tx = storage.snapshot().await?;
    let Some(conversation) = conversation::find(&mut *tx, id).await? else {
        return Ok(None);
    };
    let current = conversation.rev;
    if current <= rev {
        return Ok(Some(page(Vec::new(), limit, current)));
    }
    // a page, one more of its last rev, and one that shows that there are further ones
    let enough = limit.and_one() + 1;
    let mut changes = Vec::new();
    for sql in [CHANGED_MESSAGES, SENT_MESSAGES] {
        let messages = messages(&mut *tx, sql, id, rev, enough).await?;
        changes.extend(messages.into_iter().map(Change::Message));
    }
    changes.extend(members(&mut tx, id, rev, enough).await?);
    changes.extend(changed(conversation, rev));
    Ok(Some(page(changes, limit, current)))
}

fn changed(conversation: Conversation, rev: Rev) -> Option<Change> {
    (conversation.changed_rev > rev).then_some(Change::Conversation(conversation))
}

async fn members(tx: &mut Tx, id: ConversationId, rev: Rev, limit: i64) -> Result<Vec<Change>> {
    sqlx::query(CHANGED_MEMBERS)
        .bind(id.as_uuid())
        .bind(rev)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let member = rows::member(row, 0)?;
            Ok(if member.is_present() {
                Change::Member(member)
            } else {
                Change::Left(member)
            })
        })
        .collect()
}

async fn messages(
    executor: impl PgExecutor<'_>,
    sql: &'static str,
    id: ConversationId,
    bound: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    let rows = sqlx::query(sql)
        .bind(id.as_uuid())
        .bind(bound)
        .bind(limit)
        .fetch_all(executor)
        .await
        .in_domain()?;
    rows::messages(&rows)
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
