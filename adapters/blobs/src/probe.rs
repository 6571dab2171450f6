//! Trying a store out.

use connexus_domain::ports::{BlobKey, BlobStore, Content as _, Variant};
use connexus_domain::{AttachmentId, Error, Result};
use futures_util::TryStreamExt as _;

use crate::files::PIECE;
use crate::spool::Spool;

/// More than one piece, so that all that a larger file needs is tried.
const SIZE: usize = PIECE + 1;

/// The store does not keep what it is given.
#[derive(Debug, thiserror::Error)]
#[error("the store does not give back what was stored in it")]
struct Altered;

/// Stores a small blob under this id, which MUST be new, reads it and deletes it: all that uploads and downloads
/// need of the store and of the folder for temporary files. [`BlobStore::ping`] only asks whether the store
/// answers, which one that may be read but not written does.
pub async fn probe(store: &dyn BlobStore, spool: &Spool, id: AttachmentId) -> Result<()> {
    let spool = spool.clone();
    let pattern = id.as_uuid().into_bytes();
    let bytes: Vec<u8> = pattern.into_iter().cycle().take(SIZE).collect();
    let content = tokio::task::spawn_blocking(move || spool.hold(&bytes).map(|held| (held, bytes)))
        .await
        .map_err(Error::internal)?;
    let (held, bytes) = content.map_err(Error::unavailable)?;
    let key = BlobKey::new(id, Variant::Original);
    if let Err(error) = store.put(key, &held, "application/octet-stream").await {
        // who refuses may hang up in the middle of what it is sent; why, it tells who sends nothing
        store.ping().await?;
        return Err(error);
    }
    let read = read(store, key, held.size()).await;
    // whatever was read, nothing is to stay
    store.delete(id).await?;
    if read?.is_some_and(|read| read == bytes) {
        Ok(())
    } else {
        Err(Error::internal(Altered))
    }
}

async fn read(store: &dyn BlobStore, key: BlobKey, size: u64) -> Result<Option<Vec<u8>>> {
    let Some(blob) = store.read(key, Some(0..size)).await? else {
        return Ok(None);
    };
    let read = blob.body.try_fold(Vec::new(), async |mut all, piece| {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    read.await.map(Some)
}
