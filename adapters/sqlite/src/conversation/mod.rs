mod change;
mod list;
mod membership;
mod open;
mod store;

use async_trait::async_trait;
use connexus_domain::conversation::direct_key;
use connexus_domain::member::{Member, PreferencesPatch, Role};
use connexus_domain::ports::{
    ConversationRepository, ConversationSummary, NewDirect, NewGroup, NewRoom, Opened, Removal,
    RoleChange,
};
use connexus_domain::{
    ActivityCursor, Conversation, ConversationId, ConversationPatch, Head, Limit, Page, Result,
    Rev, Slug, Timestamp, UserId,
};

pub(crate) use change::change;
pub(crate) use list::members_page;
#[cfg(test)]
pub(crate) use list::{BEHIND, HEADS, LIST, PEERS, SUMMARY};
#[cfg(test)]
pub(crate) use membership::SUCCESSOR;
#[cfg(test)]
pub(crate) use store::MEMBERS;
pub(crate) use store::{access, find, take_rev};

use crate::storage::SqliteStorage;

#[async_trait]
impl ConversationRepository for SqliteStorage {
    async fn get_or_create_direct(&self, new: &NewDirect) -> Result<Opened> {
        open::direct(self, new).await
    }

    async fn create_group(&self, new: &NewGroup) -> Result<Opened> {
        open::group(self, new).await
    }

    async fn get_or_create_room(&self, new: &NewRoom) -> Result<Opened> {
        open::room(self, new).await
    }

    async fn join(&self, id: ConversationId, user: UserId, now: Timestamp) -> Result<Opened> {
        open::join(self, id, user, now).await
    }

    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>> {
        find(&self.readers, id).await
    }

    async fn find_direct(&self, a: UserId, b: UserId) -> Result<Option<Conversation>> {
        store::find_direct(&self.readers, &direct_key(a, b)).await
    }

    async fn find_by_slug(&self, slug: &Slug) -> Result<Option<Conversation>> {
        store::find_by_slug(&self.readers, slug).await
    }

    async fn find_with_member(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>> {
        let mut tx = self.read().await?;
        let Some(conversation) = find(&mut *tx, id).await? else {
            return Ok(None);
        };
        let member = store::find_member(&mut *tx, id, user).await?;
        Ok(Some((conversation, member)))
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<ConversationSummary>> {
        list::summary(self, id, user).await
    }

    async fn list(
        &self,
        user: UserId,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>> {
        list::list(self, user, archived, after, limit).await
    }

    async fn heads(&self, user: UserId) -> Result<Vec<Head>> {
        list::heads(self, user).await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member, UserId>> {
        members_page(&self.readers, id, after, limit).await
    }

    async fn member_ids(&self, id: ConversationId) -> Result<Vec<UserId>> {
        list::member_ids(self, id).await
    }

    async fn update(
        &self,
        id: ConversationId,
        by: UserId,
        patch: &ConversationPatch,
    ) -> Result<Conversation> {
        change::update(self, id, by, patch).await
    }

    async fn delete(&self, id: ConversationId, by: UserId, now: Timestamp) -> Result<Rev> {
        change::delete(self, id, by, now).await
    }

    async fn add_members(
        &self,
        id: ConversationId,
        by: UserId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<Member>> {
        membership::add(self, id, by, users, now).await
    }

    async fn remove_member(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Result<Removal> {
        membership::remove(self, id, by, target, now).await
    }

    async fn set_role(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        role: Role,
    ) -> Result<RoleChange> {
        membership::set_role(self, id, by, target, role).await
    }

    async fn set_preferences(
        &self,
        id: ConversationId,
        user: UserId,
        patch: &PreferencesPatch,
    ) -> Result<Option<Member>> {
        change::set_preferences(self, id, user, *patch).await
    }

    async fn behind(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        list::behind(self, users).await
    }

    async fn peers(
        &self,
        users: &[UserId],
        max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>> {
        list::peers(self, users, max_members).await
    }

    async fn share_conversation(&self, a: UserId, b: UserId) -> Result<bool> {
        list::share_conversation(self, a, b).await
    }

    async fn purge_deleted(&self, limit: Limit) -> Result<u64> {
        change::purge_deleted(self, limit).await
    }
}
