//! A file on its way in.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use connexus_domain::Error;
use connexus_domain::ports::{IntakeError, IntakeRules, MediaFormat, Received, Refusal, Upload};
use sha2::{Digest as _, Sha256};

use super::{Inner, largest};
use crate::detect;
use crate::files::PIECE;
use crate::spool::Spooled;

/// What has come so far: one piece in memory, the rest in the file.
pub struct Incoming {
    inner: Arc<Inner>,
    rules: IntakeRules,
    /// `None` after an error.
    sink: Option<Sink>,
    /// Bytes taken.
    size: u64,
    /// Bytes allowed.
    limit: u64,
    /// What it may be, once its beginning has come.
    formats: Option<&'static [MediaFormat]>,
}

struct Sink {
    file: Arc<File>,
    hasher: Sha256,
    piece: Vec<u8>,
}

/// The upload was given up before.
#[derive(Debug, thiserror::Error)]
#[error("the upload has failed before")]
struct Spent;

impl Incoming {
    pub fn new(inner: Arc<Inner>, rules: IntakeRules, file: File) -> Self {
        let limit = inner.limit(&rules);
        Self {
            inner,
            rules,
            sink: Some(Sink {
                file: Arc::new(file),
                hasher: Sha256::new(),
                piece: Vec::with_capacity(PIECE),
            }),
            size: 0,
            limit,
            formats: None,
        }
    }

    async fn take(&mut self, mut chunk: Bytes) -> Result<(), IntakeError> {
        self.size += chunk.len() as u64;
        self.check_size()?;
        while !chunk.is_empty() {
            let sink = self.sink()?;
            let room = PIECE - sink.piece.len();
            let part = chunk.split_to(room.min(chunk.len()));
            sink.piece.extend_from_slice(&part);
            if sink.piece.len() >= detect::HEAD {
                self.look()?;
            }
            if self.sink()?.piece.len() == PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn sink(&mut self) -> Result<&mut Sink, IntakeError> {
        let sink = self.sink.as_mut();
        sink.ok_or_else(|| Error::internal(Spent).into())
    }

    fn check_size(&self) -> Result<(), IntakeError> {
        if self.size > self.limit {
            return Err(Refusal::TooLarge { limit: self.limit }.into());
        }
        Ok(())
    }

    /// Looks at the beginning, once.
    fn look(&mut self) -> Result<(), IntakeError> {
        if self.formats.is_some() {
            return Ok(());
        }
        let formats = detect::guess(&self.sink()?.piece)
            .map_err(|found| Refusal::TypeNotAllowed { found })?;
        let inner = Arc::clone(&self.inner);
        let allowed = || {
            let formats = formats.iter().copied();
            formats.filter(|&format| inner.allows(format, &self.rules))
        };
        if allowed().next().is_none() {
            // of an archive that is no document, say that it is an archive
            let found = formats.last().map_or(detect::UNKNOWN, |f| f.media_type());
            return Err(Refusal::TypeNotAllowed { found }.into());
        }
        self.limit = largest(allowed(), &self.rules);
        self.formats = Some(formats);
        self.check_size()
    }

    /// Writes and hashes the piece, away from the threads that serve requests.
    async fn flush(&mut self) -> Result<(), IntakeError> {
        let sink = self.sink.take().ok_or_else(|| Error::internal(Spent))?;
        let written = tokio::task::spawn_blocking(move || sink.flush());
        let sink = written
            .await
            .map_err(Error::internal)?
            .map_err(Error::unavailable)?;
        self.sink = Some(sink);
        Ok(())
    }
}

impl Sink {
    fn flush(mut self) -> io::Result<Self> {
        (&*self.file).write_all(&self.piece)?;
        self.hasher.update(&self.piece);
        self.piece.clear();
        Ok(self)
    }
}

#[async_trait]
impl Upload for Incoming {
    async fn write(&mut self, chunk: Bytes) -> Result<(), IntakeError> {
        let taken = self.take(chunk).await;
        if taken.is_err() {
            self.sink = None;
        }
        taken
    }

    async fn finish(mut self: Box<Self>) -> Result<Received, IntakeError> {
        if self.size == 0 {
            return Err(Refusal::Empty.into());
        }
        self.look()?;
        self.flush().await?;
        let sink = self.sink.take().ok_or_else(|| Error::internal(Spent))?;
        let formats = self.formats.ok_or_else(|| Error::internal(Spent))?;
        let received = Spooled::new(sink.file, self.size, sink.hasher.finalize().into());
        self.inner.scan(&received).await?;
        self.inner.examine(received, formats, self.rules).await
    }
}
