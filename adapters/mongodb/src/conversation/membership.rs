//! Coming, going and roles in groups and rooms.

use std::collections::HashSet;

use bson::doc;
use connexus_domain::ports::{Removal, RoleChange};
use connexus_domain::{
    ConversationId, ConversationKind, Denial, Entity, Error, Member, Role, Timestamp, UserId,
};

use super::store;
use crate::documents::{Id as _, MemberDoc};
use crate::error::Tried;
use crate::query::Query;
use crate::tx::Tx;

/// The first of those with `role`, in the order of [`succession`](connexus_domain::member::succession).
pub(crate) fn successor(id: ConversationId, role: Role) -> Query {
    Query::of::<MemberDoc>(doc! { "_id.c": id.bson(), "role": role.as_str(), "left_at": null })
        .sort(doc! { "joined_at": 1, "_id.u": 1 })
        .by("members_succession")
        .limit(1)
}

pub(super) async fn add(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    users: &[UserId],
    now: Timestamp,
) -> Tried<Vec<Member>> {
    let (mut conversation, access) = store::lock_with_access(tx, id, by).await?;
    conversation.check_changeable()?;
    access.require_admin()?;
    let present = store::present_among(tx, users.iter().map(|user| (id, *user))).await?;
    let mut known: HashSet<UserId> = present.into_iter().map(|(_, user)| user).collect();
    let coming: Vec<UserId> = users
        .iter()
        .copied()
        .filter(|user| known.insert(*user))
        .collect();
    if coming.is_empty() {
        store::unlock(tx, id).await?;
        return Ok(Vec::new());
    }
    let first = conversation.rev;
    let members = store::enter(tx, &mut conversation, &coming, Role::Member, first, now).await?;
    store::save(tx, &conversation).await?;
    Ok(members)
}

pub(super) async fn remove(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    target: UserId,
    now: Timestamp,
) -> Tried<Removal> {
    let (mut conversation, access) = store::lock_with_access(tx, id, by).await?;
    conversation.check_changeable()?;
    let target = present(tx, id, target).await?;
    access.check_remove(&target)?;
    conversation.member_count = conversation.member_count.saturating_sub(1);
    let left = Member {
        left_at: Some(now),
        rev: conversation.rev,
        ..target
    };
    store::save_members(tx, std::slice::from_ref(&left)).await?;
    let promoted = heir(tx, &left).await?.map(|heir| Member {
        role: Role::Owner,
        rev: conversation.rev + 1,
        ..heir
    });
    if let Some(promoted) = &promoted {
        conversation.rev = promoted.rev;
        store::save_members(tx, std::slice::from_ref(promoted)).await?;
    }
    store::save(tx, &conversation).await?;
    let deleted = conversation.member_count == 0 && conversation.kind == ConversationKind::Group;
    if deleted {
        store::mark_deleted(tx, id, now).await?;
    }
    Ok(Removal {
        left,
        promoted,
        deleted,
    })
}

/// Who becomes owner now that `left` is gone; nobody when there still is one, or nobody at all.
async fn heir(tx: &mut Tx<'_>, left: &Member) -> Tried<Option<Member>> {
    if left.role != Role::Owner {
        return Ok(None);
    }
    for role in Role::ALL {
        if let Some(first) = first_with_role(tx, left.conversation_id, role).await? {
            let sent = store::sent(tx, left.conversation_id).await?;
            let first = first.having(&sent).into_member()?;
            return Ok(Some(first).filter(|first| first.role != Role::Owner));
        }
    }
    Ok(None)
}

pub(super) async fn set_role(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    target: UserId,
    role: Role,
) -> Tried<RoleChange> {
    let (conversation, access) = store::lock_with_access(tx, id, by).await?;
    conversation.check_changeable()?;
    let target = present(tx, id, target).await?;
    access.check_set_role(&target, role)?;
    if target.role == role {
        store::unlock(tx, id).await?;
        return Ok(RoleChange {
            member: target,
            changed: false,
        });
    }
    let member = Member {
        role,
        rev: conversation.rev,
        ..target
    };
    store::save_members(tx, std::slice::from_ref(&member)).await?;
    if !has_owner(tx, id).await? {
        return Err(Error::Forbidden(Denial::LastOwner).into());
    }
    Ok(RoleChange {
        member,
        changed: true,
    })
}

async fn present(tx: &mut Tx<'_>, id: ConversationId, user: UserId) -> Tried<Member> {
    let member = store::find_present(tx, id, user).await?;
    Ok(member.ok_or(Error::NotFound(Entity::Member))?)
}

pub(super) async fn has_owner(tx: &mut Tx<'_>, id: ConversationId) -> Tried<bool> {
    Ok(first_with_role(tx, id, Role::Owner).await?.is_some())
}

async fn first_with_role(
    tx: &mut Tx<'_>,
    id: ConversationId,
    role: Role,
) -> Tried<Option<MemberDoc>> {
    tx.first(successor(id, role)).await
}
