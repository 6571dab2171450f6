//! Finding messages by their words: what the domain's search is made over.

use connexus_domain::ports::MessageSearch;
use connexus_domain::search::{Candidate, SearchSource, Span, find};
use connexus_domain::{ConversationId, Error, Message, MessageId, Page, Result, Seq, UserId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{load, tokens};
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{JsonArray, json_ids};
use crate::storage::{SqliteStorage, Tx};

/// Where `?1` may look, in all conversations of which this is a present member or only in `?2`; and up to
/// which seq these are indexed, and go.
pub(crate) const SCOPE: &str = "\
    SELECT p.conversation_id, coalesce(h.indexed_seq, 0), c.last_seq FROM members p \
    CROSS JOIN conversations c ON c.id = p.conversation_id AND c.deleted_at IS NULL \
    LEFT JOIN search_heads h ON h.conversation_id = c.id \
    WHERE p.left_at IS NULL AND p.user_id = ?1 AND (?2 IS NULL OR p.conversation_id = ?2)";

/// Messages behind the conversations and seqs `?1`, by `?2` if given, before `?3` if given. Ids are no
/// order of a conversation's, so all that is not indexed is sorted.
pub(crate) const TAIL: &str = "\
    SELECT m.id, m.body FROM json_each(?1) j CROSS JOIN messages m \
    ON m.conversation_id = unhex(j.value ->> 0) AND m.seq > j.value ->> 1 \
    WHERE m.body IS NOT NULL AND (?2 IS NULL OR m.sender_id = ?2) AND (?3 IS NULL OR m.id < ?3) \
    ORDER BY m.id DESC LIMIT +?4";

/// Segments that match `?1`, of the conversations `?2`, that start before `?3` if given, behind that of
/// `?4`, `?5` and `?6` if given. The last seq is there for an amendment: all the rest it may share with the
/// segment of its message.
pub(crate) const SEGMENTS: &str = "\
    SELECT s.conversation_id, s.first_seq, s.last_seq, s.newest \
    FROM segment_terms t CROSS JOIN search_segments s ON s.num = t.rowid \
    WHERE segment_terms MATCH ?1 \
    AND s.conversation_id IN (SELECT unhex(j.value) FROM json_each(?2) j) \
    AND (?3 IS NULL OR s.oldest < ?3) \
    AND (?4 IS NULL OR (s.newest, s.first_seq, s.last_seq) < (?4, ?5, ?6)) \
    ORDER BY s.newest DESC, s.first_seq DESC, s.last_seq DESC LIMIT +?7";

/// Messages of the conversations, from a seq to a seq, `?1`, by `?2` if given, before `?3` if given.
pub(crate) const CANDIDATES: &str = "\
    SELECT m.id, m.body FROM json_each(?1) j CROSS JOIN messages m \
    ON m.conversation_id = unhex(j.value ->> 0) AND m.seq BETWEEN j.value ->> 1 AND j.value ->> 2 \
    WHERE m.body IS NOT NULL AND (?2 IS NULL OR m.sender_id = ?2) AND (?3 IS NULL OR m.id < ?3)";

pub(super) async fn search(
    storage: &SqliteStorage,
    search: &MessageSearch,
) -> Result<Page<Message, MessageId>> {
    let mut source = Source::open(storage, search).await?;
    let ids = find(&mut source, &search.query, search.before, search.limit).await?;
    let mut messages = load::find_many(&mut *source.tx, &ids).await?;
    messages.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
    Ok(Page::cut(messages, search.limit, |last| last.id))
}

/// What one search reads from.
struct Source {
    tx: Tx,
    sender: Option<Uuid>,
    before: Option<Uuid>,
    /// For FTS5; empty when there is nowhere to look.
    expression: String,
    /// Where to look, as JSON.
    conversations: String,
    /// Where conversations that are not wholly indexed are so, as JSON; none when all are.
    tails: Option<String>,
}

impl Source {
    async fn open(storage: &SqliteStorage, search: &MessageSearch) -> Result<Self> {
        let mut tx = storage.read().await?;
        let scope = sqlx::query(SCOPE)
            .bind(search.viewer.as_uuid())
            .bind(search.conversation_id.map(ConversationId::as_uuid))
            .fetch_all(&mut *tx)
            .await
            .in_domain()?;
        let mut conversations = Vec::with_capacity(scope.len());
        let mut tails = None;
        for row in &scope {
            let id = ConversationId::from_uuid(rows::id(row, 0)?);
            let indexed_seq: Seq = row.try_get(1).in_domain()?;
            let last_seq: Seq = row.try_get(2).in_domain()?;
            conversations.push(id);
            if last_seq > indexed_seq {
                tails.get_or_insert_with(JsonArray::new).row(|row| {
                    row.id(id).number(indexed_seq);
                });
            }
        }
        Ok(Self {
            tx,
            sender: search.sender_id.map(UserId::as_uuid),
            before: search.before.map(MessageId::as_uuid),
            expression: tokens::expression(conversations.iter().copied(), &search.query),
            conversations: json_ids(conversations),
            tails: tails.map(JsonArray::finish),
        })
    }
}

impl SearchSource for Source {
    type Error = Error;

    async fn tail(&mut self, before: Option<MessageId>, limit: i64) -> Result<Vec<Candidate>> {
        let Some(tails) = self.tails.as_deref() else {
            return Ok(Vec::new());
        };
        sqlx::query(TAIL)
            .bind(tails)
            .bind(self.sender)
            .bind(before.map(MessageId::as_uuid))
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?
            .iter()
            .map(candidate)
            .collect()
    }

    async fn segments(&mut self, after: Option<Span>, limit: i64) -> Result<Vec<Span>> {
        if self.expression.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query(SEGMENTS)
            .bind(self.expression.as_str())
            .bind(self.conversations.as_str())
            .bind(self.before)
            .bind(after.map(|span| span.newest.as_uuid()))
            .bind(after.map(|span| span.first_seq))
            .bind(after.map(|span| span.last_seq))
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?
            .iter()
            .map(span)
            .collect()
    }

    async fn candidates(
        &mut self,
        spans: &[Span],
        before: Option<MessageId>,
    ) -> Result<Vec<Candidate>> {
        let mut wanted = JsonArray::new();
        for span in spans {
            wanted.row(|row| {
                row.id(span.conversation_id)
                    .number(span.first_seq)
                    .number(span.last_seq);
            });
        }
        sqlx::query(CANDIDATES)
            .bind(wanted.finish())
            .bind(self.sender)
            .bind(before.map(MessageId::as_uuid))
            .fetch_all(&mut *self.tx)
            .await
            .in_domain()?
            .iter()
            .map(candidate)
            .collect()
    }
}

fn candidate(row: &SqliteRow) -> Result<Candidate> {
    Ok(Candidate {
        id: MessageId::from_uuid(rows::id(row, 0)?),
        body: row.try_get(1).in_domain()?,
    })
}

fn span(row: &SqliteRow) -> Result<Span> {
    Ok(Span {
        conversation_id: ConversationId::from_uuid(rows::id(row, 0)?),
        first_seq: row.try_get(1).in_domain()?,
        last_seq: row.try_get(2).in_domain()?,
        newest: MessageId::from_uuid(rows::id(row, 3)?),
    })
}
