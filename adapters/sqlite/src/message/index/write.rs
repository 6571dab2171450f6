//! What changes the index: steps, changes of messages, and the end of conversations.

use std::collections::HashMap;
use std::sync::LazyLock;

use connexus_domain::terms::terms;
use connexus_domain::{ConversationId, Message, MessageId, Result, Rev, Seq};
use sqlx::Row as _;

use super::super::tokens::tokens;
use super::Step;
use crate::error::InDomain as _;
use crate::rows;
use crate::sql::{JsonArray, Statements, chunks, statements};
use crate::storage::{SqliteStorage, Tx};

/// Only if there was no other step since.
pub(crate) const TAKE_STEP: &str = "\
    UPDATE search_state SET steps = steps + 1, indexed_until = coalesce(?2, indexed_until) \
    WHERE id = 1 AND steps = ?1";

/// Not those of conversations that were purged meanwhile.
pub(crate) const ADD_SEGMENTS: &str = "\
    INSERT INTO search_segments (conversation_id, first_seq, last_seq, rev, oldest, newest) \
    SELECT c.id, j.value ->> 1, j.value ->> 2, 0, unhex(j.value ->> 3), unhex(j.value ->> 4) \
    FROM json_each(?1) j CROSS JOIN conversations c ON c.id = unhex(j.value ->> 0) \
    RETURNING num, conversation_id, first_seq";

/// Not those of conversations that were purged meanwhile.
pub(crate) const MOVE_HEADS: &str = "\
    INSERT INTO search_heads (conversation_id, indexed_seq) \
    SELECT c.id, j.value ->> 1 \
    FROM json_each(?1) j CROSS JOIN conversations c WHERE c.id = unhex(j.value ->> 0) \
    ON CONFLICT (conversation_id) DO UPDATE SET indexed_seq = excluded.indexed_seq";

pub(crate) const REMOVE_TERMS: &str =
    "DELETE FROM segment_terms WHERE rowid IN (SELECT j.value FROM json_each(?1) j)";

pub(crate) const REMOVE: &str =
    "DELETE FROM search_segments WHERE num IN (SELECT j.value FROM json_each(?1) j)";

/// An earlier amendment of a message.
pub(crate) const AMENDED: &str = "\
    DELETE FROM search_segments WHERE conversation_id = ?1 AND first_seq = ?2 AND rev > 0 RETURNING num";

pub(crate) const FORGET: &str = "\
    DELETE FROM search_segments WHERE conversation_id = ?1 AND first_seq <= ?2 RETURNING num";

pub(crate) const FORGET_HEAD: &str = "DELETE FROM search_heads WHERE conversation_id = ?1";

static ADD_TERMS: LazyLock<Statements> =
    LazyLock::new(|| statements("INSERT INTO segment_terms (rowid, tokens) VALUES ", "(?,?)"));

pub(super) async fn write(storage: &SqliteStorage, step: &Step) -> Result<u64> {
    let mut tx = storage.write().await?;
    let taken = sqlx::query(TAKE_STEP)
        .bind(step.number)
        .bind(step.indexed_until.map(MessageId::as_uuid))
        .execute(&mut *tx)
        .await
        .in_domain()?;
    if taken.rows_affected() == 0 {
        tx.rollback().await.in_domain()?;
        return Ok(0);
    }
    remove(&mut tx, &step.outdated).await?;
    add(&mut tx, step).await?;
    move_heads(&mut tx, &step.heads).await?;
    tx.commit().await.in_domain()?;
    Ok(step.count)
}

async fn add(tx: &mut Tx, step: &Step) -> Result<()> {
    if step.segments.is_empty() {
        return Ok(());
    }
    let mut rows = JsonArray::new();
    for (segment, _) in &step.segments {
        rows.row(|row| {
            row.id(segment.conversation_id)
                .number(segment.first_seq)
                .number(segment.last_seq)
                .id(segment.oldest)
                .id(segment.newest);
        });
    }
    let nums = sqlx::query(ADD_SEGMENTS)
        .bind(rows.finish())
        .fetch_all(&mut **tx)
        .await
        .in_domain()?
        .iter()
        .map(|row| {
            let id = ConversationId::from_uuid(rows::id(row, 1)?);
            let first_seq: Seq = row.try_get(2).in_domain()?;
            Ok(((id, first_seq), row.try_get(0).in_domain()?))
        })
        .collect::<Result<HashMap<_, i64>>>()?;
    let numbered = step.segments.iter().filter_map(|(segment, tokens)| {
        let num = nums.get(&(segment.conversation_id, segment.first_seq))?;
        Some((*num, tokens.as_str()))
    });
    add_terms(tx, numbered.collect()).await
}

/// In the order of their numbers, since FTS5 starts a new list at each step back.
async fn add_terms(tx: &mut Tx, mut numbered: Vec<(i64, &str)>) -> Result<()> {
    numbered.sort_unstable();
    for (chunk, sql) in chunks(&numbered, &ADD_TERMS) {
        let mut query = sqlx::query(sql);
        for (num, tokens) in chunk {
            query = query.bind(*num).bind(*tokens);
        }
        query.execute(&mut **tx).await.in_domain()?;
    }
    Ok(())
}

async fn move_heads(tx: &mut Tx, heads: &HashMap<ConversationId, Seq>) -> Result<()> {
    if heads.is_empty() {
        return Ok(());
    }
    let mut rows = JsonArray::new();
    for (id, seq) in heads {
        rows.row(|row| {
            row.id(*id).number(*seq);
        });
    }
    sqlx::query(MOVE_HEADS)
        .bind(rows.finish())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

async fn remove(tx: &mut Tx, nums: &[i64]) -> Result<()> {
    if nums.is_empty() {
        return Ok(());
    }
    let nums = json_numbers(nums);
    for sql in [REMOVE_TERMS, REMOVE] {
        sqlx::query(sql)
            .bind(nums.as_str())
            .execute(&mut **tx)
            .await
            .in_domain()?;
    }
    Ok(())
}

/// Leaves word that a message has another body, or none.
pub(in crate::message) async fn amend(
    tx: &mut Tx,
    message: &Message,
    rev: Rev,
    body: Option<&str>,
) -> Result<()> {
    remove_returned(tx, AMENDED, message.conversation_id, message.seq).await?;
    let num: i64 = sqlx::query_scalar(
        "INSERT INTO search_segments (conversation_id, first_seq, last_seq, rev, oldest, newest) \
         VALUES (?1, ?2, ?2, ?3, ?4, ?4) RETURNING num",
    )
    .bind(message.conversation_id.as_uuid())
    .bind(message.seq)
    .bind(rev)
    .bind(message.id.as_uuid())
    .fetch_one(&mut **tx)
    .await
    .in_domain()?;
    let terms = body.map(terms).unwrap_or_default();
    if terms.is_empty() {
        return Ok(());
    }
    let tokens = tokens(message.conversation_id, &terms);
    add_terms(tx, vec![(num, &tokens)]).await
}

/// Takes a deleted conversation's segments out that start at a seq or before.
pub(in crate::message) async fn forget_up_to(
    tx: &mut Tx,
    id: ConversationId,
    seq: Seq,
) -> Result<()> {
    remove_returned(tx, FORGET, id, seq).await
}

/// Takes all out that is left of a conversation.
pub(crate) async fn forget(tx: &mut Tx, id: ConversationId) -> Result<()> {
    forget_up_to(tx, id, Seq::MAX).await?;
    sqlx::query(FORGET_HEAD)
        .bind(id.as_uuid())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Removes segments, of which the statement says the numbers, and their terms.
async fn remove_returned(
    tx: &mut Tx,
    sql: &'static str,
    id: ConversationId,
    seq: Seq,
) -> Result<()> {
    let nums: Vec<i64> = sqlx::query_scalar(sql)
        .bind(id.as_uuid())
        .bind(seq)
        .fetch_all(&mut **tx)
        .await
        .in_domain()?;
    if nums.is_empty() {
        return Ok(());
    }
    sqlx::query(REMOVE_TERMS)
        .bind(json_numbers(&nums))
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

fn json_numbers(numbers: &[i64]) -> String {
    let mut array = JsonArray::new();
    for number in numbers {
        array.number(*number);
    }
    array.finish()
}
