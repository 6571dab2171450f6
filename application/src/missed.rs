//! What a user has not been handed yet: for gateways whose clients keep no revs of their own and so cannot
//! ask for what changed since.

use std::sync::Arc;

use connexus_domain::ports::{ConversationSummary, HistoryRange};
use connexus_domain::{ConversationId, Denial, Error, Limit, Message, Result, Seq};

use crate::Actor;
use crate::context::Context;
use crate::scene::Scene;

/// Conversations that are looked at, latest activity first.
const PAGE: u32 = 50;
const PAGES: usize = 4;
/// Most messages of one conversation. Who missed more finds them in the history.
const EACH: u32 = 100;
/// Most messages of all conversations.
const MOST: usize = 1_000;

/// What was missed in one conversation.
#[derive(Debug)]
pub struct Missed {
    /// Who and where.
    pub scene: Arc<Scene>,
    /// Where.
    pub conversation_id: ConversationId,
    /// Live messages of others, oldest first.
    pub messages: Vec<Message>,
    /// Everything up to here has been read from the database: what is told later and has no higher seq
    /// has been told.
    pub upto: Seq,
}

/// What a user has not been handed yet.
pub struct MissedMessages {
    context: Arc<Context>,
}

impl MissedMessages {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Messages that were handed to none of the asker's connections, the latest conversation first.
    pub async fn all(&self, actor: &Actor) -> Result<Vec<Missed>> {
        if self.context.behind.get(actor.user_id).await?.is_none() {
            // most of those who come, and all of a crowd that comes at once, are asked for together
            return Ok(Vec::new());
        }
        let (mut found, mut after, mut count) = (Vec::new(), None, 0);
        for _ in 0..PAGES {
            let conversations = self.context.storage.conversations();
            let page = conversations
                .list(actor.user_id, None, after, Limit::of(PAGE))
                .await?;
            let before = found.len();
            for summary in &page.items {
                if count >= MOST {
                    return Ok(found);
                }
                if let Some(missed) = self.of(actor, summary).await? {
                    count += missed.messages.len();
                    found.push(missed);
                }
            }
            // what is older than a whole page of nothing was handed over long ago
            if found.len() == before || page.next.is_none() {
                break;
            }
            after = page.next;
        }
        Ok(found)
    }

    /// The same of one conversation.
    pub async fn of_one(&self, actor: &Actor, id: ConversationId) -> Result<Option<Missed>> {
        let conversations = self.context.storage.conversations();
        let summary = conversations.summary(id, actor.user_id).await?;
        let summary = summary.ok_or(Error::Forbidden(Denial::NotMember))?;
        self.of(actor, &summary).await
    }

    /// The asker has been handed these, over whatever way.
    pub fn handed<'a>(&self, actor: &Actor, messages: impl IntoIterator<Item = &'a Message>) {
        for message in messages {
            if message.sender_id != actor.user_id {
                self.context
                    .pending_receipts
                    .delivered(message, &[actor.user_id]);
            }
        }
    }

    async fn of(&self, actor: &Actor, summary: &ConversationSummary) -> Result<Option<Missed>> {
        let (id, last) = (summary.conversation.id, summary.conversation.last_seq);
        let waiting = &self.context.pending_receipts;
        let mut handed = summary
            .me
            .delivered_seq
            .max(waiting.delivered_seq(id, actor.user_id));
        if last > handed {
            // what was waiting when the summary was read may have been written meanwhile; what neither
            // waits nor is being written by now is in the database
            let conversations = self.context.storage.conversations();
            let found = conversations.find_with_member(id, actor.user_id).await?;
            let member = found.and_then(|(_, member)| member);
            handed = handed.max(member.map_or(0, |member| member.delivered_seq));
        }
        if last <= handed {
            return Ok(None);
        }
        let after = handed.max(last - Seq::from(EACH));
        let found = self
            .context
            .storage
            .messages()
            .history(id, HistoryRange::After(after), Limit::of(EACH))
            .await?;
        let Some(upto) = found.last().map(|message| message.seq) else {
            return Ok(None);
        };
        let scene = match found.first() {
            Some(message) => Arc::new(self.context.scene_of(message).await?),
            None => return Ok(None),
        };
        let messages: Vec<Message> = found
            .into_iter()
            .filter(|message| message.is_live() && message.sender_id != actor.user_id)
            .collect();
        Ok((!messages.is_empty()).then_some(Missed {
            scene,
            conversation_id: id,
            messages,
            upto,
        }))
    }
}
