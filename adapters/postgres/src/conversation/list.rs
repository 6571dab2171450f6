//! What users see of their conversations and of each other.

use std::collections::HashMap;

use connexus_domain::conversation::direct_key;
use connexus_domain::ports::{ConversationSummary, Unread};
use connexus_domain::{
    ActivityCursor, Conversation, ConversationId, Error, Head, Limit, Member, Page, Result, Slug,
    Timestamp, UserId,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::store::{self, MEMBERS};
use crate::error::InDomain as _;
use crate::message;
use crate::rows::{self, CONVERSATION_WIDTH, MEMBER_WIDTH, conversation_columns, member_columns};
use crate::sql::{or_least, uuids};
use crate::storage::{PostgresStorage, Tx};

/// The columns that [`read_summary`] reads, of `conversations c` and `members p`. 100 is [`Unread::CAP`].
macro_rules! summary_columns {
    () => {
        concat!(
            conversation_columns!(),
            ", ",
            member_columns!(),
            ", (SELECT count(*) FROM (\
                SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.seq > p.read_seq \
                AND m.sender_id <> p.user_id AND m.deleted_at IS NULL LIMIT 100) unread), \
               (SELECT o.user_id FROM members o WHERE c.kind = 'direct' \
                AND o.conversation_id = c.id AND o.user_id <> p.user_id LIMIT 1)"
        )
    };
}

pub(crate) const SUMMARY: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM conversations c JOIN members p ON p.conversation_id = c.id AND p.user_id = $2 \
     WHERE c.id = $1 AND c.deleted_at IS NULL AND p.left_at IS NULL"
);

/// All conversations of a user are sorted for a page: to keep an order of activity per member would cost
/// every message a write per member. What is counted and looked up is the page's alone.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM (\
       SELECT c.id AS id FROM members p JOIN conversations c ON c.id = p.conversation_id \
       WHERE p.user_id = $1 AND p.left_at IS NULL AND c.deleted_at IS NULL \
         AND ($2::bool IS NULL OR p.archived = $2) AND (c.last_activity_at, c.id) < ($3, $4) \
       ORDER BY c.last_activity_at DESC, c.id DESC LIMIT $5) page \
     JOIN conversations c ON c.id = page.id \
     JOIN members p ON p.conversation_id = c.id AND p.user_id = $1 \
     ORDER BY c.last_activity_at DESC, c.id DESC"
);

pub(crate) const HEADS: &str = "\
    SELECT c.id, c.last_seq, c.rev \
    FROM members p JOIN conversations c ON c.id = p.conversation_id \
    WHERE p.user_id = $1 AND p.left_at IS NULL AND c.deleted_at IS NULL \
    ORDER BY c.last_activity_at DESC, c.id DESC";

/// `OFFSET 0` keeps the order: from each user to the own conversations.
pub(crate) const BEHIND: &str = "\
    SELECT v.user_id FROM unnest($1::uuid[]) v(user_id) WHERE EXISTS (\
      SELECT 1 FROM members m \
      CROSS JOIN LATERAL (\
        SELECT 1 FROM conversations c WHERE c.id = m.conversation_id AND c.deleted_at IS NULL \
          AND c.last_seq > m.delivered_seq OFFSET 0) c \
      WHERE m.user_id = v.user_id AND m.left_at IS NULL OFFSET 0)";

/// `OFFSET 0` keeps the order: from each user to the own conversations, and from these to their members.
pub(crate) const PEERS: &str = "\
    SELECT DISTINCT v.user_id, o.user_id \
    FROM unnest($1::uuid[]) v(user_id) \
    CROSS JOIN LATERAL (\
      SELECT m.conversation_id FROM members m \
      WHERE m.user_id = v.user_id AND m.left_at IS NULL OFFSET 0) p \
    JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
      AND ($2::int8 IS NULL OR c.member_count <= $2) \
    CROSS JOIN LATERAL (\
      SELECT m.user_id FROM members m \
      WHERE m.conversation_id = c.id AND m.left_at IS NULL AND m.user_id <> v.user_id OFFSET 0) o \
    WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = v.user_id AND b.blocked_id = o.user_id \
        OFFSET 0) \
      AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = o.user_id AND b.blocked_id = v.user_id \
        OFFSET 0)";

pub(crate) const MEMBER_IDS: &str = "\
    SELECT p.user_id FROM members p WHERE p.conversation_id = $1 AND p.left_at IS NULL \
      AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $1 AND c.deleted_at IS NULL) \
    ORDER BY p.user_id";

pub(crate) const SHARED: &str = "\
    SELECT EXISTS (SELECT 1 FROM members p \
    JOIN members o ON o.conversation_id = p.conversation_id AND o.user_id = $2 \
      AND o.left_at IS NULL \
    JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
    WHERE p.user_id = $1 AND p.left_at IS NULL)";

pub(super) async fn find(
    storage: &PostgresStorage,
    id: ConversationId,
) -> Result<Option<Conversation>> {
    store::find(storage.look().await?, id).await
}

pub(super) async fn find_by_slug(
    storage: &PostgresStorage,
    slug: &Slug,
) -> Result<Option<Conversation>> {
    store::find_by_slug(storage.look().await?, slug).await
}

pub(super) async fn find_direct(
    storage: &PostgresStorage,
    a: UserId,
    b: UserId,
) -> Result<Option<Conversation>> {
    let key = direct_key(a, b);
    let found = store::find_direct(storage.look().await?, &key, a).await?;
    Ok(found.map(|(conversation, _)| conversation))
}

pub(super) async fn find_with_member(
    storage: &PostgresStorage,
    id: ConversationId,
    user: UserId,
) -> Result<Option<(Conversation, Option<Member>)>> {
    store::find_with_member(storage.look().await?, id, user).await
}

pub(super) async fn summary(
    storage: &PostgresStorage,
    id: ConversationId,
    user: UserId,
) -> Result<Option<ConversationSummary>> {
    let mut tx = storage.snapshot().await?;
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
    storage: &PostgresStorage,
    user: UserId,
    archived: Option<bool>,
    after: Option<ActivityCursor>,
    limit: Limit,
) -> Result<Page<ConversationSummary, ActivityCursor>> {
    let after = after.unwrap_or(ActivityCursor {
        last_activity_at: Timestamp::from_millis(i64::MAX),
        id: ConversationId::from_uuid(Uuid::max()),
    });
    let mut tx = storage.snapshot().await?;
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

fn read_summary(row: &PgRow) -> Result<ConversationSummary> {
    const UNREAD: usize = CONVERSATION_WIDTH + MEMBER_WIDTH;
    let unread: i64 = row.try_get(UNREAD).in_domain()?;
    let peer: Option<Uuid> = row.try_get(UNREAD + 1).in_domain()?;
    Ok(ConversationSummary {
        conversation: rows::conversation(row)?,
        me: rows::member(row, CONVERSATION_WIDTH)?,
        unread: Unread {
            count: u32::try_from(unread).map_err(Error::internal)?,
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

pub(super) async fn heads(storage: &PostgresStorage, user: UserId) -> Result<Vec<Head>> {
    sqlx::query(HEADS)
        .bind(user.as_uuid())
        .fetch_all(storage.look().await?)
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
    storage: &PostgresStorage,
    id: ConversationId,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Page<Member, UserId>> {
    let members = storage
        .reading(move || present_members(storage, id, after, limit))
        .await?;
    Ok(Page::cut(members, limit, |member| member.user_id))
}

async fn present_members(
    storage: &PostgresStorage,
    id: ConversationId,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Vec<Member>> {
    sqlx::query(MEMBERS)
        .bind(id.as_uuid())
        .bind(or_least(after))
        .bind(limit.and_one())
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::member(row, 0))
        .collect()
}

pub(super) async fn member_ids(
    storage: &PostgresStorage,
    id: ConversationId,
) -> Result<Vec<UserId>> {
    let rows = sqlx::query(MEMBER_IDS)
        .bind(id.as_uuid())
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?;
    rows::user_ids(&rows)
}

pub(super) async fn behind(storage: &PostgresStorage, users: &[UserId]) -> Result<Vec<UserId>> {
    let rows = sqlx::query(BEHIND)
        .bind(uuids(users.iter().copied()))
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?;
    rows::user_ids(&rows)
}

pub(super) async fn peers(
    storage: &PostgresStorage,
    users: &[UserId],
    max_members: Option<u32>,
) -> Result<Vec<(UserId, UserId)>> {
    sqlx::query(PEERS)
        .bind(uuids(users.iter().copied()))
        .bind(max_members.map(i64::from))
        .fetch_all(storage.look().await?)
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
    storage: &PostgresStorage,
    a: UserId,
    b: UserId,
) -> Result<bool> {
    sqlx::query_scalar(SHARED)
        .bind(a.as_uuid())
        .bind(b.as_uuid())
        .fetch_one(storage.look().await?)
        .await
        .in_domain()
}
