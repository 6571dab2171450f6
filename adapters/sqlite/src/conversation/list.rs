//! What users see of their conversations and of each other.

use std::collections::HashMap;

use connexus_domain::ports::{ConversationSummary, Unread};
use connexus_domain::{
    ActivityCursor, ConversationId, Head, Limit, Member, Page, Result, Timestamp, UserId,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteExecutor};
use uuid::Uuid;

use super::store::MEMBERS;
use crate::error::InDomain as _;
use crate::message;
use crate::rows::{self, CONVERSATION_WIDTH, MEMBER_WIDTH, conversation_columns, member_columns};
use crate::sql::{bytes_or_least, json_ids};
use crate::storage::{SqliteStorage, Tx};

/// The columns that [`read_summary`] reads, of `conversations c` and `members p`. 100 is [`Unread::CAP`].
macro_rules! summary_columns {
    () => {
        concat!(
            conversation_columns!(),
            ", ",
            member_columns!(),
            ", (SELECT count(*) FROM (\
                SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.seq > p.read_seq \
                AND m.sender_id <> p.user_id AND m.deleted_at IS NULL LIMIT 100)), \
               (SELECT o.user_id FROM members o WHERE c.kind = 'direct' \
                AND o.conversation_id = c.id AND o.user_id <> p.user_id LIMIT 1)"
        )
    };
}

pub(crate) const SUMMARY: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM conversations c CROSS JOIN members p ON p.conversation_id = c.id AND p.user_id = ?2 \
     WHERE c.id = ?1 AND c.deleted_at IS NULL AND p.left_at IS NULL"
);

/// All conversations of a user are sorted for a page: to keep an order of activity per member would cost
/// every message a write per member. What is counted and looked up is the page's alone.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM (\
       SELECT c.id AS id FROM members p CROSS JOIN conversations c ON c.id = p.conversation_id \
       WHERE p.user_id = ?1 AND p.left_at IS NULL AND c.deleted_at IS NULL \
         AND (?2 IS NULL OR p.archived = ?2) AND (c.last_activity_at, c.id) < (?3, ?4) \
       ORDER BY c.last_activity_at DESC, c.id DESC LIMIT +?5) page \
     CROSS JOIN conversations c ON c.id = page.id \
     CROSS JOIN members p ON p.conversation_id = c.id AND p.user_id = ?1 \
     ORDER BY c.last_activity_at DESC, c.id DESC"
);

pub(crate) const HEADS: &str = "\
    SELECT c.id, c.last_seq, c.rev \
    FROM members p CROSS JOIN conversations c ON c.id = p.conversation_id \
    WHERE p.user_id = ?1 AND p.left_at IS NULL AND c.deleted_at IS NULL \
    ORDER BY c.last_activity_at DESC, c.id DESC";

pub(crate) const BEHIND: &str = "\
    SELECT unhex(j.value) FROM json_each(?1) j WHERE EXISTS (\
      SELECT 1 FROM members p \
      CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
        AND c.last_seq > p.delivered_seq \
      WHERE p.user_id = unhex(j.value) AND p.left_at IS NULL)";

pub(crate) const PEERS: &str = "\
    SELECT DISTINCT p.user_id, o.user_id \
    FROM json_each(?1) j \
    CROSS JOIN members p ON p.user_id = unhex(j.value) AND p.left_at IS NULL \
    CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
      AND (?2 IS NULL OR c.member_count <= ?2) \
    CROSS JOIN members o INDEXED BY members_present ON o.conversation_id = c.id AND o.left_at IS NULL \
      AND o.user_id <> p.user_id \
    WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = p.user_id AND b.blocked_id = o.user_id) \
      AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = o.user_id AND b.blocked_id = p.user_id)";

pub(super) async fn summary(
    storage: &SqliteStorage,
    id: ConversationId,
    user: UserId,
) -> Result<Option<ConversationSummary>> {
    let mut tx = storage.read().await?;
    let row = sqlx::query(SUMMARY)
        .bind(id.as_uuid())
        .bind(user.as_uuid())
        .fetch_optional(&mut *tx)
        .await
        .in_domain()?;
    let mut summaries = row.iter().map(read_summary).collect::<Result<Vec<_>>>()?;
    add_last_messages(&mut tx, &mut summaries).await?;
    Ok(summaries.pop())
}

pub(super) async fn list(
    storage: &SqliteStorage,
    user: UserId,
    archived: Option<bool>,
    after: Option<ActivityCursor>,
    limit: Limit,
) -> Result<Page<ConversationSummary, ActivityCursor>> {
    let after = after.unwrap_or(ActivityCursor {
        last_activity_at: Timestamp::from_millis(i64::MAX),
        id: ConversationId::from_uuid(Uuid::max()),
    });
    let mut tx = storage.read().await?;
    let summaries = sqlx::query(LIST)
        .bind(user.as_uuid())
        .bind(archived)
        .bind(after.last_activity_at.as_millis())
        .bind(after.id.as_uuid())
        .bind(limit.and_one())
        .fetch_all(&mut *tx)
        .await
        .in_domain()?
        .iter()
        .map(read_summary)
        .collect::<Result<Vec<_>>>()?;
    let mut page = Page::cut(summaries, limit, |last| ActivityCursor {
        last_activity_at: last.conversation.last_activity_at,
        id: last.conversation.id,
    });
    add_last_messages(&mut tx, &mut page.items).await?;
    Ok(page)
}

fn read_summary(row: &SqliteRow) -> Result<ConversationSummary> {
    const UNREAD: usize = CONVERSATION_WIDTH + MEMBER_WIDTH;
    let peer: Option<Uuid> = row.try_get(UNREAD + 1).in_domain()?;
    Ok(ConversationSummary {
        conversation: rows::conversation(row)?,
        me: rows::member(row, CONVERSATION_WIDTH)?,
        unread: Unread {
            count: row.try_get(UNREAD).in_domain()?,
        },
        last_message: None,
        peer: peer.map(UserId::from_uuid),
    })
}

async fn add_last_messages(tx: &mut Tx, summaries: &mut [ConversationSummary]) -> Result<()> {
    let newest = message::newest(&mut **tx, summaries.iter().map(|s| &s.conversation)).await?;
    let mut newest: HashMap<ConversationId, _> = newest
        .into_iter()
        .map(|message| (message.conversation_id, message))
        .collect();
    for summary in summaries {
        summary.last_message = newest.remove(&summary.conversation.id);
    }
    Ok(())
}

pub(super) async fn heads(storage: &SqliteStorage, user: UserId) -> Result<Vec<Head>> {
    sqlx::query(HEADS)
        .bind(user.as_uuid())
        .fetch_all(&storage.readers)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            Ok(Head {
                conversation_id: ConversationId::from_uuid(rows::id(row, 0)?),
                last_seq: row.try_get(1).in_domain()?,
                rev: row.try_get(2).in_domain()?,
            })
        })
        .collect()
}

/// Present members in the order of their user ids.
pub(crate) async fn members_page(
    executor: impl SqliteExecutor<'_>,
    id: ConversationId,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Page<Member, UserId>> {
    let members = sqlx::query(MEMBERS)
        .bind(id.as_uuid())
        .bind(bytes_or_least(after))
        .bind(limit.and_one())
        .fetch_all(executor)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::member(row, 0))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::cut(members, limit, |member| member.user_id))
}

pub(super) async fn member_ids(storage: &SqliteStorage, id: ConversationId) -> Result<Vec<UserId>> {
    let rows = sqlx::query(
        "SELECT p.user_id FROM members p INDEXED BY members_present \
         WHERE p.conversation_id = ?1 AND p.left_at IS NULL \
         AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = ?1 AND c.deleted_at IS NULL) \
         ORDER BY p.user_id",
    )
    .bind(id.as_uuid())
    .fetch_all(&storage.readers)
    .await
    .in_domain()?;
    rows::user_ids(&rows)
}

pub(super) async fn behind(storage: &SqliteStorage, users: &[UserId]) -> Result<Vec<UserId>> {
    let rows = sqlx::query(BEHIND)
        .bind(json_ids(users.iter().copied()))
        .fetch_all(&storage.readers)
        .await
        .in_domain()?;
    rows::user_ids(&rows)
}

pub(super) async fn peers(
    storage: &SqliteStorage,
    users: &[UserId],
    max_members: Option<u32>,
) -> Result<Vec<(UserId, UserId)>> {
    sqlx::query(PEERS)
        .bind(json_ids(users.iter().copied()))
        .bind(max_members)
        .fetch_all(&storage.readers)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let pair = (rows::id(row, 0)?, rows::id(row, 1)?);
            Ok((UserId::from_uuid(pair.0), UserId::from_uuid(pair.1)))
        })
        .collect()
}

pub(super) async fn share_conversation(
    storage: &SqliteStorage,
    a: UserId,
    b: UserId,
) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM members p \
         CROSS JOIN members o ON o.conversation_id = p.conversation_id AND o.user_id = ?2 \
           AND o.left_at IS NULL \
         CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
         WHERE p.user_id = ?1 AND p.left_at IS NULL)",
    )
    .bind(a.as_uuid())
    .bind(b.as_uuid())
    .fetch_one(&storage.readers)
    .await
    .in_domain()
}
