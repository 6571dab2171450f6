//! Watermarks that wait to be written, one for each member.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connexus_domain::{ConversationId, Message, Receipt, Result, Seq, UserId};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, oneshot};

/// Watermarks that wait to be written.
#[derive(Default)]
pub(crate) struct Pending {
    gathered: Mutex<Gathered>,
    /// Something is there; it may gather a little longer.
    pub(super) some: Notify,
    /// Somebody waits for it.
    pub(super) urgent: Notify,
}

/// For how many times as long deliveries gather that nobody is told of: in a conversation of a thousand, each
/// message moves a thousand watermarks.
pub(super) const QUIET: usize = 10;

pub(super) type Marks = FxHashMap<(ConversationId, UserId), Mark>;

#[derive(Default)]
struct Gathered {
    marks: Marks,
    /// The same in conversations where nobody is told: it may gather for longer. In as many parts, so that not all
    /// of it is due together.
    quiet: [Marks; QUIET],
    /// What has gathered for long enough, and is written step by step.
    due: Marks,
    waiting: Vec<Waiting>,
    /// What is being written: it is neither waiting nor in the database yet.
    writing: Arc<Marks>,
}

#[derive(Default)]
pub(super) struct Mark {
    pub delivered: Seq,
    pub read: Seq,
    /// Who sent what was delivered: they are told.
    pub senders: Vec<UserId>,
}

/// Who waits for what it has read to be written.
pub(super) struct Waiting {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub reply: oneshot::Sender<Result<Option<Receipt>>>,
}

impl Mark {
    fn merge(&mut self, other: &Self) {
        self.delivered = self.delivered.max(other.delivered);
        self.read = self.read.max(other.read);
        for sender in &other.senders {
            self.sent_by(*sender);
        }
    }

    fn sent_by(&mut self, sender: UserId) {
        if !self.senders.contains(&sender) {
            self.senders.push(sender);
        }
    }
}

impl Pending {
    /// A message was handed to connections of these users.
    pub fn delivered(&self, message: &Message, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let mut gathered = self.gathered();
        for user in users {
            let mark = reached(&mut gathered.marks, message, *user);
            mark.sent_by(message.sender_id);
        }
        drop(gathered);
        self.some.notify_one();
    }

    /// A message was handed to connections of these users, in a conversation where nobody is told of it.
    pub fn delivered_quietly(&self, message: &Message, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let mut gathered = self.gathered();
        let quiet = &mut gathered.quiet[part(message.conversation_id)];
        for user in users {
            reached(quiet, message, *user);
        }
        drop(gathered);
        self.some.notify_one();
    }

    /// Somebody has read up to `seq`, and waits for that to be written.
    pub(super) fn read(
        &self,
        conversation_id: ConversationId,
        user_id: UserId,
        seq: Seq,
    ) -> oneshot::Receiver<Result<Option<Receipt>>> {
        let (reply, answer) = oneshot::channel();
        let mut gathered = self.gathered();
        let key = (conversation_id, user_id);
        let mark = gathered.marks.entry(key).or_default();
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
        let gathered = self.gathered();
        [
            &gathered.marks,
            &gathered.quiet[part(conversation_id)],
            &gathered.due,
            &*gathered.writing,
        ]
        .into_iter()
        .filter_map(|marks| marks.get(&(conversation_id, user_id)))
        .map(|mark| mark.delivered.max(mark.read))
        .max()
        .unwrap_or(0)
    }

    /// How many watermarks wait.
    pub fn len(&self) -> usize {
        let gathered = self.gathered();
        let quiet: usize = gathered.quiet.iter().map(FxHashMap::len).sum();
        gathered.marks.len() + quiet + gathered.due.len()
    }

    /// How many are due.
    pub(super) fn due(&self) -> usize {
        self.gathered().due.len()
    }

    /// Whether anything still gathers.
    pub(super) fn gathers(&self) -> bool {
        let gathered = self.gathered();
        !(gathered.marks.is_empty() && gathered.quiet.iter().all(FxHashMap::is_empty))
    }

    /// What has gathered until now is due, and of what nobody is told of one part; how many are.
    pub(super) fn fall_due(&self, part: usize) -> usize {
        let mut gathered = self.gathered();
        let marks = std::mem::take(&mut gathered.marks);
        put(&mut gathered.due, marks);
        let quiet = std::mem::take(&mut gathered.quiet[part]);
        put(&mut gathered.due, quiet);
        gathered.due.len()
    }

    /// What is to be written now, until [`written`](Self::written) or [`put_back`](Self::put_back): what somebody
    /// waits for, and at most so many of those that are due.
    pub(super) fn take(&self, most: usize) -> (Arc<Marks>, Vec<Waiting>) {
        let mut gathered = self.gathered();
        let waiting = std::mem::take(&mut gathered.waiting);
        let mut marks: Marks = gathered.due.extract_if(|_, _| true).take(most).collect();
        for wait in &waiting {
            let key = (wait.conversation_id, wait.user_id);
            let older = [
                gathered.marks.remove(&key),
                gathered.quiet[part(wait.conversation_id)].remove(&key),
                gathered.due.remove(&key),
            ];
            for older in older.iter().flatten() {
                marks.entry(key).or_default().merge(older);
            }
        }
        gathered.writing = Arc::new(marks);
        (Arc::clone(&gathered.writing), waiting)
    }

    /// What was taken is in the database.
    pub(super) fn written(&self) {
        self.gathered().writing = Arc::default();
    }

    /// What could not be written is due as before.
    pub(super) fn put_back(&self, marks: &Marks) {
        /// With the database gone for long, forgetting a delivered mark costs a status, no message.
        const MOST: usize = 1_000_000;
        let mut gathered = self.gathered();
        for (key, mark) in marks {
            if gathered.due.len() < MOST || gathered.due.contains_key(key) {
                gathered.due.entry(*key).or_default().merge(mark);
            }
        }
        gathered.writing = Arc::default();
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reached<'m>(marks: &'m mut Marks, message: &Message, user: UserId) -> &'m mut Mark {
    let mark = marks.entry((message.conversation_id, user)).or_default();
    mark.delivered = mark.delivered.max(message.seq);
    mark
}

/// The fewer to the more: those who deliver wait meanwhile.
fn put(into: &mut Marks, mut marks: Marks) {
    if into.len() < marks.len() {
        std::mem::swap(into, &mut marks);
    }
    for (key, mark) in marks {
        into.entry(key).or_default().merge(&mark);
    }
}

/// Where what is quiet of this conversation gathers.
fn part(id: ConversationId) -> usize {
    let random = id.as_uuid().as_bytes()[15];
    usize::from(random) % QUIET
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;
    use crate::testing::message;

    fn user(number: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn what_is_due_is_taken_in_steps_and_known_until_it_is_written() {
        let pending = Pending::default();
        let users: Vec<UserId> = (0..10).map(user).collect();
        let conversation = message(7).conversation_id;
        pending.delivered(&message(7), &users);
        assert!(pending.take(4).0.is_empty(), "nothing is due yet");
        pending.fall_due(0);
        pending.delivered(&message(8), &users[..1]);
        let mut taken = HashSet::new();
        for left in [6, 2, 0] {
            let (marks, _) = pending.take(4);
            assert_eq!(pending.due(), left);
            for user in &users {
                let known = pending.delivered_seq(conversation, *user);
                let expected = match *user {
                    first if first == users[0] => 8,
                    written if taken.contains(&written) => 0,
                    _ => 7,
                };
                assert_eq!(known, expected);
            }
            let step: Vec<UserId> = marks.keys().map(|(_, user)| *user).collect();
            assert!(step.iter().all(|user| taken.insert(*user)), "taken twice");
            pending.written();
        }
        assert_eq!(taken.len(), users.len());
        assert_eq!(pending.len(), 1, "what came meanwhile gathers");
    }

    #[test]
    fn what_somebody_waits_for_is_taken_with_all_that_waited_for_the_same_member() {
        let pending = Pending::default();
        let sent = message(7);
        pending.delivered(&sent, &[user(0)]);
        pending.fall_due(0);
        let _answer = pending.read(sent.conversation_id, user(0), 5);
        let (marks, waiting) = pending.take(0);
        let mark = &marks[&(sent.conversation_id, user(0))];
        assert_eq!((mark.delivered, mark.read), (7, 5));
        assert_eq!(mark.senders, [sent.sender_id]);
        assert_eq!((waiting.len(), pending.len()), (1, 0));
    }

    #[test]
    fn what_nobody_is_told_of_gathers_for_longer_and_is_known_all_the_while() {
        let pending = Pending::default();
        let sent = message(7);
        pending.delivered_quietly(&sent, &[user(0), user(1)]);
        let mine = part(sent.conversation_id);
        for other in (0..QUIET).filter(|part| *part != mine) {
            assert_eq!(pending.fall_due(other), 0);
        }
        assert!(pending.gathers());
        assert_eq!(pending.len(), 2);
        assert_eq!(pending.delivered_seq(sent.conversation_id, user(0)), 7);

        let _answer = pending.read(sent.conversation_id, user(1), 5);
        let (marks, _) = pending.take(0);
        let mark = &marks[&(sent.conversation_id, user(1))];
        assert_eq!((mark.delivered, mark.read), (7, 5));
        pending.written();

        assert_eq!(pending.fall_due(mine), 1);
        assert!(!pending.gathers());
        let (marks, _) = pending.take(4);
        assert!(marks[&(sent.conversation_id, user(0))].senders.is_empty());
    }

    #[test]
    fn what_could_not_be_written_is_due_again() {
        let pending = Pending::default();
        let conversation = message(7).conversation_id;
        pending.delivered(&message(7), &[user(0), user(1)]);
        pending.fall_due(0);
        let (marks, _) = pending.take(1);
        pending.put_back(&marks);
        assert_eq!(pending.due(), 2);
        pending.delivered(&message(9), &[user(0)]);
        pending.fall_due(0);
        assert_eq!(pending.due(), 2);
        assert_eq!(pending.delivered_seq(conversation, user(0)), 9);
    }
}
