mod append;
mod change;
mod history;
mod index;
mod load;
mod search;
mod tokens;

use async_trait::async_trait;
use connexus_domain::message::{AppendOutcome, Changed};
use connexus_domain::ports::{HistoryRange, MessageRepository, MessageSearch, Snapshot};
use connexus_domain::{
    ChangePage, ConversationId, Emoji, Limit, Message, MessageBody, MessageId, NewMessage, Page,
    Result, Rev, Seq, Timestamp, UserId,
};

#[cfg(test)]
pub(crate) use append::{
    CONVERSATIONS, KNOWN, MEMBERS, MOVE_CONVERSATIONS, MOVE_READERS, MOVE_ROOTS, REFERRED,
};
#[cfg(test)]
pub(crate) use change::PURGED;
pub(crate) use change::purge;
#[cfg(test)]
pub(crate) use history::{
    CHANGED_MEMBERS, CHANGED_MESSAGES, HISTORY_AFTER, HISTORY_BEFORE, SENT_MESSAGES, THREAD,
};
pub(crate) use index::forget;
#[cfg(test)]
pub(crate) use index::{
    ADD_SEGMENTS, AMENDED, AMENDMENTS, COVERING, FORGET, FORGET_HEAD, MOVE_HEADS, NEW, RANGES,
    REMOVE, REMOVE_TERMS, TAKE_STEP,
};
pub(crate) use load::newest;
#[cfg(test)]
pub(crate) use load::{BY_ID, NEWEST};
#[cfg(test)]
pub(crate) use search::{CANDIDATES, SCOPE, SEGMENTS, TAIL};

use crate::storage::SqliteStorage;

#[async_trait]
impl MessageRepository for SqliteStorage {
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
        change::edit(self, id, by, body, now).await
    }

    async fn delete(&self, id: MessageId, by: UserId, now: Timestamp) -> Result<Changed> {
        change::delete(self, id, by, now).await
    }

    async fn add_reaction(
        &self,
        id: MessageId,
        by: UserId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Changed> {
        change::add_reaction(self, id, by, emoji, now).await
    }

    async fn remove_reaction(&self, id: MessageId, by: UserId, emoji: &Emoji) -> Result<Changed> {
        change::remove_reaction(self, id, by, emoji).await
    }

    async fn get(&self, id: MessageId) -> Result<Option<Message>> {
        load::find(&self.readers, id).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>> {
        history::history(&self.readers, conversation_id, range, limit).await
    }

    async fn changes_since(
        &self,
        conversation_id: ConversationId,
        rev: Rev,
        limit: Limit,
    ) -> Result<Option<ChangePage>> {
        history::changes_since(self, conversation_id, rev, limit).await
    }

    async fn snapshot(
        &self,
        conversation_id: ConversationId,
        limit: Limit,
    ) -> Result<Option<Snapshot>> {
        history::snapshot(self, conversation_id, limit).await
    }

    async fn thread(&self, root: MessageId, after: Seq, limit: Limit) -> Result<Vec<Message>> {
        history::thread(self, root, after, limit).await
    }

    async fn search(&self, search: &MessageSearch) -> Result<Page<Message, MessageId>> {
        search::search(self, search).await
    }

    async fn index(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        index::index(self, before, limit).await
    }
}
