//! What a step of the index is made of.

use std::collections::HashMap;

use connexus_domain::search::Indexable;
use connexus_domain::{ConversationId, MessageId, Result, Seq};
use sqlx::Row as _;
use uuid::Uuid;

use super::Ranges;
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{JsonArray, bytes_or_least};
use crate::storage::Tx;

/// By the index of those, which the planner would not take: they are few among all segments.
pub(crate) const AMENDMENTS: &str = "\
    SELECT s.num, s.conversation_id, s.first_seq, coalesce(h.indexed_seq, 0) \
    FROM search_segments s INDEXED BY search_segments_amendments \
    LEFT JOIN search_heads h ON h.conversation_id = s.conversation_id \
    WHERE s.rev > 0 ORDER BY s.num LIMIT +?1";

/// The segments of messages with the conversations and seqs `?1`, with the place in that list.
pub(crate) const COVERING: &str = "\
    SELECT j.key, s.num, s.first_seq, s.last_seq \
    FROM json_each(?1) j CROSS JOIN search_segments s ON s.num = (\
      SELECT n.num FROM search_segments n \
      WHERE n.conversation_id = unhex(j.value ->> 0) AND n.first_seq <= j.value ->> 1 AND n.rev = 0 \
      ORDER BY n.first_seq DESC LIMIT 1) \
    WHERE s.last_seq >= j.value ->> 1";

pub(crate) const NEW: &str = "\
    SELECT m.id, m.conversation_id, m.seq, coalesce(h.indexed_seq, 0) \
    FROM messages m LEFT JOIN search_heads h ON h.conversation_id = m.conversation_id \
    WHERE m.id > ?1 AND m.id < ?2 ORDER BY m.id LIMIT +?3";

/// Messages of the conversations, from a seq to a seq, `?1`.
pub(crate) const RANGES: &str = "\
    SELECT m.conversation_id, m.seq, m.id, m.body FROM json_each(?1) j CROSS JOIN messages m \
    ON m.conversation_id = unhex(j.value ->> 0) AND m.seq BETWEEN j.value ->> 1 AND j.value ->> 2";

pub(super) struct State {
    pub indexed_until: Option<MessageId>,
    pub steps: i64,
}

/// That a message was changed.
pub(super) struct Amendment {
    pub num: i64,
    pub conversation_id: ConversationId,
    pub seq: Seq,
    /// Up to where its conversation is indexed.
    pub indexed_seq: Seq,
}

/// A message that the index has not looked at.
pub(super) struct New {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: Seq,
    /// Up to where its conversation is indexed.
    pub indexed_seq: Seq,
}

/// A segment that a message is in.
pub(super) struct Covering {
    pub num: i64,
    pub first_seq: Seq,
    pub last_seq: Seq,
}

pub(super) async fn state(tx: &mut Tx) -> Result<State> {
    let row = sqlx::query("SELECT indexed_until, steps FROM search_state WHERE id = 1")
        .fetch_one(&mut **tx)
        .await
        .in_domain()?;
    let indexed_until: Option<Uuid> = row.try_get(0).in_domain()?;
    Ok(State {
        indexed_until: indexed_until.map(MessageId::from_uuid),
        steps: row.try_get(1).in_domain()?,
    })
}

pub(super) async fn amendments(tx: &mut Tx, limit: i64) -> Result<Vec<Amendment>> {
    sqlx::query(AMENDMENTS)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            Ok(Amendment {
                num: row.try_get(0).in_domain()?,
                conversation_id: ConversationId::from_uuid(rows::id(row, 1)?),
                seq: row.try_get(2).in_domain()?,
                indexed_seq: row.try_get(3).in_domain()?,
            })
        })
        .collect()
}

/// For each of these messages the segment that it is in, if it is in one.
pub(super) async fn covering(
    tx: &mut Tx,
    places: &[(ConversationId, Seq)],
) -> Result<Vec<((ConversationId, Seq), Option<Covering>)>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = JsonArray::new();
    for (conversation, seq) in places {
        wanted.row(|row| {
            row.id(*conversation).number(*seq);
        });
    }
    let mut found = sqlx::query(COVERING)
        .bind(wanted.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let covering = Covering {
                num: row.try_get(1).in_domain()?,
                first_seq: row.try_get(2).in_domain()?,
                last_seq: row.try_get(3).in_domain()?,
            };
            Ok((row.try_get(0).in_domain()?, covering))
        })
        .collect::<Result<HashMap<i64, Covering>>>()?;
    let with_covering = (0..)
        .zip(places)
        .map(|(key, place)| (*place, found.remove(&key)));
    Ok(with_covering.collect())
}

pub(super) async fn new(
    tx: &mut Tx,
    after: Option<MessageId>,
    before: MessageId,
    limit: i64,
) -> Result<Vec<New>> {
    sqlx::query(NEW)
        .bind(bytes_or_least(after))
        .bind(before.as_uuid())
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            Ok(New {
                id: MessageId::from_uuid(rows::id(row, 0)?),
                conversation_id: ConversationId::from_uuid(rows::id(row, 1)?),
                seq: row.try_get(2).in_domain()?,
                indexed_seq: row.try_get(3).in_domain()?,
            })
        })
        .collect()
}

/// Messages as they are now, sorted by conversation and seq.
pub(super) async fn messages(tx: &mut Tx, ranges: &Ranges) -> Result<Vec<Indexable>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = JsonArray::new();
    for ((conversation, first), last) in ranges {
        wanted.row(|row| {
            row.id(*conversation).number(*first).number(*last);
        });
    }
    let mut messages = sqlx::query(RANGES)
        .bind(wanted.finish())
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
        .collect::<Result<Vec<_>>>()?;
    messages.sort_by_key(|message| (message.conversation_id, message.seq));
    Ok(messages)
}
