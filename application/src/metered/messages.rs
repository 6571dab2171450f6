//! The part of the decorator that times messages, receipts and blocks.

use async_trait::async_trait;
use connexus_domain::message::{AppendOutcome, Changed};
use connexus_domain::ports::{
    BlockRepository, HistoryRange, MessageRepository, MessageSearch, ReceiptRepository, Snapshot,
};
use connexus_domain::{
    ChangePage, ConversationId, Emoji, Limit, Message, MessageBody, MessageId, NewMessage, Page,
    Receipt, Result, Rev, Seq, Timestamp, UserId, WatermarkAdvance,
};

use super::{Metered, timed};

#[async_trait]
impl MessageRepository for Metered {
    async fn append(&self, batch: &[NewMessage]) -> Result<Vec<Result<AppendOutcome>>> {
        timed("messages.append", self.inner.messages().append(batch)).await
    }
    async fn edit(
        &self,
        id: MessageId,
        by: UserId,
        body: &MessageBody,
        now: Timestamp,
    ) -> Result<Changed> {
        timed(
            "messages.edit",
            self.inner.messages().edit(id, by, body, now),
        )
        .await
    }
    async fn delete(&self, id: MessageId, by: UserId, now: Timestamp) -> Result<Changed> {
        timed("messages.delete", self.inner.messages().delete(id, by, now)).await
    }
    async fn add_reaction(
        &self,
        id: MessageId,
        by: UserId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Changed> {
        timed(
            "messages.add_reaction",
            self.inner.messages().add_reaction(id, by, emoji, now),
        )
        .await
    }
    async fn remove_reaction(&self, id: MessageId, by: UserId, emoji: &Emoji) -> Result<Changed> {
        timed(
            "messages.remove_reaction",
            self.inner.messages().remove_reaction(id, by, emoji),
        )
        .await
    }
    async fn get(&self, id: MessageId) -> Result<Option<Message>> {
        timed("messages.get", self.inner.messages().get(id)).await
    }
    async fn history(
        &self,
        conversation_id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>> {
        timed(
            "messages.history",
            self.inner.messages().history(conversation_id, range, limit),
        )
        .await
    }
    async fn changes_since(
        &self,
        conversation_id: ConversationId,
        rev: Rev,
        limit: Limit,
    ) -> Result<Option<ChangePage>> {
        timed(
            "messages.changes_since",
            self.inner
                .messages()
                .changes_since(conversation_id, rev, limit),
        )
        .await
    }
    async fn snapshot(
        &self,
        conversation_id: ConversationId,
        limit: Limit,
    ) -> Result<Option<Snapshot>> {
        timed(
            "messages.snapshot",
            self.inner.messages().snapshot(conversation_id, limit),
        )
        .await
    }
    async fn thread(&self, root: MessageId, after: Seq, limit: Limit) -> Result<Vec<Message>> {
        timed(
            "messages.thread",
            self.inner.messages().thread(root, after, limit),
        )
        .await
    }
    async fn search(&self, search: &MessageSearch) -> Result<Page<Message, MessageId>> {
        timed("messages.search", self.inner.messages().search(search)).await
    }
    async fn index(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        timed("messages.index", self.inner.messages().index(before, limit)).await
    }
}

#[async_trait]
impl ReceiptRepository for Metered {
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>> {
        timed(
            "receipts.advance",
            self.inner.receipts().advance(batch, now),
        )
        .await
    }
    async fn list(
        &self,
        conversation_id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>> {
        timed(
            "receipts.list",
            self.inner.receipts().list(conversation_id, after, limit),
        )
        .await
    }
}

#[async_trait]
impl BlockRepository for Metered {
    async fn block(&self, by: UserId, whom: UserId, now: Timestamp) -> Result<()> {
        timed("blocks.block", self.inner.blocks().block(by, whom, now)).await
    }
    async fn unblock(&self, by: UserId, whom: UserId) -> Result<()> {
        timed("blocks.unblock", self.inner.blocks().unblock(by, whom)).await
    }
    async fn list(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserId, UserId>> {
        timed("blocks.list", self.inner.blocks().list(by, after, limit)).await
    }
    async fn either_blocks(&self, a: UserId, b: UserId) -> Result<bool> {
        timed(
            "blocks.either_blocks",
            self.inner.blocks().either_blocks(a, b),
        )
        .await
    }
    async fn apart_from(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        timed(
            "blocks.apart_from",
            self.inner.blocks().apart_from(user, others),
        )
        .await
    }
}
