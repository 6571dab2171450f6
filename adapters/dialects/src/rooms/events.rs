//! Events in this dialect's words.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use connexus_application::hub::Delivery;
use connexus_application::scene::Scene;
use connexus_domain::event::PresenceChange;
use connexus_domain::{ConversationId, Event, Presence, Receipt, Seq, UserId};
use connexus_wire::text::Id;
use rustc_hash::{FxBuildHasher, FxHashMap};
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
                "new-message",
                &shapes::in_scene(message, scene, links),
            )]
        }
        Event::MessageEdited(message) => {
            vec![Told::all(
                "message-edited",
                &shapes::in_scene(message, scene, links),
            )]
        }
        Event::MessageDeleted(message) => vec![Told::all(
            "message-deleted",
            &json!({"messageId": Id::from(message.id), "room": shapes::room(scene)}),
        )],
        Event::ReactionUpdated { message, by } => vec![Told::all(
            "message-reaction",
            &json!({
                "messageId": Id::from(message.id),
                "room": shapes::room(scene),
                "userId": Id::from(*by),
                "reactions": shapes::reactions(message),
            }),
        )],
        Event::ReceiptUpdated {
            receipt,
            read: true,
        } => read(receipt, scene),
        Event::Typing {
            user_id, typing, ..
        } => {
            let mut who = in_room(scene, *user_id, &shapes::room(scene));
            who["isTyping"] = (*typing).into();
            vec![Told::all("user-typing", &who)]
        }
        Event::PresenceUpdated(change) => vec![presence(change, scene, links)],
        Event::MemberLeft(member) => {
            let who = in_room(scene, member.user_id, &shapes::room(scene));
            vec![Told::to(To::Others(member.user_id), "user-left-room", &who)]
        }
        // rooms are joined socket by socket here, and a socket's coming is relayed to the others
        Event::MemberJoined { .. }
        | Event::MemberUpdated(_)
        | Event::ConversationCreated { .. }
        | Event::ConversationUpdated(_)
        | Event::ConversationDeleted { .. }
        | Event::ReceiptUpdated { read: false, .. }
        | Event::SessionRevoked { .. } => Vec::new(),
    }
}

/// `{userId, username, room}`.
pub fn in_room(scene: &Scene, user: UserId, room: &str) -> Value {
    json!({
        "userId": Id::from(user),
        "username": shapes::username(scene, user),
        "room": room,
    })
}

fn presence(change: &PresenceChange, scene: &Scene, links: &Links) -> Told {
    let online = shapes::is_online(change.presence);
    let mut who = json!({
        "userId": Id::from(change.user_id),
        "username": shapes::username(scene, change.user_id),
        "isOnline": online,
    });
    let avatar = || {
        let user = scene.user(change.user_id);
        json!(user.and_then(|user| links.picture_of(user)))
    };
    let others = To::Others(change.user_id);
    match (change.before, change.presence) {
        (_, Presence::Offline) => {
            who["avatar"] = avatar();
            who["lastSeen"] = json!(maybe(change.last_seen_at));
            Told::to(others, "user-offline", &who)
        }
        (Presence::Offline, Presence::Connected(_)) if online => {
            who["avatar"] = avatar();
            Told::to(others, "user-online", &who)
        }
        // the user's other devices show it as well
        _ => {
            who["lastSeen"] = json!(maybe(change.last_seen_at));
            Told::all("user-status-update", &who)
        }
    }
}

/// Up to where each reader's reading was told: what is below is not told again.
static TOLD_READ: Mutex<FxHashMap<(ConversationId, UserId), Seq>> =
    Mutex::new(HashMap::with_hasher(FxBuildHasher));

/// Readers that are remembered. When there are more, some receipts are told twice.
const READERS_MAX: usize = 100_000;

fn told_before(receipt: &Receipt) -> Seq {
    let mut told = TOLD_READ.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() >= READERS_MAX {
        told.clear();
    }
    let upto = told
        .entry((receipt.conversation_id, receipt.user_id))
        .or_default();
    let before = *upto;
    *upto = before.max(receipt.read_seq);
    before
}

/// Each author is told of the newest of its messages that was read.
fn read(receipt: &Receipt, scene: &Scene) -> Vec<Told> {
    let before = told_before(receipt);
    let reader = json!({
        "userId": Id::from(receipt.user_id),
        "username": shapes::username(scene, receipt.user_id),
    });
    let mut authors = HashSet::from([receipt.user_id]);
    scene
        .named
        .iter()
        .filter(|message| authors.insert(message.sender_id) && message.seq > before)
        .map(|message| {
            Told::to(
                To::One(message.sender_id),
                "message-read-receipt",
                &json!({"messageId": Id::from(message.id), "readBy": reader}),
            )
        })
        .collect()
}
