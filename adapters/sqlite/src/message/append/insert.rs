//! The rows of a batch.

use std::sync::LazyLock;

use connexus_domain::message::{Appended, Fingerprint};
use connexus_domain::{AttachmentId, ClientId, MessageBody, MessageId, NewMessage, Result};

use crate::error::InDomain as _;
use crate::sql::{Statements, chunks, statements};
use crate::storage::Tx;

/// A message with all that it is stored with.
pub(super) struct NewRow<'b> {
    pub new: &'b NewMessage,
    pub numbers: Appended,
    /// Only with a `client_id`.
    pub fingerprint: Option<Fingerprint>,
}

static MESSAGES: LazyLock<Statements> = LazyLock::new(|| {
    statements(
        "INSERT INTO messages \
         (num, id, conversation_id, seq, rev, sender_id, kind, body, attachments, reply_to, \
          thread_id, client_id, fingerprint, created_at, changed) VALUES ",
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,FALSE)",
    )
});

pub(super) async fn insert(tx: &mut Tx, rows: &[NewRow<'_>]) -> Result<()> {
    let first: i64 = sqlx::query_scalar("SELECT coalesce(max(num), 0) + 1 FROM messages")
        .fetch_one(&mut **tx)
        .await
        .in_domain()?;
    let numbered: Vec<(i64, &NewRow<'_>)> = (first..).zip(rows).collect();
    for (chunk, sql) in chunks(&numbered, &MESSAGES) {
        let mut query = sqlx::query(sql);
        for (num, row) in chunk {
            let new = row.new;
            query = query
                .bind(*num)
                .bind(new.id.as_uuid())
                .bind(new.conversation_id.as_uuid())
                .bind(row.numbers.seq)
                .bind(row.numbers.rev)
                .bind(new.sender_id.as_uuid())
                .bind(new.kind.as_str())
                .bind(new.body.as_ref().map(MessageBody::as_str))
                .bind(attachments(&new.attachments))
                .bind(new.reply_to.map(MessageId::as_uuid))
                .bind(new.thread_id.map(MessageId::as_uuid))
                .bind(new.client_id.as_ref().map(ClientId::as_str))
                .bind(row.fingerprint.map(|print| print.0.to_vec()))
                .bind(row.numbers.created_at.as_millis());
        }
        query.execute(&mut **tx).await.in_domain()?;
    }
    Ok(())
}

/// Sixteen bytes each; nothing for none.
fn attachments(ids: &[AttachmentId]) -> Option<Vec<u8>> {
    (!ids.is_empty()).then(|| {
        ids.iter()
            .flat_map(|id| id.as_uuid().into_bytes())
            .collect()
    })
}
