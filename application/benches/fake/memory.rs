//! Messages that are kept, by a database that goes away as it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use connexus_domain::message::{AppendOutcome, Appended, Changed};
use connexus_domain::{
    Entity, Error, Message, MessageBody, MessageId, NewMessage, Result, Rev, Seq,
};

/// What becomes of one call that stores messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are stored.
    Stored,
    /// They are stored, and the answer is lost.
    AnswerLost,
    /// They are not stored, and there is no answer.
    NotStored,
    /// They are not stored, for a fault of ours.
    Fault,
}

#[derive(Default)]
pub struct Memory {
    messages: Mutex<Vec<Message>>,
    fates: Mutex<VecDeque<Fate>>,
    /// Whether nothing is stored.
    pub full: AtomicBool,
    /// Whether no look-up is answered.
    pub silent: AtomicBool,
    /// How many look-ups there were.
    pub looked_up: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
#[error("so it was to be")]
struct Fated;

impl Memory {
    /// What becomes of the next calls.
    pub fn is_to(&self, fates: impl IntoIterator<Item = Fate>) {
        lock(&self.fates).extend(fates);
    }

    pub(super) fn append(&self, batch: &[NewMessage]) -> Result<Vec<Result<AppendOutcome>>> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Error::unavailable(Fated));
        }
        let fate = lock(&self.fates).pop_front();
        match fate {
            Some(Fate::NotStored) => return Err(Error::unavailable(Fated)),
            Some(Fate::Fault) => return Err(Error::internal(Fated)),
            Some(Fate::Stored | Fate::AnswerLost) | None => {}
        }
        let mut stored = lock(&self.messages);
        let outcomes = batch.iter().map(|new| Ok(store(&mut stored, new)));
        let outcomes = outcomes.collect();
        match fate {
            Some(Fate::AnswerLost) => Err(Error::unavailable(Fated)),
            _ => Ok(outcomes),
        }
    }

    pub(super) fn get(&self, id: MessageId) -> Result<Option<Message>> {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::unavailable(Fated));
        }
        let stored = lock(&self.messages);
        Ok(stored.iter().find(|message| message.id == id).cloned())
    }

    pub(super) fn edit(&self, id: MessageId, body: &MessageBody) -> Result<Changed> {
        let fate = lock(&self.fates).pop_front();
        if fate == Some(Fate::NotStored) {
            return Err(Error::unavailable(Fated));
        }
        let mut stored = lock(&self.messages);
        let rev = next_rev(&stored);
        let message = stored.iter_mut().find(|message| message.id == id);
        let message = message.ok_or(Error::NotFound(Entity::Message))?;
        let changed = message.body.as_deref() != Some(body.as_str());
        if changed {
            message.rev = rev;
            message.body = Some(body.as_str().to_owned());
        }
        let message = message.clone();
        match fate {
            Some(Fate::AnswerLost) => Err(Error::unavailable(Fated)),
            _ => Ok(Changed { message, changed }),
        }
    }
}

/// As if there were only one conversation to count in.
fn store(stored: &mut Vec<Message>, new: &NewMessage) -> AppendOutcome {
    let known = stored.iter().find(|message| {
        new.client_id.is_some()
            && message.client_id == new.client_id
            && message.conversation_id == new.conversation_id
    });
    if let Some(known) = known {
        return AppendOutcome::Duplicate(Box::new(known.clone()));
    }
    let numbers = Appended {
        seq: Seq::try_from(stored.len() + 1).unwrap_or(Seq::MAX),
        rev: next_rev(stored),
        created_at: new.at,
        attachments: Vec::new(),
    };
    stored.push(new.clone().into_message(numbers.clone()));
    AppendOutcome::Appended(numbers)
}

fn next_rev(stored: &[Message]) -> Rev {
    stored.iter().map(|message| message.rev).max().unwrap_or(0) + 1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
