//! Coming, going and roles in groups and rooms.

use std::collections::HashSet;

use connexus_domain::ports::{Removal, RoleChange};
use connexus_domain::{
    ConversationId, ConversationKind, Denial, Entity, Error, Member, Result, Role, Timestamp,
    UserId,
};

use super::store;
use crate::error::InDomain as _;
use crate::rows::{self, member_columns};
use crate::sql::uuids;
use crate::storage::{PostgresStorage, Tx};

/// The first of those with role `$2`, in the order of [`succession`](connexus_domain::member::succession).
pub(crate) const SUCCESSOR: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM members p WHERE p.conversation_id = $1 AND p.role = $2 AND p.left_at IS NULL \
     ORDER BY p.joined_at, p.user_id LIMIT 1"
);

pub(super) async fn add(
    storage: &PostgresStorage,
    id: ConversationId,
    by: UserId,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<Member>> {
    let mut tx = storage.write().await?;
    let (mut conversation, access) = store::find_with_access(&mut tx, id, by).await?;
    conversation.check_changeable()?;
    access.require_admin()?;
    let mut known = present_among(&mut tx, id, users).await?;
    let coming: Vec<UserId> = users
        .iter()
        .copied()
        .filter(|user| known.insert(*user))
        .collect();
    if coming.is_empty() {
        return Ok(Vec::new());
    }
    let members = store::enter(&mut tx, &mut conversation, &coming, Role::Member, now).await?;
    tx.commit().await.in_domain()?;
    Ok(members)
}

async fn present_among(
    tx: &mut Tx,
    id: ConversationId,
    users: &[UserId],
) -> Result<HashSet<UserId>> {
    let rows = sqlx::query(
        "SELECT p.user_id FROM members p \
         WHERE p.conversation_id = $1 AND p.user_id = ANY($2) AND p.left_at IS NULL",
    )
    .bind(id.as_uuid())
    .bind(uuids(users.iter().copied()))
    .fetch_all(&mut **tx)
    .await
    .in_domain()?;
    rows::user_ids(&rows)
}

pub(super) async fn remove(
    storage: &PostgresStorage,
    id: ConversationId,
    by: UserId,
    target: UserId,
    now: Timestamp,
) -> Result<Removal> {
    let mut tx = storage.write().await?;
    let (mut conversation, access) = store::find_with_access(&mut tx, id, by).await?;
    conversation.check_changeable()?;
    let target = present(&mut tx, id, target).await?;
    access.check_remove(&target)?;
    conversation.rev += 1;
    conversation.member_count = conversation.member_count.saturating_sub(1);
    let left = Member {
        left_at: Some(now),
        rev: conversation.rev,
        ..target
    };
    store::save_member(&mut tx, &left).await?;
    let promoted = match successor(&mut tx, &left).await? {
        Some(heir) => {
            conversation.rev += 1;
            let promoted = Member {
                role: Role::Owner,
                rev: conversation.rev,
                ..heir
            };
            store::save_member(&mut tx, &promoted).await?;
            Some(promoted)
        }
        None => None,
    };
    store::save(&mut tx, &conversation).await?;
    let deleted = conversation.member_count == 0 && conversation.kind == ConversationKind::Group;
    if deleted {
        store::mark_deleted(&mut tx, id, now).await?;
    }
    tx.commit().await.in_domain()?;
    Ok(Removal {
        left,
        promoted,
        deleted,
    })
}

/// Who becomes owner now that `left` is gone; nobody when there still is one, or nobody at all.
async fn successor(tx: &mut Tx, left: &Member) -> Result<Option<Member>> {
    if left.role != Role::Owner {
        return Ok(None);
    }
    for role in Role::ALL {
        if let Some(first) = first_with_role(tx, left.conversation_id, role).await? {
            return Ok(Some(first).filter(|first| first.role != Role::Owner));
        }
    }
    Ok(None)
}

pub(super) async fn set_role(
    storage: &PostgresStorage,
    id: ConversationId,
    by: UserId,
    target: UserId,
    role: Role,
) -> Result<RoleChange> {
    let mut tx = storage.write().await?;
    let (mut conversation, access) = store::find_with_access(&mut tx, id, by).await?;
    conversation.check_changeable()?;
    let target = present(&mut tx, id, target).await?;
    access.check_set_role(&target, role)?;
    if target.role == role {
        return Ok(RoleChange {
            member: target,
            changed: false,
        });
    }
    conversation.rev += 1;
    let member = Member {
        role,
        rev: conversation.rev,
        ..target
    };
    store::save_member(&mut tx, &member).await?;
    if !has_owner(&mut tx, id).await? {
        return Err(Error::Forbidden(Denial::LastOwner));
    }
    store::save(&mut tx, &conversation).await?;
    tx.commit().await.in_domain()?;
    Ok(RoleChange {
        member,
        changed: true,
    })
}

async fn present(tx: &mut Tx, id: ConversationId, user: UserId) -> Result<Member> {
    store::find_present(tx, id, user)
        .await?
        .ok_or(Error::NotFound(Entity::Member))
}

pub(super) async fn has_owner(tx: &mut Tx, id: ConversationId) -> Result<bool> {
    Ok(first_with_role(tx, id, Role::Owner).await?.is_some())
}

async fn first_with_role(tx: &mut Tx, id: ConversationId, role: Role) -> Result<Option<Member>> {
    sqlx::query(SUCCESSOR)
        .bind(id.as_uuid())
        .bind(role.as_str())
        .fetch_optional(&mut **tx)
        .await
        .in_domain()?
        .as_ref()
        .map(|row| rows::member(row, 0))
        .transpose()
}
