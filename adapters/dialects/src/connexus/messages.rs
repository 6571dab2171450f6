//! Messages and reactions.

use connexus_application::messages::SendMessage;
use connexus_application::{Actor, Connexus};
use connexus_domain::{ConversationId, Entity, Error, Limit, Message, MessageId, MessageKind};
use futures_util::future::try_join_all;
use garde::Validate;
use serde::Deserialize;
use serde_json::Value;

use super::files::named;
use super::shapes::{MessageShape, Progress};
use super::{done, plainly};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};
use crate::{ids, paging, people};

/// Longest message of this dialect, in characters.
pub const CONTENT_MAX: usize = 2_000;

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    page: Option<u32>,
    #[garde(skip)]
    limit: Option<u32>,
}

pub async fn history(call: Call) -> Answer {
    let Paging { page, limit } = call.query()?;
    let limit = Limit::of(limit.unwrap_or(50).clamp(1, Limit::MAX));
    let id: ConversationId = call.id("id", Entity::Conversation)?;
    let (app, actor) = (call.app(), call.actor()?);
    let skip = paging::skipped(page, limit);
    let page = paging::history(app, actor, id, skip, limit).await?;
    let quoted = quoted(app, actor, &page.messages).await?;
    let all = [page.messages.as_slice(), &quoted].concat();
    let people = people::senders(app, &all).await?;
    let receipts = app.receipts.list(actor, id, None, Limit::of(Limit::MAX));
    let progress = Progress::of(receipts.await?);
    let links = call.links();
    let shapes: Vec<MessageShape<'_>> = page
        .messages
        .iter()
        .map(|message| {
            let shape = MessageShape::of(message, &people, &progress, links);
            match quoted.iter().find(|m| message.reply_to == Some(m.id)) {
                Some(answered) => shape.answering(answered, &people, links),
                None => shape,
            }
        })
        .collect();
    done(200, "Messages retrieved successfully", shapes)
}

/// The messages that these answer.
async fn quoted(app: &Connexus, actor: &Actor, messages: &[Message]) -> Result<Vec<Message>> {
    let mut ids: Vec<MessageId> = messages.iter().filter_map(|m| m.reply_to).collect();
    ids.sort_unstable();
    ids.dedup();
    let found =
        ids.into_iter().map(
            async |id| match messages.iter().find(|message| message.id == id) {
                Some(message) => Ok(Some(message.clone())),
                None => match app.messages.get(actor, id).await {
                    Err(Error::NotFound(_)) => Ok(None),
                    found => found.map(Some),
                },
            },
        );
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

/// A message as it comes in, over REST or a socket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    #[garde(skip)]
    pub conversation_id: Value,
    #[garde(length(chars, max = CONTENT_MAX))]
    #[serde(default)]
    pub content: Option<String>,
    #[garde(skip)]
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    pub reply_to: Option<Value>,
    #[garde(skip)]
    #[serde(default)]
    pub attachments: Option<Vec<Value>>,
    #[garde(skip)]
    #[serde(default)]
    pub temp_id: Option<Value>,
}

impl Outgoing {
    /// Where to, and what.
    pub fn checked(self) -> Result<(ConversationId, SendMessage)> {
        let id = ids::of_value(&self.conversation_id).unwrap_or_default();
        let id = ids::parse(id, Entity::Conversation)?;
        let kind = match self.kind.as_deref() {
            None | Some("") => None,
            Some(word) => Some(MessageKind::parse(word).ok_or_else(|| {
                Refused::field("type", "must be text, image, video, audio or file")
            })?),
        };
        let reply_to = match &self.reply_to {
            None | Some(Value::Null) => None,
            Some(value) => {
                let id = ids::of_value(value).unwrap_or_default();
                Some(ids::parse::<MessageId>(id, Entity::Message)?)
            }
        };
        let attachments = self.attachments.unwrap_or_default();
        let attachment_ids = attachments.iter().map(named).collect::<Result<_>>()?;
        let client_id = match self.temp_id {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Ok((
            id,
            SendMessage {
                body: self.content,
                kind,
                attachment_ids,
                reply_to,
                client_id,
                ..SendMessage::default()
            },
        ))
    }
}

pub async fn send(call: Call) -> Answer {
    let (id, input) = call.fields::<Outgoing>()?.checked()?;
    let actor = call.quiet_actor()?;
    let sent = call.app().messages.send(&actor, id, input).await?;
    shown(
        &call,
        &actor,
        201,
        "Message sent successfully",
        &sent.message,
    )
    .await
}

/// Answers with one message.
async fn shown(call: &Call, actor: &Actor, status: u16, said: &str, message: &Message) -> Answer {
    let scene = call.app().scenes.of_message(actor, message).await?;
    let progress = Progress::default();
    let shape = MessageShape::of(message, &scene, &progress, call.links());
    done(status, said, shape)
}

/// A change of a message.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    #[garde(skip)]
    pub message_id: String,
    #[garde(length(chars, max = CONTENT_MAX))]
    #[serde(alias = "content")]
    pub new_content: String,
}

pub async fn edit(call: Call) -> Answer {
    let Edit {
        message_id,
        new_content,
    } = call.fields()?;
    let id = ids::parse(&message_id, Entity::Message)?;
    let actor = call.actor()?;
    let message = call.app().messages.edit(actor, id, &new_content).await?;
    shown(&call, actor, 200, "Message edited successfully", &message).await
}

pub async fn delete(call: Call) -> Answer {
    let id = call.id("id", Entity::Message)?;
    call.app().messages.delete(call.actor()?, id).await?;
    plainly("Message deleted successfully")
}

/// A reaction.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct React {
    #[garde(skip)]
    pub message_id: String,
    #[garde(skip)]
    pub emoji: String,
}

pub async fn react(call: Call) -> Answer {
    let (id, emoji) = reaction(&call)?;
    let actor = call.quiet_actor()?;
    let message = call.app().messages.react(&actor, id, &emoji).await?;
    shown(&call, &actor, 200, "Reaction added successfully", &message).await
}

pub async fn unreact(call: Call) -> Answer {
    let (id, emoji) = reaction(&call)?;
    let actor = call.quiet_actor()?;
    let message = call.app().messages.unreact(&actor, id, &emoji).await?;
    shown(
        &call,
        &actor,
        200,
        "Reaction removed successfully",
        &message,
    )
    .await
}

fn reaction(call: &Call) -> Result<(MessageId, String)> {
    let React { message_id, emoji } = call.fields()?;
    Ok((ids::parse(&message_id, Entity::Message)?, emoji))
}
