//! What this dialect's clients see: users and messages.

use std::borrow::Cow;

use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_domain::{Message, Presence, Receipt, Status, Timestamp, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde::Serialize;
use serde_json::{Value, json};

use super::places;
use crate::links::Links;
use crate::people::People;
use crate::times::maybe;

/// Whether somebody is what these clients call online. Who chose to be shown as not online is away.
pub fn is_online(presence: Presence) -> bool {
    match presence {
        Presence::Connected(Status::Online | Status::Busy) => true,
        Presence::Connected(Status::Away) | Presence::Offline => false,
    }
}

/// An account.
pub fn profile(profile: &Profile, links: &Links) -> Value {
    let user = &profile.user;
    json!({
        "_id": Id::from(user.id),
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "avatar": links.picture_of(user),
        "isOnline": is_online(profile.presence),
        "lastSeen": maybe(profile.last_seen_at),
        "createdAt": Time(user.created_at),
    })
}

/// Whoever sent a message.
#[derive(Serialize)]
pub struct SenderShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    username: Option<&'a str>,
    email: Option<&'a str>,
    avatar: Option<String>,
}

impl<'a> SenderShape<'a> {
    /// Whoever has this id.
    pub fn of(people: &'a dyn People, id: UserId, links: &Links) -> Self {
        let user = people.person(id);
        Self {
            id: id.into(),
            username: user.map(|user| user.username.as_str()),
            email: user.map(|user| user.email.as_str()),
            avatar: user.and_then(|user| links.picture_of(user)),
        }
    }
}

/// A username, as far as it is known.
pub fn username(people: &dyn People, id: UserId) -> &str {
    people.person(id).map_or("", |user| user.username.as_str())
}

/// A message, with those who have read it; written straight into JSON, for a page of the history has many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    content: &'a str,
    sender: SenderShape<'a>,
    room: Cow<'a, str>,
    message_type: &'static str,
    file_url: Option<String>,
    file_name: Option<&'a str>,
    file_size: Option<u64>,
    is_edited: bool,
    edited_at: Option<Time>,
    reactions: Vec<ReactionShape<'a>>,
    read_by: Vec<Reader>,
    created_at: Time,
    updated_at: Time,
}

impl<'a> MessageShape<'a> {
    /// In this room.
    pub fn of(
        message: &'a Message,
        room: Cow<'a, str>,
        people: &'a dyn People,
        read_by: Vec<Reader>,
        links: &Links,
    ) -> Self {
        // these clients show one file of a message
        let file = message.attachments.first();
        Self {
            id: message.id.into(),
            content: message.body.as_deref().unwrap_or_default(),
            sender: SenderShape::of(people, message.sender_id, links),
            room,
            message_type: message.kind.as_str(),
            file_url: file.map(|file| links.file(file.id)),
            file_name: file.map(|file| file.name.as_str()),
            file_size: file.map(|file| file.size),
            is_edited: message.edited_at.is_some(),
            edited_at: maybe(message.edited_at),
            reactions: reactions(message),
            read_by,
            created_at: Time(message.created_at),
            updated_at: Time(message.edited_at.unwrap_or(message.created_at)),
        }
    }
}

/// The same of a message whose scene is known.
pub fn in_scene<'a>(told: &'a Message, scene: &'a Scene, links: &Links) -> MessageShape<'a> {
    let read_by = scene
        .participants()
        .filter(|(user, _)| user.privacy.read_receipts)
        .filter(|(user, member)| user.id != told.sender_id && member.read_seq >= told.seq)
        .map(|(user, member)| reader(user.id, member.read_at))
        .collect();
    MessageShape::of(told, room(scene).into(), scene, read_by, links)
}

/// Those who have read a message, from receipts.
pub fn read_by(message: &Message, receipts: &[Receipt]) -> Vec<Reader> {
    receipts
        .iter()
        .filter(|receipt| receipt.user_id != message.sender_id)
        .filter(|receipt| receipt.read_seq >= message.seq)
        .map(|receipt| reader(receipt.user_id, receipt.read_at))
        .collect()
}

/// Somebody who has read a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    user: Id,
    read_at: Option<Time>,
}

fn reader(user: UserId, at: Option<Timestamp>) -> Reader {
    Reader {
        user: user.into(),
        read_at: maybe(at),
    }
}

/// What one user gave.
#[derive(Serialize)]
pub struct ReactionShape<'a> {
    user: Id,
    emoji: &'a str,
}

/// Reactions, one entry for each user and emoji.
pub fn reactions(message: &Message) -> Vec<ReactionShape<'_>> {
    let of_one = |emoji, user: &UserId| ReactionShape {
        user: (*user).into(),
        emoji,
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

/// The room of a scene.
pub fn room(scene: &Scene) -> String {
    let conversation = scene.conversation.as_deref();
    conversation.map(places::name).unwrap_or_default()
}
