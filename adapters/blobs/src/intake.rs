//! Receiving files into temporary ones.

mod examine;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{
    Content as _, IntakeError, IntakeRules, MalwareScanner, MediaFormat, MediaIntake, MediaKind,
    Received, Refusal, Upload, Verdict,
};
use connexus_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::picture::PictureLimits;
use crate::spool::{Spool, Spooled};

/// What is received, and what that may take.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// What may be sent.
    pub allowed: Vec<MediaFormat>,
    /// What pictures may take.
    pub pictures: PictureLimits,
    /// Longest sides of the small and the large thumbnail, in pixels.
    pub thumbnails: [u32; 2],
    /// How many pictures are worked on at once. Each takes a core and up to `pictures.max_memory`, and half of
    /// that again for one that has to be turned.
    pub concurrency: usize,
    /// How long a picture may wait for its turn before it is refused as `Unavailable`.
    pub max_wait: Duration,
}

impl Default for IntakeSettings {
    /// Half of the cores, so that pictures leave the other half to the chat.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            allowed: MediaFormat::DEFAULT.to_vec(),
            pictures: PictureLimits::default(),
            thumbnails: [320, 1280],
            concurrency: (cores / 2).max(1),
            max_wait: Duration::from_secs(30),
        }
    }
}

/// Receives files into a folder for temporary ones.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    spool: Spool,
    settings: IntakeSettings,
    scanner: Option<Arc<dyn MalwareScanner>>,
    turns: Arc<Semaphore>,
}

/// Too many pictures are ahead.
#[derive(Debug, thiserror::Error)]
#[error("too many pictures are being worked on")]
struct Overloaded;

impl Intake {
    /// With a scanner, every file is scanned.
    pub fn new(
        spool: Spool,
        settings: IntakeSettings,
        scanner: Option<Arc<dyn MalwareScanner>>,
    ) -> Self {
        let turns = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                spool,
                settings,
                scanner,
                turns: Arc::new(Semaphore::new(turns)),
            }),
        }
    }
}

#[async_trait]
impl MediaIntake for Intake {
    async fn begin(&self, rules: IntakeRules) -> Result<Box<dyn Upload>, IntakeError> {
        let spool = self.inner.spool.clone();
        let file = tokio::task::spawn_blocking(move || spool.file())
            .await
            .map_err(Error::internal)?
            .map_err(Error::unavailable)?;
        Ok(Box::new(upload::Incoming::new(
            Arc::clone(&self.inner),
            rules,
            file,
        )))
    }
}

impl Inner {
    /// What may be sent under these rules.
    fn allows(&self, format: MediaFormat, rules: &IntakeRules) -> bool {
        let kind = format.kind();
        self.settings.allowed.contains(&format) && rules.only.is_none_or(|only| only == kind)
    }

    /// The most that anything which may be sent is allowed to have.
    fn limit(&self, rules: &IntakeRules) -> u64 {
        let allowed = self.settings.allowed.iter().copied();
        largest(allowed.filter(|&format| self.allows(format, rules)), rules)
    }

    async fn scan(&self, received: &Spooled) -> Result<(), IntakeError> {
        let Some(scanner) = &self.scanner else {
            return Ok(());
        };
        match scanner.scan(received).await? {
            Verdict::Clean => Ok(()),
            Verdict::Infected { signature } => {
                tracing::warn!(signature, size = received.size(), "malware was refused");
                Err(Refusal::Malware { signature }.into())
            }
        }
    }

    /// Finds out what was received, and makes of it what is to be kept.
    async fn examine(
        self: Arc<Self>,
        received: Spooled,
        formats: &'static [MediaFormat],
        rules: IntakeRules,
    ) -> Result<Received, IntakeError> {
        let is_picture = formats
            .iter()
            .any(|format| format.kind() == MediaKind::Image);
        let turn = if is_picture {
            Some(self.turn().await?)
        } else {
            None
        };
        let examined = tokio::task::spawn_blocking(move || {
            // held here: work goes on when its client has gone away
            let _turn = turn;
            examine::examine(&self, &received, formats, &rules)
        });
        match examined.await {
            Ok(result) => result,
            // a decoder that a file made panic; the file shall not have that twice
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "a file has made its decoder panic");
                Err(Refusal::Damaged.into())
            }
            Err(error) => Err(Error::internal(error).into()),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        let wait = self.settings.max_wait;
        match timeout(wait, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(turn) => turn.map_err(Error::internal),
            Err(_elapsed) => Err(Error::Unavailable {
                retry_after: wait,
                source: Arc::new(Overloaded),
            }),
        }
    }
}

/// The largest limit among the formats.
fn largest(formats: impl IntoIterator<Item = MediaFormat>, rules: &IntakeRules) -> u64 {
    let limits = formats
        .into_iter()
        .map(|format| rules.max_size.of(format.kind()));
    limits.max().unwrap_or(0)
}
