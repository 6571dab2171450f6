use async_trait::async_trait;

use super::{
    AttachmentRepository, BlockRepository, ConversationRepository, LeaseRepository,
    MessageRepository, ReceiptRepository, SessionRepository, UserRepository,
};
use crate::error::Result;

/// All repositories of one backend.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The backend's name: `sqlite`, `postgres`, `mongodb`.
    fn name(&self) -> &'static str;

    /// Accounts.
    fn users(&self) -> &dyn UserRepository;

    /// Sessions.
    fn sessions(&self) -> &dyn SessionRepository;

    /// Conversations and members.
    fn conversations(&self) -> &dyn ConversationRepository;

    /// Messages.
    fn messages(&self) -> &dyn MessageRepository;

    /// Watermarks.
    fn receipts(&self) -> &dyn ReceiptRepository;

    /// Blocks.
    fn blocks(&self) -> &dyn BlockRepository;

    /// Uploaded files.
    fn attachments(&self) -> &dyn AttachmentRepository;

    /// Leases.
    fn leases(&self) -> &dyn LeaseRepository;

    /// Brings the schema to the version of this program. Safe to repeat and to run from several
    /// processes at once: one works, the others wait.
    async fn migrate(&self) -> Result<()>;

    /// Whether the database answers *and takes writes*.
    async fn ping(&self) -> Result<()>;

    /// Ends all connections, after what is under way has finished.
    async fn close(&self);
}
