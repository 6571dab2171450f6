//! Messages.

use connexus_application::messages::SendMessage;
use connexus_domain::{ConversationId, Entity, Error, Limit};
use garde::Validate;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::chat_id;
use super::chats::crowd;
use super::shapes::{self, MessageShape, Readers};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call, json};
use crate::{paging, people};

/// Messages that one answer has: these clients show them all at once.
const SHOWN: u32 = 500;
/// In a history, every message carries its chat. With more users than these, it names them by their ids alone:
/// a hundred users five hundred times over would be megabytes that nobody looks at.
const POPULATED: usize = 20;

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Outgoing {
    #[garde(skip)]
    #[serde(default)]
    content: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    chat_id: Value,
}

pub async fn send(call: Call) -> Answer {
    let Outgoing {
        content,
        chat_id: chat,
    } = call.fields()?;
    let content = content.unwrap_or_default();
    if content.trim().is_empty() || chat.is_null() {
        return Err(Refused::said(400, "Invalid data passed into request"));
    }
    let input = SendMessage {
        body: Some(content),
        ..SendMessage::default()
    };
    let actor = call.quiet_actor()?;
    let app = call.app();
    let sent = app.messages.send(&actor, chat_id(&chat)?, input).await?;
    let scene = app.scenes.of_message(&actor, &sent.message).await?;
    let crowd = crowd(&call, &scene).await?;
    json(
        200,
        &shapes::fresh(&sent.message, &scene, crowd, call.links()),
    )
}

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    page: Option<u32>,
    #[garde(skip)]
    limit: Option<u32>,
}

pub async fn history(call: Call) -> Answer {
    let Paging { page, limit } = call.query()?;
    let limit = Limit::of(limit.unwrap_or(SHOWN).clamp(1, SHOWN));
    let id = call.id("chat", Entity::Conversation)?;
    let (app, actor) = (call.app(), call.actor()?);
    let skip = paging::skipped(page, limit);
    let page = paging::history(app, actor, id, skip, limit).await?;
    let people = people::senders(app, &page.messages).await?;
    let receipts = app.receipts.list(actor, id, None, Limit::of(Limit::MAX));
    let readers = Readers::of(&receipts.await?.items);
    let chat = to_raw_value(&chat(&call, id).await?).map_err(Error::internal)?;
    // what was deleted is not there any more
    let live = page.messages.iter().filter(|message| message.is_live());
    let shapes: Vec<_> = live
        .map(|message| MessageShape::of(message, &people, &*chat, &readers, call.links()))
        .collect();
    json(200, &shapes)
}

/// The chat as the messages of its history carry it.
async fn chat(call: &Call, id: ConversationId) -> Result<Value> {
    let scene = call.app().scenes.of(call.actor()?, id).await?;
    let Some(conversation) = scene.conversation.as_deref() else {
        return Err(Refused::missing(Entity::Conversation));
    };
    let mut crowd = crowd(call, &scene).await?;
    if scene.members.len() > POPULATED {
        crowd = crowd.by_ids();
    }
    Ok(shapes::chat(conversation, crowd, None))
}
