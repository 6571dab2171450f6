//! Messages.

use std::collections::HashMap;

use connexus_application::conversations::ConversationView;
use connexus_application::messages::{SearchMessages, SendMessage};
use connexus_application::{Actor, Connexus};
use connexus_domain::{
    AttachmentId, ConversationId, Entity, Error, Limit, Message, MessageBody, MessageId,
    MessageKind, Receipt, Seq, UserId,
};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use futures_util::future::try_join_all;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::place::{self, Target};
use super::shapes::{self, View};
use super::{done, plainly};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};
use crate::{ids, links};

/// Messages that one request may name.
const NAMED_MAX: usize = 500;

/// A message as it comes in, over REST or a socket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    #[garde(skip)]
    #[serde(default)]
    to: Option<Value>,
    #[garde(skip)]
    #[serde(default)]
    chat_id: Option<Value>,
    #[garde(skip)]
    #[serde(default)]
    content: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    message_type: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    attachment_id: Option<Value>,
    #[garde(skip)]
    #[serde(default)]
    attachment_ids: Vec<Value>,
}

impl Outgoing {
    /// Where to, opened when it is the first time, and what.
    pub async fn checked(
        self,
        app: &Connexus,
        actor: &Actor,
    ) -> Result<(ConversationId, SendMessage)> {
        let files = self.attachment_ids.iter().chain(&self.attachment_id);
        let attachment_ids: Vec<AttachmentId> = files.map(file).collect::<Result<_>>()?;
        // before a chat is opened for nothing
        match self.content.as_deref() {
            None if attachment_ids.is_empty() => {
                return Err(Refused::field("content", "is required"));
            }
            // a file may say it all
            None | Some("") if !attachment_ids.is_empty() => {}
            content => drop(MessageBody::parse(content.unwrap_or_default())?),
        }
        let kind = match self.message_type.as_deref() {
            None | Some("") => None,
            Some(word) => Some(
                MessageKind::parse(word)
                    .filter(|kind| *kind != MessageKind::System)
                    .ok_or_else(|| {
                        let reason = "must be text, image, video, audio or file";
                        Refused::field("messageType", reason)
                    })?,
            ),
        };
        let target = place::target(app, actor, self.to.as_ref(), self.chat_id.as_ref()).await?;
        let input = SendMessage {
            body: self.content,
            kind,
            attachment_ids,
            ..SendMessage::default()
        };
        Ok((place::open(app, actor, target).await?, input))
    }
}

/// The uploaded file that a message names by its id, its address, or the whole object.
fn file(value: &Value) -> Result<AttachmentId> {
    let id = ids::of_value(value).unwrap_or_default();
    links::file_of(id)
        .or_else(|| ids::parse(id, Entity::Attachment).ok())
        .ok_or_else(|| Refused::field("attachmentIds", "there is no such attachment"))
}

pub async fn send(call: Call) -> Answer {
    let actor = call.quiet_actor()?;
    let outgoing = call.fields::<Outgoing>()?;
    let (id, input) = outgoing.checked(call.app(), &actor).await?;
    let message = call.app().messages.send(&actor, id, input).await?.message;
    done(
        201,
        "Message sent successfully",
        json!({
            "messageId": Id::from(message.id),
            "chatId": Id::from(message.conversation_id),
            "timestamp": Time(message.created_at),
            "message": fresh(&call, &actor, &message).await?,
        }),
    )
}

/// A message of the asker's own, which was sent or changed just now.
async fn fresh(call: &Call, actor: &Actor, message: &Message) -> Result<Value> {
    let (app, links) = (call.app(), call.links());
    let id = message.conversation_id;
    let scene = app.scenes.of_message(actor, message).await?;
    let receipts = receipts(call, actor, id).await?;
    let view = View {
        viewer: actor.user_id,
        people: &scene,
        peer: shapes::peer(&scene, actor.user_id),
        receipts: &receipts,
        links,
    };
    Ok(view.message(message))
}

/// Messages of one chat as the asker sees them.
pub async fn shaped(
    call: &Call,
    actor: &Actor,
    chat: &ConversationView,
    messages: &[Message],
) -> Result<Vec<Value>> {
    let id = chat.summary.conversation.id;
    let mut receipts = receipts(call, actor, id).await?;
    if receipts.is_empty() {
        receipts.push(chat.summary.me.receipt());
    }
    shaped_with(call, actor, chat, messages, &receipts).await
}

/// How far the members have come; nobody, where they are more than one page: some are not all.
async fn receipts(call: &Call, actor: &Actor, id: ConversationId) -> Result<Vec<Receipt>> {
    let receipts = &call.app().receipts;
    let page = receipts
        .list(actor, id, None, Limit::of(Limit::MAX))
        .await?;
    Ok(if page.next.is_none() {
        page.items
    } else {
        Vec::new()
    })
}

/// The same, where the receipts are known.
pub async fn shaped_with(
    call: &Call,
    actor: &Actor,
    chat: &ConversationView,
    messages: &[Message],
    receipts: &[Receipt],
) -> Result<Vec<Value>> {
    let senders = messages.iter().map(|message| message.sender_id);
    let ids = senders.chain([actor.user_id]).chain(chat.summary.peer);
    let people = call.app().scenes.people(ids).await?;
    let links = call.links();
    let view = View {
        viewer: actor.user_id,
        people: &people,
        peer: chat.summary.peer,
        receipts,
        links,
    };
    Ok(messages
        .iter()
        .map(|message| view.message(message))
        .collect())
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[garde(skip)]
    #[serde(default, alias = "query")]
    q: String,
    #[garde(skip)]
    chat_id: Option<String>,
    #[garde(skip)]
    #[serde(alias = "with")]
    user_id: Option<String>,
    #[garde(skip)]
    limit: Option<u32>,
}

pub async fn search(call: Call) -> Answer {
    let Search {
        q,
        chat_id,
        user_id,
        limit,
    } = call.query()?;
    if q.trim().is_empty() {
        return Err(Refused::said(400, "Search query is required"));
    }
    let (app, actor) = (call.app(), call.actor()?);
    let (to, chat) = (user_id.map(Value::from), chat_id.map(Value::from));
    let mut input = SearchMessages {
        query: q,
        ..SearchMessages::default()
    };
    let mut found = Vec::new();
    let mut somewhere = true;
    if to.is_some() || chat.is_some() {
        let target = place::target(app, actor, to.as_ref(), chat.as_ref()).await?;
        input.conversation_id = place::find(app, actor, target).await?;
        somewhere = input.conversation_id.is_some();
    }
    if somewhere {
        let limit = Limit::of(limit.unwrap_or(20).clamp(1, Limit::MAX));
        found = app.messages.search(actor, &input, limit).await?.items;
    }
    let data = json!({"messages": everywhere(&call, actor, &found).await?});
    done(200, "Messages retrieved successfully", data)
}

/// Messages of several chats, in their order.
async fn everywhere(call: &Call, actor: &Actor, messages: &[Message]) -> Result<Vec<Value>> {
    let mut chats: HashMap<ConversationId, Vec<Message>> = HashMap::new();
    for message in messages {
        let there = chats.entry(message.conversation_id).or_default();
        there.push(message.clone());
    }
    let chats = chats.into_iter().map(async |(id, messages)| {
        let chat = call.app().conversations.get(actor, id).await?;
        let shapes = shaped(call, actor, &chat, &messages).await?;
        let ids = messages.iter().map(|message| message.id);
        Ok::<_, Refused>(ids.zip(shapes).collect::<Vec<_>>())
    });
    let mut shapes: HashMap<MessageId, Value> =
        try_join_all(chats).await?.into_iter().flatten().collect();
    let ids = messages.iter().map(|message| &message.id);
    Ok(ids.filter_map(|id| shapes.remove(id)).collect())
}

#[derive(Deserialize, Validate)]
struct Edit {
    #[garde(skip)]
    content: String,
}

pub async fn edit(call: Call) -> Answer {
    let id: MessageId = call.id("id", Entity::Message)?;
    let Edit { content } = call.fields()?;
    let actor = call.actor()?;
    let message = call.app().messages.edit(actor, id, &content).await?;
    let message = fresh(&call, actor, &message).await?;
    let data = json!({"message": message});
    done(200, "Message updated successfully", data)
}

pub async fn delete(call: Call) -> Answer {
    let id = call.id("id", Entity::Message)?;
    call.app().messages.delete(call.actor()?, id).await?;
    plainly("Message deleted successfully")
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct MarkRead {
    #[garde(length(max = NAMED_MAX))]
    #[serde(default)]
    message_ids: Vec<String>,
    #[garde(skip)]
    #[serde(default)]
    chat_id: Option<Value>,
    #[garde(skip)]
    #[serde(default, alias = "userId")]
    to: Option<Value>,
}

pub async fn mark_read(call: Call) -> Answer {
    let MarkRead {
        message_ids,
        chat_id,
        to,
    } = call.fields()?;
    let (app, actor) = (call.app(), call.actor()?);
    let mut marks: HashMap<ConversationId, Seq> = HashMap::new();
    for id in &message_ids {
        let (chat, seq) = read_up_to(app, actor, id).await?;
        let newest = marks.entry(chat).or_default();
        *newest = seq.max(*newest);
    }
    if message_ids.is_empty() {
        let chat = match (chat_id, to) {
            (None | Some(Value::Null), None | Some(Value::Null)) => {
                return Err(Refused::field("messageIds", "is required"));
            }
            (chat, to) => place::target(app, actor, to.as_ref(), chat.as_ref()).await?,
        };
        let chat = place::find(app, actor, chat).await?;
        marks.extend(chat.map(|id| (id, Seq::MAX)));
    }
    for (chat, seq) in marks {
        app.receipts.read(actor, chat, seq).await?;
    }
    plainly("Messages marked as read")
}

/// Where a message stands.
pub async fn read_up_to(app: &Connexus, actor: &Actor, id: &str) -> Result<(ConversationId, Seq)> {
    let id = ids::parse(id, Entity::Message)?;
    let message = app.messages.get(actor, id).await?;
    Ok((message.conversation_id, message.seq))
}

/// The chat that a history is asked for: of somebody, or by its own id.
pub async fn chat_of(app: &Connexus, actor: &Actor, id: &str) -> Result<Option<ConversationView>> {
    let user: UserId = ids::parse(id, Entity::User)?;
    if let Some(view) = app.conversations.find_direct(actor, user).await? {
        return Ok(Some(view));
    }
    let Err(missing) = place::find(app, actor, Target::User(user)).await else {
        return Ok(None);
    };
    let id: ConversationId = ids::parse(id, Entity::Conversation)?;
    match app.conversations.get(actor, id).await {
        Err(Error::NotFound(_)) => Err(missing),
        other => Ok(Some(other?)),
    }
}
