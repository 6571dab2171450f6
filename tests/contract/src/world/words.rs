//! Searching a world.

use connexus_domain::ports::MessageSearch;
use connexus_domain::{MessageId, Timestamp, UserId, terms};

use super::{ALL, World};

/// Later than every message: to index all there are.
pub const EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A search for these words, wherever the viewer may look.
#[track_caller]
pub fn search(viewer: UserId, text: &str) -> MessageSearch {
    MessageSearch {
        viewer,
        query: terms::query(text).unwrap_or_else(|| panic!("{text:?} has no terms")),
        conversation_id: None,
        sender_id: None,
        before: None,
        limit: ALL,
    }
}

impl World {
    /// What is found by these words, the highest id first.
    pub async fn found(&self, viewer: UserId, text: &str) -> Vec<MessageId> {
        let page = self.messages().search(&search(viewer, text)).await.unwrap();
        page.items.into_iter().map(|message| message.id).collect()
    }
}
