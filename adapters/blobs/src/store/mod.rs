//! Stores of blobs, chosen by an address.

mod local;
mod s3;
mod settings;

use std::ops::Range;
use std::sync::Arc;

use connexus_domain::ports::{BlobKey, BlobRead, BlobStore, Variant};
use connexus_domain::{AttachmentId, Error, Result};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _};

use crate::{error, files};

pub use local::LocalBlobs;
pub use s3::S3Blobs;
pub use settings::{BlobSettings, S3Keys, SettingsError};

/// Opens the store that the address names: `file:./data/files`, or
/// `s3://bucket/prefix?endpoint=https://…&region=…&allow_http=true`.
pub fn open(settings: &BlobSettings) -> Result<Arc<dyn BlobStore>, SettingsError> {
    match settings::parse(&settings.url)? {
        settings::Place::Folder(folder) => Ok(Arc::new(LocalBlobs::open(&folder)?)),
        settings::Place::Bucket(bucket) => Ok(Arc::new(S3Blobs::open(&bucket, settings)?)),
    }
}

/// The blob's name. The last digits of an id are random, and so spread the blobs over 256 folders.
fn path(prefix: &Path, key: BlobKey) -> Path {
    let id = key.attachment_id.as_uuid().simple().to_string();
    let shard = &id[id.len() - 2..];
    let name = format!("{id}.{}", key.variant.as_str());
    prefix.clone().join(shard).join(name)
}

async fn read(
    store: &dyn ObjectStore,
    path: &Path,
    range: Option<Range<u64>>,
) -> Result<Option<BlobRead>> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return Err(Error::invalid("range", "is empty"));
    }
    let options = GetOptions {
        range: range.map(GetRange::Bounded),
        ..GetOptions::default()
    };
    let Some(found) = error::present(store.get_opts(path, options).await)? else {
        return Ok(None);
    };
    let size = found.meta.size;
    let part = found.range.clone();
    let body = match found.payload {
        // in larger pieces than the store would read
        GetResultPayload::File(file, _) => files::stream(Arc::new(file), part),
        payload @ GetResultPayload::Stream(_) => object_store::GetResult { payload, ..found }
            .into_stream()
            .map_err(error::domain)
            .boxed(),
    };
    Ok(Some(BlobRead { size, body }))
}

async fn size(store: &dyn ObjectStore, path: &Path) -> Result<Option<u64>> {
    let found = error::present(store.head(path).await)?;
    Ok(found.map(|meta| meta.size))
}

async fn delete(store: &dyn ObjectStore, prefix: &Path, id: AttachmentId) -> Result<()> {
    for variant in Variant::ALL {
        let path = path(prefix, BlobKey::new(id, variant));
        error::present(store.delete(&path).await)?;
    }
    Ok(())
}
