//! Events in this dialect's words.

use connexus_application::hub::Delivery;
use connexus_application::scene::Scene;
use connexus_domain::event::PresenceChange;
use connexus_domain::{Event, Message, Presence, Receipt, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::{Value, json};

use super::shapes;
use crate::links::Links;
use crate::times::maybe;
use crate::voice::{To, Told};

/// What this dialect's sockets are told of an event.
pub fn tell(delivery: &Delivery, links: &Links) -> Vec<Told> {
    let Some(scene) = delivery.scene() else {
        return Vec::new();
    };
    match delivery.event() {
        Event::MessageCreated(message) => {
            vec![Told::all(
                "new_message",
                &new_message(message, scene, links),
            )]
        }
        // the seed has no words for these two, though its routes edit and delete
        Event::MessageEdited(message) => vec![Told::all(
            "message_edited",
            &json!({
                "messageId": Id::from(message.id),
                "chatId": Id::from(message.conversation_id),
                "content": message.body,
                "editedAt": maybe(message.edited_at),
            }),
        )],
        Event::MessageDeleted(message) => vec![Told::all(
            "message_deleted",
            &json!({
                "messageId": Id::from(message.id),
                "chatId": Id::from(message.conversation_id),
                "deletedAt": maybe(message.deleted_at),
            }),
        )],
        Event::ReceiptUpdated {
            receipt,
            read: true,
        } => message_read(receipt, scene),
        Event::Typing {
            conversation_id,
            user_id,
            typing,
        } => vec![Told::to(
            To::Others(*user_id),
            "typing_status",
            &json!({
                "from": Id::from(*user_id),
                "isTyping": typing,
                "timestamp": maybe(delivery.told_at()),
                "chatId": Id::from(*conversation_id),
            }),
        )],
        Event::PresenceUpdated(change) => presence(change, scene),
        _ => Vec::new(),
    }
}

fn new_message(message: &Message, scene: &Scene, links: &Links) -> Value {
    let mut payload = json!({
        "messageId": Id::from(message.id),
        "sender": shapes::person(scene, message.sender_id, links),
        "content": message.body.as_deref().unwrap_or_default(),
        "timestamp": Time(message.created_at),
        "chatId": Id::from(message.conversation_id),
        "messageType": message.kind.as_str(),
    });
    shapes::add_files(&mut payload, message, links);
    if let Some(receiver) = shapes::peer(scene, message.sender_id) {
        payload["receiver"] = shapes::person(scene, receiver, links);
    }
    if let Some(conversation) = &scene.conversation {
        let group = shapes::is_group(conversation);
        payload["isGroup"] = group.into();
        if group {
            payload["groupName"] = conversation.name.clone().into();
        }
    }
    payload
}

/// Each author is told of the newest message of its own that was read.
fn message_read(receipt: &Receipt, scene: &Scene) -> Vec<Told> {
    let mut authors: Vec<UserId> = vec![receipt.user_id];
    let mut told = Vec::new();
    for named in &scene.named {
        if authors.contains(&named.sender_id) {
            continue;
        }
        authors.push(named.sender_id);
        told.push(Told::to(
            To::One(named.sender_id),
            "message_read",
            &json!({
                "messageId": Id::from(named.id),
                "readAt": maybe(receipt.read_at),
                "readerId": Id::from(receipt.user_id),
                "chatId": Id::from(receipt.conversation_id),
            }),
        ));
    }
    told
}

fn presence(change: &PresenceChange, scene: &Scene) -> Vec<Told> {
    let user = Id::from(change.user_id);
    let status = change.presence.as_str();
    let (name, payload) = match (change.before, change.presence) {
        (before, after) if before == after => return Vec::new(),
        (Presence::Connected(_), Presence::Connected(_)) => (
            "user_status_changed",
            json!({"userId": user, "status": status, "lastSeen": maybe(change.last_seen_at)}),
        ),
        (_, after) => {
            let came = after != Presence::Offline;
            let name = if came { "user_online" } else { "user_offline" };
            let username = scene.user(change.user_id);
            let username = username.map(|user| user.username.as_str());
            let payload = json!({"userId": user, "username": username, "status": status});
            (name, payload)
        }
    };
    vec![Told::to(To::Others(change.user_id), name, &payload)]
}
