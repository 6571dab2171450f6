use async_trait::async_trait;

use crate::attachment::{Attachment, AvatarOwner, Measured, MediaKind, MediaStats, NewAttachment};
use crate::conversation::Conversation;
use crate::error::Result;
use crate::id::{AttachmentId, ConversationId, UserId};
use crate::page::{Limit, Page};
use crate::time::Timestamp;
use crate::user::User;

/// An owner as it is with its new picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Depicted {
    /// A user.
    User(Box<User>),
    /// A group or room.
    Group(Box<Conversation>),
}

/// What is known of uploaded files. Their bytes are not here.
///
/// Sending a message [attaches](super::MessageRepository::append) them, deleting it or purging its
/// conversation condemns them. A condemned one MUST never become anything else.
#[async_trait]
pub trait AttachmentRepository: Send + Sync {
    /// Stores a pending one, before its first byte is. Whether the uploader may is not asked here: it is
    /// when the file is sent.
    async fn begin(&self, new: &NewAttachment) -> Result<()>;

    /// Makes a pending one ready. Rule: [`Attachment::completed`].
    ///
    /// Errors: `NotFound(Attachment)` when there is none, or it is not pending (any more).
    async fn complete(
        &self,
        id: AttachmentId,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Attachment>;

    /// The attachment, in whatever state.
    async fn get(&self, id: AttachmentId) -> Result<Option<Attachment>>;

    /// Those that exist, in whatever state, in no order, each once.
    async fn get_many(&self, ids: &[AttachmentId]) -> Result<Vec<Attachment>>;

    /// Those of live messages of a conversation that is not deleted, the highest id first, below `before`;
    /// only of one kind when asked.
    async fn media(
        &self,
        conversation_id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>>;

    /// How much there is of what [`media`](Self::media) lists, in the order of [`MediaKind::ALL`], without
    /// kinds of which there is nothing.
    async fn media_stats(&self, conversation_id: ConversationId) -> Result<Vec<MediaStats>>;

    /// Makes a ready one the picture of its owner: sets the owner's `avatar_url` to its
    /// [`link`](crate::attachment::link), and condemns the one that was the picture before. Of several at
    /// once the last one stays, and all others MUST be condemned.
    ///
    /// Rules: [`Attachment::check_avatar`]; a user's own is set by that user alone (`Forbidden(RoleTooLow)`
    /// otherwise), a group's or room's as by [`update`](super::ConversationRepository::update), whose next
    /// rev it takes.
    ///
    /// Errors: `NotFound(Attachment)`, `NotFound(User)`, `NotFound(Conversation)`, `Forbidden`.
    async fn make_avatar(
        &self,
        id: AttachmentId,
        by: UserId,
        owner: AvatarOwner,
        now: Timestamp,
    ) -> Result<Depicted>;

    /// Condemns one that is used by nothing (pending or ready); answers whether it is condemned now. One
    /// that is attached MUST stay.
    async fn condemn(&self, id: AttachmentId) -> Result<bool>;

    /// Condemns up to `limit` of those that have been pending, or ready, since before `before`; answers how
    /// many, 0 when there are none. An attachment that is being sent at the same time is either sent or
    /// condemned, never both.
    async fn condemn_stale(&self, before: Timestamp, limit: Limit) -> Result<u64>;

    /// Some that are condemned, in the order of their ids; the same again until they are
    /// [removed](Self::remove).
    async fn condemned(&self, limit: Limit) -> Result<Vec<AttachmentId>>;

    /// Takes out those of these that are condemned, and no others; answers how many.
    async fn remove(&self, ids: &[AttachmentId]) -> Result<u64>;
}
