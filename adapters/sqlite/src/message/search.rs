use connexus_domain::ports::MessageSearch;
use connexus_domain::{ConversationId, Message, MessageId, Page, Result, UserId};

use super::{index, load};
use crate::error::InDomain as _;
use crate::rows::{self, message_columns};
use crate::storage::{SqliteStorage, Tx};

/// Where `?1` may look: present memberships, or that of conversation `?2`.
pub(crate) const SCOPE: &str = "\
    SELECT p.conversation_id \
    FROM members p CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
    WHERE p.user_id = ?1 AND p.left_at IS NULL AND (?2 IS NULL OR p.conversation_id = ?2)";

/// What matches `?1`, of what `?2` may see, by `?3` if given, before `?4` if given. Ids are no order of
/// the index, so all that matches in the searcher's own conversations is sorted for a page.
pub(crate) const SEARCH: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message_terms t CROSS JOIN messages m ON m.num = t.rowid \
     CROSS JOIN members p ON p.conversation_id = m.conversation_id AND p.user_id = ?2 \
       AND p.left_at IS NULL \
     CROSS JOIN conversations c ON c.id = m.conversation_id AND c.deleted_at IS NULL \
     WHERE message_terms MATCH ?1 AND m.deleted_at IS NULL \
       AND (?3 IS NULL OR m.sender_id = ?3) AND (?4 IS NULL OR m.id < ?4) \
       AND (?5 IS NULL OR m.conversation_id = ?5) \
     ORDER BY m.id DESC LIMIT ?6"
);

pub(super) async fn search(
    storage: &SqliteStorage,
    search: &MessageSearch,
) -> Result<Page<Message, MessageId>> {
    let mut tx = storage.read().await?;
    let scope = scope(&mut tx, search).await?;
    if scope.is_empty() {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    }
    let rows = sqlx::query(SEARCH)
        .bind(index::expression(scope, &search.query))
        .bind(search.viewer.as_uuid())
        .bind(search.sender_id.map(UserId::as_uuid))
        .bind(search.before.map(MessageId::as_uuid))
        .bind(search.conversation_id.map(ConversationId::as_uuid))
        .bind(search.limit.and_one())
        .fetch_all(&mut *tx)
        .await
        .in_domain()?;
    let messages = load::complete(&mut tx, &rows).await?;
    Ok(Page::cut(messages, search.limit, |last| last.id))
}

async fn scope(tx: &mut Tx, search: &MessageSearch) -> Result<Vec<ConversationId>> {
    sqlx::query(SCOPE)
        .bind(search.viewer.as_uuid())
        .bind(search.conversation_id.map(ConversationId::as_uuid))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::id(row, 0).map(ConversationId::from_uuid))
        .collect()
}
