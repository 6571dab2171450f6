//! Who is here. A user is online while a connection is open, plus a short grace that hides a reconnect.
//! Changes are gathered and pushed once a second, to those who share a conversation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use connexus_domain::event::PresenceChange;
use connexus_domain::{
    Entity, Error, Event, Presence, Result, Status, Timestamp, User, UserId, UserPatch, Visibility,
    text,
};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio_util::sync::CancellationToken;

use crate::Actor;
use crate::context::{Context, LAST_ATTEMPTS, LAST_PAUSE};
use crate::hub::{Audience, Delivery};
use crate::users::Profile;

/// How many connections each user has, over all threads.
pub(crate) struct Registry {
    users: Mutex<FxHashMap<UserId, Here>>,
    dirty: Mutex<FxHashMap<UserId, Told>>,
}

/// Who is told of a change, the later including the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// Of coming and going: a user's own connections know.
    Others,
    /// Of being shown differently: the user's other devices, too.
    All,
}

struct Here {
    connections: usize,
    /// Set by the sweep when it first sees that no connection is left.
    gone_since: Option<Timestamp>,
}

impl Registry {
    pub fn new() -> Self {
        Self {
            users: Mutex::default(),
            dirty: Mutex::default(),
        }
    }

    pub fn connected(&self, user: UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let here = users.entry(user).or_insert_with(|| {
            self.note(user, Told::Others);
            Here {
                connections: 0,
                gone_since: None,
            }
        });
        here.connections += 1;
        here.gone_since = None;
        metrics::gauge!("connexus_connections").increment(1);
    }

    pub fn disconnected(&self, user: UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = users.get_mut(&user) {
            here.connections = here.connections.saturating_sub(1);
        }
        metrics::gauge!("connexus_connections").decrement(1);
    }

    /// Whether the user is here, or was a moment ago.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&user)
    }

    /// The user is shown differently.
    pub fn changed(&self, user: UserId) {
        self.note(user, Told::All);
    }

    fn note(&self, user: UserId, told: Told) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = dirty.entry(user).or_insert(told);
        *noted = told.max(*noted);
    }

    fn take_changed(&self) -> Vec<(UserId, Told)> {
        std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
            .into_iter()
            .collect()
    }

    /// Those who have been gone for longer than `grace`, and since when; they are offline from now on.
    fn sweep(&self, now: Timestamp, grace: std::time::Duration) -> Vec<(UserId, Timestamp)> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = Vec::new();
        users.retain(|user, here| {
            if here.connections > 0 {
                return true;
            }
            let since = *here.gone_since.get_or_insert(now);
            let over = now.since(since) >= grace;
            if over {
                gone.push((*user, since));
            }
            !over
        });
        drop(users);
        for (user, _) in &gone {
            self.note(*user, Told::Others);
        }
        gone
    }

    /// Everybody who is here, with the time of this call: for the last-seen times at shutdown.
    fn everybody(&self, now: Timestamp) -> Vec<(UserId, Timestamp)> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users
            .iter()
            .map(|(user, here)| (*user, here.gone_since.unwrap_or(now)))
            .collect()
    }
}

/// Finds out who went, and tells who came, went, or is shown differently.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let settings = &context.settings.presence;
    let mut tick = tokio::time::interval(settings.push_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // last-seen times that could not be written yet
    let mut unwritten: HashMap<UserId, Timestamp> = HashMap::new();
    // how those who are here were told last
    let mut shown: HashMap<UserId, Presence> = HashMap::new();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tick.tick() => {}
        }
        context.record_sizes();
        unwritten.extend(context.presence.sweep(context.now(), settings.grace));
        if stop.is_cancelled() {
            unwritten.extend(context.presence.everybody(context.now()));
        }
        write_last_seen(&context, &mut unwritten).await;
        let changed = context.presence.take_changed();
        if changed.is_empty() {
            continue;
        }
        if let Err(error) = push(&context, &changed, &mut shown).await {
            tracing::warn!(%error, users = changed.len(), "presence could not be told yet");
            for (user, told) in changed {
                context.presence.note(user, told);
            }
        }
    }
    for _ in 1..LAST_ATTEMPTS {
        if unwritten.is_empty() {
            break;
        }
        tokio::time::sleep(LAST_PAUSE).await;
        write_last_seen(&context, &mut unwritten).await;
    }
}

async fn write_last_seen(context: &Context, unwritten: &mut HashMap<UserId, Timestamp>) {
    if unwritten.is_empty() {
        return;
    }
    let seen: Vec<_> = unwritten.iter().map(|(user, at)| (*user, *at)).collect();
    match context.storage.users().touch_last_seen(&seen).await {
        Ok(()) => unwritten.clear(),
        Err(error) => {
            tracing::warn!(%error, users = seen.len(), "last-seen times could not be written yet");
        }
    }
}

async fn push(
    context: &Context,
    changed: &[(UserId, Told)],
    shown: &mut HashMap<UserId, Presence>,
) -> Result<()> {
    /// Users per query: keeps each of them short.
    const CHUNK: usize = 200;
    for chunk in changed.chunks(CHUNK) {
        let ids: Vec<UserId> = chunk.iter().map(|(user, _)| *user).collect();
        let to_all: HashSet<UserId> = chunk
            .iter()
            .filter_map(|(user, told)| (*told == Told::All).then_some(*user))
            .collect();
        let max = context.settings.presence.max_members;
        let pairs = context
            .storage
            .conversations()
            .peers(&ids, Some(max))
            .await?;
        let mut watchers: HashMap<UserId, Vec<UserId>> = HashMap::new();
        for (user, peer) in pairs
            .into_iter()
            .filter(|(_, peer)| context.presence.is_connected(*peer))
        {
            watchers.entry(user).or_default().push(peer);
        }
        let users = context.storage.users().get_many(&ids).await?;
        let mut deliveries = Vec::with_capacity(users.len());
        for user in users {
            context.know(&user).await;
            let mut told = match user.privacy.presence {
                Visibility::Nobody => Vec::new(),
                Visibility::Everyone | Visibility::Contacts => {
                    watchers.remove(&user.id).unwrap_or_default()
                }
            };
            if to_all.contains(&user.id) {
                told.push(user.id);
            }
            told.sort_unstable();
            let profile = context.own_profile(user);
            let before = match profile.presence {
                Presence::Offline => shown.remove(&profile.user.id),
                here @ Presence::Connected(_) => shown.insert(profile.user.id, here),
            };
            if told.is_empty() {
                continue;
            }
            let event = Event::PresenceUpdated(PresenceChange {
                user_id: profile.user.id,
                presence: profile.presence,
                before: before.unwrap_or(Presence::Offline),
                status_text: profile.user.status_text,
                last_seen_at: profile.last_seen_at,
            });
            deliveries.push(Delivery::new(event, Audience::Many(told.into())));
        }
        context.publish_all(deliveries).await;
    }
    Ok(())
}

/// How some users appear to one who shares a conversation with each of them.
pub struct Shown<'a> {
    context: &'a Context,
    apart: FxHashSet<UserId>,
}

impl Shown<'_> {
    /// Whether the user is here, and when its last connection went. Neither is told by those who do not want it, nor when
    /// one of the two blocks the other.
    pub fn of(&self, user: &User) -> (Presence, Option<Timestamp>) {
        if user.privacy.presence == Visibility::Nobody || self.apart.contains(&user.id) {
            return (Presence::Offline, None);
        }
        (self.context.presence_of(user), user.last_seen_at)
    }
}

/// Who is here.
pub struct PresenceService {
    context: Arc<Context>,
}

impl PresenceService {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker wants to be shown so while connected. An empty text empties the line beside the status.
    pub async fn set_status(
        &self,
        actor: &Actor,
        status: Status,
        status_text: Option<&str>,
    ) -> Result<Profile> {
        let status_text = match status_text {
            Some(line) => Some(text::optional_line(
                "status_text",
                line,
                connexus_domain::user::STATUS_TEXT_MAX,
            )?),
            None => None,
        };
        let patch = UserPatch {
            status: Some(status),
            status_text,
            ..UserPatch::default()
        };
        let user = self
            .context
            .storage
            .users()
            .update(actor.user_id, &patch, self.context.now())
            .await?;
        let user = user.ok_or(Error::NotFound(Entity::User))?;
        self.context.presence.changed(user.id);
        Ok(self.context.own_profile(user))
    }

    /// How those of `users` appear to the asker, who shares a conversation with each.
    pub async fn shown_to(
        &self,
        actor: &Actor,
        users: impl IntoIterator<Item = UserId>,
    ) -> Result<Shown<'_>> {
        let users: FxHashSet<UserId> = users.into_iter().collect();
        let users: Vec<UserId> = users.into_iter().collect();
        Ok(Shown {
            context: &self.context,
            apart: self.context.apart_among(actor.user_id, &users).await?,
        })
    }

    /// Those who are online among those with whom the asker shares a conversation, in the order of their ids.
    pub async fn online(&self, actor: &Actor) -> Result<Vec<Profile>> {
        let conversations = self.context.storage.conversations();
        let pairs = conversations.peers(&[actor.user_id], None).await?;
        let peers = pairs.into_iter().map(|(_, peer)| peer).collect();
        self.online_among(actor, peers).await
    }

    /// The same without those who are together with the asker only in conversations in which presence is not told:
    /// what everybody is told who comes must not cost as much as all who are there.
    pub async fn online_outside_crowds(&self, actor: &Actor) -> Result<Vec<Profile>> {
        let peers = self.context.acquaintances.get(actor.user_id).await?;
        self.online_among(actor, peers.unwrap_or_default()).await
    }

    /// Of `peers`, none of whom blocks the asker or is blocked.
    async fn online_among(&self, actor: &Actor, peers: Vec<UserId>) -> Result<Vec<Profile>> {
        let context = &self.context;
        let here: Vec<UserId> = peers
            .into_iter()
            .filter(|peer| context.presence.is_connected(*peer))
            .collect();
        if here.is_empty() {
            return Ok(Vec::new());
        }
        let found = context.storage.users().get_many(&here).await?;
        let mut online: Vec<Profile> = found
            .into_iter()
            .map(|user| context.contact_profile(actor.user_id, user))
            .filter(|profile| profile.presence != Presence::Offline)
            .collect();
        online.sort_unstable_by_key(|profile| profile.user.id);
        Ok(online)
    }
}
