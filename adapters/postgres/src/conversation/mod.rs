mod change;
mod list;
mod membership;
mod open;
mod store;

use async_trait::async_trait;
use connexus_domain::member::{Member, PreferencesPatch, Role};
use connexus_domain::ports::{
    ConversationRepository, ConversationSummary, NewDirect, NewGroup, NewRoom, Opened, Removal,
    RoleChange,
};
use connexus_domain::{
    ActivityCursor, Conversation, ConversationId, ConversationPatch, Head, Limit, Page, Result,
    Rev, Slug, Timestamp, UserId,
};

#[cfg(test)]
pub(crate) use change::SOME_DELETED;
pub(crate) use change::change;
pub(crate) use list::members_page;
#[cfg(test)]
pub(crate) use list::{BEHIND, HEADS, LIST, MEMBER_IDS, PEERS, SHARED, SUMMARY};
#[cfg(test)]
pub(crate) use membership::SUCCESSOR;
#[cfg(test)]
pub(crate) use store::{BY_SLUG, DIRECT, LOCK, MEMBERS, WITH_MEMBER};
pub(crate) use store::{access, find, take_rev};

use crate::storage::PostgresStorage;

#[async_trait]
impl ConversationRepository for PostgresStorage {
    async fn get_or_create_direct(&self, new: &NewDirect) -> Result<Opened> {
        self.writing(move || open::direct(self, new)).await
    }

    async fn create_group(&self, new: &NewGroup) -> Result<Opened> {
        self.writing(move || open::group(self, new)).await
    }

    async fn get_or_create_room(&self, new: &NewRoom) -> Result<Opened> {
        self.writing(move || open::room(self, new)).await
    }

    async fn join(&self, id: ConversationId, user: UserId, now: Timestamp) -> Result<Opened> {
        self.writing(move || open::join(self, id, user, now)).await
    }

    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>> {
        self.reading(move || list::find(self, id)).await
    }

    async fn find_direct(&self, a: UserId, b: UserId) -> Result<Option<Conversation>> {
        self.reading(move || list::find_direct(self, a, b)).await
    }

    async fn find_by_slug(&self, slug: &Slug) -> Result<Option<Conversation>> {
        self.reading(move || list::find_by_slug(self, slug)).await
    }

    async fn find_with_member(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>> {
        self.reading(move || list::find_with_member(self, id, user))
            .await
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<ConversationSummary>> {
        self.reading(move || list::summary(self, id, user)).await
    }

    async fn list(
        &self,
        user: UserId,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>> {
        self.reading(move || list::list(self, user, archived, after, limit))
            .await
    }

    async fn heads(&self, user: UserId) -> Result<Vec<Head>> {
        self.reading(move || list::heads(self, user)).await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member, UserId>> {
        members_page(self, id, after, limit).await
    }

    async fn member_ids(&self, id: ConversationId) -> Result<Vec<UserId>> {
        self.reading(move || list::member_ids(self, id)).await
    }

    async fn update(
        &self,
        id: ConversationId,
        by: UserId,
        patch: &ConversationPatch,
    ) -> Result<Conversation> {
        self.writing(move || change::update(self, id, by, patch))
            .await
    }

    async fn delete(&self, id: ConversationId, by: UserId, now: Timestamp) -> Result<Rev> {
        self.writing(move || change::delete(self, id, by, now))
            .await
    }

    async fn add_members(
        &self,
        id: ConversationId,
        by: UserId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<Member>> {
        self.writing(move || membership::add(self, id, by, users, now))
            .await
    }

    async fn remove_member(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Result<Removal> {
        self.writing(move || membership::remove(self, id, by, target, now))
            .await
    }

    async fn set_role(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        role: Role,
    ) -> Result<RoleChange> {
        self.writing(move || membership::set_role(self, id, by, target, role))
            .await
    }

    async fn set_preferences(
        &self,
        id: ConversationId,
        user: UserId,
        patch: &PreferencesPatch,
    ) -> Result<Option<Member>> {
        self.writing(move || change::set_preferences(self, id, user, *patch))
            .await
    }

    async fn behind(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        self.reading(move || list::behind(self, users)).await
    }

    async fn peers(
        &self,
        users: &[UserId],
        max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>> {
        self.reading(move || list::peers(self, users, max_members))
            .await
    }

    async fn share_conversation(&self, a: UserId, b: UserId) -> Result<bool> {
        self.reading(move || list::share_conversation(self, a, b))
            .await
    }

    async fn purge_deleted(&self, limit: Limit) -> Result<u64> {
        self.writing(move || change::purge_deleted(self, limit))
            .await
    }
}
