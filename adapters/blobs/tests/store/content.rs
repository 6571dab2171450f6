//! Contents to put.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use connexus_domain::Error;
use connexus_domain::ports::{ByteStream, Content};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

const PIECE: usize = 64 * 1024;

/// Bytes in memory.
pub struct Whole(pub Vec<u8>);

impl Whole {
    /// So many bytes that are not all alike.
    pub fn of(size: usize) -> Self {
        let bytes = (0..size).map(|n| u8::try_from((n ^ n >> 8 ^ n >> 16) & 0xff).unwrap());
        Self(bytes.collect())
    }
}

impl Content for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    fn open(&self) -> ByteStream {
        let pieces: Vec<_> = self.0.chunks(PIECE).map(Bytes::copy_from_slice).collect();
        stream::iter(pieces.into_iter().map(Ok)).boxed()
    }
}

/// What comes after the good part.
#[derive(Clone, Copy)]
pub enum Then {
    Error,
    Silence,
}

/// Announces more than it gives.
pub struct Broken {
    pub good: Whole,
    pub then: Then,
}

impl Content for Broken {
    fn size(&self) -> u64 {
        self.good.size() + 1000
    }

    fn sha256(&self) -> [u8; 32] {
        self.good.sha256()
    }

    fn open(&self) -> ByteStream {
        let then = match self.then {
            Then::Error => {
                stream::iter([Err(Error::internal(std::io::Error::other("broken")))]).boxed()
            }
            Then::Silence => stream::pending().boxed(),
        };
        self.good.open().chain(then).boxed()
    }
}

/// Zeros; counts how many of the bytes that it gave are still held.
#[derive(Default)]
pub struct Counted {
    pub pieces: usize,
    held: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Counted {
    pub fn of(pieces: usize) -> Self {
        Self {
            pieces,
            ..Self::default()
        }
    }

    /// The most bytes that were held at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

struct Piece(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

impl Content for Counted {
    fn size(&self) -> u64 {
        (self.pieces * PIECE) as u64
    }

    fn sha256(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for _ in 0..self.pieces {
            hasher.update(vec![0; PIECE]);
        }
        hasher.finalize().into()
    }

    fn open(&self) -> ByteStream {
        let (held, peak) = (Arc::clone(&self.held), Arc::clone(&self.peak));
        stream::iter(0..self.pieces)
            .map(move |_| {
                let now = held.fetch_add(PIECE, Ordering::SeqCst) + PIECE;
                peak.fetch_max(now, Ordering::SeqCst);
                Ok(Bytes::from_owner(Piece(vec![0; PIECE], Arc::clone(&held))))
            })
            .boxed()
    }
}
