//! Who writes: told at most every three seconds, over by itself after seven, never stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connexus_domain::{ConversationId, Event, Message, Result, Timestamp, UserId};
use tokio_util::sync::CancellationToken;

use crate::Actor;
use crate::context::Context;
use crate::hub::{Audience, Delivery};
use crate::roster::Roster;

/// At most one start per user and conversation in this time.
const QUIET: Duration = Duration::from_secs(3);
/// Without another start, typing ends by itself after this time.
const EXPIRY: Duration = Duration::from_secs(7);
/// Beyond this number of people who write at once, starts are not told any more.
const MOST: usize = 200_000;

/// Who writes where, since when.
#[derive(Default)]
pub(crate) struct Typists {
    since: Mutex<HashMap<(ConversationId, UserId), Timestamp>>,
}

impl Typists {
    /// Whether this start is to be told.
    fn start(&self, key: (ConversationId, UserId), now: Timestamp) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.get(&key).is_some_and(|last| now.since(*last) < QUIET) || since.len() >= MOST {
            return false;
        }
        since.insert(key, now);
        true
    }

    /// Whether there is anything to end.
    fn stop(&self, key: (ConversationId, UserId)) -> bool {
        self.since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key)
            .is_some()
    }

    fn expired(&self, now: Timestamp) -> Vec<(ConversationId, UserId)> {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<_> = since
            .iter()
            .filter(|(_, start)| now.since(**start) >= EXPIRY)
            .map(|(key, _)| *key)
            .collect();
        for key in &over {
            since.remove(key);
        }
        over
    }

    /// Who has sent a message writes no more: what is to be told of it, if anything.
    pub fn sent(&self, message: &Message, roster: &Roster) -> Option<Delivery> {
        let (id, sender) = (message.conversation_id, message.sender_id);
        self.stop((id, sender))
            .then(|| telling(roster, id, sender, false))
    }
}

/// Ends what nobody has ended.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        for (conversation_id, user_id) in context.typists.expired(context.now()) {
            // who cannot be told now will not see it for longer than its own expiry
            if let Ok(roster) = context.rosters.get(conversation_id).await {
                let telling = telling(&roster, conversation_id, user_id, false);
                context.publish(telling).await;
            }
        }
    }
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
        let roster = self.roster(actor, id).await?;
        let small = roster.members.len() <= self.context.settings.delivery.chatter_max_members;
        if small
            && self
                .context
                .typists
                .start((id, actor.user_id), self.context.now())
        {
            let telling = telling(&roster, id, actor.user_id, true);
            self.context.publish(telling.except(actor.origin())).await;
        }
        Ok(())
    }

    /// The asker stopped writing.
    pub async fn stop(&self, actor: &Actor, id: ConversationId) -> Result<()> {
        let roster = self.roster(actor, id).await?;
        if self.context.typists.stop((id, actor.user_id)) {
            let telling = telling(&roster, id, actor.user_id, false);
            self.context.publish(telling.except(actor.origin())).await;
        }
        Ok(())
    }

    async fn roster(&self, actor: &Actor, id: ConversationId) -> Result<Arc<Roster>> {
        let roster = self.context.rosters.of_member(id, actor.user_id).await?;
        if let Some(peer) = roster.peer_of(actor.user_id) {
            self.context.check_not_blocked(actor.user_id, peer).await?;
        }
        Ok(roster)
    }
}
