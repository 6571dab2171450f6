//! Conversations of all three kinds.

use std::fmt;

use crate::error::{Denial, Error, Result};
use crate::id::{ConversationId, UserId};
use crate::sync::{Rev, Seq};
use crate::time::Timestamp;

/// The three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// Exactly two users; one per pair.
    Direct,
    /// Members with roles; joined by being added.
    Group,
    /// Public, has a slug; anyone may join by name.
    Room,
}

impl ConversationKind {
    /// Every kind, in the order in which it is documented.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Group, Self::Room];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Room => "room",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A room's public name in addresses: 1 to 64 of `a–z 0–9 _ -`, lower-cased, unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slug(String);

impl Slug {
    /// Checks the rule above; upper case is taken and lowered.
    pub fn parse(text: &str) -> Result<Self> {
        let slug = text.trim().to_ascii_lowercase();
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if slug.is_empty() || slug.len() > 64 || !slug.chars().all(ok) {
            return Err(Error::invalid(
                "slug",
                "must be 1 to 64 letters a-z, digits, '_' or '-'",
            ));
        }
        Ok(Self(slug))
    }

    /// The lower-case text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest name of a group or room, in characters.
pub const NAME_MAX: usize = 100;
/// Longest description, in characters.
pub const DESCRIPTION_MAX: usize = 500;
/// How many members one request may add.
pub const ADD_MEMBERS_MAX: usize = 1_000;

/// A conversation, without anything that depends on who looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Names the conversation.
    pub id: ConversationId,
    /// Which of the three.
    pub kind: ConversationKind,
    /// A room's public name.
    pub slug: Option<Slug>,
    /// A group's or room's name.
    pub name: Option<String>,
    /// A few lines about it.
    pub description: Option<String>,
    /// A picture.
    pub avatar_url: Option<String>,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest message came; when it was made, if none did.
    pub last_activity_at: Timestamp,
    /// Its newest message.
    pub last_seq: Seq,
    /// Its newest change.
    pub rev: Rev,
    /// The newest change of the fields above (other than activity, seq, rev and count).
    pub changed_rev: Rev,
    /// How many members it has.
    pub member_count: u32,
}

impl Conversation {
    /// Whether name, members and roles may change at all.
    pub fn check_changeable(&self) -> Result<()> {
        if self.kind == ConversationKind::Direct {
            return Err(Error::Forbidden(Denial::FixedConversation));
        }
        Ok(())
    }
}

/// A change of a group or room; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationPatch {
    /// Another name.
    pub name: Option<String>,
    /// Another or no description.
    pub description: Option<Option<String>>,
    /// Another or no picture.
    pub avatar_url: Option<Option<String>>,
}

impl ConversationPatch {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The conversation after this change, at `rev`.
    #[must_use]
    pub fn apply(&self, mut conversation: Conversation, rev: Rev) -> Conversation {
        if let Some(name) = &self.name {
            conversation.name = Some(name.clone());
        }
        if let Some(description) = &self.description {
            conversation.description.clone_from(description);
        }
        if let Some(avatar_url) = &self.avatar_url {
            conversation.avatar_url.clone_from(avatar_url);
        }
        conversation.rev = rev;
        conversation.changed_rev = rev;
        conversation
    }
}

/// The key that makes a direct conversation unique: both ids, the lower one first.
pub fn direct_key(a: UserId, b: UserId) -> String {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    format!("{low}:{high}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn slugs_are_lowered_and_bounded() {
        assert_eq!(Slug::parse(" General ").unwrap().as_str(), "general");
        for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(Slug::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pair_has_one_key() {
        let (a, b) = (
            UserId::from_uuid(Uuid::from_u128(1)),
            UserId::from_uuid(Uuid::from_u128(2)),
        );
        assert_eq!(direct_key(a, b), direct_key(b, a));
    }
}
