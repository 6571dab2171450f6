//! The shapes of things, as they are written.

use connexus_application::auth::Tokens;
use connexus_application::conversations::ConversationView;
use connexus_application::members::MemberView;
use connexus_application::users::Profile;
use connexus_domain::attachment::{self, Attachment};
use connexus_domain::{Conversation, Member, Message, Presence, Receipt, Session, User};
use serde::Serialize;
use serde::ser::SerializeSeq as _;

use crate::text::Id;
use crate::time::Time;

/// `{"items": […], "next_cursor": …}`.
#[derive(Debug, Serialize)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page starts; null on the last.
    pub next_cursor: Option<String>,
}

/// A user as others see it.
#[derive(Debug, Serialize)]
pub struct UserShape<'a> {
    id: Id,
    username: &'a str,
    display_name: &'a str,
    avatar_url: Option<&'a str>,
    bio: Option<&'a str>,
    status: &'static str,
    status_text: Option<&'a str>,
    last_seen_at: Option<Time>,
    created_at: Time,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    own: Option<OwnShape<'a>>,
}

#[derive(Debug, Serialize)]
struct OwnShape<'a> {
    email: &'a str,
    privacy: PrivacyShape,
}

#[derive(Debug, Serialize)]
struct PrivacyShape {
    presence: &'static str,
    read_receipts: bool,
    searchable: bool,
}

impl<'a> UserShape<'a> {
    /// As others see the user.
    pub fn of(profile: &'a Profile) -> Self {
        Self {
            last_seen_at: profile.last_seen_at.map(Time),
            status: profile.presence.as_str(),
            ..Self::plain(&profile.user)
        }
    }

    /// As the user sees itself: with e-mail and privacy.
    pub fn own(profile: &'a Profile) -> Self {
        let privacy = profile.user.privacy;
        let privacy = PrivacyShape {
            presence: privacy.presence.as_str(),
            read_receipts: privacy.read_receipts,
            searchable: privacy.searchable,
        };
        Self {
            own: Some(OwnShape {
                email: profile.user.email.as_str(),
                privacy,
            }),
            ..Self::of(profile)
        }
    }

    /// A user of whose presence nothing is said.
    pub fn plain(user: &'a User) -> Self {
        Self {
            id: user.id.into(),
            username: user.username.as_str(),
            display_name: &user.display_name,
            avatar_url: user.avatar_url.as_deref(),
            bio: user.bio.as_deref(),
            status: Presence::Offline.as_str(),
            status_text: user.status_text.as_deref(),
            last_seen_at: None,
            created_at: Time(user.created_at),
            own: None,
        }
    }
}

/// How a user appears.
#[derive(Debug, Serialize)]
pub struct PresenceShape<'a> {
    /// Who.
    pub user_id: Id,
    /// `online`, `away`, `busy` or `offline`.
    pub status: &'static str,
    /// The line beside it.
    pub status_text: Option<&'a str>,
    /// When the last connection went.
    pub last_seen_at: Option<Time>,
}

impl<'a> PresenceShape<'a> {
    /// Of a profile.
    pub fn of(profile: &'a Profile) -> Self {
        Self {
            user_id: profile.user.id.into(),
            status: profile.presence.as_str(),
            status_text: profile.user.status_text.as_deref(),
            last_seen_at: profile.last_seen_at.map(Time),
        }
    }
}

/// What a client gets for proving who it is.
#[derive(Serialize)]
pub struct TokensShape<'a> {
    user: UserShape<'a>,
    session_id: Id,
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'a str,
    refresh_expires_in: u64,
}

impl<'a> TokensShape<'a> {
    /// Of tokens, with the user as it sees itself.
    pub fn of(tokens: &'a Tokens, profile: &'a Profile) -> Self {
        Self {
            user: UserShape::own(profile),
            session_id: tokens.session_id.into(),
            access_token: &tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.access_expires_at.since(tokens.issued_at).as_secs(),
            refresh_token: &tokens.refresh_token,
            refresh_expires_in: tokens.refresh_expires_at.since(tokens.issued_at).as_secs(),
        }
    }
}

/// One login of one device.
#[derive(Debug, Serialize)]
pub struct SessionShape<'a> {
    id: Id,
    device: Option<&'a str>,
    created_at: Time,
    last_used_at: Time,
    expires_at: Time,
    current: bool,
}

impl<'a> SessionShape<'a> {
    /// Of a session; `current` is the one that asks.
    pub fn of(session: &'a Session, current: bool) -> Self {
        Self {
            id: session.id.into(),
            device: session.device.as_deref(),
            created_at: Time(session.created_at),
            last_used_at: Time(session.last_used_at),
            expires_at: Time(session.expires_at),
            current,
        }
    }
}

/// A message or its tombstone.
#[derive(Debug)]
pub struct MessageShape<'a>(pub &'a Message);

impl Serialize for MessageShape<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            id: Id,
            conversation_id: Id,
            seq: i64,
            rev: i64,
            sender_id: Id,
            kind: &'static str,
            body: Option<&'a str>,
            attachments: Attachments<'a>,
            reply_to: Option<Id>,
            thread_id: Option<Id>,
            reply_count: u32,
            reactions: Reactions<'a>,
            client_id: Option<&'a str>,
            created_at: Time,
            edited_at: Option<Time>,
            deleted_at: Option<Time>,
        }
        let message = self.0;
        Shape {
            id: message.id.into(),
            conversation_id: message.conversation_id.into(),
            seq: message.seq,
            rev: message.rev,
            sender_id: message.sender_id.into(),
            kind: message.kind.as_str(),
            body: message.body.as_deref(),
            attachments: Attachments(&message.attachments),
            reply_to: message.reply_to.map(Id::from),
            thread_id: message.thread_id.map(Id::from),
            reply_count: message.reply_count,
            reactions: Reactions(message),
            client_id: message
                .client_id
                .as_ref()
                .map(connexus_domain::ClientId::as_str),
            created_at: Time(message.created_at),
            edited_at: message.edited_at.map(Time),
            deleted_at: message.deleted_at.map(Time),
        }
        .serialize(serializer)
    }
}

#[derive(Debug)]
struct Attachments<'a>(&'a [Attachment]);

impl Serialize for Attachments<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AttachmentShape::of))
    }
}

/// An uploaded file.
#[derive(Debug, Serialize)]
pub struct AttachmentShape<'a> {
    id: Id,
    kind: &'static str,
    name: &'a str,
    media_type: &'a str,
    size: u64,
    width: Option<u32>,
    height: Option<u32>,
    duration_ms: Option<u64>,
    url: String,
    thumbnail_url: Option<String>,
}

impl<'a> AttachmentShape<'a> {
    /// Of a file, wherever it is attached.
    pub fn of(file: &'a Attachment) -> Self {
        let url = attachment::link(file.id);
        Self {
            id: file.id.into(),
            kind: file.kind.as_str(),
            name: &file.name,
            media_type: &file.media_type,
            size: file.size,
            width: file.width,
            height: file.height,
            duration_ms: file.duration_ms,
            thumbnail_url: file.thumbnails.then(|| format!("{url}/thumbnail")),
            url,
        }
    }
}

/// How much media of one kind there is.
#[derive(Debug, Serialize)]
pub struct MediaStatsShape {
    kind: &'static str,
    count: u64,
    total_size: u64,
    average_size: u64,
}

impl MediaStatsShape {
    /// Of one kind.
    pub fn of(stats: &attachment::MediaStats) -> Self {
        Self {
            kind: stats.kind.as_str(),
            count: stats.count,
            total_size: stats.total_size,
            average_size: stats.total_size / stats.count.max(1),
        }
    }
}

#[derive(Debug)]
struct Reactions<'a>(&'a Message);

impl Serialize for Reactions<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            emoji: &'a str,
            count: u32,
            user_ids: Vec<Id>,
        }
        let mut list = serializer.serialize_seq(Some(self.0.reactions.len()))?;
        for reaction in &self.0.reactions {
            list.serialize_element(&Shape {
                emoji: reaction.emoji.as_str(),
                count: reaction.count,
                user_ids: reaction.user_ids.iter().copied().map(Id::from).collect(),
            })?;
        }
        list.end()
    }
}

/// A conversation without what depends on who looks.
#[derive(Debug, Serialize)]
pub struct ConversationShape<'a> {
    id: Id,
    kind: &'static str,
    slug: Option<&'a str>,
    name: Option<&'a str>,
    description: Option<&'a str>,
    avatar_url: Option<&'a str>,
    created_by: Id,
    created_at: Time,
    last_activity_at: Time,
    last_seq: i64,
    rev: i64,
    member_count: u32,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    seen: Option<SeenShape<'a>>,
}

/// What depends on who looks.
#[derive(Debug, Serialize)]
struct SeenShape<'a> {
    last_message: Option<MessageShape<'a>>,
    peer: Option<UserShape<'a>>,
    me: MeShape,
}

#[derive(Debug, Serialize)]
struct MeShape {
    role: &'static str,
    read_seq: i64,
    delivered_seq: i64,
    unread_count: u32,
    unread_capped: bool,
    muted_until: Option<Time>,
    archived: bool,
    pinned: bool,
    joined_at: Time,
}

impl MeShape {
    fn of(member: &Member, unread: connexus_domain::ports::Unread) -> Self {
        Self {
            role: member.role.as_str(),
            read_seq: member.read_seq,
            delivered_seq: member.delivered_seq,
            unread_count: unread.count.min(connexus_domain::ports::Unread::CAP - 1),
            unread_capped: unread.is_capped(),
            muted_until: member.preferences.muted_until.map(Time),
            archived: member.preferences.archived,
            pinned: member.preferences.pinned,
            joined_at: Time(member.joined_at),
        }
    }
}

impl<'a> ConversationShape<'a> {
    /// What is the same for all.
    pub fn shared(conversation: &'a Conversation) -> Self {
        Self {
            id: conversation.id.into(),
            kind: conversation.kind.as_str(),
            slug: conversation
                .slug
                .as_ref()
                .map(connexus_domain::Slug::as_str),
            name: conversation.name.as_deref(),
            description: conversation.description.as_deref(),
            avatar_url: conversation.avatar_url.as_deref(),
            created_by: conversation.created_by.into(),
            created_at: Time(conversation.created_at),
            last_activity_at: Time(conversation.last_activity_at),
            last_seq: conversation.last_seq,
            rev: conversation.rev,
            member_count: conversation.member_count,
            seen: None,
        }
    }

    /// As a member sees it.
    pub fn of(view: &'a ConversationView) -> Self {
        let summary = &view.summary;
        let seen = SeenShape {
            last_message: summary.last_message.as_ref().map(MessageShape),
            peer: view.peer.as_ref().map(UserShape::of),
            me: MeShape::of(&summary.me, summary.unread),
        };
        Self {
            seen: Some(seen),
            ..Self::shared(&summary.conversation)
        }
    }

    /// As a new member sees it, who has nothing unread.
    pub fn new_to(conversation: &'a Conversation, me: &Member, peer: Option<&'a Profile>) -> Self {
        let seen = SeenShape {
            last_message: None,
            peer: peer.map(UserShape::of),
            me: MeShape::of(me, connexus_domain::ports::Unread::default()),
        };
        Self {
            seen: Some(seen),
            ..Self::shared(conversation)
        }
    }
}

/// A user in a conversation.
#[derive(Debug, Serialize)]
pub struct MemberShape<'a> {
    conversation_id: Id,
    user_id: Id,
    role: &'static str,
    joined_at: Time,
    left_at: Option<Time>,
    rev: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserShape<'a>>,
}

impl<'a> MemberShape<'a> {
    /// The membership alone.
    pub fn bare(member: &Member) -> Self {
        Self {
            conversation_id: member.conversation_id.into(),
            user_id: member.user_id.into(),
            role: member.role.as_str(),
            joined_at: Time(member.joined_at),
            left_at: member.left_at.map(Time),
            rev: member.rev,
            user: None,
        }
    }

    /// The membership with who it is.
    pub fn of(view: &'a MemberView) -> Self {
        Self::with(&view.member, Some(UserShape::of(&view.profile)))
    }

    /// The membership with a user.
    pub fn with(member: &Member, user: Option<UserShape<'a>>) -> Self {
        Self {
            user,
            ..Self::bare(member)
        }
    }
}

/// How far a member has come.
#[derive(Debug, Serialize)]
pub struct ReceiptShape {
    conversation_id: Id,
    user_id: Id,
    delivered_seq: i64,
    delivered_at: Option<Time>,
    read_seq: i64,
    read_at: Option<Time>,
}

impl From<&Receipt> for ReceiptShape {
    fn from(receipt: &Receipt) -> Self {
        Self {
            conversation_id: receipt.conversation_id.into(),
            user_id: receipt.user_id.into(),
            delivered_seq: receipt.delivered_seq,
            delivered_at: receipt.delivered_at.map(Time),
            read_seq: receipt.read_seq,
            read_at: receipt.read_at.map(Time),
        }
    }
}
