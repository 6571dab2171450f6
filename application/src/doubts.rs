//! Messages, and changes of messages, of which it is not known whether they are stored: the database went away while
//! it took them.
//!
//! Their senders are answered an error, and nobody else hears anything. They may be stored all the same, and then a
//! sender that tries again is answered with a duplicate, or that nothing has changed, which is told to nobody either.
//! Clients catch up from the newest change that they have seen: what is told to nobody is lost for them as soon as the
//! next one is told. So before that, messages in doubt are looked up, and told if they are there, or are others now.

use std::mem::discriminant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connexus_domain::{ConversationId, Error, Event, Message, MessageId, Result, Rev};
use futures_util::future::try_join_all;
use rustc_hash::FxHashMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::hub::Delivery;
use crate::lanes;

/// Where nothing is written, those in doubt are looked up so often.
const EVERY: Duration = Duration::from_secs(1);
/// What has not been stored by then, and in a conversation in which nothing was written since, will not be any more.
const PATIENCE: Duration = Duration::from_mins(1);
/// Beyond this number nobody is told one by one: everybody comes back and catches up.
const MOST: usize = 10_000;
/// How many are asked for at the same time: messages of a conversation, and conversations.
const STEP: usize = 8;

/// The messages in doubt. Those of a conversation are noted and looked up in its lane alone.
#[derive(Default)]
pub(crate) struct Doubts {
    /// Whether there is anything to do: all that is asked where there is not.
    some: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    waiting: FxHashMap<ConversationId, Vec<Doubt>>,
    count: usize,
    /// Whether there were too many to keep.
    lost: bool,
}

#[derive(Clone)]
struct Doubt {
    id: MessageId,
    since: Instant,
    /// It was there before, and may have been changed.
    change: Option<Change>,
}

/// A change that a message may have undergone.
#[derive(Clone)]
pub(crate) struct Change {
    /// Its rev before.
    pub was: Rev,
    /// How the change is told.
    pub event: Arc<dyn Fn(Message) -> Event + Send + Sync>,
}

impl Doubt {
    /// Whether it may still be stored.
    fn is_young(&self) -> bool {
        self.since.elapsed() < PATIENCE
    }

    /// What is to be told of the message, if what is in doubt has happened.
    fn event(&self, message: &Message) -> Option<Event> {
        let event = match &self.change {
            Some(change) if message.rev > change.was => (change.event)(message.clone()),
            Some(_) => return None,
            None => Event::MessageCreated(message.clone()),
        };
        Some(event)
    }
}

impl Doubts {
    /// Whether there is anything to do.
    pub fn some(&self) -> bool {
        self.some.load(Ordering::Relaxed)
    }

    /// The message may have been stored or not.
    pub fn note(&self, conversation: ConversationId, id: MessageId) {
        self.add(conversation, id, None);
    }

    /// The message may have been changed or not.
    pub fn note_change(&self, conversation: ConversationId, id: MessageId, change: Change) {
        self.add(conversation, id, Some(change));
    }

    fn add(&self, conversation: ConversationId, id: MessageId, change: Option<Change>) {
        let mut known = self.lock();
        if known.count >= MOST {
            tracing::warn!(
                "too many messages may be stored or not; connections will be told to resume"
            );
            *known = Known {
                lost: true,
                ..Known::default()
            };
        }
        let since = Instant::now();
        let waiting = known.waiting.entry(conversation).or_default();
        waiting.push(Doubt { id, since, change });
        known.count += 1;
        self.some.store(true, Ordering::Relaxed);
    }

    /// Those of a conversation, in the order in which they were to be stored.
    fn of(&self, conversation: ConversationId) -> Vec<Doubt> {
        let known = self.lock();
        known
            .waiting
            .get(&conversation)
            .cloned()
            .unwrap_or_default()
    }

    /// Of a conversation's, only these are in doubt any more.
    fn keep(&self, conversation: ConversationId, left: Vec<Doubt>) {
        let mut known = self.lock();
        let before = known.waiting.remove(&conversation);
        known.count -= before.map_or(0, |before| before.len());
        if !left.is_empty() {
            known.count += left.len();
            known.waiting.insert(conversation, left);
        }
        self.note_whether_some(&known);
    }

    fn conversations(&self) -> Vec<ConversationId> {
        self.lock().waiting.keys().copied().collect()
    }

    fn has_lost(&self) -> bool {
        self.lock().lost
    }

    /// Whether there were too many to keep; answers so once.
    fn take_lost(&self) -> bool {
        let mut known = self.lock();
        let lost = std::mem::take(&mut known.lost);
        self.note_whether_some(&known);
        lost
    }

    fn note_whether_some(&self, known: &Known) {
        let some = known.lost || !known.waiting.is_empty();
        self.some.store(some, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks up what is in doubt where nothing is written, for as long as it takes the database to come back.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if !context.doubts.some() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            result = clear(&context) => if let Err(error) = result {
                tracing::warn!(%error, "looking up messages that may be stored or not was put off");
            }
        }
    }
}

/// Ends at the first look-up that the database does not answer: it would not answer the others.
async fn clear(context: &Arc<Context>) -> Result<()> {
    if context.doubts.has_lost() {
        context.storage.ping().await?;
        resume_if_lost(context);
    }
    for some in context.doubts.conversations().chunks(STEP) {
        try_join_all(some.iter().map(|id| clear_one(context, *id))).await?;
    }
    Ok(())
}

async fn clear_one(context: &Arc<Context>, id: ConversationId) -> Result<()> {
    let here = Arc::clone(context);
    let work = async move {
        let mut told = Vec::new();
        let looked_up = look_up(&here, id, &mut told, Doubt::is_young).await;
        here.publish_all(told).await;
        match looked_up {
            // one that cannot be read is not to keep the others waiting
            Err(error) if !matches!(error, Error::Unavailable { .. }) => {
                tracing::error!(%error, conversation_id = %id, "cannot look up messages that may be stored or not");
                let mut left = here.doubts.of(id);
                left.retain(Doubt::is_young);
                here.doubts.keep(id, left);
                Ok(())
            }
            result => result,
        }
    };
    context.lanes.in_order(id, work).await
}

/// The database works again: whoever may have missed something comes back and catches up.
fn resume_if_lost(context: &Context) {
    if context.doubts.take_lost() {
        context.hub.resume_all();
    }
}

/// Puts what is in doubt before what is told next of a conversation, which has been written; whether the database
/// answered. Call it in the conversation's lane.
///
/// Whoever writes to a conversation locks it: by then the ones in doubt are stored, or never will be.
pub(crate) async fn settle(
    context: &Context,
    id: ConversationId,
    told: &mut Vec<Delivery>,
) -> bool {
    if !context.doubts.some() {
        return true;
    }
    resume_if_lost(context);
    let looked_up = look_up(context, id, told, |_| false).await;
    if let Err(error) = &looked_up {
        tracing::warn!(%error, conversation_id = %id, "messages that may be stored are told later, if they are");
    }
    looked_up.is_ok()
}

/// Those that are stored are told, in their order; those that are not stay in doubt while they may come.
async fn look_up(
    context: &Context,
    id: ConversationId,
    told: &mut Vec<Delivery>,
    may_come: impl Fn(&Doubt) -> bool,
) -> Result<()> {
    let doubts = context.doubts.of(id);
    if doubts.is_empty() {
        return Ok(());
    }
    let (mut happened, mut left) = (Vec::new(), Vec::new());
    let messages = context.storage.messages();
    for some in doubts.chunks(STEP) {
        let found = try_join_all(some.iter().map(|doubt| messages.get(doubt.id))).await?;
        for (doubt, message) in some.iter().zip(found) {
            let event = message.as_ref().and_then(|message| doubt.event(message));
            match (message, event) {
                (Some(message), Some(event)) => happened.push((message, event)),
                _ if may_come(doubt) => left.push(doubt.clone()),
                _ => {}
            }
        }
    }
    context.doubts.keep(id, left);
    tell(context, happened, told).await;
    Ok(())
}

async fn tell(context: &Context, mut happened: Vec<(Message, Event)>, told: &mut Vec<Delivery>) {
    // that one was deleted has been told, or is about to be
    happened
        .retain(|(message, event)| message.is_live() || matches!(event, Event::MessageDeleted(_)));
    happened.sort_by_key(|(message, _)| message.rev);
    // tried more than once, it is one all the same
    happened.dedup_by_key(|(message, event)| (message.id, discriminant(event)));
    // who sent it was answered an error, and is told, too
    for (message, event) in happened {
        if matches!(event, Event::MessageCreated(_)) {
            context.recent.note(&message);
        }
        lanes::tell(context, event, None, told).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn conversation(number: u128) -> ConversationId {
        ConversationId::from_uuid(Uuid::from_u128(number))
    }

    fn message(number: usize) -> MessageId {
        MessageId::from_uuid(Uuid::from_u128(number as u128))
    }

    #[test]
    fn what_is_not_kept_is_forgotten() {
        let doubts = Doubts::default();
        assert!(!doubts.some());
        for number in 1..=3 {
            doubts.note(conversation(1), message(number));
        }
        doubts.note(conversation(2), message(4));
        let second = doubts.of(conversation(1)).swap_remove(1);
        doubts.keep(conversation(1), vec![second]);
        let left: Vec<_> = doubts
            .of(conversation(1))
            .iter()
            .map(|one| one.id)
            .collect();
        assert_eq!(left, [message(2)]);
        doubts.keep(conversation(1), Vec::new());
        assert!(doubts.some(), "the other conversation's is there");
        assert_eq!(doubts.conversations(), [conversation(2)]);
        doubts.keep(conversation(2), Vec::new());
        assert!(!doubts.some());
        assert_eq!(doubts.lock().count, 0);
    }

    #[test]
    fn all_are_forgotten_when_there_are_too_many_and_somebody_is_told_so_once() {
        let doubts = Doubts::default();
        for number in 0..MOST {
            doubts.note(conversation(1), message(number));
        }
        assert!(!doubts.has_lost());
        doubts.note(conversation(2), message(MOST));
        assert!(doubts.of(conversation(1)).is_empty());
        assert_eq!(doubts.of(conversation(2)).len(), 1);
        doubts.keep(conversation(2), Vec::new());
        assert!(doubts.some() && doubts.take_lost());
        assert!(!doubts.some() && !doubts.take_lost());
    }
}
