//! Where the bytes of attachments are kept.

use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::error::Result;
use crate::id::AttachmentId;
use crate::time::Timestamp;

/// Bytes that come in pieces of at most 64 KiB or so. After an error there is nothing more.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Which of an attachment's blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// What was uploaded, less what must not be told on.
    Original,
    /// A small picture for lists.
    ThumbSmall,
    /// A larger picture, for looking at without fetching the original.
    ThumbLarge,
}

impl Variant {
    /// Every variant, in the order in which it is documented.
    pub const ALL: [Self; 3] = [Self::Original, Self::ThumbSmall, Self::ThumbLarge];

    /// The word in names of blobs and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::ThumbSmall => "thumb-small",
            Self::ThumbLarge => "thumb-large",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|variant| variant.as_str() == word)
    }
}

/// Names a blob. Nothing that a client sent is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobKey {
    /// Whose.
    pub attachment_id: AttachmentId,
    /// Which.
    pub variant: Variant,
}

impl BlobKey {
    /// The blob of an attachment.
    pub const fn new(attachment_id: AttachmentId, variant: Variant) -> Self {
        Self {
            attachment_id,
            variant,
        }
    }
}

/// Bytes that are complete, measured, and may be read more than once. Dropping it frees what holds them.
pub trait Content: Send + Sync {
    /// How many bytes.
    fn size(&self) -> u64;

    /// Their SHA-256.
    fn sha256(&self) -> [u8; 32];

    /// All of them, from the first. Each stream is independent of others.
    fn open(&self) -> ByteStream;
}

/// A blob that is being read.
pub struct BlobRead {
    /// Size of the whole blob in bytes, whatever part is read.
    pub size: u64,
    /// The part that was asked for.
    pub body: ByteStream,
}

/// What a signed address gives away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presign<'a> {
    /// How long the address works.
    pub ttl: Duration,
    /// The `Content-Type` that is answered.
    pub media_type: &'a str,
    /// The `Content-Disposition` that is answered, as RFC 6266 writes it.
    pub disposition: &'a str,
}

/// A store of blobs. It knows no access rules: who may read is decided before.
///
/// - A blob MUST be there wholly or not at all, also when the process is killed at any point.
/// - Memory per blob that is written or read MUST stay below 1 MiB, whatever its size.
/// - A store that is away is `Unavailable`, after seconds rather than minutes; one that refuses our
///   credentials is `Internal`.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// The store's name: `file`, `s3`.
    fn name(&self) -> &'static str;

    /// Stores the content and makes it durable; replaces what was there. A call that fails, or whose future
    /// is dropped, MUST leave either the former blob or the new one, and beside it nothing that
    /// [`sweep`](Self::sweep) does not remove.
    async fn put(&self, key: BlobKey, content: &dyn Content, media_type: &str) -> Result<()>;

    /// Reads a blob, or the bytes of it in `range`, which MUST NOT be empty nor reach beyond the end (the
    /// attachment's record says how long it is). `None` when there is no such blob.
    async fn read(&self, key: BlobKey, range: Option<Range<u64>>) -> Result<Option<BlobRead>>;

    /// How many bytes a blob has; `None` when there is none.
    async fn size(&self, key: BlobKey) -> Result<Option<u64>>;

    /// Removes all blobs of an attachment. It is no error that some or all are gone.
    async fn delete(&self, attachment_id: AttachmentId) -> Result<()>;

    /// An address from which anyone who has it may read the blob for a while; `None` when the store cannot
    /// be reached by clients.
    async fn presign(&self, key: BlobKey, how: &Presign<'_>) -> Result<Option<String>>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;

    /// Removes what writes that were broken off before `before` have left, and tells how much that was. MUST
    /// NOT touch a write that is under way, if `before` is at least an hour ago.
    async fn sweep(&self, before: Timestamp) -> Result<u64>;
}
