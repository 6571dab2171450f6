//! Events in this dialect's words.

use connexus_application::hub::Delivery;
use connexus_application::scene::Scene;
use connexus_domain::event::PresenceChange;
use connexus_domain::{ConversationId, Event, Message, Presence, UserId};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde::Serialize;
use serde_json::json;

use super::shapes::{self, MessageShape, Progress, SenderShape};
use crate::links::Links;
use crate::times::maybe;
use crate::voice::{To, Told};

/// What this dialect's sockets are told of an event.
pub fn tell(delivery: &Delivery, links: &Links) -> Vec<Told> {
    let Some(scene) = delivery.scene() else {
        return Vec::new();
    };
    let told = match delivery.event() {
        Event::MessageCreated(message) => created(message, scene, links),
        Event::MessageEdited(message) => edited(message),
        Event::MessageDeleted(message) => deleted(message),
        Event::ReactionUpdated { message, .. } => reacted(message),
        Event::ReceiptUpdated {
            receipt,
            read: true,
        } => Told::to(
            To::Others(receipt.user_id),
            "message_read",
            &json!({
                "conversationId": Id::from(receipt.conversation_id),
                "userId": Id::from(receipt.user_id),
                "readAt": maybe(receipt.read_at),
            }),
        ),
        Event::Typing {
            conversation_id,
            user_id,
            typing,
        } => writes(*conversation_id, *user_id, *typing, scene, links),
        Event::PresenceUpdated(change) => appears(change),
        Event::ReceiptUpdated { read: false, .. } | Event::SessionRevoked { .. } => {
            return Vec::new();
        }
        other => match of_conversation(other, scene, links) {
            Some(told) => told,
            None => return Vec::new(),
        },
    };
    vec![told]
}

fn created(message: &Message, scene: &Scene, links: &Links) -> Told {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload<'a> {
        message: MessageShape<'a>,
        conversation_id: Id,
    }
    let payload = Payload {
        message: MessageShape::of(message, scene, &Progress::default(), links),
        conversation_id: message.conversation_id.into(),
    };
    Told::all("new_message", &payload)
}

fn edited(message: &Message) -> Told {
    Told::all(
        "message_edited",
        &json!({
            "messageId": Id::from(message.id),
            "newContent": message.body,
            "editedAt": maybe(message.edited_at),
            "conversationId": Id::from(message.conversation_id),
        }),
    )
}

fn deleted(message: &Message) -> Told {
    Told::all(
        "message_deleted",
        &json!({
            "messageId": Id::from(message.id),
            "deletedAt": maybe(message.deleted_at),
            "conversationId": Id::from(message.conversation_id),
        }),
    )
}

fn reacted(message: &Message) -> Told {
    Told::all(
        "reaction_updated",
        &json!({
            "messageId": Id::from(message.id),
            "reactions": shapes::reactions(message),
            "conversationId": Id::from(message.conversation_id),
        }),
    )
}

fn writes(
    conversation: ConversationId,
    user: UserId,
    typing: bool,
    scene: &Scene,
    links: &Links,
) -> Told {
    let mut payload = json!({
        "userId": Id::from(user),
        "conversationId": Id::from(conversation),
    });
    if !typing {
        return Told::all("user_stop_typing", &payload);
    }
    if let Some(user) = scene.user(user) {
        payload["user"] = json!({
            "_id": Id::from(user.id),
            "name": user.display_name,
            "avatar": shapes::avatar(user, links),
        });
    }
    Told::all("user_typing", &payload)
}

fn appears(change: &PresenceChange) -> Told {
    let to = To::Others(change.user_id);
    let user = Id::from(change.user_id);
    match (change.before, change.presence) {
        (_, Presence::Offline) => Told::to(
            to,
            "user_offline",
            &json!({"userId": user, "lastSeen": change.last_seen_at.map(Time)}),
        ),
        (Presence::Offline, Presence::Connected(_)) => Told::to(
            to,
            "user_online",
            &json!({"userId": user, "lastSeen": null}),
        ),
        (Presence::Connected(_), Presence::Connected(status)) => Told::to(
            to,
            "user_status_updated",
            &json!({
                "userId": user,
                "status": status.as_str(),
                "lastSeen": maybe(change.last_seen_at),
            }),
        ),
    }
}

/// What becomes of conversations, in the words of these front ends, which call those of several users groups.
fn of_conversation(event: &Event, scene: &Scene, links: &Links) -> Option<Told> {
    let id = Id::from(event.conversation_id()?);
    Some(match event {
        Event::ConversationCreated { .. } => {
            Told::all("conversation_created", &json!({"conversationId": id}))
        }
        Event::ConversationUpdated(conversation) => Told::all(
            "group_info_updated",
            &json!({
                "conversationId": id,
                "groupId": id,
                "info": {
                    "name": conversation.name,
                    "description": conversation.description.as_deref().unwrap_or_default(),
                    "avatar": links.picture(conversation.avatar_url.as_deref()).unwrap_or_default(),
                },
            }),
        ),
        Event::ConversationDeleted { .. } => Told::all(
            "group_deleted",
            &json!({"conversationId": id, "groupId": id}),
        ),
        Event::MemberJoined { member, .. } => Told::all(
            "user_joined_group",
            &json!({
                "conversationId": id,
                "groupId": id,
                "user": SenderShape::of(scene, member.user_id, links),
            }),
        ),
        Event::MemberLeft(member) => Told::all(
            "participant_removed",
            &json!({
                "conversationId": id,
                "groupId": id,
                "userId": Id::from(member.user_id),
                "participantId": Id::from(member.user_id),
            }),
        ),
        Event::MemberUpdated(member) => Told::all(
            "participant_role_changed",
            &json!({
                "conversationId": id,
                "groupId": id,
                "userId": Id::from(member.user_id),
                "participantId": Id::from(member.user_id),
                "role": shapes::role(member.role),
            }),
        ),
        _ => return None,
    })
}
