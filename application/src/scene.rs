//! What surrounds an event: names, pictures, titles. Gateways whose words need more than the event itself
//! says ask for it; while no such gateway has a connection, nothing of this is loaded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{
    Conversation, ConversationId, Error, Event, Limit, Member, Message, MessageId, Result, Seq,
    User, UserId,
};
use futures_util::future::try_join_all;
use moka::future::Cache;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::Actor;
use crate::context::Context;
use crate::gather::Gather;
use crate::hub::{Delivery, Detail};
use crate::roster::Roster;
use crate::settings::DeliverySettings;

/// How long names and titles are believed: they are for display, and decide nothing.
const BELIEVED: Duration = Duration::from_secs(15);
/// Of bigger conversations, only who acts is loaded, not everybody.
const EVERYBODY_MAX: u32 = 100;
/// How far back a receipt names messages.
const NAMED_MESSAGES: u32 = 20;

/// A message that a receipt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Which.
    pub id: MessageId,
    /// Its place.
    pub seq: Seq,
    /// Whose.
    pub sender_id: UserId,
}

/// The setting of one event.
#[derive(Debug)]
pub struct Scene {
    /// Where it happened. Its counters may be older than the event.
    pub conversation: Option<Arc<Conversation>>,
    /// The conversation's members, in the order of their ids.
    pub members: Arc<[UserId]>,
    /// For a receipt: the newest messages up to its watermark, newest first.
    pub named: Vec<Named>,
    people: Arc<People>,
    actor: Option<Arc<User>>,
}

type People = FxHashMap<UserId, (Arc<User>, Member)>;

impl Scene {
    /// Who it is: whoever acts is always known; others are when the conversation is not a big one.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        match &self.actor {
            Some(actor) if actor.id == id => Some(actor),
            _ => self.people.get(&id).map(|(user, _)| user),
        }
    }

    /// Whether its conversation is a big one, of whose members not everybody is known.
    pub fn is_crowd(&self) -> bool {
        self.members.len() > EVERYBODY_MAX as usize
    }

    /// Those of the members who are [known](Self::user), in the order of their ids.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> + Clone {
        self.members.iter().filter_map(|id| self.user(*id))
    }

    /// The same with their memberships.
    pub fn participants(&self) -> impl Iterator<Item = (&Arc<User>, &Member)> {
        self.users()
            .filter_map(|user| Some((user, self.member(user.id)?)))
    }

    /// The membership of somebody in a conversation that is not a big one, as of a few seconds ago.
    pub fn member(&self, id: UserId) -> Option<&Member> {
        self.people.get(&id).map(|(_, member)| member)
    }
}

/// A conversation's part of a scene, which events share.
struct Stage {
    conversation: Arc<Conversation>,
    members: Arc<[UserId]>,
    people: Arc<People>,
}

/// The caches behind scenes.
pub(crate) struct Scenes {
    storage: Arc<dyn Storage>,
    users: Cache<UserId, Arc<User>>,
    users_by_id: Gather<UserId, User>,
    stages: Cache<ConversationId, Arc<Stage>>,
}

impl Scenes {
    pub fn new(storage: Arc<dyn Storage>, settings: &DeliverySettings) -> Self {
        let users = Cache::builder()
            .max_capacity(settings.roster_cache / 20)
            .time_to_live(BELIEVED)
            .build();
        let stages = Cache::builder()
            .max_capacity(settings.roster_cache / 20)
            .weigher(|_, stage: &Arc<Stage>| {
                u32::try_from(stage.people.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(4)
            })
            .time_to_live(BELIEVED)
            .support_invalidation_closures()
            .build();
        let users_by_id = users_by_id(&storage);
        Self {
            storage,
            users,
            users_by_id,
            stages,
        }
    }

    /// The user's name or picture is another now, or what it lets others know.
    pub async fn forget_user(&self, id: UserId) {
        self.users.invalidate(&id).await;
        let concerned =
            move |_: &ConversationId, stage: &Arc<Stage>| stage.people.contains_key(&id);
        // never refused: the cache was made for it
        if let Err(error) = self.stages.invalidate_entries_if(concerned) {
            tracing::error!(%error, "scenes of a user cannot be forgotten");
        }
    }

    /// The conversation or its members are others now.
    pub async fn forget_conversation(&self, id: ConversationId) {
        self.stages.invalidate(&id).await;
    }

    pub fn len(&self) -> u64 {
        self.users.entry_count() + self.stages.entry_count()
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>> {
        if let Some(known) = self.users.get(&id).await {
            return Ok(Some(known));
        }
        let Some(user) = self.users_by_id.get(id).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.users.insert(id, Arc::clone(&user)).await;
        Ok(Some(user))
    }

    async fn stage(&self, id: ConversationId, roster: &Roster) -> Result<Arc<Stage>> {
        self.stages
            .try_get_with(id, async {
                let conversation = self.storage.conversations().find(id).await?;
                let conversation =
                    conversation.ok_or(Error::NotFound(connexus_domain::Entity::Conversation))?;
                let people = if roster.members.len() <= EVERYBODY_MAX as usize {
                    self.people(id).await?
                } else {
                    People::default()
                };
                Ok(Arc::new(Stage {
                    conversation: Arc::new(conversation),
                    members: Arc::clone(&roster.members),
                    people: Arc::new(people),
                }))
            })
            .await
            .map_err(|error: Arc<Error>| Error::clone(&error))
    }

    async fn people(&self, id: ConversationId) -> Result<People> {
        let conversations = self.storage.conversations();
        let members = conversations.members(id, None, Limit::of(EVERYBODY_MAX));
        let members = members.await?.items;
        let ids: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
        let mut users: FxHashMap<UserId, Arc<User>> = self
            .storage
            .users()
            .get_many(&ids)
            .await?
            .into_iter()
            .map(|user| (user.id, Arc::new(user)))
            .collect();
        Ok(members
            .into_iter()
            .filter_map(|member| {
                let user = users.remove(&member.user_id)?;
                Some((member.user_id, (user, member)))
            })
            .collect())
    }
}

/// Who and where, for gateways that word an answer in full.
pub struct SceneService {
    context: Arc<Context>,
}

impl SceneService {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Those who sent or did something, as they are shown beside it.
    pub async fn people(
        &self,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<User>>> {
        let ids: FxHashSet<UserId> = ids.into_iter().collect();
        let users = ids.into_iter().map(|id| self.context.scenes.user(id));
        let found = try_join_all(users).await?;
        Ok(found
            .into_iter()
            .flatten()
            .map(|user| (user.id, user))
            .collect())
    }

    /// The scene of one of the asker's conversations.
    pub async fn of(&self, actor: &Actor, id: ConversationId) -> Result<Scene> {
        self.context.rosters.of_member(id, actor.user_id).await?;
        self.context
            .load_scene(Some(id), Some(actor.user_id), Vec::new())
            .await
    }

    /// The scene of a message that the asker may see, with its sender.
    pub async fn of_message(&self, actor: &Actor, message: &Message) -> Result<Scene> {
        let id = message.conversation_id;
        self.context.rosters.of_member(id, actor.user_id).await?;
        self.context.scene_of(message).await
    }
}

impl Context {
    /// This is the user as it is now, for scenes that are made next.
    pub(crate) async fn know(&self, user: &User) {
        if self.hub.wanted() != Detail::Bare {
            self.scenes
                .users
                .insert(user.id, Arc::new(user.clone()))
                .await;
        }
    }

    /// Tells an event, with its scene if any connection wants one.
    pub async fn publish(&self, delivery: Delivery) {
        self.publish_all(vec![delivery]).await;
    }

    /// The same of several events, in their order.
    pub async fn publish_all(&self, deliveries: Vec<Delivery>) {
        let detail = self.hub.wanted();
        if detail == Detail::Bare {
            self.hub.publish(deliveries);
            return;
        }
        let mut staged = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            staged.push(match self.scene(delivery.event(), detail).await {
                Ok(scene) => delivery.in_scene(Arc::new(scene)).at(self.now()),
                // connections that want a scene come back for what they cannot be told now
                Err(error) => {
                    tracing::warn!(%error, "an event is told without its scene");
                    delivery
                }
            });
        }
        self.hub.publish(staged);
    }

    /// The scene of what happened in a conversation to a message, for an answer to who caused it.
    pub(crate) async fn scene_of(&self, message: &Message) -> Result<Scene> {
        self.load_scene(
            Some(message.conversation_id),
            Some(message.sender_id),
            Vec::new(),
        )
        .await
    }

    async fn scene(&self, event: &Event, detail: Detail) -> Result<Scene> {
        let actor = match event {
            Event::MessageCreated(m) | Event::MessageEdited(m) | Event::MessageDeleted(m) => {
                Some(m.sender_id)
            }
            Event::ReactionUpdated { by, .. } => Some(*by),
            Event::ReceiptUpdated { receipt, .. } => Some(receipt.user_id),
            Event::Typing { user_id, .. } => Some(*user_id),
            Event::PresenceUpdated(change) => Some(change.user_id),
            Event::MemberJoined { member, .. }
            | Event::MemberLeft(member)
            | Event::MemberUpdated(member) => Some(member.user_id),
            _ => None,
        };
        let named = match event {
            Event::ReceiptUpdated { receipt, read } if detail == Detail::Messages => {
                let upto = if *read {
                    receipt.read_seq
                } else {
                    receipt.delivered_seq
                };
                let range = HistoryRange::Before(upto + 1);
                let limit = Limit::of(NAMED_MESSAGES);
                let messages = self.storage.messages();
                let found = messages.history(receipt.conversation_id, range, limit);
                found.await?.iter().map(Named::of).collect()
            }
            _ => Vec::new(),
        };
        let place = match event {
            Event::ConversationDeleted { .. } => None,
            other => other.conversation_id(),
        };
        self.load_scene(place, actor, named).await
    }

    async fn load_scene(
        &self,
        place: Option<ConversationId>,
        actor: Option<UserId>,
        named: Vec<Named>,
    ) -> Result<Scene> {
        let actor = match actor {
            Some(id) => self.scenes.user(id).await?,
            None => None,
        };
        let stage = match place {
            Some(id) => match self.rosters.get(id).await {
                Ok(roster) => Some(self.scenes.stage(id, &roster).await?),
                // it went in this very moment
                Err(Error::NotFound(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        Ok(match stage {
            Some(stage) => Scene {
                conversation: Some(Arc::clone(&stage.conversation)),
                members: Arc::clone(&stage.members),
                people: Arc::clone(&stage.people),
                named,
                actor,
            },
            None => Scene {
                conversation: None,
                members: Arc::from([]),
                people: Arc::default(),
                named,
                actor,
            },
        })
    }
}

impl Named {
    fn of(message: &Message) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            sender_id: message.sender_id,
        }
    }
}

fn users_by_id(storage: &Arc<dyn Storage>) -> Gather<UserId, User> {
    let storage = Arc::clone(storage);
    Gather::start(move |ids: Vec<UserId>| {
        let storage = Arc::clone(&storage);
        async move {
            let found = storage.users().get_many(&ids).await?;
            Ok(found.into_iter().map(|user| (user.id, user)).collect())
        }
    })
}
