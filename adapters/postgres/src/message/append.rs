//! Storing batches of messages: the path that decides how much the server can take.
//!
//! Whatever the size of the batch, it is one round trip when nothing has to be decided ([`at_once`]), and else
//! five more: begin, lock the conversations, look up all that decides, store all, commit. Threads and
//! duplicates cost one more each, attachments two.

use std::collections::{BTreeMap, HashMap, HashSet};

use connexus_domain::attachment::Claims;
use connexus_domain::message::{AppendOutcome, Appended, Fingerprint};
use connexus_domain::{
    ConversationId, Denial, Entity, Error, MessageId, NewMessage, Result, Rev, Seq, Timestamp,
    UserId,
};

use super::load;
use crate::error::InDomain as _;
use crate::storage::{PostgresStorage, Tx};

/// The first message with the key of `v` in a conversation that is not before that of `v`: the only place in the index
/// of keys where the one may be that is looked for. Asked for the very conversation, the planner would rather read all of
/// it, as long as the statistics say that it is small.
macro_rules! at_key {
    () => {
        " FROM messages k WHERE k.sender_id = v.sender_id AND k.client_id = v.client_id \
          AND k.conversation_id >= v.conversation_id ORDER BY k.conversation_id LIMIT 1"
    };
}

mod at_once;
mod lookup;
mod store;

#[cfg(test)]
pub(crate) use at_once::STORE_AT_ONCE;
use lookup::{Found, Referred, Standing};
#[cfg(test)]
pub(crate) use lookup::{LOCK, LOOKUP};
#[cfg(test)]
pub(crate) use store::{MOVE_ROOTS, STORE};

/// A message with what is made of it before anything is locked.
struct Prepared<'b> {
    new: &'b NewMessage,
    /// Only with a `client_id`.
    fingerprint: Option<Fingerprint>,
}

/// A message that will be stored.
struct NewRow<'b> {
    prepared: &'b Prepared<'b>,
    numbers: Appended,
}

/// What is to be answered for one message.
enum Decision {
    Appended(Appended),
    Duplicate(MessageId),
    Refused(Error),
}

type ClientKey<'b> = (ConversationId, UserId, &'b str);

/// All that decides over a batch, and all that it changes. What is written is sorted, so that two batches
/// meet the rows in the same order.
struct Batch<'b> {
    conversations: BTreeMap<ConversationId, Standing>,
    claims: Claims,
    /// Keys and messages that came earlier in the batch.
    keys: HashMap<ClientKey<'b>, (MessageId, Fingerprint)>,
    earlier: HashMap<MessageId, Referred>,
    rows: Vec<NewRow<'b>>,
    readers: BTreeMap<(ConversationId, UserId), (Seq, Timestamp)>,
    roots: BTreeMap<MessageId, (i64, Rev)>,
}

pub(super) async fn append(
    storage: &PostgresStorage,
    batch: &[NewMessage],
) -> Result<Vec<Result<AppendOutcome>>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let prepared: &Vec<Prepared<'_>> = &batch
        .iter()
        .map(|new| Prepared {
            new,
            fingerprint: new.client_id.is_some().then(|| new.fingerprint()),
        })
        .collect();
    if let Some(answers) = at_once::store(storage, prepared).await? {
        return Ok(answers);
    }
    storage
        .writing(move || append_once(storage, prepared))
        .await
}

async fn append_once(
    storage: &PostgresStorage,
    prepared: &[Prepared<'_>],
) -> Result<Vec<Result<AppendOutcome>>> {
    let mut tx = storage.write().await?;
    let mut state = Batch {
        conversations: lookup::lock(&mut tx, prepared).await?,
        claims: lookup::claims(&mut tx, prepared).await?,
        keys: HashMap::new(),
        earlier: HashMap::new(),
        rows: Vec::with_capacity(prepared.len()),
        readers: BTreeMap::new(),
        roots: BTreeMap::new(),
    };
    let found = lookup::look_up(&mut tx, prepared).await?;
    let decisions = prepared
        .iter()
        .zip(&found)
        .map(|(prepared, found)| {
            state
                .decide(prepared, found)
                .unwrap_or_else(Decision::Refused)
        })
        .collect();
    if !state.rows.is_empty() {
        store::store(&mut tx, &state).await?;
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
    /// As if the messages came one after the other: what is decided for one is known to the next.
    fn decide(&mut self, prepared: &'b Prepared<'b>, found: &Found) -> Result<Decision> {
        let new = prepared.new;
        let id = new.conversation_id;
        let standing = self
            .conversations
            .get_mut(&id)
            .ok_or(Error::NotFound(Entity::Conversation))?;
        if !found.is_member {
            return Err(Error::Forbidden(Denial::NotMember));
        }
        let mut key = None;
        if let (Some(client_id), Some(print)) = (&new.client_id, prepared.fingerprint) {
            let of_new = (id, new.sender_id, client_id.as_str());
            match found.known.as_ref().or_else(|| self.keys.get(&of_new)) {
                Some((original, known)) if *known == print => {
                    return Ok(Decision::Duplicate(*original));
                }
                Some(_) => return Err(Error::IdempotencyMismatch),
                None => key = Some((of_new, print)),
            }
        }
        check_references(&self.earlier, new, found)?;
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
        if let Some((key, print)) = key {
            self.keys.insert(key, (new.id, print));
        }
        let as_referred = Referred {
            conversation_id: id,
            in_thread: new.thread_id.is_some(),
        };
        self.earlier.insert(new.id, as_referred);
        self.readers
            .insert((id, new.sender_id), (numbers.seq, numbers.created_at));
        if let Some(root) = new.thread_id {
            let (replies, rev) = self.roots.entry(root).or_default();
            *replies += 1;
            *rev = numbers.rev;
        }
        self.rows.push(NewRow {
            prepared,
            numbers: numbers.clone(),
        });
        Ok(Decision::Appended(numbers))
    }
}

fn check_references(
    earlier: &HashMap<MessageId, Referred>,
    new: &NewMessage,
    found: &Found,
) -> Result<()> {
    let here = |stored: Option<Referred>, id: MessageId| {
        stored
            .or_else(|| earlier.get(&id).copied())
            .filter(|referred| referred.conversation_id == new.conversation_id)
    };
    if new
        .reply_to
        .is_some_and(|id| here(found.reply_to, id).is_none())
    {
        return Err(Error::invalid(
            "reply_to",
            "there is no such message in this conversation",
        ));
    }
    let Some(root) = new.thread_id else {
        return Ok(());
    };
    match here(found.root, root) {
        None => Err(Error::invalid(
            "thread_id",
            "there is no such message in this conversation",
        )),
        Some(root) if root.in_thread => Err(Error::invalid(
            "thread_id",
            "must not be a message that is in a thread itself",
        )),
        Some(_) => Ok(()),
    }
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
