mod avatar;
mod media;
mod store;

use async_trait::async_trait;
use connexus_domain::attachment::{
    Attachment, AvatarOwner, Measured, MediaKind, MediaStats, NewAttachment,
};
use connexus_domain::ports::{AttachmentRepository, Depicted};
use connexus_domain::{
    AttachmentId, ConversationId, Entity, Error, Limit, Page, Result, Timestamp, UserId,
};

pub(crate) use avatar::condemn_avatar;
#[cfg(test)]
pub(crate) use media::{MEDIA, MEDIA_KIND, STATS};
#[cfg(test)]
pub(crate) use store::{ATTACH, BY_ID, CONDEMN, CONDEMN_STALE, CONDEMNED};
pub(crate) use store::{attach, condemn_all, find_many};

use crate::error::InDomain as _;
use crate::storage::SqliteStorage;

#[async_trait]
impl AttachmentRepository for SqliteStorage {
    async fn begin(&self, new: &NewAttachment) -> Result<()> {
        let mut tx = self.write().await?;
        store::insert(&mut tx, &new.clone().into_attachment()).await?;
        tx.commit().await.in_domain()
    }

    async fn complete(
        &self,
        id: AttachmentId,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Attachment> {
        let mut tx = self.write().await?;
        let ready = store::find(&mut tx, id)
            .await?
            .ok_or(Error::NotFound(Entity::Attachment))?
            .completed(measured)?;
        store::save_ready(&mut tx, &ready, now).await?;
        tx.commit().await.in_domain()?;
        Ok(ready)
    }

    async fn get(&self, id: AttachmentId) -> Result<Option<Attachment>> {
        let mut tx = self.read().await?;
        store::find(&mut tx, id).await
    }

    async fn get_many(&self, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
        let mut tx = self.read().await?;
        find_many(&mut tx, ids).await
    }

    async fn media(
        &self,
        conversation_id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>> {
        media::media(self, conversation_id, kind, before, limit).await
    }

    async fn media_stats(&self, conversation_id: ConversationId) -> Result<Vec<MediaStats>> {
        media::stats(self, conversation_id).await
    }

    async fn make_avatar(
        &self,
        id: AttachmentId,
        by: UserId,
        owner: AvatarOwner,
        now: Timestamp,
    ) -> Result<Depicted> {
        avatar::make(self, id, by, owner, now).await
    }

    async fn condemn(&self, id: AttachmentId) -> Result<bool> {
        store::condemn(self, id).await
    }

    async fn condemn_stale(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        store::condemn_stale(self, before, limit).await
    }

    async fn condemned(&self, limit: Limit) -> Result<Vec<AttachmentId>> {
        store::condemned(self, limit).await
    }

    async fn remove(&self, ids: &[AttachmentId]) -> Result<u64> {
        store::remove(self, ids).await
    }
}
