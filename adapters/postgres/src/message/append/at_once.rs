//! A batch in which nothing has to be decided, which is nearly every one: one statement, one round trip.
//!
//! All or nothing: a batch with a message that is refused, that was sent before, or that names other things
//! stores nothing here and goes the long way, which finds out what is to be answered. So does one that would
//! have to wait for a conversation: what decides is read as it stands when the statement starts, and is right
//! only if nothing has come in between.

use std::collections::{BTreeMap, HashSet};

use connexus_domain::message::{AppendOutcome, Appended};
use connexus_domain::{
    ClientId, ConversationId, Error, MessageBody, Result, Rev, Seq, Timestamp, UserId,
};
use sqlx::Row as _;
use sqlx::postgres::{PgBindIterExt as _, PgRow};

use super::Prepared;
use crate::error::{InDomain as _, has_lost_a_race, is_taken};
use crate::sql::uuids;
use crate::storage::PostgresStorage;

/// The messages (`$1` to `$10`), their conversations (`$11` to `$13`) and senders (`$14` to `$18`), both sorted. What
/// is counted was counted before, and where a conversation stands is looked up by its place in the list, so there
/// is no join whose cost grows with the square of the batch.
///
/// Rows are locked in the order of their ids: those of conversations among batches, those of members against
/// receipts, too. As a plain condition, `left_at IS NULL` would tempt the planner to start from an index of all who
/// are present.
pub(crate) const STORE_AT_ONCE: &str = concat!(
    "\
    WITH locked AS MATERIALIZED (\
      SELECT c.id, c.last_seq, c.rev, c.last_activity_at FROM conversations c \
      WHERE c.id = ANY($11::uuid[]) AND c.deleted_at IS NULL ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED\
    ), stands AS MATERIALIZED (\
      SELECT array_agg(last_seq ORDER BY id) AS seqs, array_agg(rev ORDER BY id) AS revs, \
        array_agg(last_activity_at ORDER BY id) AS times FROM locked\
    ), senders AS MATERIALIZED (\
      SELECT p.user_id FROM members p \
      JOIN unnest($14::uuid[], $15::uuid[]) v(conversation_id, user_id) \
        ON p.conversation_id = v.conversation_id AND p.user_id = v.user_id \
      WHERE CASE WHEN p.left_at IS NULL THEN TRUE ELSE FALSE END \
      ORDER BY p.conversation_id, p.user_id FOR NO KEY UPDATE OF p\
    ), checked AS MATERIALIZED (\
      SELECT s.* FROM stands s WHERE cardinality(s.seqs) = cardinality($11::uuid[]) \
        AND (SELECT count(*) FROM senders) = cardinality($14::uuid[]) \
        AND NOT EXISTS (\
          SELECT FROM unnest($2::uuid[], $3::uuid[], $6::text[]) v(conversation_id, sender_id, client_id) \
          WHERE (SELECT k.conversation_id",
    at_key!(),
    ") = v.conversation_id)\
    ), stored AS (\
      INSERT INTO messages \
        (id, conversation_id, seq, rev, sender_id, kind, body, client_id, fingerprint, created_at, \
         changed) \
      SELECT v.id, v.conversation_id, s.seqs[v.place] + v.nth, s.revs[v.place] + v.nth, v.sender_id, v.kind, v.body, \
        v.client_id, v.fingerprint, greatest(s.times[v.place], v.at), false \
      FROM checked s, unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bytea[], \
          $8::int8[], $9::int4[], $10::int8[]) \
        v(id, conversation_id, sender_id, kind, body, client_id, fingerprint, at, place, nth)\
    ), readers AS (\
      UPDATE members p SET read_seq = s.seqs[v.place] + v.nth, delivered_seq = s.seqs[v.place] + v.nth, \
        read_at = greatest(s.times[v.place], v.at), delivered_at = greatest(s.times[v.place], v.at) \
      FROM checked s, unnest($14::uuid[], $15::uuid[], $16::int4[], $17::int8[], $18::int8[]) \
        v(conversation_id, user_id, place, nth, at) \
      WHERE p.conversation_id = v.conversation_id AND p.user_id = v.user_id\
    ), moved AS (\
      UPDATE conversations c SET last_seq = c.last_seq + v.count, rev = c.rev + v.count, \
        last_activity_at = greatest(c.last_activity_at, v.at) \
      FROM checked s, unnest($11::uuid[], $12::int8[], $13::int8[]) v(id, count, at) \
      WHERE c.id = v.id\
    ) \
    SELECT seqs, revs, times FROM checked"
);

/// Stores the batch and answers for each message, or stores nothing and answers nothing.
pub(super) async fn store(
    storage: &PostgresStorage,
    batch: &[Prepared<'_>],
) -> Result<Option<Vec<Result<AppendOutcome>>>> {
    if !storage.stores_at_once() || !decides_nothing(batch) {
        return Ok(None);
    }
    match storage.patiently(run(storage, batch)).await {
        // another process was faster with the same key, or had locked what this one waited for
        Err(error) if is_taken(&error) || has_lost_a_race(&error) => Ok(None),
        result => result,
    }
}

/// Whether the messages name nothing, and no two have the same key.
fn decides_nothing(batch: &[Prepared<'_>]) -> bool {
    let mut keys = HashSet::new();
    batch.iter().all(|prepared| {
        let new = prepared.new;
        new.attachments.is_empty()
            && new.reply_to.is_none()
            && new.thread_id.is_none()
            && new.client_id.as_ref().is_none_or(|client_id| {
                keys.insert((new.conversation_id, new.sender_id, client_id.as_str()))
            })
    })
}

/// What a message, or the last one of several, adds to where its conversation stands.
#[derive(Clone, Copy)]
struct Step {
    /// How many of its conversation there are up to it.
    nth: i64,
    /// The latest time among them.
    at: Timestamp,
}

/// All that is counted before anything is known of the database.
struct Counted {
    /// One for each message.
    steps: Vec<Step>,
    /// The last of each conversation; the place in this list is the place in SQL's, less one.
    conversations: BTreeMap<ConversationId, Step>,
    /// The last of each sender.
    senders: BTreeMap<(ConversationId, UserId), Step>,
}

impl Counted {
    fn of(batch: &[Prepared<'_>]) -> Self {
        let mut counted = Self {
            steps: Vec::with_capacity(batch.len()),
            conversations: BTreeMap::new(),
            senders: BTreeMap::new(),
        };
        for Prepared { new, .. } in batch {
            let first = Step { nth: 0, at: new.at };
            let last = counted
                .conversations
                .entry(new.conversation_id)
                .or_insert(first);
            last.nth += 1;
            last.at = last.at.max(new.at);
            counted.steps.push(*last);
            let sender = (new.conversation_id, new.sender_id);
            counted.senders.insert(sender, *last);
        }
        counted
    }

    fn places(&self) -> BTreeMap<ConversationId, i32> {
        self.conversations.keys().copied().zip(1..).collect()
    }
}

async fn run(
    storage: &PostgresStorage,
    batch: &[Prepared<'_>],
) -> Result<Option<Vec<Result<AppendOutcome>>>> {
    let new = || batch.iter().map(|prepared| prepared.new);
    let counted = &Counted::of(batch);
    let places = &counted.places();
    let place = |id| places.get(id).copied();
    let row = sqlx::query(STORE_AT_ONCE)
        .bind(uuids(new().map(|new| new.id)))
        .bind(uuids(new().map(|new| new.conversation_id)))
        .bind(uuids(new().map(|new| new.sender_id)))
        .bind(new().map(|new| new.kind.as_str()).bind_iter())
        .bind(
            new()
                .map(|new| new.body.as_ref().map(MessageBody::as_str))
                .bind_iter(),
        )
        .bind(
            new()
                .map(|new| new.client_id.as_ref().map(ClientId::as_str))
                .bind_iter(),
        )
        .bind(
            batch
                .iter()
                .map(|p| p.fingerprint.map(|print| print.0.to_vec()))
                .bind_iter(),
        )
        .bind(counted.steps.iter().map(|s| s.at.as_millis()).bind_iter())
        .bind(new().map(|new| place(&new.conversation_id)).bind_iter())
        .bind(counted.steps.iter().map(|step| step.nth).bind_iter())
        .bind(uuids(counted.conversations.keys().copied()))
        .bind(counted.conversations.values().map(|s| s.nth).bind_iter())
        .bind(
            counted
                .conversations
                .values()
                .map(|s| s.at.as_millis())
                .bind_iter(),
        )
        .bind(uuids(counted.senders.keys().map(|key| key.0)))
        .bind(uuids(counted.senders.keys().map(|key| key.1)))
        .bind(counted.senders.keys().map(|key| place(&key.0)).bind_iter())
        .bind(counted.senders.values().map(|step| step.nth).bind_iter())
        .bind(
            counted
                .senders
                .values()
                .map(|step| step.at.as_millis())
                .bind_iter(),
        )
        .fetch_optional(storage.look().await?)
        .await
        .in_domain()?;
    row.map(|row| answers(batch, counted, &row)).transpose()
}

/// What the statement has numbered, from where the conversations stood before it.
fn answers(
    batch: &[Prepared<'_>],
    counted: &Counted,
    row: &PgRow,
) -> Result<Vec<Result<AppendOutcome>>> {
    let seqs: Vec<Seq> = row.try_get(0).in_domain()?;
    let revs: Vec<Rev> = row.try_get(1).in_domain()?;
    let times: Vec<i64> = row.try_get(2).in_domain()?;
    let stood: BTreeMap<_, _> = counted
        .conversations
        .keys()
        .zip(seqs.into_iter().zip(revs).zip(times))
        .collect();
    let answers = batch.iter().zip(&counted.steps).map(|(prepared, step)| {
        let id = prepared.new.conversation_id;
        let ((seq, rev), time) = stood
            .get(&id)
            .ok_or_else(|| Error::corrupt("conversations", "last_seq", id))?;
        Ok(AppendOutcome::Appended(Appended {
            seq: seq + step.nth,
            rev: rev + step.nth,
            created_at: step.at.max(Timestamp::from_millis(*time)),
            attachments: Vec::new(),
        }))
    });
    Ok(answers.collect())
}
