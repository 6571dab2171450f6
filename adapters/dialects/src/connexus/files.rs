//! Files: what messages carry, and one's own picture.

use connexus_domain::attachment::Purpose;
use connexus_domain::{AttachmentId, Entity};
use serde_json::Value;

use super::shapes::AttachmentShape;
use super::{done, users};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call, upload};
use crate::{ids, links};

/// Stores a file for a message of a conversation, which is named before it or after it.
pub async fn attach(mut call: Call) -> Answer {
    let form = upload::form(&mut call, None).await?;
    let id = form
        .text("conversationId")
        .ok_or_else(|| Refused::field("conversationId", "is required"))?;
    let id = ids::parse(id, Entity::Conversation)?;
    let file = form.store(Purpose::Message(id)).await?;
    let shape = AttachmentShape::of(&file, call.links());
    done(201, "File uploaded successfully", shape)
}

/// Makes an image one's own picture.
pub async fn set_avatar(mut call: Call) -> Answer {
    upload::own_picture(&mut call).await?;
    let profile = call.app().users.me(call.actor()?).await?;
    let user = users::own(&call, call.actor()?, &profile).await?;
    done(200, "Avatar updated successfully", user)
}

/// The uploaded file that a message names by its id, its address, or the whole object.
pub fn named(value: &Value) -> Result<AttachmentId> {
    let id = ids::of_value(value)
        .or_else(|| value.get("url")?.as_str())
        .unwrap_or_default();
    links::file_of(id)
        .or_else(|| ids::parse(id, Entity::Attachment).ok())
        .ok_or_else(|| Refused::field("attachments", "there is no such attachment"))
}
