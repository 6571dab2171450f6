//! Messages that are given numbers, and forgotten where there is no memory.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use connexus_domain::message::{AppendOutcome, Appended, Changed};
use connexus_domain::ports::{HistoryRange, MessageRepository, MessageSearch, Snapshot};
use connexus_domain::{
    ChangePage, ConversationId, Emoji, Limit, Message, MessageBody, MessageId, NewMessage, Page,
    Result, Rev, Seq, Timestamp, UserId,
};

use super::{Fake, unused};

#[async_trait]
impl MessageRepository for Fake {
    async fn append(&self, batch: &[NewMessage]) -> Result<Vec<Result<AppendOutcome>>> {
        if let Some(memory) = &self.memory {
            return memory.append(batch);
        }
        if let Some(commit) = self.commit {
            tokio::time::sleep(commit).await;
        }
        Ok(batch
            .iter()
            .map(|new| {
                let number = self.appended.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(AppendOutcome::Appended(Appended {
                    seq: number,
                    rev: number,
                    created_at: new.at,
                    attachments: Vec::new(),
                }))
            })
            .collect())
    }

    async fn edit(
        &self,
        id: MessageId,
        _by: UserId,
        body: &MessageBody,
        _now: Timestamp,
    ) -> Result<Changed> {
        self.memory().edit(id, body)
    }

    async fn delete(&self, _id: MessageId, _by: UserId, _now: Timestamp) -> Result<Changed> {
        unused()
    }

    async fn add_reaction(
        &self,
        _id: MessageId,
        _by: UserId,
        _emoji: &Emoji,
        _now: Timestamp,
    ) -> Result<Changed> {
        unused()
    }

    async fn remove_reaction(
        &self,
        _id: MessageId,
        _by: UserId,
        _emoji: &Emoji,
    ) -> Result<Changed> {
        unused()
    }

    async fn get(&self, id: MessageId) -> Result<Option<Message>> {
        self.memory().get(id)
    }

    async fn history(
        &self,
        _conversation_id: ConversationId,
        _range: HistoryRange,
        _limit: Limit,
    ) -> Result<Vec<Message>> {
        unused()
    }

    async fn changes_since(
        &self,
        _conversation_id: ConversationId,
        _rev: Rev,
        _limit: Limit,
    ) -> Result<Option<ChangePage>> {
        unused()
    }

    async fn snapshot(
        &self,
        _conversation_id: ConversationId,
        _limit: Limit,
    ) -> Result<Option<Snapshot>> {
        unused()
    }

    async fn thread(&self, _root: MessageId, _after: Seq, _limit: Limit) -> Result<Vec<Message>> {
        unused()
    }

    async fn search(&self, _search: &MessageSearch) -> Result<Page<Message, MessageId>> {
        unused()
    }

    async fn index(&self, _before: Timestamp, _limit: Limit) -> Result<u64> {
        Ok(0)
    }
}
