use connexus_domain::ports::MessageSearch;
use connexus_domain::{ConversationId, Message, MessageId, Page, Result, UserId};

use super::{index, load};
use crate::error::InDomain as _;
use crate::rows::{self, message_columns};
use crate::storage::{SqliteStorage, Tx};

/// Where `$viewer` may look: in all conversations of which this is a present member, or only in `$only`.
macro_rules! scope {
    ($viewer:literal, $only:literal) => {
        concat!(
            "SELECT p.conversation_id FROM members p \
             CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
             WHERE p.left_at IS NULL AND p.user_id = ",
            $viewer,
            " AND (",
            $only,
            " IS NULL OR p.conversation_id = ",
            $only,
            ")"
        )
    };
}

pub(crate) const SCOPE: &str = scope!("?1", "?2");

/// What matches `?1`, in what `?2` may see (only in `?3`, if given), by `?4` if given, before `?5` if
/// given. Ids are no order of the index, so the ids of all that matches in the searcher's own
/// conversations are sorted for a page.
pub(crate) const SEARCH: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM (\
       SELECT m.num AS num FROM message_terms t CROSS JOIN messages m ON m.num = t.rowid \
       WHERE message_terms MATCH ?1 AND m.conversation_id IN (",
    scope!("?2", "?3"),
    ") AND (?4 IS NULL OR m.sender_id = ?4) AND (?5 IS NULL OR m.id < ?5) \
       ORDER BY m.id DESC LIMIT +?6) found \
     CROSS JOIN messages m ON m.num = found.num ORDER BY m.id DESC"
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
        .bind(search.conversation_id.map(ConversationId::as_uuid))
        .bind(search.sender_id.map(UserId::as_uuid))
        .bind(search.before.map(MessageId::as_uuid))
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
