//! The part of the decorator that times attachments and leases.

use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::attachment::{AvatarOwner, Measured, MediaStats, NewAttachment};
use connexus_domain::id::AttachmentId;
use connexus_domain::ports::{AttachmentRepository, Depicted, LeaseRepository};
use connexus_domain::{
    Attachment, ConversationId, Limit, MediaKind, Page, Result, Timestamp, UserId,
};

use super::{Metered, timed};

#[async_trait]
impl AttachmentRepository for Metered {
    async fn begin(&self, new: &NewAttachment) -> Result<()> {
        timed("attachments.begin", self.inner.attachments().begin(new)).await
    }
    async fn complete(
        &self,
        id: AttachmentId,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Attachment> {
        timed(
            "attachments.complete",
            self.inner.attachments().complete(id, measured, now),
        )
        .await
    }
    async fn get(&self, id: AttachmentId) -> Result<Option<Attachment>> {
        timed("attachments.get", self.inner.attachments().get(id)).await
    }
    async fn get_many(&self, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
        timed(
            "attachments.get_many",
            self.inner.attachments().get_many(ids),
        )
        .await
    }
    async fn media(
        &self,
        conversation_id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>> {
        timed(
            "attachments.media",
            self.inner
                .attachments()
                .media(conversation_id, kind, before, limit),
        )
        .await
    }
    async fn media_stats(&self, conversation_id: ConversationId) -> Result<Vec<MediaStats>> {
        timed(
            "attachments.media_stats",
            self.inner.attachments().media_stats(conversation_id),
        )
        .await
    }
    async fn make_avatar(
        &self,
        id: AttachmentId,
        by: UserId,
        owner: AvatarOwner,
        now: Timestamp,
    ) -> Result<Depicted> {
        timed(
            "attachments.make_avatar",
            self.inner.attachments().make_avatar(id, by, owner, now),
        )
        .await
    }
    async fn condemn(&self, id: AttachmentId) -> Result<bool> {
        timed("attachments.condemn", self.inner.attachments().condemn(id)).await
    }
    async fn condemn_stale(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        timed(
            "attachments.condemn_stale",
            self.inner.attachments().condemn_stale(before, limit),
        )
        .await
    }
    async fn condemned(&self, limit: Limit) -> Result<Vec<AttachmentId>> {
        timed(
            "attachments.condemned",
            self.inner.attachments().condemned(limit),
        )
        .await
    }
    async fn remove(&self, ids: &[AttachmentId]) -> Result<u64> {
        timed("attachments.remove", self.inner.attachments().remove(ids)).await
    }
}

#[async_trait]
impl LeaseRepository for Metered {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        timed(
            "leases.acquire",
            self.inner.leases().acquire(name, holder, ttl, now),
        )
        .await
    }
}
