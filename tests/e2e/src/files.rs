//! Where a server under test keeps files: a folder, or a part of a bucket that nobody else has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use uuid::Uuid;

/// `folder` or `s3`; a folder when it is not set.
const VARIABLE: &str = "CONNEXUS_TEST_FILES";
/// `s3://BUCKET?endpoint=…`, when files are to be kept there.
const S3_URL: &str = "CONNEXUS_TEST_S3_URL";
/// Those of the store that `cargo xtask services` starts; `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` name others.
const KEYS: (&str, &str) = ("connexus", "connexus-test-secret");

/// A place for files.
pub enum Files {
    /// A folder below the server's own.
    Folder(PathBuf),
    /// A bucket with the keys to it.
    S3 {
        bucket: Arc<dyn ObjectStore>,
        prefix: String,
        settings: [(&'static str, String); 3],
    },
}

impl Files {
    /// A place of the kind that the environment asks for.
    pub fn make(folder: &Path) -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("folder") => Self::Folder(folder.join("data/files")),
            Ok("s3") => Self::in_bucket(),
            Ok(other) => panic!("{VARIABLE}={other}: must be folder or s3"),
        }
    }

    fn in_bucket() -> Self {
        let url = std::env::var(S3_URL).unwrap_or_else(|_| {
            panic!("{S3_URL} must name a bucket: eval \"$(cargo xtask services up --backend s3)\"")
        });
        let (bucket, options) = url.split_once('?').unwrap_or((&url, ""));
        let key = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let keys = [
            key("AWS_ACCESS_KEY_ID", KEYS.0),
            key("AWS_SECRET_ACCESS_KEY", KEYS.1),
        ];
        let prefix = Uuid::new_v4().to_string();
        let mut builder = AmazonS3Builder::new()
            .with_url(bucket)
            .with_access_key_id(&keys[0])
            .with_secret_access_key(&keys[1]);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, "true"));
            builder = builder.with_config(name.parse().expect("an option of S3"), value);
        }
        let [id, secret] = keys;
        Self::S3 {
            bucket: Arc::new(builder.build().expect("a bucket")),
            settings: [
                (
                    "CONNEXUS__FILES__URL",
                    format!("{bucket}/{prefix}?{options}"),
                ),
                ("CONNEXUS__FILES__ACCESS_KEY_ID", id),
                ("CONNEXUS__FILES__SECRET_ACCESS_KEY", secret),
            ],
            prefix,
        }
    }

    /// What tells a server to keep its files here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Folder(folder) => {
                vec![("CONNEXUS__FILES__URL", format!("file:{}", folder.display()))]
            }
            Self::S3 { settings, .. } => settings.to_vec(),
        }
    }

    /// The names of all that is kept.
    pub async fn names(&self) -> Vec<String> {
        match self {
            Self::Folder(folder) => below(folder),
            Self::S3 { bucket, prefix, .. } => bucket
                .list(Some(&Key::from(prefix.as_str())))
                .map_ok(|object| object.location.to_string())
                .try_collect()
                .await
                .expect("a list of the bucket"),
        }
    }
}

fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}
