//! Storing batches of messages: the path that decides how much the server can take.
//!
//! A batch in which nothing is to be decided, which is nearly every one, takes five round trips: to read where its
//! conversations stand and who is a member (unless all senders are known to be), to move counters and with them the
//! watermarks of who sends, to insert, and to commit. If it is for a single conversation, it takes one less: its
//! counters tell where they were as they are moved. It presumes that no message was sent before, and learns from the
//! unique index whether that is so. Watermarks that go to the members take one more. A batch that is not as presumed,
//! or that others were in the way of, stores nothing so and goes the long way.
//!
//! There, too, the number of round trips does not grow with the batch: one each to lock the conversations, to
//! read members, known keys, referred messages and attachments (when there are any), to move counters, to insert, to
//! attach and to count replies (when there are any), and to commit.

use std::collections::{HashMap, HashSet};

use bson::{Document, doc};
use connexus_domain::attachment::Claims;
use connexus_domain::message::{AppendOutcome, Appended, Fingerprint};
use connexus_domain::{
    AttachmentId, ConversationId, Denial, Entity, Error, MessageId, NewMessage, Result, Rev, UserId,
};

use super::load;
use crate::attachment;
use crate::conversation;
use crate::documents::{
    AttachedDoc, ClientKey, ConversationDoc, Id as _, Mark, MemberDoc, MemberKey, MessageDoc, Sent,
    date, hash,
};
use crate::error::Tried;
use crate::query::statement;
use crate::storage::MongoStorage;
use crate::tx::Tx;

pub(crate) mod lookup;
mod senders;

use lookup::{Keeping, Referred, Standing};
pub(crate) use senders::KnownSenders;

/// What is to be answered for one message.
enum Decision {
    Appended(Appended),
    Duplicate(MessageId),
    Refused(Error),
}

impl Decision {
    const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// All that decides over a batch, and all that it changes.
struct Batch {
    conversations: HashMap<ConversationId, Standing>,
    members: HashSet<(ConversationId, UserId)>,
    known: HashMap<ClientKey, (MessageId, Fingerprint)>,
    referred: HashMap<MessageId, Referred>,
    claims: Claims,
    claimed: Vec<(AttachmentId, MessageId)>,
    stored: Vec<MessageDoc>,
    /// Replies and the newest rev, of roots.
    roots: HashMap<MessageId, (i64, Rev)>,
}

pub(super) async fn append(
    storage: &MongoStorage,
    batch: &[NewMessage],
) -> Result<Vec<Result<AppendOutcome>>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if names_nothing(batch) {
        let stored = storage.transact_once(|tx| {
            Box::pin(async move {
                match lookup::only(batch) {
                    Some(id) => presume_in(tx, id, &storage.senders, batch).await,
                    None => presume(tx, &storage.senders, batch).await,
                }
            })
        });
        if let Some(answers) = stored.await? {
            storage.senders.note(batch, &answers);
            return Ok(answers);
        }
    }
    storage.transact(|tx| Box::pin(attempt(tx, batch))).await
}

/// Whether no message refers to what has to be looked up.
fn names_nothing(batch: &[NewMessage]) -> bool {
    batch
        .iter()
        .all(|new| new.attachments.is_empty() && new.reply_to.is_none() && new.thread_id.is_none())
}

/// Stores a batch that is as presumed. Who changes a conversation, or who is in it, meanwhile is in its way: nothing
/// has to be locked before it is written.
async fn presume(
    tx: &mut Tx<'_>,
    senders: &KnownSenders,
    batch: &[NewMessage],
) -> Tried<Option<Vec<Result<AppendOutcome>>>> {
    let standings = lookup::standings(tx, batch).await?;
    let mut state = Batch {
        members: lookup::members_among(tx, senders, lookup::senders(batch), &standings).await?,
        ..Batch::new(standings, batch.len())
    };
    let Some(answers) = state.presumed(batch) else {
        return Ok(None);
    };
    state.store(tx).await?;
    Ok(Some(answers))
}

/// The same for a batch of one conversation.
async fn presume_in(
    tx: &mut Tx<'_>,
    id: ConversationId,
    senders: &KnownSenders,
    batch: &[NewMessage],
) -> Tried<Option<Vec<Result<AppendOutcome>>>> {
    let sending = lookup::senders(batch);
    let Some(standing) = lookup::advance(tx, id, batch, sending.len()).await? else {
        return Ok(None);
    };
    let standings = HashMap::from([(id, standing)]);
    let mut state = Batch {
        members: lookup::members_among(tx, senders, sending, &standings).await?,
        ..Batch::new(standings, batch.len())
    };
    let Some(answers) = state.presumed(batch) else {
        return Ok(None);
    };
    state.spill(tx).await?;
    tx.insert(&state.stored).await?;
    Ok(Some(answers))
}

async fn attempt(tx: &mut Tx<'_>, batch: &[NewMessage]) -> Tried<Vec<Result<AppendOutcome>>> {
    let mut state = Batch::load(tx, batch).await?;
    let decisions: Vec<Decision> = batch
        .iter()
        .map(|new| state.decide(new).unwrap_or_else(Decision::Refused))
        .collect();
    if decisions.iter().all(Decision::is_refused) {
        tx.abandon();
    } else {
        // also when all has been stored before: see `Tx::abandon`
        state.store(tx).await?;
    }
    answer(tx, decisions).await
}

impl Batch {
    fn new(conversations: HashMap<ConversationId, Standing>, size: usize) -> Self {
        Self {
            conversations,
            members: HashSet::new(),
            known: HashMap::new(),
            referred: HashMap::new(),
            claims: Claims::default(),
            claimed: Vec::new(),
            stored: Vec::with_capacity(size),
            roots: HashMap::new(),
        }
    }

    async fn load(tx: &mut Tx<'_>, batch: &[NewMessage]) -> Tried<Self> {
        // first: who is late here has done nothing
        let locked = lookup::locked(tx, batch).await?;
        Ok(Self {
            members: conversation::present_among(tx, lookup::senders(batch)).await?,
            known: lookup::known(tx, batch).await?,
            referred: lookup::referred(tx, batch).await?,
            claims: lookup::claims(tx, batch).await?,
            ..Self::new(locked, batch.len())
        })
    }

    /// As if the messages came one after the other: what is decided for one is known to the next.
    fn decide(&mut self, new: &NewMessage) -> Result<Decision> {
        let id = new.conversation_id;
        let standing = self
            .conversations
            .get_mut(&id)
            .ok_or(Error::NotFound(Entity::Conversation))?;
        if !self.members.contains(&(id, new.sender_id)) {
            return Err(Error::Forbidden(Denial::NotMember));
        }
        let mut keyed = None;
        if let Some(key) = lookup::client_key(new) {
            let print = new.fingerprint();
            match self.known.get(&key) {
                Some((original, known)) if *known == print => {
                    return Ok(Decision::Duplicate(*original));
                }
                Some(_) => return Err(Error::IdempotencyMismatch),
                None => keyed = Some((key, print)),
            }
        }
        check_references(&self.referred, new)?;
        let attachments = self.claims.claim(new)?;
        // nothing can fail from here on
        standing.last_seq += 1;
        standing.rev += 1;
        standing.last_activity_at = standing.last_activity_at.max(new.at);
        let numbers = Appended {
            seq: standing.last_seq,
            rev: standing.rev,
            created_at: standing.last_activity_at,
            attachments,
        };
        if let Some((key, print)) = &keyed {
            self.known.insert(key.clone(), (new.id, *print));
        }
        let as_referred = Referred {
            conversation_id: id,
            in_thread: new.thread_id.is_some(),
        };
        self.referred.insert(new.id, as_referred);
        let mark = Mark::new(numbers.seq, numbers.created_at);
        standing.marks.insert(new.sender_id, mark);
        if let Some(root) = new.thread_id {
            let (replies, rev) = self.roots.entry(root).or_default();
            *replies += 1;
            *rev = numbers.rev;
        }
        let claimed = new.attachments.iter().map(|file| (*file, new.id));
        self.claimed.extend(claimed);
        self.stored.push(document(new, &numbers, keyed));
        Ok(Decision::Appended(numbers))
    }

    /// What is answered when all messages can be stored as they are.
    fn presumed(&mut self, batch: &[NewMessage]) -> Option<Vec<Result<AppendOutcome>>> {
        let answers = batch.iter().map(|new| match self.decide(new) {
            Ok(Decision::Appended(numbers)) => Some(Ok(AppendOutcome::Appended(numbers))),
            _ => None,
        });
        answers.collect()
    }

    async fn store(&self, tx: &mut Tx<'_>) -> Tried<()> {
        tx.update::<ConversationDoc>(self.moved()).await?;
        self.spill(tx).await?;
        // before the roots, which may be among them
        tx.insert(&self.stored).await?;
        attachment::attach(tx, &self.claimed).await?;
        let roots = self.roots.iter().map(|(id, (replies, rev))| {
            let change = doc! { "$inc": { "reply_count": *replies }, "$set": { "rev": *rev } };
            statement(doc! { "_id": id.bson() }, change)
        });
        tx.update::<MessageDoc>(roots.collect()).await
    }

    /// One statement for each conversation, by nothing but its id, which takes no planning. Those too in which
    /// nothing is stored: their lock has taken a rev.
    fn moved(&self) -> Vec<Document> {
        let statements = self.conversations.iter().map(|(id, standing)| {
            let mut fields = doc! {
                "last_seq": standing.last_seq, "rev": standing.rev,
                "last_activity_at": date(standing.last_activity_at),
            };
            let keeping = standing.keeping();
            if keeping == Keeping::Kept {
                let marks = standing.marks.iter();
                fields.extend(marks.map(|(user, mark)| (Sent::path(*user), (*mark).into())));
            }
            let mut change = doc! { "$set": fields };
            if keeping == Keeping::Spilled {
                change.insert("$unset", doc! { "sent": "" });
            }
            statement(doc! { "_id": id.bson() }, change)
        });
        statements.collect()
    }

    /// Writes those of the watermarks that go to the members.
    async fn spill(&self, tx: &mut Tx<'_>) -> Tried<()> {
        let mut moved = Vec::new();
        for (id, standing) in &self.conversations {
            let of = |user: UserId| doc! { "_id": MemberKey::new(*id, user) };
            match standing.keeping() {
                Keeping::Kept => {}
                Keeping::Spilled => {
                    let mut all = standing.sent.marks(*id)?;
                    all.extend(&standing.marks);
                    let all = all.into_iter();
                    moved.extend(
                        all.map(|(user, mark)| statement(of(user), vec![mark.onto_member()])),
                    );
                }
                Keeping::Passed => {
                    // further than anything that is stored of who sends
                    moved.extend(standing.marks.iter().map(|(user, Mark { seq, at })| {
                        let fields = doc! {
                            "read_seq": *seq, "delivered_seq": *seq, "read_at": *at, "delivered_at": *at,
                        };
                        statement(of(*user), doc! { "$set": fields })
                    }));
                }
            }
        }
        tx.update::<MemberDoc>(moved).await
    }
}

fn document(
    new: &NewMessage,
    numbers: &Appended,
    keyed: Option<(ClientKey, Fingerprint)>,
) -> MessageDoc {
    let (client_key, print) = keyed.unzip();
    MessageDoc {
        id: new.id.bson(),
        conversation_id: new.conversation_id.bson(),
        seq: numbers.seq,
        rev: numbers.rev,
        sender_id: new.sender_id.bson(),
        kind: new.kind.as_str().to_owned(),
        body: new.body.as_ref().map(|body| body.as_str().to_owned()),
        attachments: numbers.attachments.iter().map(AttachedDoc::from).collect(),
        reply_to: new.reply_to.map(MessageId::bson),
        thread_id: new.thread_id.map(MessageId::bson),
        reply_count: 0,
        reactions: Vec::new(),
        client_key,
        fingerprint: print.map(|print| hash(print.0)),
        created_at: date(numbers.created_at),
        edited_at: None,
        deleted_at: None,
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

/// Duplicates are answered as they are after the batch.
async fn answer(tx: &mut Tx<'_>, decisions: Vec<Decision>) -> Tried<Vec<Result<AppendOutcome>>> {
    let originals: HashSet<MessageId> = decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Duplicate(id) => Some(*id),
            _ => None,
        })
        .collect();
    let mut found = HashMap::new();
    if !originals.is_empty() {
        let originals: Vec<MessageId> = originals.into_iter().collect();
        let messages = load::run(tx, load::with_ids(&originals)).await?;
        found.extend(messages.into_iter().map(|message| (message.id, message)));
    }
    let answers = decisions.into_iter().map(|decision| match decision {
        Decision::Appended(numbers) => Ok(AppendOutcome::Appended(numbers)),
        Decision::Duplicate(id) => found
            .get(&id)
            .map(|message| AppendOutcome::Duplicate(Box::new(message.clone())))
            .ok_or_else(|| Error::corrupt("messages", "client_key", id)),
        Decision::Refused(error) => Err(error),
    });
    Ok(answers.collect())
}
