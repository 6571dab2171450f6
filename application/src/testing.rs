//! What the tests of several modules need.

use connexus_domain::{ConversationId, Message, MessageId, MessageKind, Seq, Timestamp, UserId};
use uuid::Uuid;

/// A message of a conversation, which is always the same one.
pub(crate) fn message(number: usize) -> Message {
    let id = |n: usize| Uuid::from_u128(n as u128);
    Message {
        id: MessageId::from_uuid(id(number)),
        conversation_id: ConversationId::from_uuid(id(1)),
        seq: Seq::try_from(number).unwrap(),
        rev: 1,
        sender_id: UserId::from_uuid(id(2)),
        kind: MessageKind::Text,
        body: None,
        attachments: Vec::new(),
        reply_to: None,
        thread_id: None,
        reply_count: 0,
        client_id: None,
        reactions: Vec::new(),
        created_at: Timestamp::from_millis(0),
        edited_at: None,
        deleted_at: None,
    }
}
