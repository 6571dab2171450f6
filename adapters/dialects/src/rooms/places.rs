//! Rooms by the names that clients give.

use connexus_application::conversations::ConversationView;
use connexus_application::{Actor, Connexus};
use connexus_domain::{Conversation, Entity, Slug};

use crate::ids;
use crate::refused::Result;

/// Where one is who names no room.
const DEFAULT: &str = "general";

/// A room as it was named: a slug, or the id of a direct conversation or group. Two names of the same place
/// are equal, but for a public room's own id.
pub struct Place(String);

impl Place {
    /// The place of a name; [`DEFAULT`] without one.
    pub fn named(room: Option<&str>) -> Result<Self> {
        let room = room.map(str::trim).filter(|room| !room.is_empty());
        let room = room.unwrap_or(DEFAULT);
        Ok(Self(match ids::uuid(room) {
            Some(uuid) => uuid.to_string(),
            None => Slug::parse(room)?.as_str().to_owned(),
        }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Goes there: a public room is made when there is none, and entered. Elsewhere one must be already.
    pub async fn open(&self, app: &Connexus, actor: &Actor) -> Result<ConversationView> {
        let conversations = &app.conversations;
        if ids::uuid(&self.0).is_some() {
            let id = ids::parse(&self.0, Entity::Conversation)?;
            return Ok(conversations.get(actor, id).await?);
        }
        let opened = conversations.open_room(actor, &self.0, None, None).await?;
        Ok(opened.view)
    }
}

/// What clients call a conversation.
pub fn name(conversation: &Conversation) -> String {
    match &conversation.slug {
        Some(slug) => slug.as_str().to_owned(),
        None => conversation.id.to_string(),
    }
}
