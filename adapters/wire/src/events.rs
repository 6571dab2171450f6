//! Events as frames: `{"event": …, "conversation_id"?, "rev"?, "data": …}`, keys in that order, compact,
//! so that a cheap client can tell them apart by their start.

use bytes::Bytes;
use connexus_domain::Event;
use serde::Serialize;

use crate::shapes::{
    ConversationShape, MemberShape, MessageShape, PresenceShape, ReceiptShape, UserShape,
};
use crate::text::Id;
use crate::time::Time;

#[derive(Serialize)]
struct Frame<T> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<i64>,
    data: T,
}

/// An event's name on the wire.
pub const fn event_name(event: &Event) -> &'static str {
    match event {
        Event::MessageCreated(_) => "message.created",
        Event::MessageEdited(_) => "message.edited",
        Event::MessageDeleted(_) => "message.deleted",
        Event::ReactionUpdated { .. } => "reaction.updated",
        Event::ReceiptUpdated { .. } => "receipt.updated",
        Event::Typing { .. } => "typing",
        Event::PresenceUpdated(_) => "presence.updated",
        Event::ConversationCreated { .. } => "conversation.created",
        Event::ConversationUpdated(_) => "conversation.updated",
        Event::ConversationDeleted { .. } => "conversation.deleted",
        Event::MemberJoined { .. } => "member.joined",
        Event::MemberLeft(_) => "member.left",
        Event::MemberUpdated(_) => "member.updated",
        Event::SessionRevoked { .. } => "session.revoked",
    }
}

/// An event as compact JSON.
pub fn encode_event(event: &Event) -> Bytes {
    match event {
        Event::MessageCreated(message)
        | Event::MessageEdited(message)
        | Event::MessageDeleted(message)
        | Event::ReactionUpdated { message, .. } => frame(event, MessageShape(message)),
        Event::ReceiptUpdated { receipt, .. } => frame(event, ReceiptShape::from(receipt)),
        Event::Typing {
            conversation_id,
            user_id,
            typing,
        } => {
            #[derive(Serialize)]
            struct Writes {
                conversation_id: Id,
                user_id: Id,
                typing: bool,
            }
            let (conversation_id, user_id) = ((*conversation_id).into(), (*user_id).into());
            frame(
                event,
                Writes {
                    conversation_id,
                    user_id,
                    typing: *typing,
                },
            )
        }
        Event::PresenceUpdated(change) => frame(
            event,
            PresenceShape {
                user_id: change.user_id.into(),
                status: change.presence.as_str(),
                status_text: change.status_text.as_deref(),
                last_seen_at: change.last_seen_at.map(Time),
            },
        ),
        Event::ConversationCreated {
            conversation,
            me,
            peer,
        } => frame(
            event,
            ConversationShape::new_to(conversation, me, peer.as_deref()),
        ),
        Event::ConversationUpdated(conversation) => {
            frame(event, ConversationShape::shared(conversation))
        }
        Event::ConversationDeleted {
            conversation_id, ..
        } => {
            #[derive(Serialize)]
            struct Deleted {
                conversation_id: Id,
            }
            frame(
                event,
                Deleted {
                    conversation_id: (*conversation_id).into(),
                },
            )
        }
        Event::MemberJoined { member, user } => {
            frame(event, MemberShape::with(member, Some(UserShape::of(user))))
        }
        Event::MemberLeft(member) | Event::MemberUpdated(member) => {
            frame(event, MemberShape::bare(member))
        }
        Event::SessionRevoked { session_id } => {
            #[derive(Serialize)]
            struct Revoked {
                session_id: Id,
            }
            frame(
                event,
                Revoked {
                    session_id: (*session_id).into(),
                },
            )
        }
    }
}

/// The last event of a connection that is to come back and catch up.
pub const RESUME: &str = r#"{"event":"resume","data":{}}"#;

fn frame(event: &Event, data: impl Serialize) -> Bytes {
    let frame = Frame {
        event: event_name(event),
        conversation_id: event.conversation_id().map(Id::from),
        rev: event.rev(),
        data,
    };
    let mut bytes = Vec::with_capacity(1_024);
    if serde_json::to_writer(&mut bytes, &frame).is_err() {
        // writing JSON to memory fails for no shape of ours; an empty frame would be worse than a told one
        return Bytes::from_static(RESUME.as_bytes());
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use connexus_domain::attachment::{ContentHash, Measured, MediaKind, NewAttachment, Purpose};
    use connexus_domain::{
        AttachmentId, ConversationId, Message, MessageId, MessageKind, Timestamp, UserId,
    };
    use uuid::Uuid;

    fn message() -> Message {
        Message {
            id: MessageId::from_uuid(Uuid::from_u128(1)),
            conversation_id: ConversationId::from_uuid(Uuid::from_u128(2)),
            seq: 3,
            rev: 4,
            sender_id: UserId::from_uuid(Uuid::from_u128(5)),
            kind: MessageKind::Text,
            body: Some("hi \"you\"".to_owned()),
            attachments: Vec::new(),
            reply_to: None,
            thread_id: None,
            reply_count: 0,
            reactions: Vec::new(),
            client_id: None,
            created_at: Timestamp::from_millis(0),
            edited_at: None,
            deleted_at: None,
        }
    }

    #[test]
    fn a_message_tells_its_files() {
        let picture = NewAttachment {
            id: AttachmentId::from_uuid(Uuid::from_u128(6)),
            uploader_id: UserId::from_uuid(Uuid::from_u128(5)),
            purpose: Purpose::Message(ConversationId::from_uuid(Uuid::from_u128(2))),
            name: "a \"b\".png".to_owned(),
            at: Timestamp::from_millis(0),
        };
        let measured = Measured {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            size: 5_000_000_000,
            sha256: ContentHash([1; 32]),
            width: Some(640),
            height: Some(480),
            duration_ms: None,
            thumbnails: true,
        };
        let bare = picture.clone().into_attachment();
        let picture = picture.into_attachment().completed(&measured).unwrap();
        let message = Message {
            attachments: vec![picture, bare],
            ..message()
        };
        let frame = encode_event(&Event::MessageCreated(message));
        let frame = std::str::from_utf8(&frame).unwrap();
        let expected = concat!(
            r#""attachments":[{"id":"00000000-0000-0000-0000-000000000006","kind":"image","name":"a \"b\".png","#,
            r#""media_type":"image/png","size":5000000000,"width":640,"height":480,"duration_ms":null,"#,
            r#""url":"/v1/attachments/00000000-0000-0000-0000-000000000006","#,
            r#""thumbnail_url":"/v1/attachments/00000000-0000-0000-0000-000000000006/thumbnail"},"#,
        );
        assert!(frame.contains(expected), "{frame}");
        assert!(
            frame.contains(r#""thumbnail_url":null}],"reply_to""#),
            "{frame}"
        );
    }

    #[test]
    fn a_message_starts_as_promised() {
        let frame = encode_event(&Event::MessageCreated(message()));
        let expected = concat!(
            r#"{"event":"message.created","conversation_id":"00000000-0000-0000-0000-000000000002","rev":4,"#,
            r#""data":{"id":"00000000-0000-0000-0000-000000000001","conversation_id":"00000000-0000-0000-0000-000000000002","#,
            r#""seq":3,"rev":4,"sender_id":"00000000-0000-0000-0000-000000000005","kind":"text","body":"hi \"you\"","#,
            r#""attachments":[],"reply_to":null,"thread_id":null,"reply_count":0,"reactions":[],"client_id":null,"#,
            r#""created_at":"1970-01-01T00:00:00.000Z","edited_at":null,"deleted_at":null}}"#
        );
        assert_eq!(std::str::from_utf8(&frame).unwrap(), expected);
    }
}
