//! Who was a member when its last message was stored. That holds for as long as nothing but messages has come to the
//! conversation since, which each batch sees for itself in its own transaction: with that, it is as good as a read.

use connexus_domain::message::AppendOutcome;
use connexus_domain::{ConversationId, NewMessage, Result, UserId};
use moka::sync::Cache;

use super::lookup::Standing;

/// How many are remembered: those who sent last.
const MOST: u64 = 100_000;

/// Senders who were members, each with the [changes](Standing::changes) of the conversation by then.
#[derive(Debug, Clone)]
pub(crate) struct KnownSenders(Cache<(ConversationId, UserId), i64>);

impl KnownSenders {
    pub fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Whether the sender is still a member where a conversation stands so.
    pub fn has(&self, sender: &(ConversationId, UserId), standing: &Standing) -> bool {
        self.0.get(sender) == Some(standing.changes())
    }

    /// Remembers the senders of messages that are stored, and committed.
    pub fn note(&self, batch: &[NewMessage], answers: &[Result<AppendOutcome>]) {
        for (new, answer) in batch.iter().zip(answers) {
            if let Ok(AppendOutcome::Appended(numbers)) = answer {
                let changes = numbers.rev - numbers.seq;
                self.0.insert((new.conversation_id, new.sender_id), changes);
            }
        }
    }
}
