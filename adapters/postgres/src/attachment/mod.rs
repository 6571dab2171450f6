mod avatar;
mod media;
mod store;

use async_trait::async_trait;
use connexus_domain::attachment::{
    Attachment, AvatarOwner, Measured, MediaKind, MediaStats, NewAttachment,
};
use connexus_domain::ports::{AttachmentRepository, Depicted};
use connexus_domain::{AttachmentId, ConversationId, Limit, Page, Result, Timestamp, UserId};

pub(crate) use avatar::condemn_avatar;
#[cfg(test)]
pub(crate) use media::{MEDIA, MEDIA_KIND, STATS};
#[cfg(test)]
pub(crate) use store::{ATTACH, BY_ID, CONDEMN, CONDEMN_STALE, CONDEMNED, LOCK, REMOVE};
pub(crate) use store::{attach, condemn_all, lock_many};

use crate::storage::PostgresStorage;

#[async_trait]
impl AttachmentRepository for PostgresStorage {
    async fn begin(&self, new: &NewAttachment) -> Result<()> {
        let new = &new.clone().into_attachment();
        self.writing(move || store::insert(self, new)).await
    }

    async fn complete(
        &self,
        id: AttachmentId,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Attachment> {
        self.writing(move || store::complete(self, id, measured, now))
            .await
    }

    async fn get(&self, id: AttachmentId) -> Result<Option<Attachment>> {
        Ok(self.get_many(&[id]).await?.pop())
    }

    async fn get_many(&self, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
        self.reading(move || store::find_many(self, ids)).await
    }

    async fn media(
        &self,
        conversation_id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>> {
        self.reading(move || media::media(self, conversation_id, kind, before, limit))
            .await
    }

    async fn media_stats(&self, conversation_id: ConversationId) -> Result<Vec<MediaStats>> {
        self.reading(move || media::stats(self, conversation_id))
            .await
    }

    async fn make_avatar(
        &self,
        id: AttachmentId,
        by: UserId,
        owner: AvatarOwner,
        now: Timestamp,
    ) -> Result<Depicted> {
        self.writing(move || avatar::make(self, id, by, owner, now))
            .await
    }

    async fn condemn(&self, id: AttachmentId) -> Result<bool> {
        self.writing(move || store::condemn(self, id)).await
    }

    async fn condemn_stale(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        self.writing(move || store::condemn_stale(self, before, limit))
            .await
    }

    async fn condemned(&self, limit: Limit) -> Result<Vec<AttachmentId>> {
        self.reading(move || store::condemned(self, limit)).await
    }

    async fn remove(&self, ids: &[AttachmentId]) -> Result<u64> {
        self.writing(move || store::remove(self, ids)).await
    }
}
