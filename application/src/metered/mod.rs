//! How long each storage operation takes: a decorator around any backend.

mod attachments;
mod messages;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use connexus_domain::ports::{
    AttachmentRepository, BlockRepository, ConversationRepository, ConversationSummary,
    Credentials, LeaseRepository, MessageRepository, NewDirect, NewGroup, NewRoom, NewUser, Opened,
    PasswordHash, ReceiptRepository, Removal, RoleChange, SessionRepository, Storage,
    UserRepository,
};
use connexus_domain::session::{NewSession, Rotation, TokenHash};
use connexus_domain::{
    ActivityCursor, Conversation, ConversationId, ConversationPatch, Error, Head, Limit, Member,
    Page, PreferencesPatch, Result, Rev, Role, Session, SessionId, Slug, Timestamp, User, UserId,
    UserPatch,
};

/// A backend whose operations are timed: `connexus_storage_seconds{operation}`, and counted when they
/// fail for a reason of the backend's: `connexus_storage_errors_total{operation}`.
pub struct Metered {
    inner: Arc<dyn Storage>,
}

impl Metered {
    /// Times every operation of `inner`.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner }
    }
}

async fn timed<T>(operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let result = work.await;
    metrics::histogram!("connexus_storage_seconds", "operation" => operation)
        .record(start.elapsed());
    if matches!(
        result,
        Err(Error::Unavailable { .. } | Error::Internal { .. })
    ) {
        metrics::counter!("connexus_storage_errors_total", "operation" => operation).increment(1);
    }
    result
}

#[async_trait]
impl Storage for Metered {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn users(&self) -> &dyn UserRepository {
        self
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self
    }
    fn conversations(&self) -> &dyn ConversationRepository {
        self
    }
    fn messages(&self) -> &dyn MessageRepository {
        self
    }
    fn receipts(&self) -> &dyn ReceiptRepository {
        self
    }
    fn blocks(&self) -> &dyn BlockRepository {
        self
    }
    fn attachments(&self) -> &dyn AttachmentRepository {
        self
    }
    fn leases(&self) -> &dyn LeaseRepository {
        self
    }
    async fn migrate(&self) -> Result<()> {
        self.inner.migrate().await
    }
    async fn ping(&self) -> Result<()> {
        timed("ping", self.inner.ping()).await
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl UserRepository for Metered {
    async fn create(&self, new: &NewUser) -> Result<()> {
        timed("users.create", self.inner.users().create(new)).await
    }
    async fn get(&self, id: UserId) -> Result<Option<User>> {
        timed("users.get", self.inner.users().get(id)).await
    }
    async fn get_many(&self, ids: &[UserId]) -> Result<Vec<User>> {
        timed("users.get_many", self.inner.users().get_many(ids)).await
    }
    async fn credentials_by_login(&self, key: &str) -> Result<Option<Credentials>> {
        timed(
            "users.credentials_by_login",
            self.inner.users().credentials_by_login(key),
        )
        .await
    }
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        timed("users.credentials", self.inner.users().credentials(id)).await
    }
    async fn update(&self, id: UserId, patch: &UserPatch, now: Timestamp) -> Result<Option<User>> {
        timed("users.update", self.inner.users().update(id, patch, now)).await
    }
    async fn change_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        timed(
            "users.change_password",
            self.inner.users().change_password(id, hash, keep, now),
        )
        .await
    }
    async fn touch_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<()> {
        timed(
            "users.touch_last_seen",
            self.inner.users().touch_last_seen(seen),
        )
        .await
    }
    async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User, UserId>> {
        timed(
            "users.search",
            self.inner.users().search(viewer, prefix, after, limit),
        )
        .await
    }
}

#[async_trait]
impl SessionRepository for Metered {
    async fn open(&self, new: &NewSession) -> Result<()> {
        timed("sessions.open", self.inner.sessions().open(new)).await
    }
    async fn rotate(
        &self,
        presented: TokenHash,
        next: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation> {
        timed(
            "sessions.rotate",
            self.inner
                .sessions()
                .rotate(presented, next, expires_at, now),
        )
        .await
    }
    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Session>> {
        timed("sessions.get_many", self.inner.sessions().get_many(ids)).await
    }
    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
        timed("sessions.list", self.inner.sessions().list(user, now)).await
    }
    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool> {
        timed(
            "sessions.revoke",
            self.inner.sessions().revoke(user, id, now),
        )
        .await
    }
    async fn revoke_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        timed(
            "sessions.revoke_all",
            self.inner.sessions().revoke_all(user, keep, now),
        )
        .await
    }
    async fn purge_ended(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        timed(
            "sessions.purge_ended",
            self.inner.sessions().purge_ended(before, limit),
        )
        .await
    }
}

#[async_trait]
impl ConversationRepository for Metered {
    async fn get_or_create_direct(&self, new: &NewDirect) -> Result<Opened> {
        timed(
            "conversations.get_or_create_direct",
            self.inner.conversations().get_or_create_direct(new),
        )
        .await
    }
    async fn create_group(&self, new: &NewGroup) -> Result<Opened> {
        timed(
            "conversations.create_group",
            self.inner.conversations().create_group(new),
        )
        .await
    }
    async fn get_or_create_room(&self, new: &NewRoom) -> Result<Opened> {
        timed(
            "conversations.get_or_create_room",
            self.inner.conversations().get_or_create_room(new),
        )
        .await
    }
    async fn join(&self, id: ConversationId, user: UserId, now: Timestamp) -> Result<Opened> {
        timed(
            "conversations.join",
            self.inner.conversations().join(id, user, now),
        )
        .await
    }
    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>> {
        timed("conversations.find", self.inner.conversations().find(id)).await
    }
    async fn find_direct(&self, a: UserId, b: UserId) -> Result<Option<Conversation>> {
        timed(
            "conversations.find_direct",
            self.inner.conversations().find_direct(a, b),
        )
        .await
    }
    async fn find_by_slug(&self, slug: &Slug) -> Result<Option<Conversation>> {
        timed(
            "conversations.find_by_slug",
            self.inner.conversations().find_by_slug(slug),
        )
        .await
    }
    async fn find_with_member(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<(Conversation, Option<Member>)>> {
        timed(
            "conversations.find_with_member",
            self.inner.conversations().find_with_member(id, user),
        )
        .await
    }
    async fn summary(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<Option<ConversationSummary>> {
        timed(
            "conversations.summary",
            self.inner.conversations().summary(id, user),
        )
        .await
    }
    async fn list(
        &self,
        user: UserId,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationSummary, ActivityCursor>> {
        timed(
            "conversations.list",
            self.inner
                .conversations()
                .list(user, archived, after, limit),
        )
        .await
    }
    async fn heads(&self, user: UserId) -> Result<Vec<Head>> {
        timed(
            "conversations.heads",
            self.inner.conversations().heads(user),
        )
        .await
    }
    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member, UserId>> {
        timed(
            "conversations.members",
            self.inner.conversations().members(id, after, limit),
        )
        .await
    }
    async fn member_ids(&self, id: ConversationId) -> Result<Vec<UserId>> {
        timed(
            "conversations.member_ids",
            self.inner.conversations().member_ids(id),
        )
        .await
    }
    async fn update(
        &self,
        id: ConversationId,
        by: UserId,
        patch: &ConversationPatch,
    ) -> Result<Conversation> {
        timed(
            "conversations.update",
            self.inner.conversations().update(id, by, patch),
        )
        .await
    }
    async fn delete(&self, id: ConversationId, by: UserId, now: Timestamp) -> Result<Rev> {
        timed(
            "conversations.delete",
            self.inner.conversations().delete(id, by, now),
        )
        .await
    }
    async fn add_members(
        &self,
        id: ConversationId,
        by: UserId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<Member>> {
        timed(
            "conversations.add_members",
            self.inner.conversations().add_members(id, by, users, now),
        )
        .await
    }
    async fn remove_member(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Result<Removal> {
        timed(
            "conversations.remove_member",
            self.inner
                .conversations()
                .remove_member(id, by, target, now),
        )
        .await
    }
    async fn set_role(
        &self,
        id: ConversationId,
        by: UserId,
        target: UserId,
        role: Role,
    ) -> Result<RoleChange> {
        timed(
            "conversations.set_role",
            self.inner.conversations().set_role(id, by, target, role),
        )
        .await
    }
    async fn set_preferences(
        &self,
        id: ConversationId,
        user: UserId,
        patch: &PreferencesPatch,
    ) -> Result<Option<Member>> {
        timed(
            "conversations.set_preferences",
            self.inner.conversations().set_preferences(id, user, patch),
        )
        .await
    }
    async fn behind(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        timed(
            "conversations.behind",
            self.inner.conversations().behind(users),
        )
        .await
    }
    async fn peers(
        &self,
        users: &[UserId],
        max_members: Option<u32>,
    ) -> Result<Vec<(UserId, UserId)>> {
        timed(
            "conversations.peers",
            self.inner.conversations().peers(users, max_members),
        )
        .await
    }
    async fn share_conversation(&self, a: UserId, b: UserId) -> Result<bool> {
        timed(
            "conversations.share_conversation",
            self.inner.conversations().share_conversation(a, b),
        )
        .await
    }
    async fn purge_deleted(&self, limit: Limit) -> Result<u64> {
        timed(
            "conversations.purge_deleted",
            self.inner.conversations().purge_deleted(limit),
        )
        .await
    }
}
