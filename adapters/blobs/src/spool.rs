//! Temporary files. They have no name, so that nothing of them outlives the process, however it ends.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connexus_domain::ports::{ByteStream, Content};
use sha2::{Digest as _, Sha256};

use crate::files::{self, FileReader, PIECE};

/// A folder for temporary files. It belongs on a disk: in memory (`tmpfs`) uploads would fill that.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: Arc<Path>,
}

impl Spool {
    /// Makes the folder if there is none.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        // a folder that cannot be written is better found now than at the first upload
        tempfile::tempfile_in(&folder)?;
        Ok(Self {
            folder: folder.into(),
        })
    }

    /// An empty file without a name.
    pub fn file(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }

    /// A file with these bytes.
    pub fn hold(&self, bytes: &[u8]) -> io::Result<Spooled> {
        let mut file = self.file()?;
        io::Write::write_all(&mut file, bytes)?;
        Ok(Spooled {
            file: Arc::new(file),
            size: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
        })
    }
}

/// A temporary file that is complete.
#[derive(Clone)]
pub struct Spooled {
    file: Arc<File>,
    size: u64,
    sha256: [u8; 32],
}

impl Spooled {
    /// What was hashed while it was written.
    pub fn new(file: Arc<File>, size: u64, sha256: [u8; 32]) -> Self {
        Self { file, size, sha256 }
    }

    /// Measures what was written.
    pub fn measure(file: File) -> io::Result<Self> {
        let file = Arc::new(file);
        let size = file.metadata()?.len();
        let mut reader = FileReader::new(Arc::clone(&file), size);
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; PIECE];
        loop {
            let count = reader.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        Ok(Self::new(file, size, hasher.finalize().into()))
    }

    /// Reads it from its first byte.
    pub fn reader(&self) -> FileReader {
        FileReader::new(Arc::clone(&self.file), self.size)
    }
}

impl Content for Spooled {
    fn size(&self) -> u64 {
        self.size
    }

    fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    fn open(&self) -> ByteStream {
        files::stream(Arc::clone(&self.file), 0..self.size)
    }
}

impl Spooled {
    /// The same with each of the parts replaced: its name by that of a box which is free space, the rest by
    /// zeros. Changes the file in place, so `self` must not be used any more.
    pub fn blanked(&self, parts: &[Range<u64>]) -> io::Result<Self> {
        const FREE: &[u8] = b"free";
        let mut file = &*self.file;
        for part in parts {
            file.seek(SeekFrom::Start(part.start))?;
            let size = part.end.min(self.size).saturating_sub(part.start);
            let name = FREE.chain(io::repeat(0));
            io::copy(&mut name.take(size), &mut file)?;
        }
        Self::measure(self.file.try_clone()?)
    }
}
