mod avatar;
mod media;
mod store;

use async_trait::async_trait;
use bson::doc;
use connexus_domain::attachment::{
    Attachment, AvatarOwner, Measured, MediaKind, MediaStats, NewAttachment,
};
use connexus_domain::ports::{AttachmentRepository, Depicted};
use connexus_domain::{AttachmentId, ConversationId, Limit, Page, Result, Timestamp, UserId};

pub(crate) use avatar::condemn_avatar;
#[cfg(test)]
pub(crate) use avatar::shown;
#[cfg(test)]
pub(crate) use media::listed;
pub(crate) use store::{attach, condemn_all, condemning, find_many};
#[cfg(test)]
pub(crate) use store::{condemned, stale};

use crate::documents::{AttachmentDoc, Id as _, ids};
use crate::storage::MongoStorage;

#[async_trait]
impl AttachmentRepository for MongoStorage {
    async fn begin(&self, new: &NewAttachment) -> Result<()> {
        let new = &AttachmentDoc::from(&new.clone().into_attachment());
        self.transact(|tx| Box::pin(tx.insert(std::slice::from_ref(new))))
            .await
    }

    async fn complete(
        &self,
        id: AttachmentId,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Attachment> {
        self.transact(|tx| Box::pin(store::complete(tx, id, measured, now)))
            .await
    }

    async fn get(&self, id: AttachmentId) -> Result<Option<Attachment>> {
        let found: Option<AttachmentDoc> = self.find_one(doc! { "_id": id.bson() }).await?;
        found.map(AttachmentDoc::into_attachment).transpose()
    }

    async fn get_many(&self, ids: &[AttachmentId]) -> Result<Vec<Attachment>> {
        self.read(|tx| Box::pin(find_many(tx, ids))).await
    }

    async fn media(
        &self,
        conversation_id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>> {
        self.read(|tx| Box::pin(media::media(tx, conversation_id, kind, before, limit)))
            .await
    }

    async fn media_stats(&self, conversation_id: ConversationId) -> Result<Vec<MediaStats>> {
        self.read(|tx| Box::pin(media::stats(tx, conversation_id)))
            .await
    }

    async fn make_avatar(
        &self,
        id: AttachmentId,
        by: UserId,
        owner: AvatarOwner,
        now: Timestamp,
    ) -> Result<Depicted> {
        self.transact(|tx| Box::pin(avatar::make(tx, id, by, owner, now)))
            .await
    }

    async fn condemn(&self, id: AttachmentId) -> Result<bool> {
        self.transact(|tx| {
            Box::pin(async move {
                // what is condemned is so again, which changes nothing
                let filter = doc! { "_id": id.bson(), "state": { "$ne": "attached" } };
                let done = tx
                    .update_many::<AttachmentDoc>(filter, condemning())
                    .await?;
                Ok(done > 0)
            })
        })
        .await
    }

    async fn condemn_stale(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        self.transact(|tx| Box::pin(store::condemn_stale(tx, before, limit)))
            .await
    }

    async fn condemned(&self, limit: Limit) -> Result<Vec<AttachmentId>> {
        self.read(|tx| Box::pin(store::some_condemned(tx, limit)))
            .await
    }

    async fn remove(&self, list: &[AttachmentId]) -> Result<u64> {
        self.transact(|tx| {
            Box::pin(async move {
                let named = ids(list.iter().copied());
                let filter = doc! { "_id": { "$in": named }, "state": "condemned" };
                tx.delete::<AttachmentDoc>(filter).await
            })
        })
        .await
    }
}
