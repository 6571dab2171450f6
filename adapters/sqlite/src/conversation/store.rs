//! Single conversations and members, for all that reads or changes them.

use connexus_domain::{
    Conversation, ConversationId, Denial, Entity, Error, Member, MemberAccess, Result, Rev, Role,
    Slug, Timestamp, UserId,
};
use sqlx::SqliteExecutor;

use crate::error::InDomain as _;
use crate::rows::{self, conversation_columns, member_columns};
use crate::sql::json_ids;
use crate::storage::Tx;

/// Present members of `?1` after `?2`. By the index of those, which the planner would not take: a room may
/// have had far more members than it has.
pub(crate) const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM members p INDEXED BY members_present WHERE p.conversation_id = ?1 AND p.user_id > ?2 AND p.left_at IS NULL \
     AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = ?1 AND c.deleted_at IS NULL) \
     ORDER BY p.user_id LIMIT +?3"
);

/// The conversation, unless it is deleted.
pub(crate) async fn find(
    executor: impl SqliteExecutor<'_>,
    id: ConversationId,
) -> Result<Option<Conversation>> {
    sqlx::query(concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations c WHERE c.id = ?1 AND c.deleted_at IS NULL"
    ))
    .bind(id.as_uuid())
    .fetch_optional(executor)
    .await
    .in_domain()?
    .as_ref()
    .map(rows::conversation)
    .transpose()
}

pub(super) async fn find_by_slug(
    executor: impl SqliteExecutor<'_>,
    slug: &Slug,
) -> Result<Option<Conversation>> {
    sqlx::query(concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations c WHERE c.slug = ?1 AND c.deleted_at IS NULL"
    ))
    .bind(slug.as_str())
    .fetch_optional(executor)
    .await
    .in_domain()?
    .as_ref()
    .map(rows::conversation)
    .transpose()
}

pub(super) async fn find_direct(
    executor: impl SqliteExecutor<'_>,
    key: &str,
) -> Result<Option<Conversation>> {
    sqlx::query(concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations c WHERE c.direct_key = ?1 AND c.deleted_at IS NULL"
    ))
    .bind(key)
    .fetch_optional(executor)
    .await
    .in_domain()?
    .as_ref()
    .map(rows::conversation)
    .transpose()
}

/// The membership, present or past.
pub(super) async fn find_member(
    executor: impl SqliteExecutor<'_>,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Member>> {
    sqlx::query(concat!(
        "SELECT ",
        member_columns!(),
        " FROM members p WHERE p.conversation_id = ?1 AND p.user_id = ?2"
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

/// Proof that `user` is a member now.
pub(crate) async fn access(tx: &mut Tx, id: ConversationId, user: UserId) -> Result<MemberAccess> {
    find_member(&mut **tx, id, user)
        .await?
        .ok_or(Error::Forbidden(Denial::NotMember))?
        .access()
}

/// The conversation, and proof that `by` is a member now.
pub(super) async fn find_with_access(
    tx: &mut Tx,
    id: ConversationId,
    by: UserId,
) -> Result<(Conversation, MemberAccess)> {
    let conversation = find(&mut **tx, id)
        .await?
        .ok_or(Error::NotFound(Entity::Conversation))?;
    let access = access(tx, id, by).await?;
    Ok((conversation, access))
}

/// A new conversation; `direct_key` for a direct one.
pub(super) async fn insert(
    tx: &mut Tx,
    conversation: &Conversation,
    direct_key: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO conversations \
         (id, kind, direct_key, slug, name, description, avatar_url, created_by, created_at, \
          last_activity_at, last_seq, rev, changed_rev, member_count) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
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
    .bind(conversation.member_count)
    .execute(&mut **tx)
    .await
    .in_domain_or_missing(Entity::User)?;
    Ok(())
}

/// Writes back what changes other than by messages.
pub(super) async fn save(tx: &mut Tx, conversation: &Conversation) -> Result<()> {
    sqlx::query(
        "UPDATE conversations SET name = ?2, description = ?3, avatar_url = ?4, rev = ?5, \
         changed_rev = ?6, member_count = ?7 WHERE id = ?1",
    )
    .bind(conversation.id.as_uuid())
    .bind(&conversation.name)
    .bind(&conversation.description)
    .bind(&conversation.avatar_url)
    .bind(conversation.rev)
    .bind(conversation.changed_rev)
    .bind(conversation.member_count)
    .execute(&mut **tx)
    .await
    .in_domain()?;
    Ok(())
}

pub(super) async fn mark_deleted(tx: &mut Tx, id: ConversationId, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE conversations SET deleted_at = ?2 WHERE id = ?1")
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
    sqlx::query(
        "INSERT INTO members \
         (conversation_id, user_id, role, joined_at, left_at, rev, delivered_seq, delivered_at, \
          read_seq, read_at, archived, pinned, muted_until) \
         SELECT ?1, unhex(j.value), ?2, ?3, NULL, ?4 + j.key, ?5, NULL, ?5, NULL, 0, 0, NULL \
         FROM json_each(?6) j WHERE TRUE \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET \
           role = excluded.role, joined_at = excluded.joined_at, left_at = NULL, \
           rev = excluded.rev, delivered_seq = excluded.delivered_seq, delivered_at = NULL, \
           read_seq = excluded.read_seq, read_at = NULL, archived = 0, pinned = 0, \
           muted_until = NULL",
    )
    .bind(conversation.id.as_uuid())
    .bind(role.as_str())
    .bind(now.as_millis())
    .bind(first)
    .bind(conversation.last_seq)
    .bind(json_ids(users.iter().copied()))
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
        "UPDATE members SET role = ?3, left_at = ?4, rev = ?5 \
         WHERE conversation_id = ?1 AND user_id = ?2",
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
    sqlx::query_scalar("UPDATE conversations SET rev = rev + 1 WHERE id = ?1 RETURNING rev")
        .bind(id.as_uuid())
        .fetch_one(&mut **tx)
        .await
        .in_domain()
}
