//! What changed since: the numbers that order a conversation's life, and the changes themselves.

use crate::conversation::Conversation;
use crate::id::ConversationId;
use crate::member::Member;
use crate::message::Message;

/// Dense, gapless number of a message in its conversation: 1, 2, 3 …; 0 before the first.
pub type Seq = i64;

/// Number of a change in its conversation. Messages, edits, deletions, reactions, and changes of the
/// conversation and its members each take the next one. (The idea is IMAP's MODSEQ, RFC 7162.)
pub type Rev = i64;

/// The current state of one thing that changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The conversation's own fields.
    Conversation(Conversation),
    /// A member who is in the conversation.
    Member(Member),
    /// A member who is no longer in it.
    Left(Member),
    /// A message or its tombstone.
    Message(Message),
}

impl Change {
    /// When it changed.
    pub fn rev(&self) -> Rev {
        match self {
            Self::Conversation(c) => c.changed_rev,
            Self::Member(m) | Self::Left(m) => m.rev,
            Self::Message(m) => m.rev,
        }
    }

    /// Order of changes: by rev. A thread's root shares the rev of the reply that changed its count;
    /// the message with the lower seq, the root, comes first.
    pub fn order(&self) -> (Rev, Seq) {
        match self {
            Self::Message(m) => (m.rev, m.seq),
            other => (other.rev(), 0),
        }
    }
}

/// A page of changes, read from one snapshot of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangePage {
    /// In the order of [`Change::order`].
    pub changes: Vec<Change>,
    /// The rev up to which the changes are complete: the conversation's own when `more` is false,
    /// else that of the last change on the page.
    pub rev: Rev,
    /// Whether there are further changes.
    pub more: bool,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its newest message.
    pub last_seq: Seq,
    /// Its newest change.
    pub rev: Rev,
}
