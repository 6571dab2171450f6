//! Where the newest messages of this process stand, so that a read mark that names one costs no look-up:
//! clients mark what has just come. A message never changes its conversation or its number.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use connexus_domain::{ConversationId, Message, MessageId, Seq};
use rustc_hash::FxHashMap;

/// How many are known.
const MOST: usize = 50_000;

/// The newest messages.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Known>);

#[derive(Default)]
struct Known {
    places: FxHashMap<MessageId, (ConversationId, Seq)>,
    order: VecDeque<MessageId>,
}

impl Recent {
    /// A message was stored.
    pub fn note(&self, message: &Message) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.order.len() >= MOST
            && let Some(oldest) = known.order.pop_front()
        {
            known.places.remove(&oldest);
        }
        known.order.push_back(message.id);
        let place = (message.conversation_id, message.seq);
        known.places.insert(message.id, place);
    }

    /// Where it is, if it is one of them.
    pub fn find(&self, id: MessageId) -> Option<(ConversationId, Seq)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.places.get(&id).copied()
    }

    pub fn len(&self) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let recent = Recent::default();
        for number in 0..=MOST {
            recent.note(&message(number));
        }
        assert_eq!(recent.len(), MOST);
        assert_eq!(recent.find(message(0).id), None);
        let conversation = message(0).conversation_id;
        assert_eq!(recent.find(message(MOST).id), Some((conversation, 50_000)));
    }
}
