//! Messages, what was read of them, and reactions.

use std::time::Duration;

use connexus_application::messages::SendMessage;
use connexus_domain::{
    Entity, Limit, Message, MessageBody, MessageId, MessageKind, Seq, Timestamp,
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::places::{self, Place};
use super::shapes::MessageShape;
use super::{done, plainly, shapes};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};
use crate::{paging, people};

/// Longest message of this dialect, in characters.
const CONTENT_MAX: usize = 1_000;
/// How long the words of a message may be changed.
const EDITABLE: Duration = Duration::from_hours(24);

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    room: Option<String>,
    #[garde(skip)]
    limit: Option<u32>,
    #[garde(skip)]
    skip: Option<u32>,
}

/// What was deleted leaves no trace in these clients' history, so a page may have fewer messages than it
/// could; what is skipped and counted includes it.
pub async fn history(call: Call) -> Answer {
    let Paging { room, limit, skip } = call.query()?;
    let limit = Limit::of(limit.unwrap_or(50).clamp(1, Limit::MAX));
    let skip = Seq::from(skip.unwrap_or(0));
    let (app, actor) = (call.app(), call.actor()?);
    let view = Place::named(room.as_deref())?.open(app, actor).await?;
    let conversation = &view.summary.conversation;
    let page = paging::history(app, actor, conversation.id, skip, limit).await?;
    let people = people::senders(app, &page.messages).await?;
    let receipts = app
        .receipts
        .list(actor, conversation.id, None, Limit::of(Limit::MAX));
    let receipts = receipts.await?.items;
    let room = places::name(conversation);
    let live = page.messages.iter().filter(|message| message.is_live());
    let messages = live
        .map(|message| {
            let (room, read_by) = (room.as_str().into(), shapes::read_by(message, &receipts));
            MessageShape::of(message, room, &people, read_by, call.links())
        })
        .collect();
    let pagination = json!({
        "total": page.total,
        "limit": limit.rows(),
        "skip": skip,
        "hasNext": page.more,
    });
    let history = History {
        messages,
        pagination,
        unread_count: view.summary.unread.count,
    };
    done(200, "Messages retrieved successfully", history)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History<'a> {
    messages: Vec<MessageShape<'a>>,
    pagination: Value,
    unread_count: u32,
}

/// A message as it comes in, over REST or a socket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    #[garde(length(chars, max = CONTENT_MAX))]
    content: String,
    #[garde(skip)]
    #[serde(default)]
    room: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    message_type: Option<String>,
}

impl Outgoing {
    /// Where to, and what. What cannot be sent is refused before its room is opened for it.
    pub fn checked(self) -> Result<(Place, SendMessage)> {
        MessageBody::parse(&self.content)?;
        let kind = match self.message_type.as_deref() {
            None | Some("") => None,
            Some(word) => {
                let kind = MessageKind::parse(word).filter(|kind| *kind != MessageKind::System);
                Some(kind.ok_or_else(|| {
                    Refused::field("messageType", "must be text, image, video, audio or file")
                })?)
            }
        };
        let input = SendMessage {
            body: Some(self.content),
            kind,
            ..SendMessage::default()
        };
        Ok((Place::named(self.room.as_deref())?, input))
    }
}

pub async fn send(call: Call) -> Answer {
    let (place, input) = call.fields::<Outgoing>()?.checked()?;
    let (app, actor) = (call.app(), call.actor()?);
    let view = place.open(app, actor).await?;
    let id = view.summary.conversation.id;
    let sent = app.messages.send(actor, id, input).await?;
    whole(&call, 201, "Message sent successfully", &sent.message).await
}

async fn whole(call: &Call, status: u16, said: &str, message: &Message) -> Answer {
    let scene = call.app().scenes.of_message(call.actor()?, message).await?;
    let shape = shapes::in_scene(message, &scene, call.links());
    done(status, said, json!({"message": shape}))
}

/// The message that the path names, which is there and the asker's own.
pub async fn own(call: &Call, denial: &'static str) -> Result<Message> {
    let id: MessageId = call.id("id", Entity::Message)?;
    let actor = call.actor()?;
    let message = call.app().messages.get(actor, id).await?;
    if !message.is_live() {
        return Err(Refused::missing(Entity::Message));
    }
    if message.sender_id != actor.user_id {
        return Err(Refused::said(403, denial));
    }
    Ok(message)
}

#[derive(Deserialize, Validate)]
struct Edit {
    #[garde(length(chars, max = CONTENT_MAX))]
    content: String,
}

fn is_editable(sent: Timestamp, now: Timestamp) -> bool {
    now.since(sent) <= EDITABLE
}

pub async fn edit(call: Call) -> Answer {
    let message = own(&call, "You can only edit your own messages").await?;
    let Edit { content } = call.fields()?;
    let (app, actor) = (call.app(), call.actor()?);
    if !is_editable(message.created_at, app.now()) {
        let denial = "Messages can only be edited within 24 hours";
        return Err(Refused::said(403, denial));
    }
    let message = app.messages.edit(actor, message.id, &content).await?;
    whole(&call, 200, "Message updated successfully", &message).await
}

pub async fn delete(call: Call) -> Answer {
    let message = own(&call, "You can only delete your own messages").await?;
    call.app()
        .messages
        .delete(call.actor()?, message.id)
        .await?;
    plainly("Message deleted successfully")
}

pub async fn read(call: Call) -> Answer {
    let id: MessageId = call.id("id", Entity::Message)?;
    let (app, actor) = (call.app(), call.actor()?);
    let message = app.messages.get(actor, id).await?;
    app.receipts
        .read(actor, message.conversation_id, message.seq)
        .await?;
    plainly("Message marked as read")
}

#[derive(Deserialize, Validate)]
struct React {
    #[garde(skip)]
    emoji: String,
}

/// The same emoji again takes the reaction back.
pub async fn react(call: Call) -> Answer {
    let id: MessageId = call.id("id", Entity::Message)?;
    let React { emoji } = call.fields()?;
    let (app, actor) = (call.app(), call.actor()?);
    let before = app.messages.get(actor, id).await?;
    let mut message = app.messages.react(actor, id, &emoji).await?;
    // nothing changed: it was there
    let taken_back = message.rev == before.rev;
    if taken_back {
        message = app.messages.unreact(actor, id, &emoji).await?;
    }
    let said = if taken_back {
        "Reaction removed successfully"
    } else {
        "Reaction added successfully"
    };
    whole(&call, 200, said, &message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_changed_for_a_day() {
        const DAY: i64 = 24 * 60 * 60 * 1_000;
        let sent = Timestamp::from_millis(1_795_000_000_123);
        let later = |millis| Timestamp::from_millis(sent.as_millis() + millis);
        assert!(is_editable(sent, sent));
        assert!(is_editable(sent, later(DAY)));
        assert!(!is_editable(sent, later(DAY + 1)));
    }
}
