//! Blobs as files in a folder.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use connexus_domain::ports::{BlobKey, BlobRead, BlobStore, Content, Presign};
use connexus_domain::{AttachmentId, Error, Result, Timestamp};
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _};

use super::{SettingsError, delete, path, read, size};
use crate::error;

/// A folder of this machine, or one that several machines mount. A blob is written under a temporary name,
/// flushed to the disk and then renamed, so it is there wholly or not at all.
#[derive(Debug)]
pub struct LocalBlobs {
    store: LocalFileSystem,
    folder: PathBuf,
}

impl LocalBlobs {
    /// Makes the folder if there is none.
    pub fn open(folder: &FsPath) -> Result<Self, SettingsError> {
        let wrong = |source| SettingsError::Folder {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(|error| wrong(error.into()))?;
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| wrong(error.into()))?;
        Ok(Self {
            store: store.with_fsync(true),
            folder: folder.to_owned(),
        })
    }
}

#[async_trait]
impl BlobStore for LocalBlobs {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn put(&self, key: BlobKey, content: &dyn Content, _media_type: &str) -> Result<()> {
        let path = path(&Path::default(), key);
        // dropped before it is complete, it removes its temporary file
        let mut upload = self
            .store
            .put_multipart(&path)
            .await
            .map_err(error::domain)?;
        let mut pieces = content.open();
        let written = async {
            while let Some(piece) = pieces.try_next().await? {
                let part = upload.put_part(piece.into());
                part.await.map_err(error::domain)?;
            }
            upload.complete().await.map_err(error::domain)
        };
        match written.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // the first error is the one to tell; what stays is swept
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    async fn read(&self, key: BlobKey, range: Option<Range<u64>>) -> Result<Option<BlobRead>> {
        read(&self.store, &path(&Path::default(), key), range).await
    }

    async fn size(&self, key: BlobKey) -> Result<Option<u64>> {
        size(&self.store, &path(&Path::default(), key)).await
    }

    async fn delete(&self, attachment_id: AttachmentId) -> Result<()> {
        delete(&self.store, &Path::default(), attachment_id).await
    }

    async fn presign(&self, _key: BlobKey, _how: &Presign<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    async fn ping(&self) -> Result<()> {
        let folder = self.folder.clone();
        blocking(move || tempfile::tempfile_in(folder).map(drop)).await
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64> {
        let folder = self.folder.clone();
        blocking(move || sweep(&folder, before)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
        .map_err(Error::unavailable)
}

/// Removes temporary files that were last written before `before`.
fn sweep(folder: &FsPath, before: Timestamp) -> io::Result<u64> {
    let mut removed = 0;
    for shard in fs::read_dir(folder)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(shard.path())? {
            let entry = entry?;
            if is_temporary(&entry.file_name().to_string_lossy()) && is_older(&entry, before)? {
                match fs::remove_file(entry.path()) {
                    Ok(()) => removed += 1,
                    // by the one who was writing it
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(removed)
}

/// The crate appends `#1` or another number to the name of a blob that is being written.
fn is_temporary(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_older(entry: &fs::DirEntry, before: Timestamp) -> io::Result<bool> {
    let modified = match entry.metadata() {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(0).plus(age) < before)
}
