//! Storing batches of messages: the path that decides how much the server can take.
//!
//! The number of statements does not grow with the batch, but for the rows themselves, of which one
//! statement takes up to 256: every statement is a message to the connection's thread and back.

use std::collections::{HashMap, HashSet};

use connexus_domain::attachment::Claims;
use connexus_domain::message::{AppendOutcome, Appended, Fingerprint};
use connexus_domain::{
    ConversationId, Denial, Entity, Error, MessageId, NewMessage, Result, Rev, Seq, Timestamp,
    UserId,
};

use super::load;
use crate::attachment;
use crate::error::InDomain as _;
use crate::sql::JsonArray;
use crate::storage::{SqliteStorage, Tx};

mod insert;
mod lookup;

use insert::NewRow;
#[cfg(test)]
pub(crate) use lookup::{CONVERSATIONS, KNOWN, MEMBERS, REFERRED};
use lookup::{ClientKey, Referred, Standing};

pub(crate) const MOVE_CONVERSATIONS: &str = "\
    UPDATE conversations AS c SET last_seq = v.seq, rev = v.rev, last_activity_at = v.at \
    FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS seq, value ->> 2 AS rev, \
            value ->> 3 AS at FROM json_each(?1)) v \
    WHERE c.id = v.id";

pub(crate) const MOVE_READERS: &str = "\
    UPDATE members AS p SET read_seq = v.seq, delivered_seq = v.seq, read_at = v.at, delivered_at = v.at \
    FROM (SELECT unhex(value ->> 0) AS conversation_id, unhex(value ->> 1) AS user_id, \
            value ->> 2 AS seq, value ->> 3 AS at FROM json_each(?1)) v \
    WHERE p.conversation_id = v.conversation_id AND p.user_id = v.user_id";

pub(crate) const MOVE_ROOTS: &str = "\
    UPDATE messages AS m SET reply_count = m.reply_count + v.replies, rev = v.rev, changed = TRUE \
    FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS replies, value ->> 2 AS rev \
            FROM json_each(?1)) v \
    WHERE m.id = v.id";

/// What is to be answered for one message.
enum Decision {
    Appended(Appended),
    Duplicate(MessageId),
    Refused(Error),
}

/// All that decides over a batch, and all that it changes.
struct Batch<'b> {
    conversations: HashMap<ConversationId, Standing>,
    members: HashSet<(ConversationId, UserId)>,
    known: HashMap<ClientKey<'b>, (MessageId, Fingerprint)>,
    referred: HashMap<MessageId, Referred>,
    claims: Claims,
    rows: Vec<NewRow<'b>>,
    readers: HashMap<(ConversationId, UserId), (Seq, Timestamp)>,
    roots: HashMap<MessageId, (i64, Rev)>,
}

pub(super) async fn append(
    storage: &SqliteStorage,
    batch: &[NewMessage],
) -> Result<Vec<Result<AppendOutcome>>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = storage.write().await?;
    let mut state = Batch::load(&mut tx, batch).await?;
    let mut decisions = Vec::with_capacity(batch.len());
    for new in batch {
        let decision = state.decide(new);
        decisions.push(decision.unwrap_or_else(Decision::Refused));
    }
    if !state.rows.is_empty() {
        state.store(&mut tx).await?;
    }
    let answers = answer(&mut tx, decisions).await?;
    if state.rows.is_empty() {
        tx.rollback().await.in_domain()?;
    } else {
        tx.commit().await.in_domain()?;
    }
    Ok(answers)
}

impl<'b> Batch<'b> {
    async fn load(tx: &mut Tx, batch: &'b [NewMessage]) -> Result<Self> {
        Ok(Self {
            conversations: lookup::conversations(tx, batch).await?,
            members: lookup::members(tx, batch).await?,
            known: lookup::known(tx, batch).await?,
            referred: lookup::referred(tx, batch).await?,
            claims: lookup::claims(tx, batch).await?,
            rows: Vec::with_capacity(batch.len()),
            readers: HashMap::new(),
            roots: HashMap::new(),
        })
    }

    /// As if the messages came one after the other: what is decided for one is known to the next.
    fn decide(&mut self, new: &'b NewMessage) -> Result<Decision> {
        let id = new.conversation_id;
        let standing = self
            .conversations
            .get_mut(&id)
            .ok_or(Error::NotFound(Entity::Conversation))?;
        if !self.members.contains(&(id, new.sender_id)) {
            return Err(Error::Forbidden(Denial::NotMember));
        }
        let mut fingerprint = None;
        if let Some(client_id) = &new.client_id {
            let print = new.fingerprint();
            let key = (id, new.sender_id, client_id.as_str());
            match self.known.get(&key) {
                Some((original, known)) if *known == print => {
                    return Ok(Decision::Duplicate(*original));
                }
                Some(_) => return Err(Error::IdempotencyMismatch),
                None => fingerprint = Some(print),
            }
        }
        check_references(&self.referred, new)?;
        let attachments = self.claims.claim(new)?;
        // nothing can fail from here on
        standing.last_seq += 1;
        standing.rev += 1;
        standing.last_activity_at = standing.last_activity_at.max(new.at);
        standing.moved = true;
        let numbers = Appended {
            seq: standing.last_seq,
            rev: standing.rev,
            created_at: standing.last_activity_at,
            attachments,
        };
        if let (Some(client_id), Some(print)) = (&new.client_id, fingerprint) {
            let key = (id, new.sender_id, client_id.as_str());
            self.known.insert(key, (new.id, print));
        }
        let as_referred = Referred {
            conversation_id: id,
            in_thread: new.thread_id.is_some(),
        };
        self.referred.insert(new.id, as_referred);
        self.readers
            .insert((id, new.sender_id), (numbers.seq, numbers.created_at));
        if let Some(root) = new.thread_id {
            let (replies, rev) = self.roots.entry(root).or_default();
            *replies += 1;
            *rev = numbers.rev;
        }
        self.rows.push(NewRow {
            new,
            numbers: numbers.clone(),
            fingerprint,
        });
        Ok(Decision::Appended(numbers))
    }

    async fn store(&self, tx: &mut Tx) -> Result<()> {
        insert::insert(tx, &self.rows).await?;
        let new = self.rows.iter().map(|row| row.new);
        let claimed: Vec<_> = new
            .flat_map(|new| new.attachments.iter().map(|id| (*id, new.id)))
            .collect();
        attachment::attach(tx, &claimed).await?;
        let mut conversations = JsonArray::new();
        for (id, standing) in self.conversations.iter().filter(|(_, s)| s.moved) {
            conversations.row(|row| {
                row.id(*id)
                    .number(standing.last_seq)
                    .number(standing.rev)
                    .number(standing.last_activity_at.as_millis());
            });
        }
        change(tx, MOVE_CONVERSATIONS, conversations).await?;
        let mut readers = JsonArray::new();
        for ((conversation, user), (seq, at)) in &self.readers {
            readers.row(|row| {
                row.id(*conversation)
                    .id(*user)
                    .number(*seq)
                    .number(at.as_millis());
            });
        }
        change(tx, MOVE_READERS, readers).await?;
        if self.roots.is_empty() {
            return Ok(());
        }
        let mut roots = JsonArray::new();
        for (id, (replies, rev)) in &self.roots {
            roots.row(|row| {
                row.id(*id).number(*replies).number(*rev);
            });
        }
        change(tx, MOVE_ROOTS, roots).await
    }
}

fn check_references(referred: &HashMap<MessageId, Referred>, new: &NewMessage) -> Result<()> {
    let here = |id: MessageId| {
        referred
            .get(&id)
            .filter(|found| found.conversation_id == new.conversation_id)
    };
    if new.reply_to.is_some_and(|id| here(id).is_none()) {
        return Err(Error::invalid(
            "reply_to",
            "there is no such message in this conversation",
        ));
    }
    let Some(root) = new.thread_id else {
        return Ok(());
    };
    match here(root) {
        None => Err(Error::invalid(
            "thread_id",
            "there is no such message in this conversation",
        )),
        Some(found) if found.in_thread => Err(Error::invalid(
            "thread_id",
            "must not be a message that is in a thread itself",
        )),
        Some(_) => Ok(()),
    }
}

async fn change(tx: &mut Tx, sql: &'static str, rows: JsonArray) -> Result<()> {
    sqlx::query(sql)
        .bind(rows.finish())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

/// Duplicates are answered as they are after the batch.
async fn answer(tx: &mut Tx, decisions: Vec<Decision>) -> Result<Vec<Result<AppendOutcome>>> {
    let originals: HashSet<MessageId> = decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Duplicate(id) => Some(*id),
            _ => None,
        })
        .collect();
    let originals: Vec<MessageId> = originals.into_iter().collect();
    let originals: HashMap<_, _> = load::find_many(&mut **tx, &originals)
        .await?
        .into_iter()
        .map(|message| (message.id, message))
        .collect();
    let answers = decisions.into_iter().map(|decision| match decision {
        Decision::Appended(numbers) => Ok(AppendOutcome::Appended(numbers)),
        Decision::Duplicate(id) => originals
            .get(&id)
            .map(|message| AppendOutcome::Duplicate(Box::new(message.clone())))
            .ok_or_else(|| Error::corrupt("messages", "client_id", id)),
        Decision::Refused(error) => Err(error),
    });
    Ok(answers.collect())
}
