//! What this dialect's clients see: users and messages.

use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_domain::{Message, Presence, Receipt, Status, Timestamp, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
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
pub fn sender(people: &dyn People, id: UserId, links: &Links) -> Value {
    let user = people.person(id);
    json!({
        "_id": Id::from(id),
        "username": user.map(|user| user.username.as_str()),
        "email": user.map(|user| user.email.as_str()),
        "avatar": user.and_then(|user| links.picture_of(user)),
    })
}

/// A username, as far as it is known.
pub fn username(people: &dyn People, id: UserId) -> &str {
    people.person(id).map_or("", |user| user.username.as_str())
}

/// A message, with those who have read it.
pub fn message(
    message: &Message,
    room: &str,
    people: &dyn People,
    read_by: &Value,
    links: &Links,
) -> Value {
    // these clients show one file of a message
    let file = message.attachments.first();
    let updated = message.edited_at.unwrap_or(message.created_at);
    json!({
        "_id": Id::from(message.id),
        "content": message.body.as_deref().unwrap_or_default(),
        "sender": sender(people, message.sender_id, links),
        "room": room,
        "messageType": message.kind.as_str(),
        "fileUrl": file.map(|file| links.file(file.id)),
        "fileName": file.map(|file| &file.name),
        "fileSize": file.map(|file| file.size),
        "isEdited": message.edited_at.is_some(),
        "editedAt": maybe(message.edited_at),
        "reactions": reactions(message),
        "readBy": read_by,
        "createdAt": Time(message.created_at),
        "updatedAt": Time(updated),
    })
}

/// The same of a message whose scene is known.
pub fn in_scene(told: &Message, scene: &Scene, links: &Links) -> Value {
    let members = scene.members.iter();
    let read_by = members
        .filter_map(|id| Some((scene.user(*id)?, scene.member(*id)?)))
        .filter(|(user, _)| user.privacy.read_receipts)
        .filter(|(user, member)| user.id != told.sender_id && member.read_seq >= told.seq)
        .map(|(user, member)| reader(user.id, member.read_at))
        .collect();
    message(told, &room(scene), scene, &read_by, links)
}

/// Those who have read a message, from receipts.
pub fn read_by(message: &Message, receipts: &[Receipt]) -> Value {
    receipts
        .iter()
        .filter(|receipt| receipt.user_id != message.sender_id)
        .filter(|receipt| receipt.read_seq >= message.seq)
        .map(|receipt| reader(receipt.user_id, receipt.read_at))
        .collect()
}

fn reader(user: UserId, at: Option<Timestamp>) -> Value {
    json!({"user": Id::from(user), "readAt": maybe(at)})
}

/// Reactions, one entry for each user and emoji.
pub fn reactions(message: &Message) -> Value {
    let one = |emoji: &str, user: &UserId| json!({"user": Id::from(*user), "emoji": emoji});
    message
        .reactions
        .iter()
        .flat_map(|reaction| {
            let emoji = reaction.emoji.as_str();
            reaction.user_ids.iter().map(move |user| one(emoji, user))
        })
        .collect()
}

/// The room of a scene.
pub fn room(scene: &Scene) -> String {
    let conversation = scene.conversation.as_deref();
    conversation.map(places::name).unwrap_or_default()
}
