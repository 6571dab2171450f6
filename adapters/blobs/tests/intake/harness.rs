//! Sends files to an intake, and looks at what it made of them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use connexus_blobs::{Intake, IntakeSettings, Spool};
use connexus_domain::Error;
use connexus_domain::ports::{
    Content, IntakeError, IntakeRules, MalwareScanner, MediaFormat, MediaIntake as _, Received,
    Refusal, SizeLimits, Variant, Verdict,
};
use futures_util::TryStreamExt as _;
use image::DynamicImage;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub const RULES: IntakeRules = IntakeRules {
    max_size: SizeLimits::all(10_000_000),
    only: None,
};

pub struct House {
    pub intake: Intake,
    folder: TempDir,
}

impl House {
    pub fn new(settings: IntakeSettings, scanner: Option<Arc<dyn MalwareScanner>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        Self {
            intake: Intake::new(spool, settings, scanner),
            folder,
        }
    }

    /// With everything as shipped.
    pub fn plain() -> Self {
        Self::new(IntakeSettings::default(), None)
    }

    pub async fn send_by(&self, rules: IntakeRules, file: &[u8]) -> Result<Received, IntakeError> {
        let mut upload = self.intake.begin(rules).await?;
        // pieces as they come from a network
        for piece in file.chunks(10_000) {
            upload.write(Bytes::copy_from_slice(piece)).await?;
        }
        let received = upload.finish().await;
        assert!(self.is_empty());
        received
    }

    pub async fn send(&self, file: &[u8]) -> Result<Kept, IntakeError> {
        Ok(Kept::of(self.send_by(RULES, file).await?).await)
    }

    pub async fn refusal(&self, file: &[u8]) -> Refusal {
        refused(self.send_by(RULES, file).await)
    }

    /// Nothing has a name in the folder for temporary files, so nothing can stay there.
    pub fn is_empty(&self) -> bool {
        self.folder.path().read_dir().unwrap().next().is_none()
    }
}

pub fn refused<T>(result: Result<T, IntakeError>) -> Refusal {
    match result {
        Err(IntakeError::Refused(refusal)) => refusal,
        Err(IntakeError::Failed(error)) => panic!("{error:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// What was kept of a file.
#[derive(Debug)]
pub struct Kept {
    pub format: MediaFormat,
    pub size: Option<(u32, u32)>,
    pub duration_ms: Option<u64>,
    pub original: Vec<u8>,
    pub thumbnails: Vec<DynamicImage>,
}

impl Kept {
    async fn of(received: Received) -> Self {
        assert_eq!(received.has_thumbnails(), received.contents.len() == 3);
        let mut blobs = Vec::new();
        for (content, variant) in received.contents.iter().zip(Variant::ALL) {
            assert_eq!(content.variant, variant);
            blobs.push(bytes(&*content.content).await);
        }
        let original = blobs.remove(0);
        assert_eq!(received.size, original.len() as u64);
        assert_eq!(received.sha256, *Sha256::digest(&original));
        let webp = image::ImageFormat::WebP;
        Self {
            format: received.format,
            size: received.width.zip(received.height),
            duration_ms: received.duration_ms,
            original,
            thumbnails: blobs
                .iter()
                .map(|blob| image::load_from_memory_with_format(blob, webp).unwrap())
                .collect(),
        }
    }

    pub fn contains(&self, words: &str) -> bool {
        let words = words.as_bytes();
        self.original
            .windows(words.len())
            .any(|window| window == words)
    }
}

/// All of a content, read twice.
pub async fn bytes(content: &dyn Content) -> Vec<u8> {
    let once: Vec<Bytes> = content.open().try_collect().await.unwrap();
    let twice: Vec<Bytes> = content.open().try_collect().await.unwrap();
    assert_eq!(once, twice);
    let bytes = once.concat();
    assert_eq!(content.size(), bytes.len() as u64);
    assert_eq!(content.sha256(), *Sha256::digest(&bytes));
    bytes
}

/// A scanner that always says the same.
pub struct Says(pub Result<Verdict, Error>);

#[async_trait]
impl MalwareScanner for Says {
    async fn scan(&self, _content: &dyn Content) -> Result<Verdict, Error> {
        self.0.clone()
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
