//! Messages.

use connexus_application::messages::SendMessage;
use connexus_domain::ports::HistoryRange;
use connexus_domain::{Entity, Limit, Message, MessageBody, Receipt, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::refused::Refused;
use crate::rest::{Answer, Call, json};
use crate::{ids, paging};

/// Longest message of this dialect, in characters.
const MESSAGE_MAX: usize = 1_000;
/// Messages that one answer has, in pages of the use-case.
const PAGES: u32 = 10;

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Outgoing {
    #[garde(skip)]
    receiver_id: String,
    #[garde(skip)]
    message: String,
}

pub async fn send(call: Call) -> Answer {
    let Outgoing {
        receiver_id,
        message,
    } = call.fields()?;
    // before a conversation is opened for nothing
    MessageBody::parse(&message)?;
    if message.chars().count() > MESSAGE_MAX {
        let reason = format!("must have at most {MESSAGE_MAX} characters");
        return Err(Refused::field("message", reason));
    }
    let receiver: UserId = ids::parse(&receiver_id, Entity::User)?;
    let (app, actor) = (call.app(), &call.quiet_actor()?);
    if receiver == actor.user_id {
        return Err(Refused::said(400, "You cannot send a message to yourself"));
    }
    // nearly always it is there, and to look for it costs no transaction
    let view = match app.conversations.find_direct(actor, receiver).await? {
        Some(view) => view,
        None => app.conversations.open_direct(actor, receiver).await?.view,
    };
    let input = SendMessage {
        body: Some(message),
        ..SendMessage::default()
    };
    let id = view.summary.conversation.id;
    let sent = app.messages.send(actor, id, input).await?.message;
    let shape = MessageShape::of(&sent, actor.user_id, receiver, &[]);
    json(
        201,
        &json!({
            "status": "success",
            "message": "Message sent successfully",
            "data": {"message": shape},
        }),
    )
}

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    page: Option<u32>,
}

/// The newest thousand messages, oldest first; `page` 2 has those before.
pub async fn history(call: Call) -> Answer {
    let Paging { page } = call.query()?;
    let contact: UserId = call.id("contact", Entity::User)?;
    let (app, actor) = (call.app(), call.actor()?);
    let mut newest_first: Vec<Message> = Vec::new();
    let mut receipts = Vec::new();
    if let Some(view) = app.conversations.find_direct(actor, contact).await? {
        let id = view.summary.conversation.id;
        let limit = Limit::of(Limit::MAX);
        let skip = paging::skipped(page, Limit::of(PAGES * Limit::MAX));
        let newest = paging::history(app, actor, id, skip, limit).await?;
        newest_first.extend(newest.messages.into_iter().rev());
        for _ in 1..PAGES {
            let Some(oldest) = newest_first.last().filter(|message| message.seq > 1) else {
                break;
            };
            let older = HistoryRange::Before(oldest.seq);
            newest_first.extend(app.messages.history(actor, id, older, limit).await?);
        }
        receipts = app.receipts.list(actor, id, None, limit).await?.items;
    } else {
        app.users.get(actor, contact).await?;
    }
    let live = newest_first
        .iter()
        .rev()
        .filter(|message| message.is_live());
    let history: Vec<MessageShape<'_>> = live
        .map(|message| MessageShape::of(message, actor.user_id, contact, &receipts))
        .collect();
    let answer = History {
        status: "success",
        results: history.len(),
        data: Data { history },
    };
    json(200, &answer)
}

#[derive(Serialize)]
struct History<'a> {
    status: &'static str,
    results: usize,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    history: Vec<MessageShape<'a>>,
}

/// A message between two; written straight into JSON, for a history has up to a thousand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    sender: Id,
    receiver: Id,
    message: &'a str,
    is_read: bool,
    created_at: Time,
}

impl<'a> MessageShape<'a> {
    /// Between `me` and `peer`.
    fn of(message: &'a Message, me: UserId, peer: UserId, receipts: &[Receipt]) -> Self {
        let receiver = if message.sender_id == me { peer } else { me };
        let is_read = receipts
            .iter()
            .any(|receipt| receipt.user_id == receiver && receipt.read_seq >= message.seq);
        Self {
            id: message.id.into(),
            sender: message.sender_id.into(),
            receiver: receiver.into(),
            message: message.body.as_deref().unwrap_or_default(),
            is_read,
            created_at: Time(message.created_at),
        }
    }
}
