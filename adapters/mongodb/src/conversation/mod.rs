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

pub(crate) use change::depict;
pub(crate) use list::{Latest, latest, members_page, scope};
#[cfg(test)]
pub(crate) use list::{page, places, small, together, unread};
#[cfg(test)]
pub(crate) use membership::successor;
pub(crate) use store::{
    access, among, by_direct_key, by_slug, find, find_stored, lock, lock_stored, present_among,
    unlock,
};
#[cfg(test)]
pub(crate) use store::{heads, members};

use crate::documents::ConversationDoc;
use crate::storage::MongoStorage;

#[async_trait]
impl ConversationRepository for MongoStorage {
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
        self.read(|tx| Box::pin(find(tx, id))).await
    }

    async fn find_direct(&self, a: UserId, b: UserId) -> Result<Option<Conversation>> {
        let found: Option<ConversationDoc> =
            self.find_one(by_direct_key(&direct_key(a, b))).await?;
        found.map(ConversationDoc::into_conversation).transpose()
    }

    async fn find_by_slug(&self, slug: &Slug) -> Result<Option<Conversation>> {
        let found: Option<ConversationDoc> = self.find_one(by_slug(slug)).await?;
        found.map(ConversationDoc::into_conversation).transpose()
    }

    async fn find_with_member(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>> {
        self.read(|tx| {
            Box::pin(async move {
                let Some(found) = find_stored(tx, id).await? else {
                    return Ok(None);
                };
                let member = store::find_membership(tx, id, user).await?;
                let member = member.map(|member| member.having(&found.sent).into_member());
                Ok(Some((found.into_conversation()?, member.transpose()?)))
            })
        })
        .await
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<ConversationSummary>> {
        self.read(|tx| Box::pin(list::summary(tx, id, user))).await
    }

    async fn list(
        &self,
        user: UserId,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>> {
        self.read(|tx| Box::pin(list::list(tx, user, archived, after, limit)))
            .await
    }

    async fn heads(&self, user: UserId) -> Result<Vec<Head>> {
        self.read(|tx| Box::pin(list::heads(tx, user))).await
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
        self.read(|tx| Box::pin(list::member_ids(tx, id))).await
    }

    async fn update(
        &self,
        id: ConversationId,
        by: UserId,
        patch: &ConversationPatch,
    ) -> Result<Conversation> {
        self.transact(|tx| Box::pin(change::update(tx, id, by, patch)))
            .await
    }

    async fn delete(&self, id: ConversationId, by: UserId, now: Timestamp) -> Result<Rev> {
        self.transact(|tx| Box::pin(change::delete(tx, id, by, now)))
            .await
    }

    async fn add_members(
        &self,
        id: ConversationId,
        by: UserId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<Member>> {
        self.transact(|tx| Box::pin(membership::add(tx, id, by, users, now)))
            .await
    }

    async fn remove_member(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Result<Removal> {
        self.transact(|tx| Box::pin(membership::remove(tx, id, by, target, now)))
            .await
    }

    async fn set_role(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        role: Role,
    ) -> Result<RoleChange> {
        self.transact(|tx| Box::pin(membership::set_role(tx, id, by, target, role)))
            .await
    }

    async fn set_preferences(
        &self,
        id: ConversationId,
        user: UserId,
        patch: &PreferencesPatch,
    ) -> Result<Option<Member>> {
        self.transact(|tx| Box::pin(change::set_preferences(tx, id, user, *patch)))
            .await
    }

    async fn behind(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        self.read(|tx| Box::pin(list::behind(tx, users))).await
    }

    async fn peers(
        &self,
        users: &[UserId],
        max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>> {
        self.read(|tx| Box::pin(list::peers(tx, users, max_members)))
            .await
    }

    async fn share_conversation(&self, a: UserId, b: UserId) -> Result<bool> {
        self.read(|tx| Box::pin(list::share_conversation(tx, a, b)))
            .await
    }

    async fn purge_deleted(&self, limit: Limit) -> Result<u64> {
        change::purge_deleted(self, limit).await
    }
}
