mod append;
mod change;
mod history;
mod index;
mod lexeme;
mod load;
mod search;

use async_trait::async_trait;
use connexus_domain::message::{AppendOutcome, Changed};
use connexus_domain::ports::{HistoryRange, MessageRepository, MessageSearch, Snapshot};
use connexus_domain::{
    ChangePage, ConversationId, Emoji, Limit, Message, MessageBody, MessageId, NewMessage, Page,
    Result, Rev, Seq, Timestamp, UserId,
};

#[cfg(test)]
pub(crate) use append::{LOCK, LOOKUP, MOVE_ROOTS, STORE, STORE_AT_ONCE};
pub(crate) use change::purge;
#[cfg(test)]
pub(crate) use change::{LOCK_OF, PURGE};
#[cfg(test)]
pub(crate) use history::{
    CHANGED_MEMBERS, CHANGED_MESSAGES, HISTORY_AFTER, HISTORY_BEFORE, SENT_MESSAGES, THREAD,
};
pub(crate) use index::forget;
#[cfg(test)]
pub(crate) use index::{AMEND, AMENDMENTS, HEADS, LOCK_STATE, NEW, RANGES, REMOVE};
pub(crate) use load::newest;
#[cfg(test)]
pub(crate) use load::{BY_ID, NEWEST};
#[cfg(test)]
pub(crate) use search::{CANDIDATES, SEGMENTS, TAIL};

use crate::storage::PostgresStorage;

#[async_trait]
impl MessageRepository for PostgresStorage {
    async fn append(&self, batch: &[NewMessage]) -> Result<Vec<Result<AppendOutcome>>> {
        append::append(self, batch).await
    }

    async fn edit(
        &self,
        id: MessageId,
        by: UserId,
        body: &MessageBody,
        now: Timestamp,
    ) -> Result<Changed> {
        self.writing(move || change::edit(self, id, by, body, now))
            .await
    }

    async fn delete(&self, id: MessageId, by: UserId, now: Timestamp) -> Result<Changed> {
        self.writing(move || change::delete(self, id, by, now))
            .await
    }

    async fn add_reaction(
        &self,
        id: MessageId,
        by: UserId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Changed> {
        self.writing(move || change::add_reaction(self, id, by, emoji, now))
            .await
    }

    async fn remove_reaction(&self, id: MessageId, by: UserId, emoji: &Emoji) -> Result<Changed> {
        self.writing(move || change::remove_reaction(self, id, by, emoji))
            .await
    }

    async fn get(&self, id: MessageId) -> Result<Option<Message>> {
        self.reading(move || load::get(self, id)).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>> {
        self.reading(move || history::history(self, conversation_id, range, limit))
            .await
    }

    async fn changes_since(
        &self,
        conversation_id: ConversationId,
        rev: Rev,
        limit: Limit,
    ) -> Result<Option<ChangePage>> {
        self.reading(move || history::changes_since(self, conversation_id, rev, limit))
            .await
    }

    async fn snapshot(
        &self,
        conversation_id: ConversationId,
        limit: Limit,
    ) -> Result<Option<Snapshot>> {
        self.reading(move || history::snapshot(self, conversation_id, limit))
            .await
    }

    async fn thread(&self, root: MessageId, after: Seq, limit: Limit) -> Result<Vec<Message>> {
        self.reading(move || history::thread(self, root, after, limit))
            .await
    }

    async fn search(&self, search: &MessageSearch) -> Result<Page<Message, MessageId>> {
        self.reading(move || search::search(self, search)).await
    }

    async fn index(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        self.writing(move || index::index(self, before, limit))
            .await
    }
}
