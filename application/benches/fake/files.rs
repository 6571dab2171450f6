//! No files, and nobody who cleans up after them.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{
    BlobKey, BlobRead, BlobStore, Content, IntakeError, IntakeRules, LeaseRepository, MediaIntake,
    Presign, Upload,
};
use connexus_domain::{AttachmentId, Result, Timestamp};

use super::unused;

pub struct NoFiles;

#[async_trait]
impl LeaseRepository for NoFiles {
    async fn acquire(&self, _: &str, _: &str, _: Duration, _: Timestamp) -> Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl BlobStore for NoFiles {
    fn name(&self) -> &'static str {
        "none"
    }

    async fn put(&self, _: BlobKey, _: &dyn Content, _: &str) -> Result<()> {
        unused()
    }

    async fn read(&self, _: BlobKey, _: Option<Range<u64>>) -> Result<Option<BlobRead>> {
        unused()
    }

    async fn size(&self, _: BlobKey) -> Result<Option<u64>> {
        unused()
    }

    async fn delete(&self, _: AttachmentId) -> Result<()> {
        unused()
    }

    async fn presign(&self, _: BlobKey, _: &Presign<'_>) -> Result<Option<String>> {
        unused()
    }

    async fn ping(&self) -> Result<()> {
        unused()
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64> {
        unused()
    }
}

#[async_trait]
impl MediaIntake for NoFiles {
    async fn begin(&self, _: IntakeRules) -> Result<Box<dyn Upload>, IntakeError> {
        unused()
    }
}
