//! Writing a batch.

use connexus_domain::{AttachmentId, ClientId, MessageBody, MessageId, Result};
use sqlx::postgres::PgBindIterExt as _;

use super::Batch;
use crate::attachment;
use crate::error::InDomain as _;
use crate::sql::uuids;
use crate::storage::Tx;

/// The messages (`$1` to `$13`), their senders' watermarks (`$14` to `$17`), and where the conversations stand
/// then (`$18` to `$21`).
pub(crate) const STORE: &str = "\
    WITH stored AS (\
      INSERT INTO messages \
        (id, conversation_id, seq, rev, sender_id, kind, body, attachments, reply_to, thread_id, \
         client_id, fingerprint, created_at, changed) \
      SELECT v.id, v.conversation_id, v.seq, v.rev, v.sender_id, v.kind, v.body, \
        v.attachments::uuid[], v.reply_to, v.thread_id, v.client_id, v.fingerprint, v.created_at, false \
      FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::uuid[], $6::text[], \
          $7::text[], $8::text[], $9::uuid[], $10::uuid[], $11::text[], $12::bytea[], $13::int8[]) \
        v(id, conversation_id, seq, rev, sender_id, kind, body, attachments, reply_to, thread_id, \
          client_id, fingerprint, created_at)\
    ), senders AS MATERIALIZED (\
      SELECT p.conversation_id, p.user_id, v.seq, v.at FROM members p \
      JOIN unnest($14::uuid[], $15::uuid[], $16::int8[], $17::int8[]) \
        v(conversation_id, user_id, seq, at) \
        ON p.conversation_id = v.conversation_id AND p.user_id = v.user_id \
      ORDER BY p.conversation_id, p.user_id FOR NO KEY UPDATE OF p\
    ), readers AS (\
      UPDATE members p SET read_seq = v.seq, delivered_seq = v.seq, read_at = v.at, \
        delivered_at = v.at \
      FROM senders v \
      WHERE p.conversation_id = v.conversation_id AND p.user_id = v.user_id\
    ) \
    UPDATE conversations c SET last_seq = v.seq, rev = v.rev, last_activity_at = v.at \
    FROM unnest($18::uuid[], $19::int8[], $20::int8[], $21::int8[]) v(id, seq, rev, at) \
    WHERE c.id = v.id";

/// After [`STORE`], since a root may be in the same batch.
pub(crate) const MOVE_ROOTS: &str = "\
    UPDATE messages m SET reply_count = m.reply_count + v.replies, rev = v.rev, changed = true \
    FROM unnest($1::uuid[], $2::int8[], $3::int8[]) v(id, replies, rev) WHERE m.id = v.id";

pub(super) async fn store(tx: &mut Tx, batch: &Batch<'_>) -> Result<()> {
    let new = || batch.rows.iter().map(|row| row.prepared.new);
    let numbers = || batch.rows.iter().map(|row| &row.numbers);
    let prepared = || batch.rows.iter().map(|row| row.prepared);
    let moved = || batch.conversations.iter().filter(|(_, s)| s.moved);
    sqlx::query(STORE)
        .bind(uuids(new().map(|new| new.id)))
        .bind(uuids(new().map(|new| new.conversation_id)))
        .bind(numbers().map(|n| n.seq).bind_iter())
        .bind(numbers().map(|n| n.rev).bind_iter())
        .bind(uuids(new().map(|new| new.sender_id)))
        .bind(new().map(|new| new.kind.as_str()).bind_iter())
        .bind(
            new()
                .map(|new| new.body.as_ref().map(MessageBody::as_str))
                .bind_iter(),
        )
        .bind(new().map(|new| attachments(&new.attachments)).bind_iter())
        .bind(
            new()
                .map(|new| new.reply_to.map(MessageId::as_uuid))
                .bind_iter(),
        )
        .bind(
            new()
                .map(|new| new.thread_id.map(MessageId::as_uuid))
                .bind_iter(),
        )
        .bind(
            new()
                .map(|new| new.client_id.as_ref().map(ClientId::as_str))
                .bind_iter(),
        )
        .bind(
            prepared()
                .map(|p| p.fingerprint.map(|print| print.0.to_vec()))
                .bind_iter(),
        )
        .bind(numbers().map(|n| n.created_at.as_millis()).bind_iter())
        .bind(uuids(batch.readers.keys().map(|key| key.0)))
        .bind(uuids(batch.readers.keys().map(|key| key.1)))
        .bind(batch.readers.values().map(|to| to.0).bind_iter())
        .bind(
            batch
                .readers
                .values()
                .map(|to| to.1.as_millis())
                .bind_iter(),
        )
        .bind(uuids(moved().map(|(id, _)| *id)))
        .bind(moved().map(|(_, s)| s.last_seq).bind_iter())
        .bind(moved().map(|(_, s)| s.rev).bind_iter())
        .bind(
            moved()
                .map(|(_, s)| s.last_activity_at.as_millis())
                .bind_iter(),
        )
        .execute(&mut **tx)
        .await
        .in_domain()?;
    let claimed: Vec<_> = new()
        .flat_map(|new| new.attachments.iter().map(|id| (*id, new.id)))
        .collect();
    attachment::attach(tx, &claimed).await?;
    if batch.roots.is_empty() {
        return Ok(());
    }
    sqlx::query(MOVE_ROOTS)
        .bind(uuids(batch.roots.keys().copied()))
        .bind(batch.roots.values().map(|root| root.0).bind_iter())
        .bind(batch.roots.values().map(|root| root.1).bind_iter())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// As the text of an array, since arrays of arrays do not come apart row by row; nothing for none.
fn attachments(ids: &[AttachmentId]) -> Option<String> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| format!("{{{}}}", ids.join(",")))
}
