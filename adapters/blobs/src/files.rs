//! Reading files at a position, so that several may read one open file at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use connexus_domain::Error;
use connexus_domain::ports::ByteStream;
use futures_util::stream;

/// How much is read or written at once.
pub const PIECE: usize = 64 * 1024;

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, position)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, position)
}

/// A reader with a position of its own.
pub struct FileReader {
    file: Arc<File>,
    size: u64,
    position: u64,
}

impl FileReader {
    /// From the first byte on.
    pub fn new(file: Arc<File>, size: u64) -> Self {
        Self {
            file,
            size,
            position: 0,
        }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The bytes of a part of the file. A file that turns out to be shorter is an error.
pub fn stream(file: Arc<File>, range: Range<u64>) -> ByteStream {
    Box::pin(stream::try_unfold(range, move |rest| {
        let file = Arc::clone(&file);
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let wanted = usize::try_from(rest.end - rest.start).map_or(PIECE, |all| all.min(PIECE));
            // from here, and not from the heap of each thread that happens to read
            let buffer = vec![0; wanted];
            let read = tokio::task::spawn_blocking(move || piece(&file, buffer, &rest));
            let (piece, rest) = read
                .await
                .map_err(Error::internal)?
                .map_err(Error::unavailable)?;
            Ok(Some((piece, rest)))
        }
    }))
}

fn piece(file: &File, mut buffer: Vec<u8>, rest: &Range<u64>) -> io::Result<(Bytes, Range<u64>)> {
    let count = read_at(file, &mut buffer, rest.start)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(count);
    Ok((buffer.into(), rest.start + count as u64..rest.end))
}
