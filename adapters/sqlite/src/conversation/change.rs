//! Changes of a conversation itself, and its end.

use connexus_domain::attachment::AvatarOwner;
use connexus_domain::member::PreferencesPatch;
use connexus_domain::{
    Conversation, ConversationId, ConversationPatch, Limit, Member, Result, Rev, Timestamp, UserId,
};

use super::store;
use crate::attachment::condemn_avatar;
use crate::error::InDomain as _;
use crate::message;
use crate::rows;
use crate::storage::{SqliteStorage, Tx};

pub(super) async fn update(
    storage: &SqliteStorage,
    id: ConversationId,
    by: UserId,
    patch: &ConversationPatch,
) -> Result<Conversation> {
    let mut tx = storage.write().await?;
    let after = change(&mut tx, id, by, patch).await?;
    tx.commit().await.in_domain()?;
    Ok(after)
}

pub(crate) async fn change(
    tx: &mut Tx,
    id: ConversationId,
    by: UserId,
    patch: &ConversationPatch,
) -> Result<Conversation> {
    let (before, access) = store::find_with_access(tx, id, by).await?;
    before.check_changeable()?;
    access.require_admin()?;
    let after = patch.apply(before.clone(), before.rev + 1);
    let at_the_same_rev = Conversation {
        rev: before.rev,
        changed_rev: before.changed_rev,
        ..after.clone()
    };
    if at_the_same_rev == before {
        return Ok(before);
    }
    store::save(tx, &after).await?;
    if after.avatar_url != before.avatar_url {
        condemn_avatar(tx, AvatarOwner::Group(id)).await?;
    }
    Ok(after)
}

pub(super) async fn delete(
    storage: &SqliteStorage,
    id: ConversationId,
    by: UserId,
    now: Timestamp,
) -> Result<Rev> {
    let mut tx = storage.write().await?;
    let (conversation, access) = store::find_with_access(&mut tx, id, by).await?;
    conversation.check_changeable()?;
    access.require_owner()?;
    let rev = store::take_rev(&mut tx, id).await?;
    store::mark_deleted(&mut tx, id, now).await?;
    tx.commit().await.in_domain()?;
    Ok(rev)
}

pub(super) async fn set_preferences(
    storage: &SqliteStorage,
    id: ConversationId,
    user: UserId,
    patch: PreferencesPatch,
) -> Result<Option<Member>> {
    let mut tx = storage.write().await?;
    if store::find(&mut *tx, id).await?.is_none() {
        return Ok(None);
    }
    let Some(member) = store::find_present(&mut tx, id, user).await? else {
        return Ok(None);
    };
    let preferences = patch.apply(member.preferences);
    sqlx::query(
        "UPDATE members SET archived = ?3, pinned = ?4, muted_until = ?5 \
         WHERE conversation_id = ?1 AND user_id = ?2",
    )
    .bind(id.as_uuid())
    .bind(user.as_uuid())
    .bind(preferences.archived)
    .bind(preferences.pinned)
    .bind(preferences.muted_until.map(Timestamp::as_millis))
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(Some(Member {
        preferences,
        ..member
    }))
}

/// Messages first, in steps; a conversation that has none left goes with its members.
pub(super) async fn purge_deleted(storage: &SqliteStorage, limit: Limit) -> Result<u64> {
    let limit = limit.and_one() - 1;
    let mut tx = storage.write().await?;
    let mut purged = 0;
    // as many conversations as messages, so that empty ones do not make a step long
    for _ in 0..limit {
        let Some(id) = some_deleted(&mut tx).await? else {
            break;
        };
        let room = limit - purged;
        let gone = message::purge(&mut tx, id, room).await?;
        purged += gone;
        if gone == room {
            break;
        }
        remove_empty(&mut tx, id).await?;
    }
    tx.commit().await.in_domain()?;
    Ok(purged.unsigned_abs())
}

async fn some_deleted(tx: &mut Tx) -> Result<Option<ConversationId>> {
    sqlx::query("SELECT id FROM conversations WHERE deleted_at IS NOT NULL LIMIT 1")
        .fetch_optional(&mut **tx)
        .await
        .in_domain()?
        .map(|row| rows::id(&row, 0).map(ConversationId::from_uuid))
        .transpose()
}

async fn remove_empty(tx: &mut Tx, id: ConversationId) -> Result<()> {
    condemn_avatar(tx, AvatarOwner::Group(id)).await?;
    message::forget(tx, id).await?;
    for sql in [
        "DELETE FROM members WHERE conversation_id = ?1",
        "DELETE FROM conversations WHERE id = ?1",
    ] {
        sqlx::query(sql)
            .bind(id.as_uuid())
            .execute(&mut **tx)
            .await
            .in_domain()?;
    }
    Ok(())
}
