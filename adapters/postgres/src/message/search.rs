//! Searching: in the segments that are indexed, and in the messages that are in none.

use connexus_domain::ports::MessageSearch;
use connexus_domain::search::{self, Candidate, SearchSource, Span};
use connexus_domain::{ConversationId, Error, Message, MessageId, Page, Result, UserId};
use sqlx::Row as _;
use sqlx::postgres::{PgBindIterExt as _, PgRow};
use std::cmp::Reverse;

use super::{lexeme, load};
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::uuids;
use crate::storage::{PostgresStorage, Tx};

/// What is not indexed of what `$1` may see (only in `$2`, if given), by `$3` if given, before `$4` if given.
///
/// `OFFSET 0` keeps the planner from walking all messages by id.
pub(crate) const TAIL: &str = "\
    SELECT t.id, t.body FROM members p \
    JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
    LEFT JOIN search_heads h ON h.conversation_id = p.conversation_id \
    CROSS JOIN LATERAL (\
      SELECT m.id, m.body FROM messages m \
      WHERE m.conversation_id = c.id AND m.seq > coalesce(h.indexed_seq, 0) AND m.body IS NOT NULL \
        AND ($3::uuid IS NULL OR m.sender_id = $3) AND ($4::uuid IS NULL OR m.id < $4) \
      OFFSET 0) t \
    WHERE p.user_id = $1 AND p.left_at IS NULL AND ($2::uuid IS NULL OR p.conversation_id = $2) \
      AND c.last_seq > coalesce(h.indexed_seq, 0) \
    ORDER BY t.id DESC LIMIT $5";

/// Segments that match `$2`, in each of the conversations of `$1` (only in `$3`, if given), with messages
/// before `$4` if given, behind `$5`, `$6` and `$7` if given. In `$2`, `#` stands for the conversation's tag.
///
/// `OFFSET 0` keeps the planner from looking at all segments of a conversation. The ids of all that match in it
/// are sorted for a page, since the index has no order.
pub(crate) const SEGMENTS: &str = "\
    SELECT s.conversation_id, s.first_seq, s.last_seq, s.newest FROM members p \
    JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
    CROSS JOIN LATERAL (\
      SELECT t.* FROM (\
        SELECT n.conversation_id, n.first_seq, n.last_seq, n.oldest, n.newest FROM search_segments n \
        WHERE n.terms @@ replace($2, '#', right(c.id::text, 8))::tsquery \
        OFFSET 0) t \
      WHERE t.conversation_id = c.id AND ($4::uuid IS NULL OR t.oldest < $4) \
        AND ($5::uuid IS NULL OR (t.newest, t.first_seq, t.last_seq) < ($5, $6, $7)) \
      ORDER BY t.newest DESC, t.first_seq DESC, t.last_seq DESC LIMIT $8) s \
    WHERE p.user_id = $1 AND p.left_at IS NULL AND ($3::uuid IS NULL OR p.conversation_id = $3) \
    ORDER BY s.newest DESC, s.first_seq DESC, s.last_seq DESC LIMIT $8";

/// Messages of the conversations `$1` from the seqs `$2` to `$3`, by `$4` if given, before `$5` if given.
pub(crate) const CANDIDATES: &str = "\
    SELECT m.id, m.body \
    FROM unnest($1::uuid[], $2::int8[], $3::int8[]) v(conversation_id, first_seq, last_seq) \
    JOIN messages m ON m.conversation_id = v.conversation_id \
      AND m.seq >= v.first_seq AND m.seq <= v.last_seq \
    WHERE m.body IS NOT NULL AND ($4::uuid IS NULL OR m.sender_id = $4) \
      AND ($5::uuid IS NULL OR m.id < $5)";

/// One search, at one moment.
struct Source<'s> {
    tx: Tx,
    search: &'s MessageSearch,
    expression: String,
}

impl SearchSource for Source<'_> {
    type Error = Error;

    async fn tail(&mut self, before: Option<MessageId>, limit: i64) -> Result<Vec<Candidate>> {
        let rows = sqlx::query(TAIL)
            .bind(self.search.viewer.as_uuid())
            .bind(self.search.conversation_id.map(ConversationId::as_uuid))
            .bind(self.search.sender_id.map(UserId::as_uuid))
            .bind(before.map(MessageId::as_uuid))
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?;
        rows.iter().map(candidate).collect()
    }

    async fn segments(&mut self, after: Option<Span>, limit: i64) -> Result<Vec<Span>> {
        sqlx::query(SEGMENTS)
            .bind(self.search.viewer.as_uuid())
            .bind(&self.expression)
            .bind(self.search.conversation_id.map(ConversationId::as_uuid))
            .bind(self.search.before.map(MessageId::as_uuid))
            .bind(after.map(|after| after.newest.as_uuid()))
            .bind(after.map(|after| after.first_seq))
            .bind(after.map(|after| after.last_seq))
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?
            .iter()
            .map(|row| {
                Ok(Span {
                    conversation_id: ConversationId::from_uuid(rows::id(row, 0)?),
                    first_seq: row.try_get(1).in_domain()?,
                    last_seq: row.try_get(2).in_domain()?,
                    newest: MessageId::from_uuid(rows::id(row, 3)?),
                })
            })
            .collect()
    }

    async fn candidates(
        &mut self,
        spans: &[Span],
        before: Option<MessageId>,
    ) -> Result<Vec<Candidate>> {
        let rows = sqlx::query(CANDIDATES)
            .bind(uuids(spans.iter().map(|span| span.conversation_id)))
            .bind(spans.iter().map(|span| span.first_seq).bind_iter())
            .bind(spans.iter().map(|span| span.last_seq).bind_iter())
            .bind(self.search.sender_id.map(UserId::as_uuid))
            .bind(before.map(MessageId::as_uuid))
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?;
        rows.iter().map(candidate).collect()
    }
}

fn candidate(row: &PgRow) -> Result<Candidate> {
    Ok(Candidate {
        id: MessageId::from_uuid(rows::id(row, 0)?),
        body: row.try_get(1).in_domain()?,
    })
}

pub(super) async fn search(
    storage: &PostgresStorage,
    search: &MessageSearch,
) -> Result<Page<Message, MessageId>> {
    let mut source = Source {
        tx: storage.snapshot().await?,
        search,
        expression: lexeme::expression(&search.query),
    };
    let ids = search::find(&mut source, &search.query, search.before, search.limit).await?;
    let mut messages = load::find_many(&mut *source.tx, &ids).await?;
    messages.sort_by_key(|message| Reverse(message.id));
    Ok(Page::cut(messages, search.limit, |last| last.id))
}
