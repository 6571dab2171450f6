//! A step with everything chosen: what is handed to a port, and what came back.

use connexus_domain::attachment::{Attachment, Measured, NewAttachment};
use connexus_domain::conversation::{Conversation, ConversationPatch};
use connexus_domain::member::{Member, PreferencesPatch, Role};
use connexus_domain::message::{AppendOutcome, Appended, Changed};
use connexus_domain::ports::{Opened, Removal, RoleChange, Storage};
use connexus_domain::{
    AttachmentId, ConversationId, Emoji, MessageBody, MessageId, NewMessage, Receipt, Result,
    Timestamp, UserId, WatermarkAdvance,
};

use crate::world::Fault;

/// A call of a port.
#[derive(Debug, Clone)]
pub enum Action {
    Upload(NewAttachment, Measured, Timestamp),
    Discard(AttachmentId),
    Append(Vec<NewMessage>),
    Edit(MessageId, UserId, MessageBody, Timestamp),
    Delete(MessageId, UserId, Timestamp),
    React(MessageId, UserId, Emoji, Timestamp),
    Unreact(MessageId, UserId, Emoji),
    Advance(Vec<WatermarkAdvance>, Timestamp),
    Update(ConversationId, UserId, ConversationPatch),
    Add(ConversationId, UserId, Vec<UserId>, Timestamp),
    Remove(ConversationId, UserId, UserId, Timestamp),
    Role(ConversationId, UserId, UserId, Role),
    Join(ConversationId, UserId, Timestamp),
    Keep(ConversationId, UserId, PreferencesPatch),
}

/// What came of one message of a batch. Of a repetition only which one it is: whether the original is
/// told as before or after the rest of the batch is left open.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    Stored(Appended),
    Duplicate(MessageId),
    Refused(Fault),
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Uploaded(Box<Attachment>),
    Discarded(bool),
    Sent(Vec<Sent>),
    Changed(Box<Changed>),
    Receipts(Vec<Receipt>),
    Conversation(Conversation),
    Members(Vec<Member>),
    Removal(Box<Removal>),
    Role(RoleChange),
    Opened(Box<Opened>),
    Kept(Option<Member>),
    Refused(Fault),
}

impl From<&Result<AppendOutcome>> for Sent {
    fn from(answer: &Result<AppendOutcome>) -> Self {
        match answer {
            Ok(AppendOutcome::Appended(numbers)) => Self::Stored(numbers.clone()),
            Ok(AppendOutcome::Duplicate(original)) => Self::Duplicate(original.id),
            Err(error) => Self::Refused(Fault::from(error)),
        }
    }
}

impl Action {
    /// Does it, and puts what has no order into one.
    pub async fn on(&self, storage: &dyn Storage) -> Answer {
        self.ask(storage)
            .await
            .unwrap_or_else(|error| Answer::Refused(Fault::from(&error)))
    }

    async fn ask(&self, storage: &dyn Storage) -> Result<Answer> {
        let (messages, conversations) = (storage.messages(), storage.conversations());
        let changed = |changed: Changed| Answer::Changed(Box::new(changed));
        Ok(match self {
            Self::Upload(new, measured, now) => {
                storage.attachments().begin(new).await?;
                let files = storage.attachments();
                Answer::Uploaded(Box::new(files.complete(new.id, measured, *now).await?))
            }
            Self::Discard(id) => Answer::Discarded(storage.attachments().condemn(*id).await?),
            Self::Append(batch) => {
                let answers = messages.append(batch).await?;
                Answer::Sent(answers.iter().map(Sent::from).collect())
            }
            Self::Edit(id, by, body, now) => changed(messages.edit(*id, *by, body, *now).await?),
            Self::Delete(id, by, now) => changed(messages.delete(*id, *by, *now).await?),
            Self::React(id, by, emoji, now) => {
                changed(messages.add_reaction(*id, *by, emoji, *now).await?)
            }
            Self::Unreact(id, by, emoji) => {
                changed(messages.remove_reaction(*id, *by, emoji).await?)
            }
            Self::Advance(batch, now) => {
                let mut moved = storage.receipts().advance(batch, *now).await?;
                moved.sort_by_key(|receipt| (receipt.conversation_id, receipt.user_id));
                Answer::Receipts(moved)
            }
            Self::Update(id, by, patch) => {
                Answer::Conversation(conversations.update(*id, *by, patch).await?)
            }
            Self::Add(id, by, users, now) => {
                Answer::Members(conversations.add_members(*id, *by, users, *now).await?)
            }
            Self::Remove(id, by, target, now) => {
                let removal = conversations.remove_member(*id, *by, *target, *now).await?;
                Answer::Removal(Box::new(removal))
            }
            Self::Role(id, by, target, role) => {
                Answer::Role(conversations.set_role(*id, *by, *target, *role).await?)
            }
            Self::Join(id, user, now) => {
                Answer::Opened(Box::new(conversations.join(*id, *user, *now).await?))
            }
            Self::Keep(id, user, patch) => {
                Answer::Kept(conversations.set_preferences(*id, *user, patch).await?)
            }
        })
    }
}
