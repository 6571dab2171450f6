//! The index of search: segments of messages, made behind the back of those who write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use connexus_domain::search::{AMENDMENTS_AT_ONCE, Indexable, Segment, resumed_after, segments};
use connexus_domain::{ConversationId, Limit, Message, MessageId, Result, Rev, Seq, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgBindIterExt as _;

use super::lexeme;
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::uuids;
use crate::storage::{PostgresStorage, Tx};

/// Nothing when somebody else indexes.
pub(crate) const LOCK_STATE: &str =
    "SELECT indexed_until FROM search_state WHERE id = 1 FOR UPDATE SKIP LOCKED";

/// Up to `$1` amendments: where their conversation is indexed to, and the last segment that begins before them.
pub(crate) const AMENDMENTS: &str = "\
    SELECT a.conversation_id, a.first_seq, a.rev, coalesce(h.indexed_seq, 0), s.first_seq, s.last_seq \
    FROM (SELECT conversation_id, first_seq, rev FROM search_segments WHERE rev > 0 \
      ORDER BY conversation_id, first_seq LIMIT $1) a \
    LEFT JOIN search_heads h ON h.conversation_id = a.conversation_id \
    LEFT JOIN LATERAL (\
      SELECT g.first_seq, g.last_seq FROM search_segments g \
      WHERE g.conversation_id = a.conversation_id AND g.rev = 0 AND g.first_seq <= a.first_seq \
      ORDER BY g.first_seq DESC LIMIT 1) s ON TRUE";

/// Messages after `$1` and before `$2`.
pub(crate) const NEW: &str = "\
    SELECT id, conversation_id, seq FROM messages WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";

pub(crate) const HEADS: &str =
    "SELECT conversation_id, indexed_seq FROM search_heads WHERE conversation_id = ANY($1)";

/// Messages of the conversations `$1` from the seqs `$2` to `$3`.
pub(crate) const RANGES: &str = "\
    SELECT m.conversation_id, m.seq, m.id, m.body \
    FROM unnest($1::uuid[], $2::int8[], $3::int8[]) v(conversation_id, first_seq, last_seq) \
    JOIN messages m ON m.conversation_id = v.conversation_id \
      AND m.seq >= v.first_seq AND m.seq <= v.last_seq \
    ORDER BY m.conversation_id, m.seq";

/// Segments of the conversations `$1` with the revs `$2` that begin with `$3`.
pub(crate) const REMOVE: &str = "\
    DELETE FROM search_segments s \
    USING unnest($1::uuid[], $2::int8[], $3::int8[]) v(conversation_id, rev, first_seq) \
    WHERE s.conversation_id = v.conversation_id AND s.rev = v.rev AND s.first_seq = v.first_seq";

const INSERT: &str = "\
    INSERT INTO search_segments (conversation_id, first_seq, last_seq, rev, oldest, newest, terms) \
    SELECT v.conversation_id, v.first_seq, v.last_seq, 0, v.oldest, v.newest, \
      array_to_tsvector(string_to_array(v.lexemes, ' ')) \
    FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::uuid[], $5::uuid[], $6::text[]) \
      v(conversation_id, first_seq, last_seq, oldest, newest, lexemes)";

const MOVE_HEADS: &str = "\
    INSERT INTO search_heads (conversation_id, indexed_seq) SELECT * FROM unnest($1::uuid[], $2::int8[]) \
    ON CONFLICT (conversation_id) DO UPDATE SET indexed_seq = excluded.indexed_seq";

/// The message `$2` of the conversation `$1`, which has the id `$4`, is found by `$5` since the rev `$3`.
pub(crate) const AMEND: &str = "\
    WITH before AS (\
      DELETE FROM search_segments WHERE conversation_id = $1 AND first_seq = $2 AND rev > 0\
    ) \
    INSERT INTO search_segments (conversation_id, first_seq, last_seq, rev, oldest, newest, terms) \
    VALUES ($1, $2, $2, $3, $4, $4, array_to_tsvector(string_to_array($5, ' ')))";

/// Where a segment, or an amendment, begins.
type Place = (ConversationId, Rev, Seq);

/// From and to.
type Range = (ConversationId, Seq, Seq);

/// Makes a message found by other words, or by none.
pub(super) async fn amend(
    tx: &mut Tx,
    message: &Message,
    rev: Rev,
    body: Option<&str>,
) -> Result<()> {
    let lexemes = body.and_then(|body| lexeme::of_body(message.conversation_id, body));
    sqlx::query(AMEND)
        .bind(message.conversation_id.as_uuid())
        .bind(message.seq)
        .bind(rev)
        .bind(message.id.as_uuid())
        .bind(lexemes)
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Takes all out that is known of a conversation that has no messages any more: after whoever indexes now, who
/// may still have seen some.
pub(crate) async fn forget(tx: &mut Tx, id: ConversationId) -> Result<()> {
    sqlx::query("SELECT id FROM search_state WHERE id = 1 FOR UPDATE")
        .execute(&mut **tx)
        .await
        .in_domain()?;
    for sql in [
        "DELETE FROM search_segments WHERE conversation_id = $1",
        "DELETE FROM search_heads WHERE conversation_id = $1",
    ] {
        sqlx::query(sql)
            .bind(id.as_uuid())
            .execute(&mut **tx)
            .await
            .in_domain()?;
    }
    Ok(())
}

pub(super) async fn index(
    storage: &PostgresStorage,
    before: Timestamp,
    limit: Limit,
) -> Result<u64> {
    let mut tx = storage.write().await?;
    let state = sqlx::query(LOCK_STATE)
        .fetch_optional(&mut *tx)
        .await
        .in_domain()?;
    let Some(state) = state else {
        return Ok(0);
    };
    let until = rows::id(&state, 0).map(MessageId::from_uuid)?;
    let until = resumed_after(Some(until), before).unwrap_or(until);
    // amendments come first: a message is read after it was found to be amended
    let amended = rebuild(&mut tx, limit).await?;
    let added = add(&mut tx, until, MessageId::first_at(before), limit).await?;
    if amended + added == 0 {
        // an idle step shall not wait for the disk
        tx.rollback().await.in_domain()?;
    } else {
        tx.commit().await.in_domain()?;
    }
    Ok(amended + added)
}

/// Makes the segments anew in which messages were edited or deleted.
async fn rebuild(tx: &mut Tx, limit: Limit) -> Result<u64> {
    let found = sqlx::query(AMENDMENTS)
        .bind((limit.and_one() - 1).min(AMENDMENTS_AT_ONCE))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    if found.is_empty() {
        return Ok(0);
    }
    let mut old: BTreeSet<Place> = BTreeSet::new();
    let mut ranges: BTreeSet<Range> = BTreeSet::new();
    for row in &found {
        let id = rows::id(row, 0).map(ConversationId::from_uuid)?;
        let [seq, rev, indexed]: [i64; 3] = [
            row.try_get(1).in_domain()?,
            row.try_get(2).in_domain()?,
            row.try_get(3).in_domain()?,
        ];
        let first: Option<Seq> = row.try_get(4).in_domain()?;
        let last: Option<Seq> = row.try_get(5).in_domain()?;
        old.insert((id, rev, seq));
        match first.zip(last) {
            Some((first, last)) if last >= seq => {
                old.insert((id, 0, first));
                ranges.insert((id, first, last));
            }
            _ if seq <= indexed => {
                ranges.insert((id, seq, seq));
            }
            // not indexed yet
            _ => {}
        }
    }
    let messages = read(tx, &ranges).await?;
    sqlx::query(REMOVE)
        .bind(uuids(old.iter().map(|place| place.0)))
        .bind(old.iter().map(|place| place.1).bind_iter())
        .bind(old.iter().map(|place| place.2).bind_iter())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    insert(tx, &segments(&messages)).await?;
    Ok(found.len() as u64)
}

/// Makes segments of messages that are not indexed yet.
async fn add(tx: &mut Tx, until: MessageId, before: MessageId, limit: Limit) -> Result<u64> {
    let found = sqlx::query(NEW)
        .bind(until.as_uuid())
        .bind(before.as_uuid())
        .bind(limit.and_one() - 1)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    let mut lasts: BTreeMap<ConversationId, Seq> = BTreeMap::new();
    let mut until = None;
    for row in &found {
        until = Some(rows::id(row, 0)?);
        let seq: Seq = row.try_get(2).in_domain()?;
        let last = lasts.entry(ConversationId::from_uuid(rows::id(row, 1)?));
        last.and_modify(|last| *last = seq.max(*last))
            .or_insert(seq);
    }
    let Some(until) = until else {
        return Ok(0);
    };
    let heads = heads(tx, &lasts).await?;
    let head = |id| heads.get(&id).copied().unwrap_or(0);
    // ids are nearly in the order of seqs, so a conversation's messages are not always just those that were found
    let ranges: BTreeSet<Range> = lasts
        .into_iter()
        .map(|(id, last)| (id, head(id) + 1, last))
        .filter(|(_, first, last)| first <= last)
        .collect();
    let messages = read(tx, &ranges).await?;
    insert(tx, &segments(&messages)).await?;
    sqlx::query(MOVE_HEADS)
        .bind(uuids(ranges.iter().map(|range| range.0)))
        .bind(ranges.iter().map(|range| range.2).bind_iter())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    sqlx::query("UPDATE search_state SET indexed_until = $1 WHERE id = 1")
        .bind(until)
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(found.len() as u64)
}

async fn heads(
    tx: &mut Tx,
    conversations: &BTreeMap<ConversationId, Seq>,
) -> Result<HashMap<ConversationId, Seq>> {
    sqlx::query(HEADS)
        .bind(uuids(conversations.keys().copied()))
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let id = rows::id(row, 0).map(ConversationId::from_uuid)?;
            Ok((id, row.try_get(1).in_domain()?))
        })
        .collect()
}

async fn read(tx: &mut Tx, ranges: &BTreeSet<Range>) -> Result<Vec<Indexable>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(RANGES)
        .bind(uuids(ranges.iter().map(|range| range.0)))
        .bind(ranges.iter().map(|range| range.1).bind_iter())
        .bind(ranges.iter().map(|range| range.2).bind_iter())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            Ok(Indexable {
                conversation_id: ConversationId::from_uuid(rows::id(row, 0)?),
                seq: row.try_get(1).in_domain()?,
                id: MessageId::from_uuid(rows::id(row, 2)?),
                body: row.try_get(3).in_domain()?,
            })
        })
        .collect()
}

async fn insert(tx: &mut Tx, segments: &[Segment]) -> Result<()> {
    if segments.is_empty() {
        return Ok(());
    }
    let lexemes = segments
        .iter()
        .map(|segment| lexeme::all(segment.conversation_id, &segment.terms));
    sqlx::query(INSERT)
        .bind(uuids(
            segments.iter().map(|segment| segment.conversation_id),
        ))
        .bind(segments.iter().map(|segment| segment.first_seq).bind_iter())
        .bind(segments.iter().map(|segment| segment.last_seq).bind_iter())
        .bind(uuids(segments.iter().map(|segment| segment.oldest)))
        .bind(uuids(segments.iter().map(|segment| segment.newest)))
        .bind(lexemes.bind_iter())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}
