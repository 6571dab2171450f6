use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ConversationId, UserId};
use crate::page::{Limit, Page};
use crate::receipt::{Receipt, WatermarkAdvance};
use crate::time::Timestamp;

/// Watermarks.
#[async_trait]
pub trait ReceiptRepository: Send + Sync {
    /// Moves the watermarks of many members at once, and answers the receipts of those that did move.
    ///
    /// MUST never move one back, nor past the conversation's `last_seq` (what is higher counts as that),
    /// and moves `delivered_seq` along with `read_seq`. Who is not a present member is left out. A
    /// member named several times is moved to the highest of each.
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>>;

    /// The receipts of present members, in the order of their user ids, after `after`.
    async fn list(
        &self,
        conversation_id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>>;
}
