//! Delivered and read: gathered per member, written together, then told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connexus_domain::{
    ConversationId, Denial, Error, Event, Limit, Message, Page, Receipt, Result, Seq, UserId,
    WatermarkAdvance,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Actor;
use crate::context::Context;
use crate::hub::{Audience, Delivery};

/// Watermarks that wait to be written.
#[derive(Default)]
pub(crate) struct Pending {
    gathered: Mutex<Gathered>,
    /// Something is there; it may gather a little longer.
    some: Notify,
    /// Somebody waits for it.
    urgent: Notify,
}

type Marks = HashMap<(ConversationId, UserId), Mark>;

#[derive(Default)]
struct Gathered {
    marks: Marks,
    waiting: Vec<Waiting>,
    /// What is being written: it is neither waiting nor in the database yet.
    writing: Arc<Marks>,
}

#[derive(Default)]
struct Mark {
    delivered: Seq,
    read: Seq,
    /// Who sent what was delivered: they are told.
    senders: Vec<UserId>,
}

struct Waiting {
    conversation_id: ConversationId,
    user_id: UserId,
    reply: oneshot::Sender<Result<Option<Receipt>>>,
}

impl Pending {
    /// A message was handed to connections of these users.
    pub fn delivered(&self, message: &Message, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        for user in users {
            let mark = gathered
                .marks
                .entry((message.conversation_id, *user))
                .or_default();
            mark.delivered = mark.delivered.max(message.seq);
            if !mark.senders.contains(&message.sender_id) {
                mark.senders.push(message.sender_id);
            }
        }
        drop(gathered);
        self.some.notify_one();
    }

    fn read(
        &self,
        conversation_id: ConversationId,
        user_id: UserId,
        seq: Seq,
    ) -> oneshot::Receiver<Result<Option<Receipt>>> {
        let (reply, answer) = oneshot::channel();
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = gathered
            .marks
            .entry((conversation_id, user_id))
            .or_default();
        mark.read = mark.read.max(seq);
        gathered.waiting.push(Waiting {
            conversation_id,
            user_id,
            reply,
        });
        drop(gathered);
        self.urgent.notify_one();
        answer
    }

    /// The highest message that was handed over and is not known to be written yet; 0 when none is.
    pub fn delivered_seq(&self, conversation_id: ConversationId, user_id: UserId) -> Seq {
        let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (conversation_id, user_id);
        let marks = [gathered.marks.get(&key), gathered.writing.get(&key)];
        let seqs = marks.into_iter().flatten();
        seqs.map(|mark| mark.delivered.max(mark.read))
            .max()
            .unwrap_or(0)
    }

    /// How many watermarks wait.
    pub fn len(&self) -> usize {
        let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.marks.len()
    }

    /// What is to be written now, until [`written`](Self::written) or [`put_back`](Self::put_back).
    fn take(&self, what: Flush) -> (Arc<Marks>, Vec<Waiting>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut gathered.waiting);
        let marks = match what {
            Flush::All => std::mem::take(&mut gathered.marks),
            Flush::Awaited => {
                let keys = waiting.iter().map(|w| (w.conversation_id, w.user_id));
                keys.filter_map(|key| gathered.marks.remove_entry(&key))
                    .collect()
            }
        };
        gathered.writing = Arc::new(marks);
        (Arc::clone(&gathered.writing), waiting)
    }

    /// What was taken is in the database.
    fn written(&self) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.writing = Arc::default();
    }

    /// Puts back what could not be written.
    fn put_back(&self, marks: &Marks) {
        /// With the database gone for long, forgetting a delivered mark costs a status, no message.
        const MOST: usize = 1_000_000;
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, old) in marks {
            if gathered.marks.len() >= MOST {
                break;
            }
            let mark = gathered.marks.entry(*key).or_default();
            mark.delivered = mark.delivered.max(old.delivered);
            mark.read = mark.read.max(old.read);
            mark.senders.extend_from_slice(&old.senders);
            mark.senders.sort_unstable();
            mark.senders.dedup();
        }
        gathered.writing = Arc::default();
    }
}

/// What of the watermarks that wait is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// All of them.
    All,
    /// Those that somebody waits for; the others go on gathering.
    Awaited,
}

/// The least time from one write for those who wait to the next: who reads a busy conversation moves its
/// watermark many times in it.
const BREATH: Duration = Duration::from_millis(10);

/// Writes what has gathered: reads at once, deliveries after a moment.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let pending = Arc::clone(&context.pending_receipts);
    let settings = &context.settings.delivery;
    let (mut some, mut all_at) = (false, Instant::now());
    let (mut awaited, mut awaited_at) = (false, Instant::now());
    while !stop.is_cancelled() {
        let what = tokio::select! {
            () = stop.cancelled() => break,
            () = pending.some.notified(), if !some => {
                some = true;
                all_at = Instant::now() + settings.receipt_flush;
                continue;
            }
            () = pending.urgent.notified(), if !awaited => {
                awaited = true;
                continue;
            }
            () = sleep_until(all_at), if some => Flush::All,
            () = sleep_until(awaited_at), if awaited => Flush::Awaited,
        };
        some &= what == Flush::Awaited;
        awaited = false;
        if !flush(&context, what).await {
            // the database is away: what waits is kept
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            pending.some.notify_one();
        }
        awaited_at = Instant::now() + BREATH;
    }
    flush(&context, Flush::All).await;
}

async fn flush(context: &Context, what: Flush) -> bool {
    let (marks, waiting) = context.pending_receipts.take(what);
    if marks.is_empty() {
        return true;
    }
    let batch: Vec<WatermarkAdvance> = marks
        .iter()
        .map(|((conversation_id, user_id), mark)| WatermarkAdvance {
            conversation_id: *conversation_id,
            user_id: *user_id,
            delivered_seq: mark.delivered,
            read_seq: mark.read,
        })
        .collect();
    metrics::histogram!("connexus_receipts_batch_size")
        .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
    match context
        .storage
        .receipts()
        .advance(&batch, context.now())
        .await
    {
        Ok(moved) => {
            context.pending_receipts.written();
            let moved: HashMap<_, _> = moved
                .into_iter()
                .map(|r| ((r.conversation_id, r.user_id), r))
                .collect();
            let readers: Vec<UserId> = moved.keys().map(|(_, user)| *user).collect();
            // better to tell nobody than to tell what was to be kept
            let silent = match context.silent_readers(&readers).await {
                Ok(silent) => silent,
                Err(_) => readers.into_iter().collect(),
            };
            let mut told = Vec::with_capacity(moved.len());
            for (key, receipt) in &moved {
                if let Some(mark) = marks.get(key) {
                    let silent = silent.contains(&receipt.user_id);
                    tell(context, *receipt, mark, silent, &mut told).await;
                }
            }
            context.publish_all(told).await;
            // who is answered may say the next thing, so this has been told by then
            for wait in waiting {
                let receipt = moved.get(&(wait.conversation_id, wait.user_id)).copied();
                drop(wait.reply.send(Ok(receipt)));
            }
            true
        }
        Err(error) => {
            tracing::warn!(%error, receipts = batch.len(), "receipts could not be written yet");
            for wait in waiting {
                drop(wait.reply.send(Err(error.clone())));
            }
            context.pending_receipts.put_back(&marks);
            false
        }
    }
}

/// What somebody read is told to the whole conversation if it is not too big, what somebody received to
/// the senders alone, and all that was read to the reader's own devices.
async fn tell(
    context: &Context,
    receipt: Receipt,
    mark: &Mark,
    silent: bool,
    told: &mut Vec<Delivery>,
) {
    let Ok(roster) = context.rosters.get(receipt.conversation_id).await else {
        return;
    };
    let read = mark.read > 0;
    let mut tell = |receipt, audience| {
        let event = Event::ReceiptUpdated { receipt, read };
        told.push(Delivery::new(event, audience));
    };
    let big = roster.members.len() > context.settings.delivery.chatter_max_members;
    match (read, big || silent) {
        (true, false) => tell(receipt, Audience::Many(Arc::clone(&roster.members))),
        (true, true) => tell(receipt, Audience::One(receipt.user_id)),
        (false, _) if big => {}
        (false, _) => {
            let seen = if silent {
                Receipt {
                    read_seq: 0,
                    read_at: None,
                    ..receipt
                }
            } else {
                receipt
            };
            for sender in &mark.senders {
                tell(seen, Audience::One(*sender));
            }
        }
    }
}

impl Context {
    /// Those of the users who do not tell what they have read.
    async fn silent_readers(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let mut silent = HashSet::new();
        let mut unknown = Vec::new();
        for &user in users {
            match self.silent.get(&user).await {
                Some(true) => {
                    silent.insert(user);
                }
                Some(false) => {}
                None => unknown.push(user),
            }
        }
        if unknown.is_empty() {
            return Ok(silent);
        }
        for user in self.storage.users().get_many(&unknown).await? {
            let keeps = !user.privacy.read_receipts;
            self.silent.insert(user.id, keeps).await;
            if keeps {
                silent.insert(user.id);
            }
        }
        Ok(silent)
    }
}

/// Delivered and read.
pub struct Receipts {
    context: Arc<Context>,
}

impl Receipts {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker has read up to `seq`; what is higher than the newest message counts as that.
    pub async fn read(&self, actor: &Actor, id: ConversationId, seq: Seq) -> Result<Receipt> {
        if seq < 0 {
            return Err(Error::invalid("seq", "must not be negative"));
        }
        self.context.rosters.of_member(id, actor.user_id).await?;
        let answer = self.context.pending_receipts.read(id, actor.user_id, seq);
        let moved = answer.await.unwrap_or(Ok(None))?;
        if let Some(receipt) = moved {
            return Ok(receipt);
        }
        // it had been read before
        let found = self
            .context
            .storage
            .conversations()
            .find_with_member(id, actor.user_id)
            .await?;
        let member = found
            .and_then(|(_, member)| member)
            .ok_or(Error::Forbidden(Denial::NotMember))?;
        Ok(member.receipt())
    }

    /// The receipts of one of the asker's conversations. Who does not tell what was read shows only what
    /// was delivered.
    pub async fn list(
        &self,
        actor: &Actor,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt, UserId>> {
        self.context.rosters.admit(id, actor.user_id).await?;
        let receipts = self.context.storage.receipts();
        let page = receipts.list(id, after, limit).await?;
        let others: Vec<UserId> = page
            .items
            .iter()
            .map(|receipt| receipt.user_id)
            .filter(|user| *user != actor.user_id)
            .collect();
        let silent = self.context.silent_readers(&others).await?;
        Ok(page.map(|receipt| {
            if silent.contains(&receipt.user_id) {
                Receipt {
                    read_seq: 0,
                    read_at: None,
                    ..receipt
                }
            } else {
                receipt
            }
        }))
    }
}
