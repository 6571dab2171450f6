//! Messages and reactions.

use std::sync::Arc;

use connexus_domain::message::Changed;
use connexus_domain::ports::{HistoryRange, MessageSearch};
use connexus_domain::terms;
use connexus_domain::{
    AttachmentId, ClientId, ConversationId, Emoji, Entity, Error, Event, Limit, Message,
    MessageBody, MessageId, MessageKind, NewMessage, Page, Result, Seq, UserId,
};

use crate::Actor;
use crate::auth::collect;
use crate::context::Context;
use crate::doubts::Change;
pub use crate::lanes::{Sent, Ticket};

/// A message to send, as it came in.
#[derive(Debug, Clone, Default)]
pub struct SendMessage {
    /// The words.
    pub body: Option<String>,
    /// What it carries; text when absent.
    pub kind: Option<MessageKind>,
    /// Files to attach.
    pub attachment_ids: Vec<AttachmentId>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The message whose thread it goes to.
    pub thread_id: Option<MessageId>,
    /// The sender's own key.
    pub client_id: Option<String>,
}

/// What to look for in messages, as it came in.
#[derive(Debug, Clone, Default)]
pub struct SearchMessages {
    /// The words.
    pub query: String,
    /// Only in this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Only by this sender.
    pub sender_id: Option<UserId>,
    /// Only before this message.
    pub before: Option<MessageId>,
}

/// Messages and reactions.
pub struct Messages {
    context: Arc<Context>,
}

impl Messages {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Sends a message. Answers when it is durable, never before.
    pub async fn send(
        &self,
        actor: &Actor,
        id: ConversationId,
        input: SendMessage,
    ) -> Result<Sent> {
        self.enqueue(actor, id, input).await?.stored().await
    }

    /// Checks a message and puts it in line. One who enqueues several without waiting for each to be
    /// stored has them stored in this order.
    pub async fn enqueue(
        &self,
        actor: &Actor,
        id: ConversationId,
        input: SendMessage,
    ) -> Result<Ticket> {
        let context = &self.context;
        let new = self.checked(actor, id, input)?;
        self.check_may_write(id, actor.user_id).await?;
        context.lanes.send(new, actor.origin())
    }

    /// Refuses who is no member, and either of a direct conversation when one blocks the other.
    async fn check_may_write(&self, id: ConversationId, user: UserId) -> Result<()> {
        let roster = self.context.rosters.of_member(id, user).await?;
        match roster.peer_of(user) {
            Some(peer) => self.context.check_not_blocked(user, peer).await,
            None => Ok(()),
        }
    }

    /// A message to which the asker may add something.
    async fn writable(&self, id: MessageId, user: UserId) -> Result<Message> {
        let message = self.context.visible_message(id, user).await?;
        self.check_may_write(message.conversation_id, user).await?;
        Ok(message)
    }

    fn checked(&self, actor: &Actor, id: ConversationId, input: SendMessage) -> Result<NewMessage> {
        let mut wrong = Vec::new();
        let body = match input.body.as_deref() {
            None | Some("") => None,
            Some(body) => collect(&mut wrong, MessageBody::parse(body))?,
        };
        let body_was_wrong = !wrong.is_empty();
        let client_id = match input.client_id.as_deref() {
            Some(key) => collect(&mut wrong, ClientId::parse(key))?,
            None => None,
        };
        let new = NewMessage {
            id: MessageId::from_uuid(self.context.ids.next()),
            conversation_id: id,
            sender_id: actor.user_id,
            kind: input.kind.unwrap_or(MessageKind::Text),
            body,
            attachments: input.attachment_ids,
            reply_to: input.reply_to,
            thread_id: input.thread_id,
            client_id,
            at: self.context.now(),
        };
        if !body_was_wrong {
            collect(&mut wrong, new.check())?;
        }
        if wrong.is_empty() {
            Ok(new)
        } else {
            Err(Error::Invalid(wrong))
        }
    }

    /// A message that the asker may see.
    pub async fn get(&self, actor: &Actor, id: MessageId) -> Result<Message> {
        self.context.visible_message(id, actor.user_id).await
    }

    /// Changes a message's words.
    pub async fn edit(&self, actor: &Actor, id: MessageId, body: &str) -> Result<Message> {
        let body = MessageBody::parse(body)?;
        let message = self.writable(id, actor.user_id).await?;
        self.change(
            actor,
            message,
            async move |context, by| {
                context
                    .storage
                    .messages()
                    .edit(id, by, &body, context.now())
                    .await
            },
            Event::MessageEdited,
        )
        .await
    }

    /// Makes a message a tombstone.
    pub async fn delete(&self, actor: &Actor, id: MessageId) -> Result<Message> {
        let message = self.get(actor, id).await?;
        self.change(
            actor,
            message,
            async move |context, by| {
                context
                    .storage
                    .messages()
                    .delete(id, by, context.now())
                    .await
            },
            Event::MessageDeleted,
        )
        .await
    }

    /// Reacts to a message.
    pub async fn react(&self, actor: &Actor, id: MessageId, emoji: &str) -> Result<Message> {
        let (emoji, by) = (Emoji::parse(emoji)?, actor.user_id);
        let message = self.writable(id, by).await?;
        self.change(
            actor,
            message,
            async move |context, by| {
                context
                    .storage
                    .messages()
                    .add_reaction(id, by, &emoji, context.now())
                    .await
            },
            move |message| Event::ReactionUpdated { message, by },
        )
        .await
    }

    /// Takes a reaction back.
    pub async fn unreact(&self, actor: &Actor, id: MessageId, emoji: &str) -> Result<Message> {
        let (emoji, by) = (Emoji::parse(emoji)?, actor.user_id);
        let message = self.get(actor, id).await?;
        self.change(
            actor,
            message,
            async move |context, by| {
                context
                    .storage
                    .messages()
                    .remove_reaction(id, by, &emoji)
                    .await
            },
            move |message| Event::ReactionUpdated { message, by },
        )
        .await
    }

    /// Changes a message in its conversation's lane, and tells the members if it is another now.
    async fn change<W, F>(
        &self,
        actor: &Actor,
        before: Message,
        work: W,
        event: impl Fn(Message) -> Event + Send + Sync + 'static,
    ) -> Result<Message>
    where
        W: FnOnce(Arc<Context>, UserId) -> F + Send + 'static,
        F: Future<Output = Result<Changed>> + Send + 'static,
    {
        let (context, actor) = (Arc::clone(&self.context), actor.clone());
        let (id, within, was) = (before.id, before.conversation_id, before.rev);
        let work = async move {
            let result = work(Arc::clone(&context), actor.user_id).await;
            if let Err(Error::Unavailable { .. }) = result {
                let event = Arc::new(event);
                let change = Change { was, event };
                context.doubts.note_change(within, id, change);
                return result.map(|done| done.message);
            }
            let Changed { message, changed } = result?;
            if changed {
                let told = event(message.clone());
                context.tell_members(told, actor.origin()).await;
            }
            Ok(message)
        };
        self.context.lanes.in_order(within, work).await
    }

    /// Part of the history of one of the asker's conversations.
    pub async fn history(
        &self,
        actor: &Actor,
        id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>> {
        self.context.rosters.admit(id, actor.user_id).await?;
        self.context
            .storage
            .messages()
            .history(id, range, limit)
            .await
    }

    /// The messages in a message's thread with a seq above `after`, oldest first.
    pub async fn thread(
        &self,
        actor: &Actor,
        root: MessageId,
        after: Seq,
        limit: Limit,
    ) -> Result<Page<Message, Seq>> {
        let root = self.context.visible_message(root, actor.user_id).await?;
        let one_more = Limit::of(u32::try_from(limit.and_one()).unwrap_or(Limit::MAX));
        let items = self
            .context
            .storage
            .messages()
            .thread(root.id, after, one_more)
            .await?;
        Ok(Page::cut(items, limit, |message| message.seq))
    }

    /// Live messages in the asker's conversations that have all the words, newest first.
    pub async fn search(
        &self,
        actor: &Actor,
        input: &SearchMessages,
        limit: Limit,
    ) -> Result<Page<Message, MessageId>> {
        if input.query.chars().count() > 200 {
            return Err(Error::invalid("q", "must have at most 200 characters"));
        }
        let query = terms::query(&input.query)
            .ok_or_else(|| Error::invalid("q", "must have a word to look for"))?;
        if let Some(id) = input.conversation_id {
            self.context.member_access(id, actor.user_id).await?;
        }
        let search = MessageSearch {
            viewer: actor.user_id,
            query,
            conversation_id: input.conversation_id,
            sender_id: input.sender_id,
            before: input.before,
            limit,
        };
        self.context.storage.messages().search(&search).await
    }

    /// The message that a read watermark names by its id: its seq.
    pub async fn seq_of(
        &self,
        actor: &Actor,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Seq> {
        if let Some((here, seq)) = self.context.recent.find(id)
            && here == conversation
            && let Ok(roster) = self.context.rosters.get(here).await
            && roster.contains(actor.user_id)
        {
            return Ok(seq);
        }
        let message = self.context.visible_message(id, actor.user_id).await?;
        if message.conversation_id != conversation {
            return Err(Error::NotFound(Entity::Message));
        }
        Ok(message.seq)
    }
}
