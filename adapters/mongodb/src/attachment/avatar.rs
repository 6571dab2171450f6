//! Attachments that are pictures of users, groups and rooms.

use bson::{Document, doc};
use connexus_domain::attachment::{AvatarOwner, link};
use connexus_domain::ports::Depicted;
use connexus_domain::{AttachmentId, Denial, Entity, Error, Timestamp, UserId, UserPatch};

use super::store;
use crate::documents::{AttachmentDoc, Id as _};
use crate::error::Tried;
use crate::tx::Tx;
use crate::{conversation, user};

/// What names the owner of a picture.
pub(crate) fn shown(owner: AvatarOwner) -> Document {
    match owner {
        AvatarOwner::User(id) => doc! { "avatar_user_id": id.bson() },
        AvatarOwner::Group(id) => doc! { "avatar_conversation_id": id.bson() },
    }
}

pub(super) async fn make(
    tx: &mut Tx<'_>,
    id: AttachmentId,
    by: UserId,
    owner: AvatarOwner,
    now: Timestamp,
) -> Tried<Depicted> {
    // the owner first, whom all others who want that take first too; the change of the link condemns
    // the picture that was there
    let depicted = match owner {
        AvatarOwner::User(user) if user != by => {
            return Err(Error::Forbidden(Denial::RoleTooLow).into());
        }
        AvatarOwner::User(user) => {
            let patch = UserPatch {
                avatar_url: Some(Some(link(id))),
                ..UserPatch::default()
            };
            let changed = user::update(tx, user, &patch, now).await?;
            let changed = changed.ok_or(Error::NotFound(Entity::User))?;
            Depicted::User(Box::new(changed))
        }
        AvatarOwner::Group(group) => {
            let changed = conversation::depict(tx, group, by, link(id)).await?;
            Depicted::Group(Box::new(changed))
        }
    };
    store::find(tx, id).await?.check_avatar(by)?;
    let mut fields = shown(owner);
    fields.insert("state", "attached");
    tx.update_many::<AttachmentDoc>(doc! { "_id": id.bson() }, doc! { "$set": fields })
        .await?;
    Ok(depicted)
}

/// Condemns the attachment that was the picture of `owner`, if it was one.
pub(crate) async fn condemn_avatar(tx: &mut Tx<'_>, owner: AvatarOwner) -> Tried<()> {
    tx.update_many::<AttachmentDoc>(shown(owner), store::condemning())
        .await?;
    Ok(())
}
