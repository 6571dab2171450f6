//! Looking for malware.

use async_trait::async_trait;

use super::blob::Content;
use crate::error::Result;

/// What a scanner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Something was found.
    Infected {
        /// Its name, for the log.
        signature: String,
    },
}

/// Looks for malware in what was received.
///
/// The content is complete when it is scanned: a client with a slow link then keeps no scanner waiting, of
/// which there are few. It MUST be handed over in pieces, never held whole in memory.
#[async_trait]
pub trait MalwareScanner: Send + Sync {
    /// Scans all of it. A scanner that does not answer is `Unavailable`, and one that gives up on a content
    /// is `Internal`: never `Clean`.
    async fn scan(&self, content: &dyn Content) -> Result<Verdict>;

    /// Whether the scanner answers.
    async fn ping(&self) -> Result<()>;
}
