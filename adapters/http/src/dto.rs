//! What clients send. These check types, and the sizes that the domain has no rule for; what a field may
//! contain is the domain's to say, which names every field that it refuses.

#![allow(
    clippy::option_option,
    reason = "absent, null and a value mean three things in a PATCH"
)]

use std::collections::HashMap;

use garde::Validate;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// Tells a field that is `null` (empty it) from one that is absent (keep it).
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// An account to make.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct Register {
    /// 3 to 30 of a–z, 0–9, `_`, `.` and `-`; upper and lower case are the same name.
    #[schema(example = "ann", min_length = 3, max_length = 30)]
    pub username: String,
    #[schema(example = "ann@example.org", format = "email")]
    pub email: String,
    #[schema(
        example = "correct horse battery",
        format = "password",
        max_length = 128
    )]
    pub password: String,
    /// The username when absent.
    #[schema(example = "Ann", max_length = 50)]
    pub display_name: Option<String>,
    /// What the client calls its device.
    #[schema(example = "a phone", max_length = 100)]
    pub device: Option<String>,
}

/// A login.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct Login {
    /// Username or e-mail address.
    #[schema(example = "ann")]
    pub identifier: String,
    #[schema(example = "correct horse battery", format = "password")]
    pub password: String,
    /// What the client calls its device.
    #[schema(example = "a phone", max_length = 100)]
    pub device: Option<String>,
}

/// A refresh token to exchange.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct Refresh {
    #[garde(length(min = 1, max = 512))]
    pub refresh_token: String,
}

/// Another password.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct ChangePassword {
    #[schema(example = "correct horse battery", format = "password")]
    pub current_password: String,
    #[schema(
        example = "incorrect horse battery",
        format = "password",
        max_length = 128
    )]
    pub new_password: String,
}

/// A status that a user chooses.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Online,
    Away,
    Busy,
}

/// Who sees status and `last_seen_at`.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    Everyone,
    Contacts,
    Nobody,
}

/// A change of privacy settings; those not named stay.
#[derive(Deserialize, ToSchema, Default, Validate)]
#[garde(allow_unvalidated)]
pub struct PrivacyChange {
    pub presence: Option<Visibility>,
    /// Whether others are told what the user has read.
    pub read_receipts: Option<bool>,
    /// Whether the user is found by search.
    pub searchable: Option<bool>,
}

/// A change of one's own account. What is absent stays; what is `null` is emptied where that is possible.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct UpdateMe {
    #[schema(min_length = 3, max_length = 30)]
    pub username: Option<String>,
    #[schema(example = "Ann", max_length = 50)]
    pub display_name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub bio: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "https://example.org/ann.png")]
    pub avatar_url: Option<Option<String>>,
    pub status: Option<Status>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 140)]
    pub status_text: Option<Option<String>>,
    pub privacy: Option<PrivacyChange>,
}

/// What a conversation is.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Direct,
    Group,
    Room,
}

/// A conversation to open: `direct` needs `user_id`, `group` needs `name`, `room` needs `slug`.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"kind": "group", "name": "Climbing", "member_ids": []}))]
pub struct OpenConversation {
    pub kind: Kind,
    /// The other user of a direct conversation.
    pub user_id: Option<Uuid>,
    /// What a room is found by.
    #[schema(example = "climbing")]
    pub slug: Option<String>,
    #[schema(example = "Climbing", max_length = 100)]
    pub name: Option<String>,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    pub avatar_url: Option<String>,
    /// The other members of a group.
    #[garde(length(max = 1000))]
    pub member_ids: Option<Vec<Uuid>>,
}

/// A change of a group or room. What is absent stays; what is `null` is emptied.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct UpdateConversation {
    #[schema(example = "Climbing", max_length = 100)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<String>>,
}

/// How one keeps a conversation. What is absent stays.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct UpdatePreferences {
    pub archived: Option<bool>,
    pub pinned: Option<bool>,
    /// Until when; `null` ends it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-01-31T12:00:00Z")]
    pub muted_until: Option<Option<String>>,
}

/// Users to add: several, or one.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct AddMembers {
    #[garde(length(max = 1000))]
    pub user_ids: Option<Vec<Uuid>>,
    pub user_id: Option<Uuid>,
}

/// What a member may do.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Owner,
    Admin,
    Member,
}

/// Another role.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct SetRole {
    pub role: Role,
}

/// How far one has read: by exactly one of the two.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"seq": 42}))]
pub struct Read {
    #[schema(minimum = 0)]
    #[garde(range(min = 0))]
    pub seq: Option<i64>,
    pub message_id: Option<Uuid>,
}

/// What a message carries.
#[derive(Deserialize, ToSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    Text,
    Image,
    Video,
    Audio,
    File,
    System,
}

/// A message to send.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"body": "hello", "client_id": "c-1"}))]
pub struct SendMessage {
    #[schema(max_length = 8000)]
    pub body: Option<String>,
    /// `text` when absent; `system` is not for clients.
    pub kind: Option<MessageKind>,
    #[garde(length(max = 10))]
    pub attachment_ids: Option<Vec<Uuid>>,
    /// The message it answers.
    pub reply_to: Option<Uuid>,
    /// The message whose thread it goes to.
    pub thread_id: Option<Uuid>,
    /// The sender's own key: sending again with it gives the first message. The header `Idempotency-Key`
    /// is the same.
    #[schema(max_length = 128)]
    pub client_id: Option<String>,
}

/// Other words.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct EditMessage {
    #[schema(example = "hello again", min_length = 1, max_length = 8000)]
    pub body: String,
}

/// What a client has: its highest rev of each conversation.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"conversations": {"018f3b1e-5a3c-7cc0-9d6b-3f2a1c0e4d5f": 17}}))]
pub struct Sync {
    #[serde(default)]
    #[schema(value_type = Option<HashMap<String, i64>>)]
    pub conversations: Option<HashMap<Uuid, i64>>,
    /// Most changes in the answer.
    #[schema(minimum = 1)]
    #[garde(range(min = 1))]
    pub limit: Option<u32>,
}

/// The parts of an upload, in this order.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a body that is read part by part")]
pub struct Upload {
    /// Where the files are to be sent. Not with `purpose=avatar`.
    pub conversation_id: Option<Uuid>,
    /// `message` (default) or `avatar`.
    pub purpose: Option<String>,
    /// Up to ten files.
    #[schema(format = "binary", content_media_type = "application/octet-stream")]
    pub file: Vec<String>,
}

/// A picture to be shown.
#[derive(Deserialize, ToSchema, Validate)]
#[garde(allow_unvalidated)]
pub struct Avatar {
    /// An uploaded image of one's own, with the purpose `avatar`.
    pub attachment_id: Uuid,
}
