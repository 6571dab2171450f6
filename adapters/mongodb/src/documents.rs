//! What is stored, and its way to entities. A document that breaks the domain's rules is an error that
//! names where it is. Why the documents look as they do: `docs/adr/0005-mongodb-documents.md`.

pub(crate) use bson::{Binary, DateTime, Uuid};
use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use connexus_domain::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod entities;
mod search;
mod sent;

pub(crate) use entities::{
    attachment_id, conversation_id, fingerprint, hash, message_id, session_id, token, user_id,
};
pub(crate) use search::{HeadDoc, SegmentDoc, SegmentKey, SpanPart, StateDoc};
pub(crate) use sent::{MOST, Mark, Sent};

/// A kind of document and its collection.
pub(crate) trait Record: Serialize + DeserializeOwned + Send + Sync + Unpin {
    const COLLECTION: &'static str;
}

macro_rules! records {
    ($($name:ident in $collection:literal),* $(,)?) => {$(
        impl Record for $name {
            const COLLECTION: &'static str = $collection;
        }
    )*};
}
records! {
    UserDoc in "users",
    BlockDoc in "blocks",
    SessionDoc in "sessions",
    TokenDoc in "refresh_tokens",
    ConversationDoc in "conversations",
    MemberDoc in "members",
    MessageDoc in "messages",
    ReactionDoc in "reactions",
    AttachmentDoc in "attachments",
    LeaseDoc in "leases",
    SegmentDoc in "search_segments",
    HeadDoc in "search_heads",
    StateDoc in "search_state",
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub username: String,
    pub username_key: String,
    pub email: String,
    pub email_key: String,
    pub display_name: String,
    pub display_key: String,
    pub avatar_url: Option<String>,
    pub bio: Option<String>,
    pub status: String,
    pub status_text: Option<String>,
    pub privacy: PrivacyDoc,
    /// Not among what is written back with an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    pub last_seen_at: Option<DateTime>,
    pub created_at: DateTime,
    pub updated_at: DateTime,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PrivacyDoc {
    pub presence: String,
    pub read_receipts: bool,
    pub searchable: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BlockDoc {
    #[serde(rename = "_id")]
    pub id: BlockKey,
    pub created_at: DateTime,
}

/// `by` blocks `whom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockKey {
    pub by: Uuid,
    pub whom: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub user_id: Uuid,
    pub device: Option<String>,
    pub created_at: DateTime,
    pub last_used_at: DateTime,
    pub expires_at: DateTime,
    pub revoked_at: Option<DateTime>,
    /// The earlier of the two: when it can be purged after.
    pub ended_at: DateTime,
    /// Hash of the current refresh token: what a rotation compares and sets.
    pub token: Binary,
}

/// A refresh token, current or used: used ones stay until their session is purged, which is how a stolen
/// one is found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenDoc {
    #[serde(rename = "_id")]
    pub hash: Binary,
    pub session_id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConversationDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub avatar_url: Option<String>,
    pub created_by: Uuid,
    pub created_at: DateTime,
    pub last_activity_at: DateTime,
    pub last_seq: i64,
    pub rev: i64,
    pub changed_rev: i64,
    pub member_count: i64,
    #[serde(default, skip_serializing_if = "Sent::is_empty")]
    pub sent: Sent,
    pub deleted_at: Option<DateTime>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemberDoc {
    #[serde(rename = "_id")]
    pub id: MemberKey,
    pub role: String,
    pub joined_at: DateTime,
    pub left_at: Option<DateTime>,
    pub rev: i64,
    pub delivered_seq: i64,
    pub delivered_at: Option<DateTime>,
    pub read_seq: i64,
    pub read_at: Option<DateTime>,
    pub archived: bool,
    pub pinned: bool,
    pub muted_until: Option<DateTime>,
}

/// Conversation and user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct MemberKey {
    pub c: Uuid,
    pub u: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MessageDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub conversation_id: Uuid,
    pub seq: i64,
    pub rev: i64,
    pub sender_id: Uuid,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachedDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Uuid>,
    pub reply_count: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<ClientKey>,
    /// Only with a `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Binary>,
    pub created_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime>,
}

/// The sender's own key of a message, with all in which it is unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ClientKey {
    pub c: Uuid,
    pub u: Uuid,
    pub k: String,
}

/// All who reacted with one emoji: the first of them by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReactionGroup {
    pub emoji: String,
    pub count: i64,
    pub users: Vec<Uuid>,
}

/// A file of a message: what the message itself does not say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttachedDoc {
    pub id: Uuid,
    pub file: FileDoc,
}

/// What is known of a file; it does not change once the file is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileDoc {
    pub kind: String,
    pub name: String,
    pub media_type: String,
    pub size: i64,
    pub sha256: Binary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    pub thumbnails: bool,
    pub created_at: DateTime,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttachmentDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub uploader_id: Uuid,
    /// None of a picture of somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<Uuid>,
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
    /// When the state was entered that may get stale.
    pub since: DateTime,
    pub file: FileDoc,
}

/// Who may do a job that only one process shall do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeaseDoc {
    #[serde(rename = "_id")]
    pub name: String,
    pub holder: String,
    pub ends: DateTime,
}

/// One user's one reaction. The order of reacting is the order of revs: two may come in one millisecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReactionDoc {
    #[serde(rename = "_id")]
    pub id: ReactionKey,
    pub rev: i64,
    pub reacted_at: DateTime,
}

/// Message, emoji and user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReactionKey {
    pub m: Uuid,
    pub e: String,
    pub u: Uuid,
}

/// Every name of a field, for errors.
const FIELDS: &[&str] = &[
    "username",
    "username_key",
    "email",
    "email_key",
    "display_name",
    "display_key",
    "avatar_url",
    "bio",
    "status",
    "status_text",
    "privacy",
    "password_hash",
    "last_seen_at",
    "created_at",
    "updated_at",
    "user_id",
    "device",
    "last_used_at",
    "expires_at",
    "revoked_at",
    "ended_at",
    "token",
    "session_id",
    "kind",
    "direct_key",
    "slug",
    "name",
    "description",
    "created_by",
    "last_activity_at",
    "last_seq",
    "rev",
    "changed_rev",
    "member_count",
    "sent",
    "deleted_at",
    "role",
    "joined_at",
    "left_at",
    "delivered_seq",
    "delivered_at",
    "read_seq",
    "read_at",
    "archived",
    "pinned",
    "muted_until",
    "conversation_id",
    "seq",
    "sender_id",
    "body",
    "attachments",
    "reply_to",
    "thread_id",
    "reply_count",
    "reactions",
    "client_key",
    "fingerprint",
    "edited_at",
    "reacted_at",
    "uploader_id",
    "state",
    "message_id",
    "since",
    "file",
    "holder",
    "ends",
    "oldest",
    "newest",
    "terms",
    "indexed_seq",
    "indexed_until",
    "turn",
];

/// A document as it was stored, or an error that names the field that is not as it must be.
pub(crate) fn decode<D: Record>(raw: &RawDocumentBuf) -> Result<D> {
    decode_part::<D>(raw, D::COLLECTION)
}

/// Some fields of a document of `collection`.
pub(crate) fn decode_part<P: DeserializeOwned>(
    raw: &RawDocumentBuf,
    collection: &'static str,
) -> Result<P> {
    bson::deserialize_from_slice(raw.as_bytes()).map_err(|error| {
        let field = wrong_field::<P>(raw).or_else(|| known(error.key.as_deref()));
        Error::corrupt(collection, field.unwrap_or("_id"), id_of(raw))
    })
}

/// Decodes once more, slower, to learn where it goes wrong.
fn wrong_field<P: DeserializeOwned>(raw: &RawDocument) -> Option<&'static str> {
    let document = Document::try_from(raw).ok()?;
    let reader = bson::de::Deserializer::new(Bson::Document(document));
    let error = serde_path_to_error::deserialize::<_, P>(reader).err()?;
    let path = error.path().to_string();
    let first = path.split(['.', '[']).next()?;
    // of a field that is missing the path says nothing, but the message does
    known(Some(first)).or_else(|| known(error.inner().to_string().split('`').nth(1)))
}

fn known(name: Option<&str>) -> Option<&'static str> {
    let name = name?;
    FIELDS.iter().find(|field| **field == name).copied()
}

/// The id of a document of which nothing else may be as it must be.
fn id_of(raw: &RawDocument) -> String {
    fn text(value: RawBsonRef<'_>) -> String {
        match value {
            RawBsonRef::Binary(binary) => uuid::Uuid::from_slice(binary.bytes)
                .map_or_else(|_| "?".into(), |id| id.to_string()),
            RawBsonRef::Document(parts) => parts
                .iter()
                .filter_map(|part| part.ok().map(|(_, value)| text(value)))
                .collect::<Vec<_>>()
                .join("/"),
            RawBsonRef::String(part) => part.to_owned(),
            _ => "?".into(),
        }
    }
    match raw.get("_id") {
        Ok(Some(id)) => text(id),
        _ => "?".into(),
    }
}

pub(crate) fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millis())
}

pub(crate) fn time(date: DateTime) -> Timestamp {
    Timestamp::from_millis(date.timestamp_millis())
}

/// A typed id as MongoDB keeps it: binary of subtype 4.
pub(crate) trait Id: Copy {
    fn bson(self) -> Uuid;
}

macro_rules! id {
    ($($name:ident),*) => {$(
        impl Id for connexus_domain::$name {
            fn bson(self) -> Uuid {
                Uuid::from_bytes(self.as_uuid().into_bytes())
            }
        }
    )*};
}
id!(UserId, SessionId, ConversationId, MessageId, AttachmentId);

/// A list of ids for `$in`.
pub(crate) fn ids<I: Id>(list: impl IntoIterator<Item = I>) -> Vec<Uuid> {
    list.into_iter().map(Id::bson).collect()
}
