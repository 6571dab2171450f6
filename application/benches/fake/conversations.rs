//! One group, in which all members of the storage are.

use async_trait::async_trait;
use connexus_domain::ports::{
    ConversationRepository, ConversationSummary, NewDirect, NewGroup, NewRoom, Opened, Removal,
    RoleChange,
};
use connexus_domain::{
    ActivityCursor, Conversation, ConversationId, ConversationPatch, Head, Limit, Member, Page,
    PreferencesPatch, Result, Rev, Role, Slug, Timestamp, UserId,
};

use super::{Fake, unused};

#[async_trait]
impl ConversationRepository for Fake {
    async fn get_or_create_direct(&self, _new: &NewDirect) -> Result<Opened> {
        unused()
    }

    async fn find_direct(&self, _a: UserId, _b: UserId) -> Result<Option<Conversation>> {
        unused()
    }

    async fn create_group(&self, _new: &NewGroup) -> Result<Opened> {
        unused()
    }

    async fn get_or_create_room(&self, _new: &NewRoom) -> Result<Opened> {
        unused()
    }

    async fn join(&self, _id: ConversationId, _user: UserId, _now: Timestamp) -> Result<Opened> {
        unused()
    }

    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>> {
        Ok(Some(self.conversation(id)))
    }

    async fn find_by_slug(&self, _slug: &Slug) -> Result<Option<Conversation>> {
        unused()
    }

    async fn find_with_member(
        &self,
        _id: ConversationId,
        _user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>> {
        unused()
    }

    async fn summary(
        &self,
        _id: ConversationId,
        _user: UserId,
    ) -> Result<Option<ConversationSummary>> {
        unused()
    }

    async fn list(
        &self,
        _user: UserId,
        _archived: Option<bool>,
        _after: Option<ActivityCursor>,
        _limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>> {
        unused()
    }

    async fn heads(&self, _user: UserId) -> Result<Vec<Head>> {
        unused()
    }

    async fn members(
        &self,
        _id: ConversationId,
        _after: Option<UserId>,
        _limit: Limit,
    ) -> Result<Page<Member, UserId>> {
        unused()
    }

    async fn member_ids(&self, _id: ConversationId) -> Result<Vec<UserId>> {
        Ok(self.members.clone())
    }

    async fn update(
        &self,
        _id: ConversationId,
        _by: UserId,
        _patch: &ConversationPatch,
    ) -> Result<Conversation> {
        unused()
    }

    async fn delete(&self, _id: ConversationId, _by: UserId, _now: Timestamp) -> Result<Rev> {
        unused()
    }

    async fn add_members(
        &self,
        _id: ConversationId,
        _by: UserId,
        _users: &[UserId],
        _now: Timestamp,
    ) -> Result<Vec<Member>> {
        unused()
    }

    async fn remove_member(
        &self,
        _id: ConversationId,
        _by: UserId,
        _target: UserId,
        _now: Timestamp,
    ) -> Result<Removal> {
        unused()
    }

    async fn set_role(
        &self,
        _id: ConversationId,
        _by: UserId,
        _target: UserId,
        _role: Role,
    ) -> Result<RoleChange> {
        unused()
    }

    async fn set_preferences(
        &self,
        _id: ConversationId,
        _user: UserId,
        _patch: &PreferencesPatch,
    ) -> Result<Option<Member>> {
        unused()
    }

    async fn behind(&self, _users: &[UserId]) -> Result<Vec<UserId>> {
        unused()
    }

    async fn peers(
        &self,
        _users: &[UserId],
        _max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>> {
        unused()
    }

    async fn share_conversation(&self, _a: UserId, _b: UserId) -> Result<bool> {
        unused()
    }

    async fn purge_deleted(&self, _limit: Limit) -> Result<u64> {
        Ok(0)
    }
}
