use connexus_domain::ports::MessageSearch;
use connexus_domain::{ConversationId, Message, MessageId, Page, Result, UserId};

use super::index;
use crate::error::InDomain as _;
use crate::rows::{self, message_columns};
use crate::storage::PostgresStorage;

/// What `$1` may see of what matches `$2`, in each of the own conversations (only in `$3`, if given), by `$4`
/// if given, before `$5` if given. In `$2`, `#` stands for the conversation's tag.
///
/// `OFFSET 0` keeps the planner from walking all messages by id until enough have matched. Ids are no order
/// of the index, so the ids of all that matches in a conversation are sorted for a page.
pub(crate) const SEARCH: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM (\
       SELECT hit.id FROM members p \
       JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
       CROSS JOIN LATERAL (\
         SELECT t.id FROM (\
           SELECT n.id, n.conversation_id, n.sender_id FROM messages n \
           WHERE n.terms @@ replace($2, '#', right(c.id::text, 8))::tsquery \
           OFFSET 0) t \
         WHERE t.conversation_id = c.id AND ($4::uuid IS NULL OR t.sender_id = $4) \
           AND ($5::uuid IS NULL OR t.id < $5) \
         ORDER BY t.id DESC LIMIT $6) hit \
       WHERE p.user_id = $1 AND p.left_at IS NULL \
         AND ($3::uuid IS NULL OR p.conversation_id = $3) \
       ORDER BY hit.id DESC LIMIT $6) found \
     JOIN messages m ON m.id = found.id ORDER BY m.id DESC"
);

pub(super) async fn search(
    storage: &PostgresStorage,
    search: &MessageSearch,
) -> Result<Page<Message, MessageId>> {
    let rows = sqlx::query(SEARCH)
        .bind(search.viewer.as_uuid())
        .bind(index::expression(&search.query))
        .bind(search.conversation_id.map(ConversationId::as_uuid))
        .bind(search.sender_id.map(UserId::as_uuid))
        .bind(search.before.map(MessageId::as_uuid))
        .bind(search.limit.and_one())
        .fetch_all(&mut **storage.look().await?)
        .await
        .in_domain()?;
    let messages = rows::messages(&rows)?;
    Ok(Page::cut(messages, search.limit, |last| last.id))
}
