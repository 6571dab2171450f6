//! Messages, their reactions, and what makes a message acceptable.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::attachment::Attachment;
use crate::error::{Denial, Error, Result};
use crate::id::{AttachmentId, ConversationId, MessageId, UserId};
use crate::member::MemberAccess;
use crate::sync::{Rev, Seq};
use crate::text;
use crate::time::Timestamp;

/// Longest body, in characters.
pub const BODY_MAX: usize = 8_000;
/// How many different emoji one message may carry.
pub const REACTIONS_MAX: usize = 50;
/// How many of those who reacted alike are named; the count is of all.
pub const REACTION_USERS_MAX: usize = 100;
/// How many attachments one message may carry.
pub const ATTACHMENTS_MAX: usize = 10;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Words.
    Text,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Any other file.
    File,
    /// Said by the server; never by a client.
    System,
}

impl MessageKind {
    /// Every kind, in the order in which it is documented.
    pub const ALL: [Self; 6] = [
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::File,
        Self::System,
    ];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
            Self::System => "system",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The words of a message: 1 to [`BODY_MAX`] characters, something other than white space among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBody(String);

impl MessageBody {
    /// Checks the rule above.
    pub fn parse(body: &str) -> Result<Self> {
        text::block("body", body, BODY_MAX).map(Self)
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The sender's own key of a message: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Checks the rule above.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid(
                "client_id",
                "must be 1 to 128 visible ASCII characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One real emoji (Unicode emoji sequence, skin tones included).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Emoji(String);

impl Emoji {
    /// Checks that the text is exactly one emoji, in its fully qualified form or a variant of it.
    pub fn parse(text: &str) -> Result<Self> {
        match emojis::get(text) {
            Some(emoji) => Ok(Self(emoji.as_str().to_owned())),
            None => Err(Error::invalid("emoji", "must be one emoji")),
        }
    }

    /// The emoji.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everybody who reacted to a message with one emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// With what.
    pub emoji: Emoji,
    /// How many.
    pub count: u32,
    /// Who, in the order of reacting; at most [`REACTION_USERS_MAX`].
    pub user_ids: Vec<UserId>,
}

/// A stored message or its tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message.
    pub id: MessageId,
    /// Where it was said.
    pub conversation_id: ConversationId,
    /// Its place in the conversation.
    pub seq: Seq,
    /// Its newest change.
    pub rev: Rev,
    /// Who said it.
    pub sender_id: UserId,
    /// What it carries.
    pub kind: MessageKind,
    /// The words; none in a tombstone or a bare attachment.
    pub body: Option<String>,
    /// Its files, in order; none in a tombstone.
    pub attachments: Vec<Attachment>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The message whose thread it is in.
    pub thread_id: Option<MessageId>,
    /// How many live messages are in its own thread.
    pub reply_count: u32,
    /// Reactions, in the order in which each emoji first came.
    pub reactions: Vec<Reaction>,
    /// The sender's own key.
    pub client_id: Option<ClientId>,
    /// When it was stored; never earlier than the message before it in the conversation.
    pub created_at: Timestamp,
    /// When its words were last changed.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl Message {
    /// Whether it is not a tombstone.
    pub const fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Whether this member may change the words: the sender, while the message is there.
    pub fn check_edit(&self, by: &MemberAccess) -> Result<()> {
        self.check_live()?;
        if by.user_id() != self.sender_id {
            return Err(Error::Forbidden(Denial::NotSender));
        }
        if self.kind == MessageKind::System {
            return Err(Error::Forbidden(Denial::RoleTooLow));
        }
        Ok(())
    }

    /// Whether this member may delete it: the sender, an admin or an owner. A tombstone may be deleted
    /// again by the same, to no effect.
    pub fn check_delete(&self, by: &MemberAccess) -> Result<()> {
        if by.user_id() == self.sender_id {
            Ok(())
        } else {
            by.require_admin()
        }
    }

    /// Whether it can be reacted to.
    pub fn check_live(&self) -> Result<()> {
        if self.is_live() {
            Ok(())
        } else {
            Err(Error::NotFound(crate::error::Entity::Message))
        }
    }

    /// What is left after deletion: ids, numbers and times.
    #[must_use]
    pub fn into_tombstone(mut self, rev: Rev, now: Timestamp) -> Self {
        self.rev = rev;
        self.body = None;
        self.attachments = Vec::new();
        self.reactions = Vec::new();
        self.deleted_at = Some(now);
        self
    }
}

/// SHA-256 of what a sender may not change under the same `client_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A message to store: everything but the numbers that the database gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Names the message.
    pub id: MessageId,
    /// Where it is said.
    pub conversation_id: ConversationId,
    /// Who says it.
    pub sender_id: UserId,
    /// What it carries.
    pub kind: MessageKind,
    /// The words.
    pub body: Option<MessageBody>,
    /// Its files, in order, each once.
    pub attachments: Vec<AttachmentId>,
    /// The message it answers: one of the same conversation.
    pub reply_to: Option<MessageId>,
    /// The message whose thread it goes to: one of the same conversation that is in no thread itself.
    pub thread_id: Option<MessageId>,
    /// The sender's own key.
    pub client_id: Option<ClientId>,
    /// When it was received.
    pub at: Timestamp,
}

impl NewMessage {
    /// Whether there is anything in it, and not too much.
    pub fn check(&self) -> Result<()> {
        if self.kind == MessageKind::System {
            return Err(Error::invalid("kind", "cannot be 'system'"));
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            return Err(Error::invalid(
                "attachment_ids",
                format!("must be at most {ATTACHMENTS_MAX}"),
            ));
        }
        let ids = &self.attachments;
        if (1..ids.len()).any(|n| ids[..n].contains(&ids[n])) {
            return Err(Error::invalid("attachment_ids", "must not name one twice"));
        }
        if self.body.is_none() && self.attachments.is_empty() {
            return Err(Error::invalid("body", "must not be empty"));
        }
        Ok(())
    }

    /// What makes two messages of one `client_id` the same. Fields are length-prefixed, so that no two
    /// different messages run together to the same bytes.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(self.kind.as_str().as_bytes());
        field(
            self.body
                .as_ref()
                .map_or(b"", |body| body.as_str().as_bytes()),
        );
        for id in [self.reply_to, self.thread_id] {
            field(
                id.map(|id| id.as_uuid().into_bytes())
                    .as_ref()
                    .map_or(&[], |bytes| &bytes[..]),
            );
        }
        for id in &self.attachments {
            field(id.as_uuid().as_bytes());
        }
        Fingerprint(hash.finalize().into())
    }

    /// The stored message, once the database has given it its numbers.
    pub fn into_message(self, numbers: Appended) -> Message {
        Message {
            id: self.id,
            conversation_id: self.conversation_id,
            seq: numbers.seq,
            rev: numbers.rev,
            sender_id: self.sender_id,
            kind: self.kind,
            body: self.body.map(MessageBody::into_string),
            attachments: numbers.attachments,
            reply_to: self.reply_to,
            thread_id: self.thread_id,
            reply_count: 0,
            reactions: Vec::new(),
            client_id: self.client_id,
            created_at: numbers.created_at,
            edited_at: None,
            deleted_at: None,
        }
    }
}

/// The numbers that a new message got, and what is known of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the conversation.
    pub seq: Seq,
    /// The change that it is.
    pub rev: Rev,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Its files, in order.
    pub attachments: Vec<Attachment>,
}

/// What came of one message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Stored.
    Appended(Appended),
    /// The same `client_id` and content were stored before: the message as it is now.
    Duplicate(Box<Message>),
}

/// A changed message, and whether anything did change: an edit to the same words, or a reaction that was
/// there, takes no `rev` and is told to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The message as it is now.
    pub message: Message,
    /// Whether it is another than before.
    pub changed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn new(body: &str) -> NewMessage {
        NewMessage {
            id: MessageId::from_uuid(Uuid::from_u128(1)),
            conversation_id: ConversationId::from_uuid(Uuid::nil()),
            sender_id: UserId::from_uuid(Uuid::nil()),
            kind: MessageKind::Text,
            body: Some(MessageBody::parse(body).unwrap()),
            attachments: Vec::new(),
            reply_to: None,
            thread_id: None,
            client_id: None,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_content_alone() {
        let a = new("hello");
        let again = NewMessage {
            id: MessageId::from_uuid(Uuid::from_u128(2)),
            ..a.clone()
        };
        assert_eq!(a.fingerprint(), again.fingerprint());
        assert_ne!(a.fingerprint(), new("hello!").fingerprint());
        let id = Some(MessageId::from_uuid(Uuid::from_u128(3)));
        let reply = NewMessage {
            reply_to: id,
            ..a.clone()
        };
        let thread = NewMessage {
            thread_id: id,
            ..a.clone()
        };
        assert_ne!(reply.fingerprint(), a.fingerprint());
        assert_ne!(reply.fingerprint(), thread.fingerprint());
    }

    #[test]
    fn only_one_real_emoji() {
        for good in ["👍", "❤️", "👩🏽‍💻", "🇩🇪"] {
            assert!(Emoji::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "👍👍", ":+1:", "<b>", "1"] {
            assert!(Emoji::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_or_system_message_is_refused() {
        assert!(MessageBody::parse(" \n").is_err());
        assert!(
            NewMessage {
                body: None,
                ..new("x")
            }
            .check()
            .is_err()
        );
        assert!(
            NewMessage {
                kind: MessageKind::System,
                ..new("x")
            }
            .check()
            .is_err()
        );
        assert!(new("x").check().is_ok());
    }

    #[test]
    fn attachments_are_few_and_named_once() {
        let with = |ids: &[u128]| NewMessage {
            attachments: ids
                .iter()
                .map(|n| AttachmentId::from_uuid(Uuid::from_u128(*n)))
                .collect(),
            ..new("x")
        };
        assert!(with(&[1, 2]).check().is_ok());
        assert!(with(&[1, 2, 1]).check().is_err());
        assert!(with(&(1..=11).collect::<Vec<_>>()).check().is_err());
    }
}
