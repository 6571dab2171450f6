use async_trait::async_trait;

use crate::conversation::Conversation;
use crate::error::Result;
use crate::id::{ConversationId, MessageId, UserId};
use crate::message::{AppendOutcome, Changed, Emoji, Message, MessageBody, NewMessage};
use crate::page::{Limit, Page};
use crate::sync::{ChangePage, Rev, Seq};
use crate::terms::TermQuery;
use crate::time::Timestamp;

/// Which part of a conversation's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRange {
    /// The newest messages, newest first.
    Latest,
    /// Those with a lower seq, newest first.
    Before(Seq),
    /// Those with a higher seq, oldest first.
    After(Seq),
}

/// What to look for in messages.
#[derive(Debug, Clone)]
pub struct MessageSearch {
    /// Who looks: only conversations of which this is a present member.
    pub viewer: UserId,
    /// The terms.
    pub query: TermQuery,
    /// Only in this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Only by this sender.
    pub sender_id: Option<UserId>,
    /// Only messages with a lower id.
    pub before: Option<MessageId>,
    /// How many.
    pub limit: Limit,
}

/// A conversation and its newest messages at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The conversation; its `rev` is the moment.
    pub conversation: Conversation,
    /// The newest messages, oldest first.
    pub messages: Vec<Message>,
}

/// Messages, and all that changes them.
///
/// Where a method takes `by`, the implementation MUST read that user's membership in its transaction:
/// `Forbidden(NotMember)` when it is not a present one. Messages of a deleted conversation do not exist.
#[async_trait]
pub trait MessageRepository: Send + Sync {
    /// Stores a batch, of any conversations, in one transaction with a number of round trips that does
    /// not grow with the batch, and answers for each in the given order.
    ///
    /// MUST, for each message:
    /// - give it the next seq and the next rev of its conversation, in the order of the batch; in a
    ///   conversation, commit order is seq order and no number is ever missing, whoever else writes and
    ///   wherever the process dies;
    /// - set `created_at` to its `at`, or to the conversation's `last_activity_at` when that is later, and
    ///   that to it;
    /// - answer `Duplicate` with the message as it is now, and store nothing, when one with the same
    ///   conversation, sender and `client_id` and the same
    ///   [`fingerprint`](NewMessage::fingerprint) is stored or came earlier in the batch; with another
    ///   fingerprint `IdempotencyMismatch`. This key is unique in the database;
    /// - answer `Forbidden(NotMember)` when its sender is not a present member when the transaction runs,
    ///   `NotFound(Conversation)` when there is no such conversation;
    /// - answer `Invalid(reply_to)` or `Invalid(thread_id)` when there is no such message in its
    ///   conversation, or when the thread's root is in a thread itself;
    /// - attach its attachments, all or none, by the rule of [`Claims`](crate::attachment::Claims):
    ///   `Invalid(attachment_ids)` when one of them is not ready, was not uploaded by the sender for this
    ///   conversation, or is named twice. Of two messages that claim one attachment one gets it; a
    ///   duplicate or refused message claims nothing;
    /// - move its sender's `read_seq` and `delivered_seq` to its seq;
    /// - when it is in a thread, count it in the root's `reply_count` and give the root the same rev.
    ///
    /// An item that fails spoils no other. The outer error is for the whole batch: then nothing is stored, but after
    /// `Unavailable` all of it may be: the database may have gone between storing it and saying so.
    async fn append(&self, batch: &[NewMessage]) -> Result<Vec<Result<AppendOutcome>>>;

    /// Changes a message's words. Rule: [`Message::check_edit`].
    ///
    /// Errors: `NotFound(Message)` (a tombstone, too), `Forbidden`.
    async fn edit(
        &self,
        id: MessageId,
        by: UserId,
        body: &MessageBody,
        now: Timestamp,
    ) -> Result<Changed>;

    /// Makes a message a tombstone; deleting one again changes nothing. Takes it out of search, and out
    /// of the `reply_count` of its thread's root, which gets the same rev, and condemns its attachments. Rule: [`Message::check_delete`].
    ///
    /// Errors: `NotFound(Message)`, `Forbidden`.
    async fn delete(&self, id: MessageId, by: UserId, now: Timestamp) -> Result<Changed>;

    /// Reacts; idempotent.
    ///
    /// Errors: `NotFound(Message)` (a tombstone, too), `Forbidden`, `Invalid(emoji)` when it would be one
    /// more than [`REACTIONS_MAX`](crate::message::REACTIONS_MAX) different ones.
    async fn add_reaction(
        &self,
        id: MessageId,
        by: UserId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Changed>;

    /// Takes a reaction back; idempotent.
    ///
    /// Errors: as [`add_reaction`](Self::add_reaction).
    async fn remove_reaction(&self, id: MessageId, by: UserId, emoji: &Emoji) -> Result<Changed>;

    /// The message or its tombstone.
    async fn get(&self, id: MessageId) -> Result<Option<Message>>;

    /// Part of a conversation's history, tombstones included. The caller knows that the conversation is not deleted: of
    /// one that is, this may answer messages.
    async fn history(
        &self,
        conversation_id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>>;

    /// The current state of everything that changed after `rev`, in the order of
    /// [`Change::order`](crate::sync::Change::order), read from one snapshot. A page MUST NOT end between
    /// changes of the same rev (there are at most two). `None` when there is no such conversation.
    async fn changes_since(
        &self,
        conversation_id: ConversationId,
        rev: Rev,
        limit: Limit,
    ) -> Result<Option<ChangePage>>;

    /// The conversation and its newest messages, read at one moment.
    async fn snapshot(
        &self,
        conversation_id: ConversationId,
        limit: Limit,
    ) -> Result<Option<Snapshot>>;

    /// Messages in the thread of `root` with a seq above `after`, oldest first, tombstones included.
    async fn thread(&self, root: MessageId, after: Seq, limit: Limit) -> Result<Vec<Message>>;

    /// Live messages that have all the terms, the highest id first. MUST find a message as soon as it is
    /// stored, whether it is [indexed](Self::index) or not, and by its words as they are.
    async fn search(&self, search: &MessageSearch) -> Result<Page<Message, MessageId>>;

    /// One step of bringing the [index of search](crate::search) up to date: takes in messages that are older
    /// than `before`, and takes out the words of messages that were edited or deleted; up to `limit` of each (of
    /// these up to [`AMENDMENTS_AT_ONCE`](crate::search::AMENDMENTS_AT_ONCE)).
    /// Answers how many there were; nothing when another process is at it.
    ///
    /// MUST leave every search as it is, wherever the process dies, and whoever stores, edits or deletes
    /// meanwhile.
    async fn index(&self, before: Timestamp, limit: Limit) -> Result<u64>;
}
