//! The stores under test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connexus_blobs::{BlobSettings, S3Keys, open};
use connexus_domain::ports::BlobStore;
use tempfile::TempDir;
use uuid::Uuid;

pub struct Place {
    pub store: Arc<dyn BlobStore>,
    pub folder: Option<TempDir>,
}

impl Place {
    /// Whether no temporary file stays behind.
    pub fn is_tidy(&self) {
        let Some(folder) = &self.folder else {
            return;
        };
        let left: Vec<_> = files(folder.path())
            .into_iter()
            .filter(|name| name.contains('#'))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

/// The names of all files in the folder's folders.
pub fn files(folder: &Path) -> Vec<String> {
    let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    inside(folder)
        .filter(|entry| entry.path().is_dir())
        .flat_map(|shard| inside(&shard.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

pub fn file() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}/files", folder.path().display());
    Place {
        store: open(&BlobSettings::new(url)).unwrap(),
        folder: Some(folder),
    }
}

pub fn s3() -> Place {
    Place {
        store: open(&s3_settings()).unwrap(),
        folder: None,
    }
}

/// A part of the bucket that nobody else has.
pub fn s3_settings() -> BlobSettings {
    let url = std::env::var("CONNEXUS_TEST_S3_URL").expect(
        "CONNEXUS_TEST_S3_URL must name a bucket: eval \"$(cargo xtask services up --backend s3)\"",
    );
    let (bucket, rest) = url.split_once('?').unwrap_or((&url, ""));
    let unique = Uuid::from_u128(rand());
    BlobSettings {
        // unless another store's are in the environment, those of the store that xtask starts
        keys: std::env::var("AWS_ACCESS_KEY_ID").is_err().then(|| S3Keys {
            access_key_id: "connexus".to_owned(),
            secret_access_key: "connexus-test-secret".into(),
        }),
        timeout: Duration::from_secs(5),
        ..BlobSettings::new(format!("{bucket}/{unique}?{rest}"))
    }
}

/// A number that is hardly drawn twice.
pub fn rand() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || u128::from(RandomState::new().hash_one(0));
    half() << 64 | half()
}
