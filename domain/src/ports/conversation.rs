use async_trait::async_trait;

use crate::conversation::{Conversation, ConversationPatch, Slug};
use crate::error::Result;
use crate::id::{ConversationId, UserId};
use crate::member::{Member, PreferencesPatch, Role};
use crate::message::Message;
use crate::page::{ActivityCursor, Limit, Page};
use crate::sync::{Head, Rev};
use crate::time::Timestamp;

/// A direct conversation to get or make.
#[derive(Debug, Clone)]
pub struct NewDirect {
    /// Its id if it is new.
    pub id: ConversationId,
    /// Who asks.
    pub creator: UserId,
    /// The other one; not the same user.
    pub peer: UserId,
    /// Now.
    pub now: Timestamp,
}

/// A group to make.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Its id.
    pub id: ConversationId,
    /// Who makes it, and becomes its owner.
    pub creator: UserId,
    /// Its name.
    pub name: String,
    /// A few lines about it.
    pub description: Option<String>,
    /// A picture.
    pub avatar_url: Option<String>,
    /// The other members; the creator and repetitions among them are ignored.
    pub member_ids: Vec<UserId>,
    /// Now.
    pub now: Timestamp,
}

/// A room to get or make.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its id if it is new.
    pub id: ConversationId,
    /// Its public name.
    pub slug: Slug,
    /// What it is called; only used if it is new.
    pub name: String,
    /// A few lines about it; only used if it is new.
    pub description: Option<String>,
    /// Who asks, and becomes the owner if it is new, else an ordinary member.
    pub creator: UserId,
    /// Now.
    pub now: Timestamp,
}

/// A conversation that was got or made, with the asker's membership.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The conversation as it is now.
    pub conversation: Conversation,
    /// The asker's membership.
    pub me: Member,
    /// Whether it was made by this call.
    pub created: bool,
    /// Whether the asker became a member by this call (always so when it was made).
    pub joined: bool,
}

/// Who left, and who became owner by that.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// The former member.
    pub left: Member,
    /// The new owner, when the last one left.
    pub promoted: Option<Member>,
    /// Whether nobody is left, and the group is deleted for that.
    pub deleted: bool,
}

/// A member after a change of role, and whether it is another role than before.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleChange {
    /// The member as it is now.
    pub member: Member,
    /// Whether it is another role than before.
    pub changed: bool,
}

/// How many live messages by others a member has not read: counted by the database, up to a cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// At most [`Unread::CAP`].
    pub count: u32,
}

impl Unread {
    /// Counting stops here.
    pub const CAP: u32 = 100;

    /// Whether there may be more than counted.
    pub const fn is_capped(self) -> bool {
        self.count >= Self::CAP
    }
}

/// A conversation as one of its members sees it in the own list.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: Conversation,
    /// The member's own part.
    pub me: Member,
    /// What the member has not read.
    pub unread: Unread,
    /// The newest message, tombstone or not.
    pub last_message: Option<Message>,
    /// The other user of a direct one.
    pub peer: Option<UserId>,
}

/// Conversations and their members.
///
/// Where a method takes `by`, the implementation MUST read that member in its transaction and apply the
/// rule that is named; `Forbidden(NotMember)` when there is no such present member. A deleted
/// conversation does not exist for any method but [`purge_deleted`](Self::purge_deleted).
/// Every change MUST take the next `rev` of the conversation in its transaction.
#[async_trait]
pub trait ConversationRepository: Send + Sync {
    /// The one direct conversation of a pair, made when there is none. MUST be safe against any number
    /// of simultaneous calls for the same pair, in either order of the two: all get the same one, and
    /// one of them `created`. When made: conversation at rev 1, creator's membership rev 2, peer's
    /// rev 3; both have role `member`.
    ///
    /// Errors: `NotFound(User)`.
    async fn get_or_create_direct(&self, new: &NewDirect) -> Result<Opened>;

    /// The direct conversation of a pair, in either order, if there is one.
    async fn find_direct(&self, a: UserId, b: UserId) -> Result<Option<Conversation>>;

    /// Makes a group: conversation at rev 1, owner at rev 2, members (role `member`) from rev 3 on in the
    /// given order.
    ///
    /// Errors: `NotFound(User)` when one of the members does not exist; nothing is made then.
    async fn create_group(&self, new: &NewGroup) -> Result<Opened>;

    /// The room of a slug, made when there is none (conversation at rev 1, owner at rev 2); when there is
    /// one, the asker joins it as by [`join`](Self::join). Safe against simultaneous calls.
    async fn get_or_create_room(&self, new: &NewRoom) -> Result<Opened>;

    /// `user` enters a room; idempotent. Who comes back starts anew: role `member`, watermarks at
    /// `last_seq`, preferences reset. Who enters a room in which there is no owner becomes it.
    ///
    /// Errors: `NotFound(Conversation)` when there is no such conversation or it is not a room.
    async fn join(&self, id: ConversationId, user: UserId, now: Timestamp) -> Result<Opened>;

    /// The conversation.
    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>>;

    /// The room of a slug.
    async fn find_by_slug(&self, slug: &Slug) -> Result<Option<Conversation>>;

    /// A conversation and the membership of `user` in it, present or past, in one look.
    async fn find_with_member(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>>;

    /// The conversation as `user`, a present member, sees it in the own list.
    async fn summary(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<ConversationSummary>>;

    /// Conversations of which `user` is a present member: latest activity first, then the higher id;
    /// only archived or only other ones when asked.
    async fn list(
        &self,
        user: UserId,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>>;

    /// Where each conversation of which `user` is a present member stands, latest activity first.
    async fn heads(&self, user: UserId) -> Result<Vec<Head>>;

    /// Present members in the order of their user ids, after `after`.
    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member, UserId>>;

    /// The ids of all present members, in order.
    async fn member_ids(&self, id: ConversationId) -> Result<Vec<UserId>>;

    /// Changes name, description or picture. Rule: `check_changeable`, then `require_admin`. A patch that
    /// changes nothing takes no rev. Another picture than before condemns the attachment that was it.
    ///
    /// Errors: `NotFound(Conversation)`, `Forbidden`.
    async fn update(
        &self,
        id: ConversationId,
        by: UserId,
        patch: &ConversationPatch,
    ) -> Result<Conversation>;

    /// Deletes a group or room for everybody, frees a room's slug, and answers the rev of that last change.
    /// Rule: `check_changeable`, then `require_owner`.
    ///
    /// Errors: `NotFound(Conversation)`, `Forbidden`.
    async fn delete(&self, id: ConversationId, by: UserId, now: Timestamp) -> Result<Rev>;

    /// Adds users with role `member`; who is present already is left as he is, who was there before
    /// comes back as by [`join`](Self::join). Answers those who came, in the given order, each at a rev
    /// of its own. Rule: `check_changeable`, then `require_admin`.
    ///
    /// Errors: `NotFound(Conversation)`, `NotFound(User)` (nobody is added then), `Forbidden`.
    async fn add_members(
        &self,
        id: ConversationId,
        by: UserId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<Member>>;

    /// Removes `target`, or lets it leave when it is `by`. Rule: `check_changeable`, then `check_remove`.
    /// When the last owner goes, the first in the order of
    /// [`succession`](crate::member::succession) becomes owner, at the next rev. When nobody is left, a
    /// group is deleted; a room stays.
    ///
    /// Errors: `NotFound(Conversation)`, `NotFound(Member)`, `Forbidden`.
    async fn remove_member(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Result<Removal>;

    /// Gives `target` a role. Rule: `check_changeable`, then `check_set_role`; and
    /// `Forbidden(LastOwner)` when no owner would be left. The same role as before takes no rev.
    ///
    /// Errors: `NotFound(Conversation)`, `NotFound(Member)`, `Forbidden`.
    async fn set_role(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        role: Role,
    ) -> Result<RoleChange>;

    /// Changes how `user`, a present member, keeps the conversation. Takes no rev. `None` when there is
    /// no such present member.
    async fn set_preferences(
        &self,
        id: ConversationId,
        user: UserId,
        patch: &PreferencesPatch,
    ) -> Result<Option<Member>>;

    /// Those of the users who are in a conversation of which the newest message has not been delivered to them, in no
    /// order.
    async fn behind(&self, users: &[UserId]) -> Result<Vec<UserId>>;

    /// Pairs (one of `users`, another user) who are together in a conversation of at most `max_members`
    /// members (any size when `None`), each pair once, in no order, without pairs of which one blocks
    /// the other.
    async fn peers(
        &self,
        users: &[UserId],
        max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>>;

    /// Whether the two are together in any conversation.
    async fn share_conversation(&self, a: UserId, b: UserId) -> Result<bool>;

    /// Takes up to `limit` messages, with all that hangs on them, of deleted conversations out of the
    /// database, and condemns their attachments, at the end the conversation's picture too; answers how
    /// many messages, 0 when nothing is left to do.
    async fn purge_deleted(&self, limit: Limit) -> Result<u64>;
}
