//! From documents to entities and back.

use bson::spec::BinarySubtype;
use bson::{Bson, doc};
use connexus_domain::attachment::{Attachment, AttachmentState, ContentHash, MediaKind, Purpose};
use connexus_domain::message::{Fingerprint, Reaction};
use connexus_domain::ports::{Credentials, PasswordHash};
use connexus_domain::session::TokenHash;
use connexus_domain::text::fold;
use connexus_domain::{
    AttachmentId, ClientId, Conversation, ConversationId, ConversationKind, Email, Emoji, Member,
    Message, MessageId, MessageKind, Preferences, Privacy, Role, Session, SessionId, Slug, Status,
    User, UserId, Username, Visibility,
};

use super::{
    AttachedDoc, AttachmentDoc, Binary, BlockKey, ClientKey, ConversationDoc, Error, FileDoc,
    Id as _, MemberDoc, MemberKey, MessageDoc, PrivacyDoc, ReactionGroup, ReactionKey, Record,
    Result, Sent, SessionDoc, UserDoc, Uuid, date, time,
};

fn bare(id: Uuid) -> uuid::Uuid {
    uuid::Uuid::from_bytes(id.bytes())
}

macro_rules! typed {
    ($($function:ident: $name:ident),*) => {$(
        pub(crate) fn $function(id: Uuid) -> $name {
            $name::from_uuid(bare(id))
        }
    )*};
}
typed!(user_id: UserId, session_id: SessionId, conversation_id: ConversationId, message_id: MessageId,
    attachment_id: AttachmentId);

/// A value that the domain does not accept.
fn corrupt<D: Record>(field: &'static str, id: impl std::fmt::Display) -> impl Fn() -> Error {
    let id = id.to_string();
    move || Error::corrupt(D::COLLECTION, field, &id)
}

pub(crate) fn hash(bytes: [u8; 32]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

pub(crate) fn token(hash_: TokenHash) -> Binary {
    hash(hash_.0)
}

impl From<&User> for UserDoc {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.bson(),
            username: user.username.as_str().to_owned(),
            username_key: user.username.key(),
            email: user.email.as_str().to_owned(),
            email_key: user.email.key(),
            display_name: user.display_name.clone(),
            display_key: fold(&user.display_name),
            avatar_url: user.avatar_url.clone(),
            bio: user.bio.clone(),
            status: user.status.as_str().to_owned(),
            status_text: user.status_text.clone(),
            privacy: PrivacyDoc {
                presence: user.privacy.presence.as_str().to_owned(),
                read_receipts: user.privacy.read_receipts,
                searchable: user.privacy.searchable,
            },
            password_hash: None,
            last_seen_at: user.last_seen_at.map(date),
            created_at: date(user.created_at),
            updated_at: date(user.updated_at),
        }
    }
}

impl UserDoc {
    pub fn into_user(self) -> Result<User> {
        let id = bare(self.id);
        Ok(User {
            id: user_id(self.id),
            username: Username::parse(&self.username)
                .ok()
                .ok_or_else(corrupt::<Self>("username", id))?,
            email: Email::parse(&self.email)
                .ok()
                .ok_or_else(corrupt::<Self>("email", id))?,
            display_name: self.display_name,
            avatar_url: self.avatar_url,
            bio: self.bio,
            status: Status::parse(&self.status).ok_or_else(corrupt::<Self>("status", id))?,
            status_text: self.status_text,
            privacy: Privacy {
                presence: Visibility::parse(&self.privacy.presence)
                    .ok_or_else(corrupt::<Self>("privacy", id))?,
                read_receipts: self.privacy.read_receipts,
                searchable: self.privacy.searchable,
            },
            last_seen_at: self.last_seen_at.map(time),
            created_at: time(self.created_at),
            updated_at: time(self.updated_at),
        })
    }

    pub fn into_credentials(mut self) -> Result<Credentials> {
        let hash = self.password_hash.take();
        let hash = hash.ok_or_else(corrupt::<Self>("password_hash", bare(self.id)))?;
        Ok(Credentials {
            user: self.into_user()?,
            password_hash: PasswordHash(hash),
        })
    }
}

impl BlockKey {
    pub fn new(by: UserId, whom: UserId) -> Self {
        Self {
            by: by.bson(),
            whom: whom.bson(),
        }
    }
}

impl From<BlockKey> for Bson {
    fn from(key: BlockKey) -> Self {
        doc! { "by": key.by, "whom": key.whom }.into()
    }
}

impl SessionDoc {
    pub fn new(session: &Session, refresh: TokenHash) -> Self {
        let revoked_at = session.revoked_at.map(date);
        let expires_at = date(session.expires_at);
        Self {
            id: session.id.bson(),
            user_id: session.user_id.bson(),
            device: session.device.clone(),
            created_at: date(session.created_at),
            last_used_at: date(session.last_used_at),
            expires_at,
            revoked_at,
            ended_at: revoked_at.map_or(expires_at, |at| at.min(expires_at)),
            token: token(refresh),
        }
    }

    pub fn into_session(self) -> Session {
        Session {
            id: session_id(self.id),
            user_id: user_id(self.user_id),
            device: self.device,
            created_at: time(self.created_at),
            last_used_at: time(self.last_used_at),
            expires_at: time(self.expires_at),
            revoked_at: self.revoked_at.map(time),
        }
    }
}

impl ConversationDoc {
    pub fn new(conversation: &Conversation, direct_key: Option<&str>) -> Self {
        Self {
            id: conversation.id.bson(),
            kind: conversation.kind.as_str().to_owned(),
            direct_key: direct_key.map(str::to_owned),
            slug: conversation
                .slug
                .as_ref()
                .map(|slug| slug.as_str().to_owned()),
            name: conversation.name.clone(),
            description: conversation.description.clone(),
            avatar_url: conversation.avatar_url.clone(),
            created_by: conversation.created_by.bson(),
            created_at: date(conversation.created_at),
            last_activity_at: date(conversation.last_activity_at),
            last_seq: conversation.last_seq,
            rev: conversation.rev,
            changed_rev: conversation.changed_rev,
            member_count: conversation.member_count.into(),
            sent: Sent::default(),
            deleted_at: None,
        }
    }

    pub fn into_conversation(self) -> Result<Conversation> {
        let id = bare(self.id);
        let slug = self.slug.map(|slug| {
            Slug::parse(&slug)
                .ok()
                .ok_or_else(corrupt::<Self>("slug", id))
        });
        Ok(Conversation {
            id: conversation_id(self.id),
            kind: ConversationKind::parse(&self.kind).ok_or_else(corrupt::<Self>("kind", id))?,
            slug: slug.transpose()?,
            name: self.name,
            description: self.description,
            avatar_url: self.avatar_url,
            created_by: user_id(self.created_by),
            created_at: time(self.created_at),
            last_activity_at: time(self.last_activity_at),
            last_seq: self.last_seq,
            rev: self.rev,
            changed_rev: self.changed_rev,
            member_count: u32::try_from(self.member_count)
                .ok()
                .ok_or_else(corrupt::<Self>("member_count", id))?,
        })
    }

    /// The other one of a direct conversation of `user`.
    pub fn peer(&self, user: UserId) -> Result<Option<UserId>> {
        let Some(key) = &self.direct_key else {
            return Ok(None);
        };
        let pair = key.split_once(':').and_then(|(low, high)| {
            let (low, high) = (low.parse::<UserId>().ok()?, high.parse().ok()?);
            Some(if low == user { high } else { low })
        });
        pair.map(Some)
            .ok_or_else(corrupt::<Self>("direct_key", bare(self.id)))
    }
}

impl MemberKey {
    pub fn new(conversation: ConversationId, user: UserId) -> Self {
        Self {
            c: conversation.bson(),
            u: user.bson(),
        }
    }
}

impl From<MemberKey> for Bson {
    fn from(key: MemberKey) -> Self {
        doc! { "c": key.c, "u": key.u }.into()
    }
}

impl From<&Member> for MemberDoc {
    fn from(member: &Member) -> Self {
        Self {
            id: MemberKey::new(member.conversation_id, member.user_id),
            role: member.role.as_str().to_owned(),
            joined_at: date(member.joined_at),
            left_at: member.left_at.map(date),
            rev: member.rev,
            delivered_seq: member.delivered_seq,
            delivered_at: member.delivered_at.map(date),
            read_seq: member.read_seq,
            read_at: member.read_at.map(date),
            archived: member.preferences.archived,
            pinned: member.preferences.pinned,
            muted_until: member.preferences.muted_until.map(date),
        }
    }
}

impl MemberDoc {
    pub fn into_member(self) -> Result<Member> {
        let id = format_args!("{}/{}", bare(self.id.c), bare(self.id.u)).to_string();
        Ok(Member {
            conversation_id: conversation_id(self.id.c),
            user_id: user_id(self.id.u),
            role: Role::parse(&self.role).ok_or_else(corrupt::<Self>("role", id))?,
            joined_at: time(self.joined_at),
            left_at: self.left_at.map(time),
            rev: self.rev,
            delivered_seq: self.delivered_seq,
            delivered_at: self.delivered_at.map(time),
            read_seq: self.read_seq,
            read_at: self.read_at.map(time),
            preferences: Preferences {
                archived: self.archived,
                pinned: self.pinned,
                muted_until: self.muted_until.map(time),
            },
        })
    }
}

impl ClientKey {
    pub fn new(conversation: ConversationId, sender: UserId, client_id: &ClientId) -> Self {
        Self {
            c: conversation.bson(),
            u: sender.bson(),
            k: client_id.as_str().to_owned(),
        }
    }
}

impl From<&ClientKey> for Bson {
    fn from(key: &ClientKey) -> Self {
        doc! { "c": key.c, "u": key.u, "k": &key.k }.into()
    }
}

impl ReactionKey {
    pub fn new(message: MessageId, emoji: &Emoji, user: UserId) -> Self {
        Self {
            m: message.bson(),
            e: emoji.as_str().to_owned(),
            u: user.bson(),
        }
    }
}

impl From<&ReactionKey> for Bson {
    fn from(key: &ReactionKey) -> Self {
        doc! { "m": key.m, "e": &key.e, "u": key.u }.into()
    }
}

impl From<&Reaction> for ReactionGroup {
    fn from(reaction: &Reaction) -> Self {
        Self {
            emoji: reaction.emoji.as_str().to_owned(),
            count: reaction.count.into(),
            users: super::ids(reaction.user_ids.iter().copied()),
        }
    }
}

impl From<ReactionGroup> for Bson {
    fn from(group: ReactionGroup) -> Self {
        doc! { "emoji": group.emoji, "count": group.count, "users": group.users }.into()
    }
}

impl ReactionGroup {
    fn into_reaction(self) -> Option<Reaction> {
        Some(Reaction {
            emoji: Emoji::parse(&self.emoji).ok()?,
            count: u32::try_from(self.count).ok()?,
            user_ids: self.users.into_iter().map(user_id).collect(),
        })
    }
}

impl MessageDoc {
    pub fn into_message(self) -> Result<Message> {
        let id = bare(self.id);
        let client_id = self.client_key.map(|key| {
            ClientId::parse(&key.k)
                .ok()
                .ok_or_else(corrupt::<Self>("client_key", id))
        });
        let (sender_id, conversation) = (self.sender_id, self.conversation_id);
        let attachments = self.attachments.into_iter().map(|attached| {
            let file = AttachmentDoc {
                id: attached.id,
                uploader_id: sender_id,
                conversation_id: Some(conversation),
                state: AttachmentState::Attached.as_str().to_owned(),
                message_id: Some(self.id),
                since: attached.file.created_at,
                file: attached.file,
            };
            file.into_attachment().ok()
        });
        let reactions = self.reactions.into_iter().map(ReactionGroup::into_reaction);
        Ok(Message {
            id: message_id(self.id),
            conversation_id: conversation_id(self.conversation_id),
            seq: self.seq,
            rev: self.rev,
            sender_id: user_id(self.sender_id),
            kind: MessageKind::parse(&self.kind).ok_or_else(corrupt::<Self>("kind", id))?,
            body: self.body,
            attachments: attachments
                .collect::<Option<_>>()
                .ok_or_else(corrupt::<Self>("attachments", id))?,
            reply_to: self.reply_to.map(message_id),
            thread_id: self.thread_id.map(message_id),
            reply_count: u32::try_from(self.reply_count)
                .ok()
                .ok_or_else(corrupt::<Self>("reply_count", id))?,
            reactions: reactions
                .collect::<Option<_>>()
                .ok_or_else(corrupt::<Self>("reactions", id))?,
            client_id: client_id.transpose()?,
            created_at: time(self.created_at),
            edited_at: self.edited_at.map(time),
            deleted_at: self.deleted_at.map(time),
        })
    }
}

impl From<&Attachment> for FileDoc {
    fn from(file: &Attachment) -> Self {
        Self {
            kind: file.kind.as_str().to_owned(),
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            size: file.size.cast_signed(),
            sha256: hash(file.sha256.0),
            width: file.width.map(i64::from),
            height: file.height.map(i64::from),
            duration_ms: file.duration_ms.map(u64::cast_signed),
            thumbnails: file.thumbnails,
            created_at: date(file.created_at),
        }
    }
}

impl From<&Attachment> for AttachedDoc {
    fn from(file: &Attachment) -> Self {
        Self {
            id: file.id.bson(),
            file: file.into(),
        }
    }
}

impl From<&Attachment> for AttachmentDoc {
    /// In its state since it was made.
    fn from(file: &Attachment) -> Self {
        Self {
            id: file.id.bson(),
            uploader_id: file.uploader_id.bson(),
            conversation_id: file.purpose.conversation_id().map(ConversationId::bson),
            state: file.state.as_str().to_owned(),
            message_id: file.message_id.map(MessageId::bson),
            since: date(file.created_at),
            file: file.into(),
        }
    }
}

impl AttachmentDoc {
    pub fn into_attachment(self) -> Result<Attachment> {
        let wrong = corrupt::<Self>("file", bare(self.id));
        let pixels = |number: Option<i64>| {
            let number = number.map(|number| u32::try_from(number).ok().ok_or_else(&wrong));
            number.transpose()
        };
        let file = self.file;
        let sha256 = <[u8; 32]>::try_from(file.sha256.bytes.as_slice()).ok();
        Ok(Attachment {
            id: attachment_id(self.id),
            uploader_id: user_id(self.uploader_id),
            purpose: Purpose::of(self.conversation_id.map(conversation_id)),
            state: AttachmentState::parse(&self.state)
                .ok_or_else(corrupt::<Self>("state", bare(self.id)))?,
            message_id: self.message_id.map(message_id),
            kind: MediaKind::parse(&file.kind).ok_or_else(&wrong)?,
            name: file.name,
            media_type: file.media_type,
            size: file.size.unsigned_abs(),
            sha256: sha256.map(ContentHash).ok_or_else(&wrong)?,
            width: pixels(file.width)?,
            height: pixels(file.height)?,
            duration_ms: file.duration_ms.map(i64::unsigned_abs),
            thumbnails: file.thumbnails,
            created_at: time(file.created_at),
        })
    }
}

/// The fingerprint of the stored message `id`.
pub(crate) fn fingerprint(stored: Option<&Binary>, id: Uuid) -> Result<Fingerprint> {
    stored
        .and_then(|binary| <[u8; 32]>::try_from(binary.bytes.as_slice()).ok())
        .map(Fingerprint)
        .ok_or_else(corrupt::<MessageDoc>("fingerprint", bare(id)))
}
