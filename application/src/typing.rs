//! Who writes: told at most every three seconds, over by itself after seven, never stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connexus_domain::{ConversationId, Event, Message, Result, Timestamp, UserId};
use tokio_util::sync::CancellationToken;

use crate::Actor;
use crate::context::Context;
use crate::hub::{Audience, Delivery};
use crate::roster::Roster;

/// At most one start is told per user and conversation in this time, unless its user said in between to have stopped.
const QUIET: Duration = Duration::from_secs(3);
/// Without another start, typing ends by itself after this time.
const EXPIRY: Duration = Duration::from_secs(7);
/// Beyond this number of people who write at once, starts are not told any more.
const MOST: usize = 200_000;

type Key = (ConversationId, UserId);

/// Who writes where.
#[derive(Default)]
pub(crate) struct Typists {
    known: Mutex<HashMap<Key, Typist>>,
}

struct Typist {
    /// When a start was told last.
    told: Timestamp,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The others see it.
    Shown,
    /// A message came, and nothing since.
    Sent,
    /// A start followed the message too soon to be told yet.
    Waits,
}

/// What time has brought: starts that waited, and ends that nobody has told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    starts: Vec<Key>,
    ends: Vec<Key>,
}

impl Typists {
    /// Whether this start is to be told now.
    fn start(&self, key: Key, now: Timestamp) -> bool {
        let mut known = self.lock();
        if let Some(typist) = known.get_mut(&key)
            && now.since(typist.told) < QUIET
        {
            if typist.state == State::Sent {
                typist.state = State::Waits;
            }
            return false;
        }
        if known.len() >= MOST {
            return false;
        }
        let typist = Typist {
            told: now,
            state: State::Shown,
        };
        known.insert(key, typist);
        true
    }

    /// Whether there is anything to end.
    fn stop(&self, key: Key) -> bool {
        let typist = self.lock().remove(&key);
        typist.is_some_and(|typist| typist.state == State::Shown)
    }

    /// The same for who has sent a message. One after the other comes quicker than writing has to be told.
    fn pause(&self, key: Key) -> bool {
        let mut known = self.lock();
        let Some(typist) = known.get_mut(&key) else {
            return false;
        };
        std::mem::replace(&mut typist.state, State::Sent) == State::Shown
    }

    fn due(&self, now: Timestamp) -> Due {
        let mut due = Due::default();
        self.lock().retain(|key, typist| {
            let since = now.since(typist.told);
            match typist.state {
                State::Shown if since >= EXPIRY => {
                    due.ends.push(*key);
                    false
                }
                State::Waits if since >= QUIET => {
                    due.starts.push(*key);
                    *typist = Typist {
                        told: now,
                        state: State::Shown,
                    };
                    true
                }
                State::Sent => since < QUIET,
                State::Shown | State::Waits => true,
            }
        });
        due
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Typist>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has sent a message writes no more: what is to be told of it, if anything.
    pub fn sent(&self, message: &Message, roster: &Roster) -> Option<Delivery> {
        let (id, sender) = (message.conversation_id, message.sender_id);
        self.pause((id, sender))
            .then(|| telling(roster, id, sender, false))
    }
}

/// Tells of starts that waited, and ends what nobody has ended.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let due = context.typists.due(context.now());
        for (id, user) in due.starts {
            if let Ok(Some(roster)) = may_be_told(&context, id, user).await {
                context.publish(telling(&roster, id, user, true)).await;
            } else {
                // who may not any more, or cannot be told of: nobody saw it begin, so there is no end to tell
                context.typists.stop((id, user));
            }
        }
        for (id, user) in due.ends {
            // who cannot be told now will not see it for longer than its own expiry
            if let Ok(roster) = context.rosters.get(id).await {
                context.publish(telling(&roster, id, user, false)).await;
            }
        }
    }
}

/// Who is there, if the user may write there.
async fn roster(context: &Context, id: ConversationId, user: UserId) -> Result<Arc<Roster>> {
    let roster = context.rosters.of_member(id, user).await?;
    if let Some(peer) = roster.peer_of(user) {
        context.check_not_blocked(user, peer).await?;
    }
    Ok(roster)
}

/// The same, and nobody in big conversations.
async fn may_be_told(
    context: &Context,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Arc<Roster>>> {
    let roster = roster(context, id, user).await?;
    let small = roster.members.len() <= context.settings.delivery.chatter_max_members;
    Ok(small.then_some(roster))
}

fn telling(
    roster: &Roster,
    conversation_id: ConversationId,
    user_id: UserId,
    typing: bool,
) -> Delivery {
    let event = Event::Typing {
        conversation_id,
        user_id,
        typing,
    };
    let others: Arc<[UserId]> = roster
        .members
        .iter()
        .copied()
        .filter(|member| *member != user_id)
        .collect();
    Delivery::new(event, Audience::Many(others))
}

/// Who writes.
pub struct Typing {
    context: Arc<Context>,
}

impl Typing {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker writes. In big conversations nobody is told.
    pub async fn start(&self, actor: &Actor, id: ConversationId) -> Result<()> {
        let (context, user) = (&self.context, actor.user_id);
        if let Some(roster) = may_be_told(context, id, user).await?
            && context.typists.start((id, user), context.now())
        {
            let telling = telling(&roster, id, user, true);
            context.publish(telling.except(actor.origin())).await;
        }
        Ok(())
    }

    /// The asker stopped writing.
    pub async fn stop(&self, actor: &Actor, id: ConversationId) -> Result<()> {
        let (context, user) = (&self.context, actor.user_id);
        let roster = roster(context, id, user).await?;
        if context.typists.stop((id, user)) {
            let telling = telling(&roster, id, user, false);
            context.publish(telling.except(actor.origin())).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
