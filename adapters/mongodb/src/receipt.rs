use std::collections::HashMap;

use async_trait::async_trait;
use bson::{Document, doc};
use connexus_domain::ports::ReceiptRepository;
use connexus_domain::{
    ConversationId, Error, Limit, Member, Page, Receipt, Result, Seq, Timestamp, UserId,
    WatermarkAdvance,
};

use crate::conversation::{Latest, among, latest, members_page};
use crate::documents::{Id as _, MemberDoc, MemberKey, date};
use crate::error::{Late, Tried};
use crate::query::statement;
use crate::storage::MongoStorage;
use crate::tx::Tx;

#[async_trait]
impl ReceiptRepository for MongoStorage {
    async fn advance(&self, batch: &[WatermarkAdvance], now: Timestamp) -> Result<Vec<Receipt>> {
        let to = highest(batch);
        let moving = move_to(self, &to, now);
        tokio::time::timeout(self.timeout, Box::pin(moving))
            .await
            .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
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

/// Members that one transaction moves.
const AT_ONCE: usize = 100;

/// Where each member is to be moved: `delivered` and `read`.
type Targets = HashMap<(ConversationId, UserId), (Seq, Seq)>;

/// Reads whom it concerns, and moves them forward from wherever they are by then. Not in one transaction: that
/// would be in the way of the messages of all whom it moves, and they in its. Nor each alone, which costs the
/// server half as much again.
async fn move_to(storage: &MongoStorage, to: &Targets, now: Timestamp) -> Result<Vec<Receipt>> {
    let standing = storage.read(|tx| Box::pin(standing(tx, to))).await?;
    let mut moved = Vec::new();
    let mut statements = Vec::new();
    for (before, last) in standing {
        if let Some(to) = to.get(&(before.conversation_id, before.user_id))
            && let Some(after) = after(before, *to, last, now)
        {
            statements.push(write(&before, &after));
            moved.push(after);
        }
    }
    for some in statements.chunks(AT_ONCE) {
        storage
            .transact(|tx| Box::pin(tx.update::<MemberDoc>(some.to_vec())))
            .await?;
    }
    Ok(moved)
}

/// Where those who are present stand, and the last message that there is for each.
async fn standing(tx: &mut Tx<'_>, to: &Targets) -> Tried<Vec<(Receipt, Seq)>> {
    let conversations = to.keys().map(|(conversation, _)| conversation.bson());
    let latest = latest(tx, &conversations.collect()).await?;
    let keys = to.keys().copied();
    let keys = keys.filter(|(conversation, _)| latest.contains_key(&conversation.bson()));
    let members: Vec<MemberDoc> = tx.find(among(keys)).await?;
    let standing = members.into_iter().filter_map(|member| {
        let Latest { last_seq, sent, .. } = latest.get(&member.id.c)?;
        let member = member.having(sent).into_member();
        Some(member.map(|member| (member.receipt(), *last_seq)))
    });
    Ok(standing.collect::<Result<_>>()?)
}

/// The highest that is asked for each member.
fn highest(batch: &[WatermarkAdvance]) -> Targets {
    let mut to = Targets::new();
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

/// Never backwards, whoever else moves this member meanwhile. By nothing but the id, which takes no planning.
fn write(before: &Receipt, after: &Receipt) -> Document {
    let key = MemberKey::new(after.conversation_id, after.user_id);
    let mut fields = Document::new();
    if after.delivered_seq > before.delivered_seq {
        fields.insert("delivered_seq", after.delivered_seq);
        fields.insert("delivered_at", after.delivered_at.map(date));
    }
    if after.read_seq > before.read_seq {
        fields.insert("read_seq", after.read_seq);
        fields.insert("read_at", after.read_at.map(date));
    }
    statement(doc! { "_id": key }, doc! { "$max": fields })
}
