//! From rows to entities. A value that breaks the domain's rules is an error that names where it is.

use connexus_domain::attachment::{Attachment, AttachmentState, ContentHash, MediaKind, Purpose};
use connexus_domain::message::Reaction;
use connexus_domain::{
    AttachmentId, ClientId, Conversation, ConversationId, ConversationKind, Email, Error, Member,
    Message, MessageId, MessageKind, Preferences, Privacy, Result, Role, Session, SessionId, Slug,
    Status, Timestamp, User, UserId, Username, Visibility,
};
use connexus_sql::parts;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::error::{InDomain as _, from_sqlx};

/// What [`user`] reads, of `users u`.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.email, u.display_name, u.avatar_url, u.bio, u.status, u.status_text, \
         u.presence, u.read_receipts, u.searchable, u.last_seen_at, u.created_at, u.updated_at"
    };
}

/// What [`session`] reads, of `sessions s`.
macro_rules! session_columns {
    () => {
        "s.id, s.user_id, s.device, s.created_at, s.last_used_at, s.expires_at, s.revoked_at"
    };
}

/// What [`conversation`] reads, of `conversations c`.
macro_rules! conversation_columns {
    () => {
        "c.id, c.kind, c.slug, c.name, c.description, c.avatar_url, c.created_by, c.created_at, \
         c.last_activity_at, c.last_seq, c.rev, c.changed_rev, c.member_count"
    };
}

/// What [`member`] reads, of `members p`.
macro_rules! member_columns {
    () => {
        "p.conversation_id, p.user_id, p.role, p.joined_at, p.left_at, p.rev, p.delivered_seq, \
         p.delivered_at, p.read_seq, p.read_at, p.archived, p.pinned, p.muted_until"
    };
}

/// What [`message`] reads, of `messages m`: all in one statement, so that a message, its reactions and
/// its attachments are of one moment. 100 is `REACTION_USERS_MAX`.
macro_rules! message_columns {
    () => {
        "m.id, m.conversation_id, m.seq, m.rev, m.sender_id, m.kind, m.body, \
         CASE WHEN m.attachments IS NOT NULL THEN (\
           SELECT jsonb_agg(jsonb_build_array(f.id, f.kind, f.name, f.media_type, f.size, \
             encode(f.sha256, 'hex'), f.width, f.height, f.duration_ms, f.thumbnails, f.created_at) \
             ORDER BY a.place) \
           FROM unnest(m.attachments) WITH ORDINALITY a(id, place) \
           LEFT JOIN attachments f ON f.id = a.id) END, \
         m.reply_to, m.thread_id, m.reply_count, m.client_id, m.created_at, m.edited_at, \
         m.deleted_at, \
         CASE WHEN m.emoji_count > 0 THEN (\
           SELECT jsonb_agg(jsonb_build_array(g.emoji, g.user_count, (\
             SELECT coalesce(jsonb_agg(r.user_id ORDER BY r.rev), '[]') FROM (\
               SELECT s.user_id, s.rev FROM reactions s \
               WHERE s.message_id = g.message_id AND s.emoji = g.emoji ORDER BY s.rev LIMIT 100) r)) \
             ORDER BY g.first_rev) \
           FROM reaction_groups g WHERE g.message_id = m.id) END"
    };
}

/// What [`attachment`] reads, of `attachments f`.
macro_rules! attachment_columns {
    () => {
        "f.id, f.uploader_id, f.conversation_id, f.state, f.message_id, f.kind, f.name, \
         f.media_type, f.size, f.sha256, f.width, f.height, f.duration_ms, f.thumbnails, \
         f.created_at"
    };
}

pub(crate) use {
    attachment_columns, conversation_columns, member_columns, message_columns, session_columns,
    user_columns,
};

/// How many columns [`user`] reads.
pub(crate) const USER_WIDTH: usize = 14;
/// How many columns [`session`] reads.
pub(crate) const SESSION_WIDTH: usize = 7;
/// How many columns [`conversation`] reads.
pub(crate) const CONVERSATION_WIDTH: usize = 13;
/// How many columns [`member`] reads.
pub(crate) const MEMBER_WIDTH: usize = 13;

/// Reads a row's columns one after the other.
struct Reader<'r> {
    row: &'r PgRow,
    at: usize,
    table: &'static str,
    key: Vec<Uuid>,
}

impl<'r> Reader<'r> {
    fn new(row: &'r PgRow, at: usize, table: &'static str) -> Self {
        Self {
            row,
            at,
            table,
            key: Vec::with_capacity(2),
        }
    }

    fn corrupt(&self, column: &'static str) -> Error {
        let key: Vec<String> = self.key.iter().map(Uuid::to_string).collect();
        Error::corrupt(self.table, column, key.join("/"))
    }

    fn next<T>(&mut self, column: &'static str) -> Result<T>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        let at = self.at;
        self.at += 1;
        match self.row.try_get(at) {
            Ok(value) => Ok(value),
            Err(sqlx::Error::ColumnDecode { .. }) => Err(self.corrupt(column)),
            Err(error) => Err(from_sqlx(error)),
        }
    }

    /// A number that is never below zero.
    fn count(&mut self, column: &'static str) -> Result<u32> {
        let number: i64 = self.next(column)?;
        u32::try_from(number)
            .ok()
            .ok_or_else(|| self.corrupt(column))
    }

    /// A list as JSON; an empty one when there is none.
    fn list<T>(&mut self, column: &'static str) -> Result<Vec<T>>
    where
        T: DeserializeOwned + 'static,
    {
        let list: Option<Json<Vec<T>>> = self.next(column)?;
        Ok(list.map(|Json(list)| list).unwrap_or_default())
    }

    /// A column of the primary key: errors after it name it.
    fn key(&mut self, column: &'static str) -> Result<Uuid> {
        let id = self.next(column)?;
        self.key.push(id);
        Ok(id)
    }

    fn time(&mut self, column: &'static str) -> Result<Timestamp> {
        self.next(column).map(Timestamp::from_millis)
    }

    fn optional_time(&mut self, column: &'static str) -> Result<Option<Timestamp>> {
        let millis: Option<i64> = self.next(column)?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// A text that the domain has to accept.
    fn parsed<T>(&mut self, column: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text: &str = self.next(column)?;
        parse(text).ok_or_else(|| self.corrupt(column))
    }

    fn optional_parsed<T>(
        &mut self,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let text: Option<&str> = self.next(column)?;
        text.map(|text| parse(text).ok_or_else(|| self.corrupt(column)))
            .transpose()
    }
}

/// A bare id in column `at`.
pub(crate) fn id(row: &PgRow, at: usize) -> Result<Uuid> {
    row.try_get(at).in_domain()
}

/// The users whose ids are the first column.
pub(crate) fn user_ids<C: FromIterator<UserId>>(rows: &[PgRow]) -> Result<C> {
    let ids = rows.iter().map(|row| id(row, 0).map(UserId::from_uuid));
    ids.collect()
}

pub(crate) fn user(row: &PgRow) -> Result<User> {
    let mut r = Reader::new(row, 0, "users");
    Ok(User {
        id: UserId::from_uuid(r.key("id")?),
        username: r.parsed("username", |text| Username::parse(text).ok())?,
        email: r.parsed("email", |text| Email::parse(text).ok())?,
        display_name: r.next("display_name")?,
        avatar_url: r.next("avatar_url")?,
        bio: r.next("bio")?,
        status: r.parsed("status", Status::parse)?,
        status_text: r.next("status_text")?,
        privacy: Privacy {
            presence: r.parsed("presence", Visibility::parse)?,
            read_receipts: r.next("read_receipts")?,
            searchable: r.next("searchable")?,
        },
        last_seen_at: r.optional_time("last_seen_at")?,
        created_at: r.time("created_at")?,
        updated_at: r.time("updated_at")?,
    })
}

pub(crate) fn session(row: &PgRow) -> Result<Session> {
    let mut r = Reader::new(row, 0, "sessions");
    Ok(Session {
        id: SessionId::from_uuid(r.key("id")?),
        user_id: UserId::from_uuid(r.next("user_id")?),
        device: r.next("device")?,
        created_at: r.time("created_at")?,
        last_used_at: r.time("last_used_at")?,
        expires_at: r.time("expires_at")?,
        revoked_at: r.optional_time("revoked_at")?,
    })
}

pub(crate) fn conversation(row: &PgRow) -> Result<Conversation> {
    let mut r = Reader::new(row, 0, "conversations");
    Ok(Conversation {
        id: ConversationId::from_uuid(r.key("id")?),
        kind: r.parsed("kind", ConversationKind::parse)?,
        slug: r.optional_parsed("slug", |text| Slug::parse(text).ok())?,
        name: r.next("name")?,
        description: r.next("description")?,
        avatar_url: r.next("avatar_url")?,
        created_by: UserId::from_uuid(r.next("created_by")?),
        created_at: r.time("created_at")?,
        last_activity_at: r.time("last_activity_at")?,
        last_seq: r.next("last_seq")?,
        rev: r.next("rev")?,
        changed_rev: r.next("changed_rev")?,
        member_count: r.count("member_count")?,
    })
}

/// A member whose columns start at `at`.
pub(crate) fn member(row: &PgRow, at: usize) -> Result<Member> {
    let mut r = Reader::new(row, at, "members");
    Ok(Member {
        conversation_id: ConversationId::from_uuid(r.key("conversation_id")?),
        user_id: UserId::from_uuid(r.key("user_id")?),
        role: r.parsed("role", Role::parse)?,
        joined_at: r.time("joined_at")?,
        left_at: r.optional_time("left_at")?,
        rev: r.next("rev")?,
        delivered_seq: r.next("delivered_seq")?,
        delivered_at: r.optional_time("delivered_at")?,
        read_seq: r.next("read_seq")?,
        read_at: r.optional_time("read_at")?,
        preferences: Preferences {
            archived: r.next("archived")?,
            pinned: r.next("pinned")?,
            muted_until: r.optional_time("muted_until")?,
        },
    })
}

pub(crate) fn message(row: &PgRow) -> Result<Message> {
    let mut r = Reader::new(row, 0, "messages");
    let id = MessageId::from_uuid(r.key("id")?);
    let conversation_id = ConversationId::from_uuid(r.next("conversation_id")?);
    let (seq, rev) = (r.next("seq")?, r.next("rev")?);
    let sender_id = UserId::from_uuid(r.next("sender_id")?);
    Ok(Message {
        id,
        conversation_id,
        seq,
        rev,
        sender_id,
        kind: r.parsed("kind", MessageKind::parse)?,
        body: r.next("body")?,
        attachments: parts::files(r.list("attachments")?, id, conversation_id, sender_id)
            .ok_or_else(|| r.corrupt("attachments"))?,
        reply_to: r
            .next::<Option<Uuid>>("reply_to")?
            .map(MessageId::from_uuid),
        thread_id: r
            .next::<Option<Uuid>>("thread_id")?
            .map(MessageId::from_uuid),
        reply_count: r.count("reply_count")?,
        client_id: r.optional_parsed("client_id", |text| ClientId::parse(text).ok())?,
        created_at: r.time("created_at")?,
        edited_at: r.optional_time("edited_at")?,
        deleted_at: r.optional_time("deleted_at")?,
        reactions: reactions(&mut r)?,
    })
}

pub(crate) fn messages(rows: &[PgRow]) -> Result<Vec<Message>> {
    rows.iter().map(message).collect()
}

pub(crate) fn attachment(row: &PgRow) -> Result<Attachment> {
    let mut r = Reader::new(row, 0, "attachments");
    Ok(Attachment {
        id: AttachmentId::from_uuid(r.key("id")?),
        uploader_id: UserId::from_uuid(r.next("uploader_id")?),
        purpose: Purpose::of(
            r.next::<Option<Uuid>>("conversation_id")?
                .map(ConversationId::from_uuid),
        ),
        state: r.parsed("state", AttachmentState::parse)?,
        message_id: r
            .next::<Option<Uuid>>("message_id")?
            .map(MessageId::from_uuid),
        kind: r.parsed("kind", MediaKind::parse)?,
        name: r.next("name")?,
        media_type: r.next("media_type")?,
        size: r.next::<i64>("size")?.unsigned_abs(),
        sha256: content_hash(&mut r)?,
        width: pixels(&mut r, "width")?,
        height: pixels(&mut r, "height")?,
        duration_ms: r.next::<Option<i64>>("duration_ms")?.map(i64::unsigned_abs),
        thumbnails: r.next("thumbnails")?,
        created_at: r.time("created_at")?,
    })
}

fn content_hash(r: &mut Reader<'_>) -> Result<ContentHash> {
    let bytes: &[u8] = r.next("sha256")?;
    let bytes = <[u8; 32]>::try_from(bytes).ok();
    bytes.map(ContentHash).ok_or_else(|| r.corrupt("sha256"))
}

fn pixels(r: &mut Reader<'_>, column: &'static str) -> Result<Option<u32>> {
    let number: Option<i64> = r.next(column)?;
    number
        .map(|number| u32::try_from(number).ok().ok_or_else(|| r.corrupt(column)))
        .transpose()
}

fn reactions(r: &mut Reader<'_>) -> Result<Vec<Reaction>> {
    r.table = "reactions";
    parts::reactions(r.list("user_id")?).ok_or_else(|| r.corrupt("emoji"))
}
