//! What clients get, for the OpenAPI document alone: the bytes are written by `connexus-wire`. A test
//! holds the two together.

use std::collections::HashMap;

use utoipa::ToSchema;
use uuid::Uuid;

use crate::dto::{Kind, MessageKind, Role, Visibility};

/// A user as others see it.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "018f3b1e-5a3c-7cc0-9d6b-3f2a1c0e4d5f", "username": "ann", "display_name": "Ann",
    "avatar_url": null, "bio": null, "status": "online", "status_text": null, "last_seen_at": null,
    "created_at": "2026-01-31T12:00:00.000Z"
}))]
pub struct User {
    pub id: Uuid,
    pub username: String,
    pub display_name: String,
    #[schema(required)]
    pub avatar_url: Option<String>,
    #[schema(required)]
    pub bio: Option<String>,
    pub status: Presence,
    #[schema(required)]
    pub status_text: Option<String>,
    #[schema(required, format = DateTime)]
    pub last_seen_at: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// How a user appears: the chosen status, or `offline` without a connection.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Presence {
    Online,
    Away,
    Busy,
    Offline,
}

/// A user as it sees itself.
#[derive(ToSchema)]
pub struct Me {
    #[schema(inline)]
    #[serde(flatten)]
    pub user: User,
    #[schema(format = "email")]
    pub email: String,
    pub privacy: Privacy,
}

/// What others may know.
#[derive(ToSchema)]
pub struct Privacy {
    pub presence: Visibility,
    pub read_receipts: bool,
    pub searchable: bool,
}

/// What a client gets for proving who it is.
#[derive(ToSchema)]
pub struct Tokens {
    pub user: Me,
    pub session_id: Uuid,
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: String,
    /// Seconds.
    #[schema(example = 900)]
    pub expires_in: u64,
    pub refresh_token: String,
    /// Seconds.
    #[schema(example = 2_592_000)]
    pub refresh_expires_in: u64,
}

/// One login of one device.
#[derive(ToSchema)]
pub struct Session {
    pub id: Uuid,
    #[schema(required)]
    pub device: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub last_used_at: String,
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// How a user appears.
#[derive(ToSchema)]
pub struct UserPresence {
    pub user_id: Uuid,
    pub status: Presence,
    #[schema(required)]
    pub status_text: Option<String>,
    #[schema(required, format = DateTime)]
    pub last_seen_at: Option<String>,
}

/// A message, or its tombstone: that has `deleted_at` and no `body`.
#[derive(ToSchema)]
pub struct Message {
    pub id: Uuid,
    pub conversation_id: Uuid,
    /// Dense number in the conversation.
    #[schema(example = 42)]
    pub seq: i64,
    /// Number of the conversation's change that made it what it is.
    #[schema(example = 57)]
    pub rev: i64,
    pub sender_id: Uuid,
    pub kind: MessageKind,
    #[schema(required, example = "hello")]
    pub body: Option<String>,
    pub attachments: Vec<Attachment>,
    #[schema(required)]
    pub reply_to: Option<Uuid>,
    #[schema(required)]
    pub thread_id: Option<Uuid>,
    pub reply_count: u32,
    pub reactions: Vec<Reaction>,
    #[schema(required)]
    pub client_id: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(required, format = DateTime)]
    pub edited_at: Option<String>,
    #[schema(required, format = DateTime)]
    pub deleted_at: Option<String>,
}

/// Addresses that need no token, good for a while.
#[derive(ToSchema)]
pub struct Link {
    /// A path with a query on this server.
    pub url: String,
    /// Of a picture.
    #[schema(required)]
    pub thumbnail_url: Option<String>,
}

/// How much media of one kind a conversation has.
#[derive(ToSchema)]
pub struct MediaStats {
    #[schema(example = "image")]
    pub kind: String,
    pub count: u64,
    /// In bytes.
    pub total_size: u64,
    /// In bytes.
    pub average_size: u64,
}

/// A file of a message.
#[derive(ToSchema)]
pub struct Attachment {
    pub id: Uuid,
    /// `image`, `video`, `audio` or `file`.
    #[schema(example = "image")]
    pub kind: String,
    #[schema(example = "photo.jpg")]
    pub name: String,
    /// By its content.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// In bytes.
    #[schema(example = 48_000)]
    pub size: u64,
    /// In pixels.
    #[schema(required)]
    pub width: Option<u32>,
    /// In pixels.
    #[schema(required)]
    pub height: Option<u32>,
    /// In milliseconds.
    #[schema(required)]
    pub duration_ms: Option<u64>,
    /// A path on this server.
    pub url: String,
    /// A path on this server; null when there are no thumbnails.
    #[schema(required)]
    pub thumbnail_url: Option<String>,
}

/// Who reacted with one emoji.
#[derive(ToSchema)]
pub struct Reaction {
    #[schema(example = "👍")]
    pub emoji: String,
    pub count: u32,
    /// The first of them.
    pub user_ids: Vec<Uuid>,
}

/// A conversation as one of its members sees it.
#[derive(ToSchema)]
pub struct Conversation {
    pub id: Uuid,
    pub kind: Kind,
    #[schema(required)]
    pub slug: Option<String>,
    #[schema(required, example = "Climbing")]
    pub name: Option<String>,
    #[schema(required)]
    pub description: Option<String>,
    #[schema(required)]
    pub avatar_url: Option<String>,
    pub created_by: Uuid,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub last_activity_at: String,
    pub last_seq: i64,
    pub rev: i64,
    pub member_count: u32,
    #[schema(required)]
    pub last_message: Option<Message>,
    /// The other user of a direct one.
    #[schema(required)]
    pub peer: Option<User>,
    pub me: MyPart,
}

/// The asker's own part in a conversation.
#[derive(ToSchema)]
pub struct MyPart {
    pub role: Role,
    pub read_seq: i64,
    pub delivered_seq: i64,
    #[schema(maximum = 99)]
    pub unread_count: u32,
    /// Whether there are more than `unread_count`.
    pub unread_capped: bool,
    #[schema(required, format = DateTime)]
    pub muted_until: Option<String>,
    pub archived: bool,
    pub pinned: bool,
    #[schema(format = DateTime)]
    pub joined_at: String,
}

/// A user in a conversation.
#[derive(ToSchema)]
pub struct Member {
    pub conversation_id: Uuid,
    pub user_id: Uuid,
    pub role: Role,
    #[schema(format = DateTime)]
    pub joined_at: String,
    #[schema(required, format = DateTime)]
    pub left_at: Option<String>,
    pub rev: i64,
    pub user: User,
}

/// How far a member has come.
#[derive(ToSchema)]
pub struct Receipt {
    pub conversation_id: Uuid,
    pub user_id: Uuid,
    pub delivered_seq: i64,
    #[schema(required, format = DateTime)]
    pub delivered_at: Option<String>,
    pub read_seq: i64,
    #[schema(required, format = DateTime)]
    pub read_at: Option<String>,
}

/// Part of a list.
#[derive(ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Where the next page starts; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// What changed since.
#[derive(ToSchema)]
pub struct SyncAnswer {
    /// Of each conversation in the order of `rev`.
    pub changes: Vec<SyncChange>,
    /// What to send next time.
    pub conversations: HashMap<String, i64>,
    /// Conversations to drop: they are sent anew.
    pub reset: Vec<Uuid>,
    /// Whether that was all; if not, ask again.
    pub complete: bool,
}

/// One change.
#[derive(ToSchema)]
pub struct SyncChange {
    pub conversation_id: Uuid,
    pub rev: i64,
    #[serde(rename = "type")]
    pub kind: SyncKind,
    /// What it is now: a message, a conversation, a member, or who left.
    #[schema(value_type = Object)]
    pub data: (),
}

/// What changed.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SyncKind {
    Message,
    Conversation,
    Member,
    Left,
}

/// Whether the process lives.
#[derive(ToSchema)]
pub struct Health {
    pub success: bool,
    #[schema(example = "Server is healthy")]
    pub message: String,
    #[schema(example = "ok")]
    pub status: String,
    #[schema(format = DateTime)]
    pub timestamp: String,
    #[schema(example = "production")]
    pub environment: String,
    #[schema(example = "0.1.0")]
    pub version: String,
    #[schema(example = "connected")]
    pub database: String,
}

/// Whether requests can be served.
#[derive(ToSchema)]
pub struct Readiness {
    #[schema(example = "ready")]
    pub status: String,
    pub checks: Checks,
}

/// What is needed to serve requests.
#[derive(ToSchema)]
pub struct Checks {
    pub storage: StorageCheck,
}

/// Whether the database answers.
#[derive(ToSchema)]
pub struct StorageCheck {
    #[schema(example = "ok")]
    pub status: String,
    #[schema(example = "sqlite")]
    pub backend: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use connexus_domain as domain;
    use connexus_wire::shapes::{
        AttachmentShape, MemberShape, MessageShape, ReceiptShape, UserShape,
    };
    use domain::{ConversationId, MessageId, Timestamp, UserId};
    use serde_json::Value;

    const ID: Uuid = Uuid::from_u128(7);

    use super::*;

    fn described(name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let document: Value = serde_json::from_str(crate::docs::json()).unwrap();
        let schema = &document["components"]["schemas"][name];
        let properties = schema["properties"].as_object().unwrap();
        let required = schema["required"].as_array().unwrap();
        let required = required
            .iter()
            .map(|name| name.as_str().unwrap().to_owned());
        (properties.keys().cloned().collect(), required.collect())
    }

    /// What is written has exactly the fields that are described, and all of them are always there.
    fn matches(name: &str, shape: impl serde::Serialize) {
        let written = serde_json::to_value(shape).unwrap();
        let written: BTreeSet<String> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described(name), (written.clone(), written), "{name}");
    }

    fn user() -> domain::User {
        domain::User {
            id: UserId::from_uuid(ID),
            username: domain::Username::parse("ann").unwrap(),
            email: domain::Email::parse("a@b.example").unwrap(),
            display_name: "Ann".to_owned(),
            avatar_url: None,
            bio: None,
            status: domain::Status::Online,
            status_text: None,
            privacy: domain::Privacy::default(),
            last_seen_at: None,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn what_is_described_is_what_is_written() {
        let message = domain::Message {
            id: MessageId::from_uuid(ID),
            conversation_id: ConversationId::from_uuid(ID),
            seq: 1,
            rev: 1,
            sender_id: UserId::from_uuid(ID),
            kind: domain::MessageKind::Text,
            body: None,
            attachments: Vec::new(),
            reply_to: None,
            thread_id: None,
            reply_count: 0,
            reactions: Vec::new(),
            client_id: None,
            created_at: Timestamp::from_millis(0),
            edited_at: None,
            deleted_at: None,
        };
        matches("Message", MessageShape(&message));
        let file = domain::attachment::NewAttachment {
            id: domain::AttachmentId::from_uuid(ID),
            uploader_id: UserId::from_uuid(ID),
            purpose: domain::attachment::Purpose::Avatar,
            name: "a.png".to_owned(),
            at: Timestamp::from_millis(0),
        };
        matches("Attachment", AttachmentShape::of(&file.into_attachment()));
        let user = user();
        matches("User", UserShape::plain(&user));
        let member = domain::Member {
            conversation_id: ConversationId::from_uuid(ID),
            user_id: user.id,
            role: domain::Role::Owner,
            joined_at: Timestamp::from_millis(0),
            left_at: None,
            rev: 1,
            delivered_seq: 0,
            delivered_at: None,
            read_seq: 0,
            read_at: None,
            preferences: domain::Preferences::default(),
        };
        let profile = UserShape::plain(&user);
        matches("Member", MemberShape::with(&member, Some(profile)));
        matches("Receipt", ReceiptShape::from(&member.receipt()));
    }
}
