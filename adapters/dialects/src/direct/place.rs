//! Which chat is meant: by the other user (`to`), or by its own id (`chatId`).

use connexus_application::{Actor, Connexus};
use connexus_domain::{ConversationId, Entity, UserId};
use serde_json::Value;

use crate::ids;
use crate::refused::{Refused, Result};

/// Whom or what a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A chat.
    Chat(ConversationId),
    /// Somebody, and the chat with it.
    User(UserId),
}

/// What `to` and `chatId` name together. A client that names both means one and the same chat.
pub async fn target(
    app: &Connexus,
    actor: &Actor,
    to: Option<&Value>,
    chat: Option<&Value>,
) -> Result<Target> {
    match (text("to", to)?, text("chatId", chat)?) {
        (None, None) => Err(Refused::field("to", "is required")),
        (Some(to), None) => Ok(Target::User(ids::parse(to, Entity::User)?)),
        (None, Some(chat)) => Ok(Target::Chat(ids::parse(chat, Entity::Conversation)?)),
        (Some(to), Some(chat)) => {
            let id: ConversationId = ids::parse(chat, Entity::Conversation)?;
            if to == chat {
                return Ok(Target::Chat(id));
            }
            let to: UserId = ids::parse(to, Entity::User)?;
            let direct = app.conversations.find_direct(actor, to).await?;
            match direct {
                Some(direct) if direct.summary.conversation.id == id => Ok(Target::Chat(id)),
                _ => Err(Refused::field("chatId", "is not the chat with this user")),
            }
        }
    }
}

/// A text that may be absent or empty; front ends also send the whole object that has the id.
fn text<'a>(field: &str, value: Option<&'a Value>) -> Result<Option<&'a str>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match ids::of_value(value) {
            Some(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            None => Err(Refused::field(field, "must be an id")),
        },
    }
}

/// The chat, opened when it is the first time.
pub async fn open(app: &Connexus, actor: &Actor, target: Target) -> Result<ConversationId> {
    let user = match target {
        Target::Chat(id) => return Ok(id),
        Target::User(user) if user == actor.user_id => {
            return Err(Refused::said(400, "You cannot send a message to yourself"));
        }
        Target::User(user) => user,
    };
    // nearly always it is there, and to look for it costs no transaction
    let view = match app.conversations.find_direct(actor, user).await? {
        Some(view) => view,
        None => app.conversations.open_direct(actor, user).await?.view,
    };
    Ok(view.summary.conversation.id)
}

/// The chat, if there is one; that somebody does not exist is an error.
pub async fn find(app: &Connexus, actor: &Actor, target: Target) -> Result<Option<ConversationId>> {
    let user = match target {
        Target::Chat(id) => return Ok(Some(id)),
        Target::User(user) => user,
    };
    if let Some(view) = app.conversations.find_direct(actor, user).await? {
        return Ok(Some(view.summary.conversation.id));
    }
    app.users.get(actor, user).await?;
    Ok(None)
}
