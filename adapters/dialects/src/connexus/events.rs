//! Events in this dialect's words.

use connexus_application::hub::Delivery;
use connexus_domain::{Event, Presence};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::json;

use super::shapes::{self, Progress};
use crate::times::maybe;
use crate::voice::{To, Told};

/// What this dialect's sockets are told of an event.
pub fn tell(delivery: &Delivery) -> Vec<Told> {
    let Some(scene) = delivery.scene() else {
        return Vec::new();
    };
    match delivery.event() {
        Event::MessageCreated(message) => {
            let shape = shapes::message(message, scene.as_ref(), &Progress::default());
            let conversation = Id::from(message.conversation_id);
            vec![Told::all(
                "new_message",
                &json!({"message": shape, "conversationId": conversation}),
            )]
        }
        Event::MessageEdited(message) => vec![Told::all(
            "message_edited",
            &json!({
                "messageId": Id::from(message.id),
                "newContent": message.body,
                "editedAt": maybe(message.edited_at),
                "conversationId": Id::from(message.conversation_id),
            }),
        )],
        Event::MessageDeleted(message) => vec![Told::all(
            "message_deleted",
            &json!({
                "messageId": Id::from(message.id),
                "deletedAt": maybe(message.deleted_at),
                "conversationId": Id::from(message.conversation_id),
            }),
        )],
        Event::ReactionUpdated { message, .. } => vec![Told::all(
            "reaction_updated",
            &json!({
                "messageId": Id::from(message.id),
                "reactions": shapes::reactions(message),
                "conversationId": Id::from(message.conversation_id),
            }),
        )],
        Event::ReceiptUpdated {
            receipt,
            read: true,
        } => vec![Told::to(
            To::Others(receipt.user_id),
            "message_read",
            &json!({
                "conversationId": Id::from(receipt.conversation_id),
                "userId": Id::from(receipt.user_id),
                "readAt": maybe(receipt.read_at),
            }),
        )],
        Event::Typing {
            conversation_id,
            user_id,
            typing,
        } => {
            let mut payload = json!({
                "userId": Id::from(*user_id),
                "conversationId": Id::from(*conversation_id),
            });
            if *typing && let Some(user) = scene.user(*user_id) {
                payload["user"] = json!({
                    "_id": Id::from(user.id),
                    "name": user.display_name,
                    "avatar": shapes::avatar(user),
                });
            }
            let name = if *typing {
                "user_typing"
            } else {
                "user_stop_typing"
            };
            vec![Told::all(name, &payload)]
        }
        Event::PresenceUpdated(change) => {
            let to = To::Others(change.user_id);
            let user = Id::from(change.user_id);
            match (change.before, change.presence) {
                (_, Presence::Offline) => vec![Told::to(
                    to,
                    "user_offline",
                    &json!({"userId": user, "lastSeen": change.last_seen_at.map(Time)}),
                )],
                (Presence::Offline, Presence::Connected(_)) => vec![Told::to(
                    to,
                    "user_online",
                    &json!({"userId": user, "lastSeen": null}),
                )],
                (Presence::Connected(_), Presence::Connected(status)) => vec![Told::to(
                    to,
                    "user_status",
                    &json!({"userId": user, "status": status.as_str()}),
                )],
            }
        }
        Event::ConversationCreated { conversation, .. } => vec![Told::all(
            "conversation_created",
            &json!({"conversationId": Id::from(conversation.id)}),
        )],
        Event::ConversationUpdated(conversation) => vec![Told::all(
            "conversation_updated",
            &json!({
                "conversationId": Id::from(conversation.id),
                "name": conversation.name,
                "description": conversation.description,
                "avatar": conversation.avatar_url,
            }),
        )],
        Event::ConversationDeleted {
            conversation_id, ..
        } => vec![Told::all(
            "conversation_deleted",
            &json!({"conversationId": Id::from(*conversation_id)}),
        )],
        Event::MemberJoined { member, .. } => vec![Told::all(
            "participant_added",
            &json!({
                "conversationId": Id::from(member.conversation_id),
                "user": shapes::sender(scene.as_ref(), member.user_id),
            }),
        )],
        Event::MemberLeft(member) => vec![Told::all(
            "participant_removed",
            &json!({
                "conversationId": Id::from(member.conversation_id),
                "userId": Id::from(member.user_id),
            }),
        )],
        Event::MemberUpdated(member) => vec![Told::all(
            "participant_updated",
            &json!({
                "conversationId": Id::from(member.conversation_id),
                "userId": Id::from(member.user_id),
                "role": shapes::role(member.role),
            }),
        )],
        Event::ReceiptUpdated { read: false, .. } | Event::SessionRevoked { .. } => Vec::new(),
    }
}
