//! What clients are told.

use crate::conversation::Conversation;
use crate::id::{ConversationId, SessionId, UserId};
use crate::member::Member;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::sync::Rev;
use crate::time::Timestamp;
use crate::user::{Presence, Profile};

/// Something happened. Every inbound adapter words it in its own way.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message was stored.
    MessageCreated(Message),
    /// A message's words were changed.
    MessageEdited(Message),
    /// A message became a tombstone.
    MessageDeleted(Message),
    /// Somebody reacted or took it back.
    ReactionUpdated {
        /// The message as it is now.
        message: Message,
        /// Who did it.
        by: UserId,
    },
    /// A member's watermarks moved.
    ReceiptUpdated {
        /// The watermarks as they are now.
        receipt: Receipt,
        /// Whether something was read, and not only delivered.
        read: bool,
    },
    /// A member writes, or stopped.
    Typing {
        /// Where.
        conversation_id: ConversationId,
        /// Who.
        user_id: UserId,
        /// Whether it began or ended.
        typing: bool,
    },
    /// A user's presence changed.
    PresenceUpdated(PresenceChange),
    /// The receiver is in a conversation that is new to it.
    ConversationCreated {
        /// The conversation.
        conversation: Conversation,
        /// The receiver's own membership.
        me: Box<Member>,
        /// The other user of a direct one.
        peer: Option<Box<Profile>>,
    },
    /// A conversation's fields changed.
    ConversationUpdated(Conversation),
    /// A conversation is gone.
    ConversationDeleted {
        /// Which.
        conversation_id: ConversationId,
        /// The last change there was.
        rev: Rev,
    },
    /// Somebody came.
    MemberJoined {
        /// The membership.
        member: Member,
        /// Who it is.
        user: Box<Profile>,
    },
    /// Somebody left or was removed.
    MemberLeft(Member),
    /// A member's role changed.
    MemberUpdated(Member),
    /// The receiver's session was ended.
    SessionRevoked {
        /// Which.
        session_id: SessionId,
    },
}

/// How a user appears from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub user_id: UserId,
    /// How.
    pub presence: Presence,
    /// How it appeared before, as told last; offline when nothing was told.
    pub before: Presence,
    /// The line beside the status.
    pub status_text: Option<String>,
    /// When the last connection went.
    pub last_seen_at: Option<Timestamp>,
}

/// What a slow reader may lose: the first kinds before the later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Typing: worth nothing a moment later.
    Fleeting,
    /// Presence and receipts: can be asked for.
    Refreshable,
    /// Changes with a rev, and what ends a session: to lose one is to need a resume.
    Essential,
}

impl Event {
    /// How bad it is to lose this event.
    pub const fn importance(&self) -> Importance {
        match self {
            Self::Typing { .. } => Importance::Fleeting,
            Self::PresenceUpdated(_) | Self::ReceiptUpdated { .. } => Importance::Refreshable,
            _ => Importance::Essential,
        }
    }

    /// The conversation it is about.
    pub const fn conversation_id(&self) -> Option<ConversationId> {
        Some(match self {
            Self::MessageCreated(m)
            | Self::MessageEdited(m)
            | Self::MessageDeleted(m)
            | Self::ReactionUpdated { message: m, .. } => m.conversation_id,
            Self::ReceiptUpdated { receipt, .. } => receipt.conversation_id,
            Self::Typing {
                conversation_id, ..
            }
            | Self::ConversationDeleted {
                conversation_id, ..
            } => *conversation_id,
            Self::ConversationCreated { conversation, .. }
            | Self::ConversationUpdated(conversation) => conversation.id,
            Self::MemberJoined { member, .. }
            | Self::MemberLeft(member)
            | Self::MemberUpdated(member) => member.conversation_id,
            Self::PresenceUpdated(_) | Self::SessionRevoked { .. } => return None,
        })
    }

    /// The change of the conversation that it tells.
    pub const fn rev(&self) -> Option<Rev> {
        Some(match self {
            Self::MessageCreated(m)
            | Self::MessageEdited(m)
            | Self::MessageDeleted(m)
            | Self::ReactionUpdated { message: m, .. } => m.rev,
            Self::ConversationCreated { conversation, .. }
            | Self::ConversationUpdated(conversation) => conversation.rev,
            Self::ConversationDeleted { rev, .. } => *rev,
            Self::MemberJoined { member, .. }
            | Self::MemberLeft(member)
            | Self::MemberUpdated(member) => member.rev,
            Self::ReceiptUpdated { .. }
            | Self::Typing { .. }
            | Self::PresenceUpdated(_)
            | Self::SessionRevoked { .. } => return None,
        })
    }
}
