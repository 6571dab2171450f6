//! Single conversations and members, for all that reads or changes them.

use connexus_domain::{
    Conversation, ConversationId, ConversationKind, Denial, Entity, Error, Member, MemberAccess,
    Result, Rev, Role, Slug, Timestamp, UserId,
};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row as _};
use uuid::Uuid;

use crate::error::InDomain as _;
use crate::rows::{self, CONVERSATION_WIDTH, conversation_columns, member_columns};
use crate::sql::uuids;
use crate::storage::Tx;

/// Present members of `$1` after `$2`.
pub(crate) const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM members p \
     WHERE p.conversation_id = $1 AND p.user_id > $2 AND p.left_at IS NULL \
     AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $1 AND c.deleted_at IS NULL) \
     ORDER BY p.user_id LIMIT $3"
);

/// Live conversations by a condition, with what follows it.
macro_rules! select_conversations {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            conversation_columns!(),
            " FROM conversations c WHERE c.deleted_at IS NULL AND ",
            $rest
        )
    };
}

/// Live conversations by a condition, each with the membership of `$2`.
macro_rules! select_with_member {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            conversation_columns!(),
            ", ",
            member_columns!(),
            " FROM conversations c \
             LEFT JOIN members p ON p.conversation_id = c.id AND p.user_id = $2 \
             WHERE c.deleted_at IS NULL AND ",
            $condition
        )
    };
}

/// Whoever changes a conversation, or anything in it, starts with this.
pub(crate) const LOCK: &str = select_conversations!("c.id = $1 FOR NO KEY UPDATE");
pub(crate) const BY_SLUG: &str = select_conversations!("c.slug = $1");
pub(crate) const WITH_MEMBER: &str = select_with_member!("c.id = $1");
pub(crate) const DIRECT: &str = select_with_member!("c.direct_key = $1");

/// The conversation, unless it is deleted.
pub(crate) async fn find(
    executor: impl PgExecutor<'_>,
    id: ConversationId,
) -> Result<Option<Conversation>> {
    one(
        sqlx::query(select_conversations!("c.id = $1")).bind(id.as_uuid()),
        executor,
    )
    .await
}

/// The same, and nobody else changes it or anything in it until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: ConversationId) -> Result<Option<Conversation>> {
    one(sqlx::query(LOCK).bind(id.as_uuid()), &mut **tx).await
}

pub(super) async fn find_by_slug(
    executor: impl PgExecutor<'_>,
    slug: &Slug,
) -> Result<Option<Conversation>> {
    let query = sqlx::query(BY_SLUG).bind(slug.as_str());
    one(query, executor).await
}

pub(super) async fn lock_by_slug(tx: &mut Tx, slug: &Slug) -> Result<Option<Conversation>> {
    let query = sqlx::query(select_conversations!("c.slug = $1 FOR NO KEY UPDATE"));
    one(query.bind(slug.as_str()), &mut **tx).await
}

async fn one(
    query: Query<'_, Postgres, PgArguments>,
    executor: impl PgExecutor<'_>,
) -> Result<Option<Conversation>> {
    query
        .fetch_optional(executor)
        .await
        .in_domain()?
        .as_ref()
        .map(rows::conversation)
        .transpose()
}

pub(super) async fn find_with_member(
    executor: impl PgExecutor<'_>,
    id: ConversationId,
    user: UserId,
) -> Result<Option<(Conversation, Option<Member>)>> {
    let query = sqlx::query(WITH_MEMBER).bind(id.as_uuid());
    one_with_member(query.bind(user.as_uuid()), executor).await
}

pub(super) async fn find_direct(
    executor: impl PgExecutor<'_>,
    key: &str,
    user: UserId,
) -> Result<Option<(Conversation, Option<Member>)>> {
    let query = sqlx::query(DIRECT).bind(key);
    one_with_member(query.bind(user.as_uuid()), executor).await
}

async fn one_with_member(
    query: Query<'_, Postgres, PgArguments>,
    executor: impl PgExecutor<'_>,
) -> Result<Option<(Conversation, Option<Member>)>> {
    let Some(row) = query.fetch_optional(executor).await.in_domain()? else {
        return Ok(None);
    };
    let member: Option<Uuid> = row.try_get(CONVERSATION_WIDTH).in_domain()?;
    let member = member
        .map(|_| rows::member(&row, CONVERSATION_WIDTH))
        .transpose()?;
    Ok(Some((rows::conversation(&row)?, member)))
}

/// The membership, present or past.
pub(super) async fn find_member(
    executor: impl PgExecutor<'_>,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Member>> {
    sqlx::query(concat!(
        "SELECT ",
        member_columns!(),
        " FROM members p WHERE p.conversation_id = $1 AND p.user_id = $2"
    ))
    .bind(id.as_uuid())
    .bind(user.as_uuid())
    .fetch_optional(executor)
    .await
    .in_domain()?
    .as_ref()
    .map(|row| rows::member(row, 0))
    .transpose()
}

pub(super) async fn find_present(
    tx: &mut Tx,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Member>> {
    let member = find_member(&mut **tx, id, user).await?;
    Ok(member.filter(Member::is_present))
}

/// A present member of a live conversation, whom nobody else changes until the transaction ends.
pub(super) async fn lock_present(
    tx: &mut Tx,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Member>> {
    sqlx::query(concat!(
        "SELECT ",
        member_columns!(),
        " FROM members p JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
         WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.left_at IS NULL \
         FOR NO KEY UPDATE OF p"
    ))
    .bind(id.as_uuid())
    .bind(user.as_uuid())
    .fetch_optional(&mut **tx)
    .await
    .in_domain()?
    .as_ref()
    .map(|row| rows::member(row, 0))
    .transpose()
}

/// Proof that `user` is a member now.
pub(crate) async fn access(tx: &mut Tx, id: ConversationId, user: UserId) -> Result<MemberAccess> {
    find_member(&mut **tx, id, user)
        .await?
        .ok_or(Error::Forbidden(Denial::NotMember))?
        .access()
}

/// The conversation, locked, and proof that `by` is a member now.
pub(super) async fn find_with_access(
    tx: &mut Tx,
    id: ConversationId,
    by: UserId,
) -> Result<(Conversation, MemberAccess)> {
    let conversation = lock(tx, id)
        .await?
        .ok_or(Error::NotFound(Entity::Conversation))?;
    let access = access(tx, id, by).await?;
    Ok((conversation, access))
}

macro_rules! insert_unless {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO conversations \
             (id, kind, direct_key, slug, name, description, avatar_url, created_by, created_at, \
              last_activity_at, last_seq, rev, changed_rev, member_count) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            $conflict
        )
    };
}

/// A new conversation; `direct_key` for a direct one. `false` when there is one with this key or slug: then
/// it is committed, since this waits for whoever is making it.
pub(super) async fn insert(
    tx: &mut Tx,
    conversation: &Conversation,
    direct_key: Option<&str>,
) -> Result<bool> {
    let done = sqlx::query(match conversation.kind {
        ConversationKind::Direct => insert_unless!(
            " ON CONFLICT (direct_key) WHERE direct_key IS NOT NULL AND deleted_at IS NULL DO NOTHING"
        ),
        ConversationKind::Room => insert_unless!(
            " ON CONFLICT (slug) WHERE slug IS NOT NULL AND deleted_at IS NULL DO NOTHING"
        ),
        ConversationKind::Group => insert_unless!(""),
    })
    .bind(conversation.id.as_uuid())
    .bind(conversation.kind.as_str())
    .bind(direct_key)
    .bind(conversation.slug.as_ref().map(Slug::as_str))
    .bind(&conversation.name)
    .bind(&conversation.description)
    .bind(&conversation.avatar_url)
    .bind(conversation.created_by.as_uuid())
    .bind(conversation.created_at.as_millis())
    .bind(conversation.last_activity_at.as_millis())
    .bind(conversation.last_seq)
    .bind(conversation.rev)
    .bind(conversation.changed_rev)
    .bind(i64::from(conversation.member_count))
    .execute(&mut **tx)
    .await
    .in_domain_or_missing(Entity::User)?;
    Ok(done.rows_affected() > 0)
}

/// Writes back what changes other than by messages.
pub(super) async fn save(tx: &mut Tx, conversation: &Conversation) -> Result<()> {
    sqlx::query(
        "UPDATE conversations SET name = $2, description = $3, avatar_url = $4, rev = $5, \
         changed_rev = $6, member_count = $7 WHERE id = $1",
    )
    .bind(conversation.id.as_uuid())
    .bind(&conversation.name)
    .bind(&conversation.description)
    .bind(&conversation.avatar_url)
    .bind(conversation.rev)
    .bind(conversation.changed_rev)
    .bind(i64::from(conversation.member_count))
    .execute(&mut **tx)
    .await
    .in_domain()?;
    Ok(())
}

pub(super) async fn mark_deleted(tx: &mut Tx, id: ConversationId, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE conversations SET deleted_at = $2 WHERE id = $1")
        .bind(id.as_uuid())
        .bind(now.as_millis())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Lets `users` in, who are not present, each at a rev of its own; counts them, and writes all back.
pub(super) async fn enter(
    tx: &mut Tx,
    conversation: &mut Conversation,
    users: &[UserId],
    role: Role,
    now: Timestamp,
) -> Result<Vec<Member>> {
    let first = conversation.rev + 1;
    if users.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(
        "INSERT INTO members \
         (conversation_id, user_id, role, joined_at, left_at, rev, delivered_seq, delivered_at, \
          read_seq, read_at, archived, pinned, muted_until) \
         SELECT $1::uuid, v.user_id, $2::text, $3::int8, NULL, $4::int8 + v.place - 1, $5::int8, NULL, \
           $5::int8, NULL, FALSE, FALSE, NULL \
         FROM unnest($6::uuid[]) WITH ORDINALITY v(user_id, place) \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET \
           role = excluded.role, joined_at = excluded.joined_at, left_at = NULL, \
           rev = excluded.rev, delivered_seq = excluded.delivered_seq, delivered_at = NULL, \
           read_seq = excluded.read_seq, read_at = NULL, archived = FALSE, pinned = FALSE, \
           muted_until = NULL",
    )
    .bind(conversation.id.as_uuid())
    .bind(role.as_str())
    .bind(now.as_millis())
    .bind(first)
    .bind(conversation.last_seq)
    .bind(uuids(users.iter().copied()))
    .execute(&mut **tx)
    .await
    .in_domain_or_missing(Entity::User)?;
    let members: Vec<Member> = users
        .iter()
        .zip(first..)
        .map(|(user, rev)| Member::joining(conversation, *user, role, rev, now))
        .collect();
    if let Some(last) = members.last() {
        conversation.rev = last.rev;
    }
    conversation.member_count += u32::try_from(members.len()).map_err(Error::internal)?;
    save(tx, conversation).await?;
    Ok(members)
}

/// Writes back a member's role, leaving and rev.
pub(super) async fn save_member(tx: &mut Tx, member: &Member) -> Result<()> {
    sqlx::query(
        "UPDATE members SET role = $3, left_at = $4, rev = $5 \
         WHERE conversation_id = $1 AND user_id = $2",
    )
    .bind(member.conversation_id.as_uuid())
    .bind(member.user_id.as_uuid())
    .bind(member.role.as_str())
    .bind(member.left_at.map(Timestamp::as_millis))
    .bind(member.rev)
    .execute(&mut **tx)
    .await
    .in_domain()?;
    Ok(())
}

/// The conversation's next rev, taken.
pub(crate) async fn take_rev(tx: &mut Tx, id: ConversationId) -> Result<Rev> {
    sqlx::query_scalar("UPDATE conversations SET rev = rev + 1 WHERE id = $1 RETURNING rev")
        .bind(id.as_uuid())
        .fetch_one(&mut **tx)
        .await
        .in_domain()
}
