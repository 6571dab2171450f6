//! Delivered and read: gathered per member, written together, then told.

mod pending;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use connexus_domain::{
    ConversationId, Denial, Error, Event, Limit, Page, Receipt, Result, Seq, UserId,
    WatermarkAdvance,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use pending::Pending;
use pending::{Mark, QUIET};

use crate::Actor;
use crate::context::{Context, LAST_ATTEMPTS, LAST_PAUSE};
use crate::hub::{Audience, Delivery};

/// The least time from one write to the next: who reads a busy conversation moves its watermark many times in it.
const BREATH: Duration = Duration::from_millis(10);

/// Fewest of those that are due that are written at once, if there are as many.
const STEP: usize = 64;
/// In how many steps those that fell due together are written at most. A thousand rows at once would keep
/// messages waiting, at the database and for the thread that tells them.
const STEPS: usize = 25;

/// How many are written at once in the end, when nothing else is.
const LAST_STEP: usize = 1_000;

/// Writes what has gathered: reads at once, deliveries after a moment and in steps.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let pending = Arc::clone(&context.pending_receipts);
    let settings = &context.settings.delivery;
    let (mut some, mut due_at) = (false, Instant::now());
    let (mut awaited, mut next_at) = (false, Instant::now());
    let (mut due, mut step) = (false, STEP);
    let mut part = 0;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = pending.some.notified(), if !some => {
                some = true;
                due_at = Instant::now() + settings.receipt_flush;
                continue;
            }
            () = pending.urgent.notified(), if !awaited => {
                awaited = true;
                continue;
            }
            () = sleep_until(due_at), if some && !due => {
                part = (part + 1) % QUIET;
                let marks = pending.fall_due(part);
                due = marks > 0;
                step = marks.div_ceil(STEPS).max(STEP);
                some = pending.gathers();
                due_at = Instant::now() + settings.receipt_flush;
                continue;
            }
            () = sleep_until(next_at), if awaited || due => {}
        }
        awaited = false;
        if !flush(&context, step).await {
            // the database is away: what waits is kept
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        due = pending.due() > 0;
        next_at = Instant::now() + BREATH;
    }
    write_all(&context).await;
}

/// Writes what is left, what somebody is told of first: there may be no time for all.
async fn write_all(context: &Context) {
    let pending = &context.pending_receipts;
    let mut attempts = 1;
    for part in 0..QUIET {
        pending.fall_due(part);
        loop {
            if flush(context, LAST_STEP).await {
                if pending.due() == 0 {
                    break;
                }
            } else if attempts < LAST_ATTEMPTS {
                attempts += 1;
                tokio::time::sleep(LAST_PAUSE).await;
            } else {
                return;
            }
        }
    }
}

/// Writes what somebody waits for, and `step` of those that are due; whether the database took it.
async fn flush(context: &Context, step: usize) -> bool {
    let (marks, waiting) = context.pending_receipts.take(step);
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
    let mut tell = |receipt, read, audience| {
        let event = Event::ReceiptUpdated { receipt, read };
        told.push(Delivery::new(event, audience));
    };
    let big = roster.members.len() > context.settings.delivery.chatter_max_members;
    if read && !big && !silent {
        tell(receipt, read, Audience::Many(Arc::clone(&roster.members)));
        return;
    }
    if read {
        tell(receipt, read, Audience::One(receipt.user_id));
    }
    if !big {
        let seen = if silent {
            receipt.without_reading()
        } else {
            receipt
        };
        for sender in &mark.senders {
            tell(seen, false, Audience::One(*sender));
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
                receipt.without_reading()
            } else {
                receipt
            }
        }))
    }
}
