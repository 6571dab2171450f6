use std::collections::HashMap;

use async_trait::async_trait;
use bson::{Document, doc};
use connexus_domain::ports::ReceiptRepository;
use connexus_domain::{
    ConversationId, Limit, Member, Page, Receipt, Result, Seq, Timestamp, UserId, WatermarkAdvance,
};

use crate::conversation::{heads_of, members_among, members_page};
use crate::documents::{MemberDoc, MemberKey, date};
use crate::error::Tried;
use crate::query::statement;
use crate::storage::MongoStorage;
use crate::tx::Tx;

#[async_trait]
impl ReceiptRepository for MongoStorage {
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.transact(|tx| Box::pin(advance(tx, batch, now))).await
    }

    async fn list(
        &self,
        conversation_id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>> {
        let page = members_page(self, conversation_id, after, limit).await?;
        Ok(page.map(|member: Member| member.receipt()))
    }
}

/// Reads whom it concerns and writes who moves. A member that moves meanwhile is a write conflict, so
/// nobody is moved back.
async fn advance(
    tx: &mut Tx<'_>,
    batch: &[WatermarkAdvance],
    now: Timestamp,
) -> Tried<Vec<Receipt>> {
    let to = highest(batch);
    let conversations = to.keys().map(|(conversation, _)| *conversation);
    let last: HashMap<ConversationId, Seq> = heads_of(tx, conversations)
        .await?
        .into_iter()
        .map(|head| (head.conversation_id, head.last_seq))
        .collect();
    let keys = to
        .keys()
        .filter(|(conversation, _)| last.contains_key(conversation))
        .copied();
    let mut moved = Vec::new();
    for member in members_among(tx, keys).await? {
        let place = (member.conversation_id, member.user_id);
        if let (Some(to), Some(last)) = (to.get(&place), last.get(&place.0)) {
            moved.extend(after(member.receipt(), *to, *last, now));
        }
    }
    let statements: Vec<Document> = moved.iter().map(write).collect();
    if statements.is_empty() {
        tx.abandon();
    }
    tx.update::<MemberDoc>(statements).await?;
    Ok(moved)
}

/// The highest that is asked for each member.
fn highest(batch: &[WatermarkAdvance]) -> HashMap<(ConversationId, UserId), (Seq, Seq)> {
    let mut to: HashMap<_, (Seq, Seq)> = HashMap::new();
    for advance in batch {
        let (delivered, read) = to
            .entry((advance.conversation_id, advance.user_id))
            .or_default();
        *delivered = advance.delivered_seq.max(*delivered);
        *read = advance.read_seq.max(*read);
    }
    to
}

/// The receipt once moved to `(delivered, read)`, which count as at most `last`; `None` when neither moves.
fn after(
    before: Receipt,
    (delivered, read): (Seq, Seq),
    last: Seq,
    now: Timestamp,
) -> Option<Receipt> {
    let delivered = delivered.max(read).min(last);
    let read = read.min(last);
    let mut receipt = before;
    if delivered > before.delivered_seq {
        receipt.delivered_seq = delivered;
        receipt.delivered_at = Some(now);
    }
    if read > before.read_seq {
        receipt.read_seq = read;
        receipt.read_at = Some(now);
    }
    (receipt != before).then_some(receipt)
}

fn write(receipt: &Receipt) -> Document {
    let key = MemberKey::new(receipt.conversation_id, receipt.user_id);
    let fields = doc! {
        "delivered_seq": receipt.delivered_seq, "delivered_at": receipt.delivered_at.map(date),
        "read_seq": receipt.read_seq, "read_at": receipt.read_at.map(date),
    };
    statement(doc! { "_id": key }, doc! { "$set": fields })
}
