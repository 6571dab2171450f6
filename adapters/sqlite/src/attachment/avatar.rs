//! Attachments that are pictures of users, groups and rooms.

use connexus_domain::attachment::{AvatarOwner, link};
use connexus_domain::ports::Depicted;
use connexus_domain::{
    AttachmentId, ConversationPatch, Denial, Entity, Error, Result, Timestamp, UserId, UserPatch,
};

use super::store;
use crate::error::InDomain as _;
use crate::storage::{SqliteStorage, Tx};
use crate::{conversation, user};

pub(super) async fn make(
    storage: &SqliteStorage,
    id: AttachmentId,
    by: UserId,
    owner: AvatarOwner,
    now: Timestamp,
) -> Result<Depicted> {
    let mut tx = storage.write().await?;
    let avatar_url = Some(Some(link(id)));
    // who had another picture loses it by the change of the link
    let depicted = match owner {
        AvatarOwner::User(user) if user != by => {
            return Err(Error::Forbidden(Denial::RoleTooLow));
        }
        AvatarOwner::User(user) => {
            let patch = UserPatch {
                avatar_url,
                ..UserPatch::default()
            };
            let changed = user::change(&mut tx, user, &patch, now).await?;
            let changed = changed.ok_or(Error::NotFound(Entity::User))?;
            Depicted::User(Box::new(changed))
        }
        AvatarOwner::Group(group) => {
            let patch = ConversationPatch {
                avatar_url,
                ..ConversationPatch::default()
            };
            let changed = conversation::change(&mut tx, group, by, &patch).await?;
            Depicted::Group(Box::new(changed))
        }
    };
    store::find(&mut tx, id)
        .await?
        .ok_or(Error::NotFound(Entity::Attachment))?
        .check_avatar(by)?;
    let sql = match owner {
        AvatarOwner::User(_) => {
            "UPDATE attachments SET state = 'attached', avatar_user_id = ?2 WHERE id = ?1"
        }
        AvatarOwner::Group(_) => {
            "UPDATE attachments SET state = 'attached', avatar_conversation_id = ?2 WHERE id = ?1"
        }
    };
    let owner = match owner {
        AvatarOwner::User(id) => id.as_uuid(),
        AvatarOwner::Group(id) => id.as_uuid(),
    };
    sqlx::query(sql)
        .bind(id.as_uuid())
        .bind(owner)
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(depicted)
}

/// Condemns the attachment that was the picture of `owner`, if it was one.
pub(crate) async fn condemn_avatar(tx: &mut Tx, owner: AvatarOwner) -> Result<()> {
    let (sql, owner) = match owner {
        AvatarOwner::User(id) => (
            "UPDATE attachments SET state = 'condemned', avatar_user_id = NULL \
             WHERE avatar_user_id = ?1",
            id.as_uuid(),
        ),
        AvatarOwner::Group(id) => (
            "UPDATE attachments SET state = 'condemned', avatar_conversation_id = NULL \
             WHERE avatar_conversation_id = ?1",
            id.as_uuid(),
        ),
    };
    sqlx::query(sql)
        .bind(owner)
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}
