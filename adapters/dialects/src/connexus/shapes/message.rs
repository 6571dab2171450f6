//! A message and what belongs to it. These are written straight into JSON, without a tree in between: they are
//! most of what this dialect says, 50 on a page of the history.

use connexus_domain::attachment::Attachment;
use connexus_domain::receipt::DeliveryStatus;
use connexus_domain::{Message, Page, Receipt, User, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde::Serialize;

use super::avatar;
use crate::links::Links;
use crate::people::People;
use crate::times::maybe;

/// A message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    content: &'a str,
    sender: SenderShape<'a>,
    conversation: Id,
    #[serde(rename = "type")]
    kind: &'static str,
    reply_to: Option<Answered<'a>>,
    attachments: Vec<AttachmentShape<'a>>,
    reactions: Vec<ReactionShape<'a>>,
    status: &'static str,
    read_by: Vec<ReadMark>,
    is_edited: bool,
    edited_at: Option<Time>,
    deleted_at: Option<Time>,
    is_deleted: bool,
    created_at: Time,
    updated_at: Time,
}

/// What a message answers: only which it is, or what it says.
#[derive(Serialize)]
#[serde(untagged)]
enum Answered<'a> {
    Id(Id),
    Shown(Box<QuotedShape<'a>>),
}

impl<'a> MessageShape<'a> {
    /// As it is told. How far others have come with it is known where it is read.
    pub fn of(
        message: &'a Message,
        people: &'a dyn People,
        progress: &Progress,
        links: &Links,
    ) -> Self {
        let changed = message.deleted_at.or(message.edited_at);
        Self {
            id: message.id.into(),
            content: message.body.as_deref().unwrap_or_default(),
            sender: SenderShape::of(people, message.sender_id, links),
            conversation: message.conversation_id.into(),
            kind: message.kind.as_str(),
            reply_to: message.reply_to.map(|id| Answered::Id(id.into())),
            attachments: message
                .attachments
                .iter()
                .map(|file| AttachmentShape::of(file, links))
                .collect(),
            reactions: reactions(message),
            status: progress.status(message),
            read_by: progress.read_by(message),
            is_edited: message.edited_at.is_some(),
            edited_at: maybe(message.edited_at),
            deleted_at: maybe(message.deleted_at),
            is_deleted: message.deleted_at.is_some(),
            created_at: Time(message.created_at),
            updated_at: Time(changed.unwrap_or(message.created_at)),
        }
    }

    /// The same with what it answers.
    pub fn answering(
        mut self,
        answered: &'a Message,
        people: &'a dyn People,
        links: &Links,
    ) -> Self {
        let shown = QuotedShape::of(answered, people, links);
        self.reply_to = Some(Answered::Shown(Box::new(shown)));
        self
    }
}

/// Whoever sent or did something. Of one who is not known there is only the id.
#[derive(Serialize)]
pub struct SenderShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
}

impl<'a> SenderShape<'a> {
    /// Whoever has this id.
    pub fn of(people: &'a dyn People, id: UserId, links: &Links) -> Self {
        let user: Option<&User> = people.person(id);
        Self {
            id: id.into(),
            name: user.map(|user| user.display_name.as_str()),
            username: user.map(|user| user.username.as_str()),
            email: user.map(|user| user.email.as_str()),
            avatar: user.map(|user| avatar(user, links)),
        }
    }
}

/// A message as an answer to it shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuotedShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    content: &'a str,
    sender: SenderShape<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    is_deleted: bool,
    created_at: Time,
}

impl<'a> QuotedShape<'a> {
    fn of(message: &'a Message, people: &'a dyn People, links: &Links) -> Self {
        Self {
            id: message.id.into(),
            content: words(message),
            sender: SenderShape::of(people, message.sender_id, links),
            kind: message.kind.as_str(),
            is_deleted: message.deleted_at.is_some(),
            created_at: Time(message.created_at),
        }
    }
}

/// What stands for a message in a preview.
pub fn words(message: &Message) -> &str {
    if message.is_live() {
        message.body.as_deref().unwrap_or_default()
    } else {
        "This message was deleted"
    }
}

/// A file of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentShape<'a> {
    #[serde(rename = "_id")]
    mongo_id: Id,
    id: Id,
    url: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mime_type: &'a str,
    name: &'a str,
    size: u64,
    thumbnail: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    duration: Option<f64>,
}

impl<'a> AttachmentShape<'a> {
    /// With an address that a page can fetch.
    pub fn of(file: &'a Attachment, links: &Links) -> Self {
        Self {
            mongo_id: file.id.into(),
            id: file.id.into(),
            url: links.file(file.id),
            kind: file.kind.as_str(),
            mime_type: &file.media_type,
            name: &file.name,
            size: file.size,
            thumbnail: links.thumbnail(file),
            width: file.width,
            height: file.height,
            duration: file.duration_ms.map(in_seconds),
        }
    }
}

/// Milliseconds in seconds, as players count.
#[expect(clippy::cast_precision_loss, reason = "no recording lasts so long")]
fn in_seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// What one user gave. When it was given is not kept: `timestamp` is null.
#[derive(Serialize)]
pub struct ReactionShape<'a> {
    user: Id,
    emoji: &'a str,
    timestamp: (),
}

/// Reactions, one entry for each user and emoji.
pub fn reactions(message: &Message) -> Vec<ReactionShape<'_>> {
    let of_one = |emoji, user: &UserId| ReactionShape {
        user: (*user).into(),
        emoji,
        timestamp: (),
    };
    message
        .reactions
        .iter()
        .flat_map(|reaction| {
            let emoji = reaction.emoji.as_str();
            reaction
                .user_ids
                .iter()
                .map(move |user| of_one(emoji, user))
        })
        .collect()
}

/// Somebody who has read a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadMark {
    user: Id,
    read_at: Option<Time>,
}

/// How far the members of a conversation have come, as far as they tell.
#[derive(Debug, Default)]
pub struct Progress {
    receipts: Vec<Receipt>,
    /// Whether there are more members than these.
    cut: bool,
}

impl Progress {
    /// From receipts of all members, or of the first of very many.
    pub fn of(page: Page<Receipt, UserId>) -> Self {
        Self {
            cut: page.next.is_some(),
            receipts: page.items,
        }
    }

    fn others(&self, message: &Message) -> impl Iterator<Item = &Receipt> {
        let sender = message.sender_id;
        self.receipts.iter().filter(move |r| r.user_id != sender)
    }

    fn status(&self, message: &Message) -> &'static str {
        // some are not all
        let others = self.others(message).filter(|_| !self.cut).copied();
        match DeliveryStatus::of(message.seq, others) {
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
        }
    }

    fn read_by(&self, message: &Message) -> Vec<ReadMark> {
        self.others(message)
            .filter(|r| r.read_seq >= message.seq)
            .map(|r| ReadMark {
                user: r.user_id.into(),
                read_at: maybe(r.read_at),
            })
            .collect()
    }
}
