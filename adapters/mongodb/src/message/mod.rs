mod append;
mod change;
mod history;
mod index;
mod load;
mod reaction;
mod search;

use async_trait::async_trait;
use connexus_domain::message::{AppendOutcome, Changed};
use connexus_domain::ports::{HistoryRange, MessageRepository, MessageSearch, Snapshot};
use connexus_domain::{
    ChangePage, ConversationId, Emoji, Limit, Message, MessageBody, MessageId, NewMessage, Page,
    Result, Rev, Seq, Timestamp, UserId,
};

pub(crate) use append::KnownSenders;
#[cfg(test)]
pub(crate) use append::lookup;
pub(crate) use change::purge;
#[cfg(test)]
pub(crate) use history::{changed_members, changed_messages, in_range, in_thread};
pub(crate) use index::forget;
#[cfg(test)]
pub(crate) use index::{amended, arrived, within};
pub(crate) use load::at;
#[cfg(test)]
pub(crate) use load::{places, with_ids};
#[cfg(test)]
pub(crate) use reaction::first_named;
#[cfg(test)]
pub(crate) use search::{candidates, heads, matching, tail};

use crate::storage::MongoStorage;

#[async_trait]
impl MessageRepository for MongoStorage {
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
        self.transact(|tx| Box::pin(change::edit(tx, id, by, body, now)))
            .await
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
        self.transact(|tx| Box::pin(reaction::add(tx, id, by, emoji, now)))
            .await
    }

    async fn remove_reaction(&self, id: MessageId, by: UserId, emoji: &Emoji) -> Result<Changed> {
        self.transact(|tx| Box::pin(reaction::remove(tx, id, by, emoji)))
            .await
    }

    async fn get(&self, id: MessageId) -> Result<Option<Message>> {
        self.read(|tx| Box::pin(load::find(tx, id))).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        range: HistoryRange,
        limit: Limit,
    ) -> Result<Vec<Message>> {
        let storage = self.clone();
        self.at_home(async move {
            storage
                .read(|tx| Box::pin(history::history(tx, conversation_id, range, limit)))
                .await
        })
        .await
    }

    async fn changes_since(
        &self,
        conversation_id: ConversationId,
        rev: Rev,
        limit: Limit,
    ) -> Result<Option<ChangePage>> {
        self.read(|tx| Box::pin(history::changes_since(tx, conversation_id, rev, limit)))
            .await
    }

    async fn snapshot(
        &self,
        conversation_id: ConversationId,
        limit: Limit,
    ) -> Result<Option<Snapshot>> {
        self.read(|tx| Box::pin(history::snapshot(tx, conversation_id, limit)))
            .await
    }

    async fn thread(&self, root: MessageId, after: Seq, limit: Limit) -> Result<Vec<Message>> {
        self.read(|tx| Box::pin(history::thread(tx, root, after, limit)))
            .await
    }

    async fn search(&self, search: &MessageSearch) -> Result<Page<Message, MessageId>> {
        self.read(|tx| Box::pin(search::search(tx, search))).await
    }

    async fn index(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        self.transact(|tx| Box::pin(index::index(tx, before, limit)))
            .await
    }
}
