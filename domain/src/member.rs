//! Members: a user in a conversation, and what each role may do.

use crate::conversation::Conversation;
use crate::error::{Denial, Error, Result};
use crate::id::{ConversationId, UserId};
use crate::receipt::Receipt;
use crate::sync::{Rev, Seq};
use crate::time::Timestamp;

/// What a member may do. Ordered: an owner is more than an admin is more than a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes part.
    Member,
    /// Adds, removes, renames, deletes others' messages.
    Admin,
    /// As an admin, and makes admins and owners, and deletes the conversation.
    Owner,
}

impl Role {
    /// Every role, highest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Member];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// How a member keeps a conversation in the own list. Private, so it takes no `rev`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Out of the main list.
    pub archived: bool,
    /// On top of the list.
    pub pinned: bool,
    /// No notifications until then.
    pub muted_until: Option<Timestamp>,
}

/// A change of preferences; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PreferencesPatch {
    /// Archive or bring back.
    pub archived: Option<bool>,
    /// Pin or unpin.
    pub pinned: Option<bool>,
    /// Mute until, or (`Some(None)`) unmute.
    pub muted_until: Option<Option<Timestamp>>,
}

impl PreferencesPatch {
    /// The preferences after this change.
    #[must_use]
    pub fn apply(self, preferences: Preferences) -> Preferences {
        Preferences {
            archived: self.archived.unwrap_or(preferences.archived),
            pinned: self.pinned.unwrap_or(preferences.pinned),
            muted_until: self.muted_until.unwrap_or(preferences.muted_until),
        }
    }
}

/// A user in a conversation, or one who was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// What the member may do.
    pub role: Role,
    /// When the member came (last).
    pub joined_at: Timestamp,
    /// When the member left, if so.
    pub left_at: Option<Timestamp>,
    /// The newest change of role or membership.
    pub rev: Rev,
    /// Newest message handed to one of the member's connections.
    pub delivered_seq: Seq,
    /// When that moved last.
    pub delivered_at: Option<Timestamp>,
    /// Newest message the member has read.
    pub read_seq: Seq,
    /// When that moved last.
    pub read_at: Option<Timestamp>,
    /// How the member keeps the conversation.
    pub preferences: Preferences,
}

/// Proof that somebody is a member now. Only [`Member::access`] makes one, so what requires it cannot be
/// reached without the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberAccess {
    conversation_id: ConversationId,
    user_id: UserId,
    role: Role,
}

impl MemberAccess {
    /// Where.
    pub const fn conversation_id(&self) -> ConversationId {
        self.conversation_id
    }

    /// Who.
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The member's role when it was looked up.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether the member may add and remove others, rename, and delete others' messages.
    pub fn require_admin(&self) -> Result<()> {
        self.require(Role::Admin)
    }

    /// Whether the member may delete the conversation.
    pub fn require_owner(&self) -> Result<()> {
        self.require(Role::Owner)
    }

    fn require(&self, lowest: Role) -> Result<()> {
        if self.role < lowest {
            Err(Error::Forbidden(Denial::RoleTooLow))
        } else {
            Ok(())
        }
    }

    /// Whether this member may remove `target`: an admin removes members, an owner everybody; who
    /// removes the own membership leaves, which everybody may.
    pub fn check_remove(&self, target: &Member) -> Result<()> {
        if target.user_id == self.user_id {
            return Ok(());
        }
        self.require_admin()?;
        self.require_above(target.role)
    }

    /// Whether this member may give `target` the role `new`: an admin deals with members and admins
    /// below the own role, an owner with all; nobody raises anyone above the own role.
    pub fn check_set_role(&self, target: &Member, new: Role) -> Result<()> {
        self.require_admin()?;
        if target.user_id != self.user_id {
            self.require_above(target.role)?;
        }
        if self.role == Role::Owner || new < self.role {
            return Ok(());
        }
        Err(Error::Forbidden(Denial::RoleTooLow))
    }

    /// Owners stand above everybody, others only above lower roles.
    fn require_above(&self, other: Role) -> Result<()> {
        if self.role == Role::Owner || self.role > other {
            return Ok(());
        }
        Err(Error::Forbidden(Denial::RoleTooLow))
    }
}

impl Member {
    /// A new member, who starts with everything before as read.
    pub fn joining(
        conversation: &Conversation,
        user_id: UserId,
        role: Role,
        rev: Rev,
        now: Timestamp,
    ) -> Self {
        Self {
            conversation_id: conversation.id,
            user_id,
            role,
            joined_at: now,
            left_at: None,
            rev,
            delivered_seq: conversation.last_seq,
            delivered_at: None,
            read_seq: conversation.last_seq,
            read_at: None,
            preferences: Preferences::default(),
        }
    }

    /// Whether the user is in the conversation now.
    pub const fn is_present(&self) -> bool {
        self.left_at.is_none()
    }

    /// Proof of membership, or `Forbidden` for one who has left.
    pub fn access(&self) -> Result<MemberAccess> {
        if !self.is_present() {
            return Err(Error::Forbidden(Denial::NotMember));
        }
        Ok(MemberAccess {
            conversation_id: self.conversation_id,
            user_id: self.user_id,
            role: self.role,
        })
    }

    /// The member's watermarks.
    pub const fn receipt(&self) -> Receipt {
        Receipt {
            conversation_id: self.conversation_id,
            user_id: self.user_id,
            delivered_seq: self.delivered_seq,
            delivered_at: self.delivered_at,
            read_seq: self.read_seq,
            read_at: self.read_at,
        }
    }
}

/// Who becomes owner when the last one leaves: the highest role, then the longest membership, then the
/// lower id. The order in which `a` and `b` are asked; the least of all remaining members is it.
pub fn succession(a: &Member, b: &Member) -> std::cmp::Ordering {
    b.role
        .cmp(&a.role)
        .then(a.joined_at.cmp(&b.joined_at))
        .then(a.user_id.cmp(&b.user_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn member(n: u128, role: Role) -> Member {
        Member {
            conversation_id: ConversationId::from_uuid(Uuid::nil()),
            user_id: UserId::from_uuid(Uuid::from_u128(n)),
            role,
            joined_at: Timestamp::from_millis(i64::try_from(n).unwrap()),
            left_at: None,
            rev: 1,
            delivered_seq: 0,
            delivered_at: None,
            read_seq: 0,
            read_at: None,
            preferences: Preferences::default(),
        }
    }

    #[test]
    fn who_may_remove_whom() {
        use Role::{Admin, Member as Plain, Owner};
        let cases = [
            (Owner, Owner, true),
            (Owner, Admin, true),
            (Owner, Plain, true),
            (Admin, Owner, false),
            (Admin, Admin, false),
            (Admin, Plain, true),
            (Plain, Plain, false),
            (Plain, Owner, false),
        ];
        for (by, whom, allowed) in cases {
            let access = member(1, by).access().unwrap();
            assert_eq!(
                access.check_remove(&member(2, whom)).is_ok(),
                allowed,
                "{by:?} removes {whom:?}"
            );
            assert!(access.check_remove(&member(1, by)).is_ok(), "{by:?} leaves");
        }
    }

    #[test]
    fn who_may_give_which_role() {
        use Role::{Admin, Member as Plain, Owner};
        let cases = [
            (Owner, Plain, Owner, true),
            (Owner, Owner, Plain, true),
            (Admin, Plain, Admin, false),
            (Admin, Plain, Owner, false),
            (Admin, Admin, Plain, false),
            (Plain, Plain, Plain, false),
        ];
        for (by, whom, new, allowed) in cases {
            let access = member(1, by).access().unwrap();
            assert_eq!(
                access.check_set_role(&member(2, whom), new).is_ok(),
                allowed,
                "{by:?} makes {whom:?} {new:?}"
            );
        }
        assert!(
            member(1, Admin)
                .access()
                .unwrap()
                .check_set_role(&member(1, Admin), Owner)
                .is_err(),
            "no self-promotion"
        );
        assert!(
            member(1, Admin)
                .access()
                .unwrap()
                .check_set_role(&member(1, Admin), Plain)
                .is_ok(),
            "stepping down"
        );
    }

    #[test]
    fn the_eldest_admin_succeeds() {
        let mut all = [
            member(1, Role::Member),
            member(3, Role::Admin),
            member(2, Role::Admin),
        ];
        all.sort_by(succession);
        assert_eq!(all[0].user_id, member(2, Role::Admin).user_id);
    }

    #[test]
    fn who_left_has_no_access() {
        let gone = Member {
            left_at: Some(Timestamp::from_millis(9)),
            ..member(1, Role::Owner)
        };
        assert!(matches!(
            gone.access(),
            Err(Error::Forbidden(Denial::NotMember))
        ));
    }
}
