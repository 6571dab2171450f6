//! Conversations: making, listing, changing, deleting.

use std::sync::Arc;

use connexus_domain::conversation::{ADD_MEMBERS_MAX, DESCRIPTION_MAX, NAME_MAX};
use connexus_domain::ports::{ConversationSummary, NewDirect, NewGroup, NewRoom, Opened};
use connexus_domain::{
    ActivityCursor, ConversationId, ConversationPatch, Denial, Entity, Error, Event, Limit, Page,
    PreferencesPatch, Result, Seq, Slug, UserId, text,
};

use crate::Actor;
use crate::auth::collect;
use crate::context::{Context, to_its_end};
use crate::hub::{Audience, Delivery};
use crate::users::Profile;

/// A conversation as one of its members sees it, with the other user of a direct one.
#[derive(Debug, Clone)]
pub struct ConversationView {
    /// The conversation, the member's own part, what is unread, the newest message.
    pub summary: ConversationSummary,
    /// The other user of a direct one.
    pub peer: Option<Profile>,
}

/// A conversation that was got or made.
#[derive(Debug, Clone)]
pub struct OpenedView {
    /// The conversation.
    pub view: ConversationView,
    /// Whether it was made by this call.
    pub created: bool,
}

/// A group to make.
#[derive(Debug, Clone, Default)]
pub struct CreateGroup {
    /// Its name.
    pub name: String,
    /// A few lines about it.
    pub description: Option<String>,
    /// A picture.
    pub avatar_url: Option<String>,
    /// The other members.
    pub member_ids: Vec<UserId>,
}

/// A change of a group or room, as it came in.
#[derive(Debug, Clone, Default)]
pub struct ConversationChange {
    /// Another name.
    pub name: Option<String>,
    /// Another or no description.
    pub description: Option<Option<String>>,
    /// Another or no picture.
    pub avatar_url: Option<Option<String>>,
}

/// Conversations: making, listing, changing, deleting.
pub struct Conversations {
    context: Arc<Context>,
}

impl Conversations {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker's conversations, latest activity first.
    pub async fn list(
        &self,
        actor: &Actor,
        archived: Option<bool>,
        after: Option<ActivityCursor>,
        limit: Limit,
    ) -> Result<Page<ConversationView, ActivityCursor>> {
        let page = self
            .context
            .storage
            .conversations()
            .list(actor.user_id, archived, after, limit)
            .await?;
        let peers: Vec<UserId> = page
            .items
            .iter()
            .filter_map(|summary| summary.peer)
            .collect();
        let mut found = self.context.contact_profiles(actor.user_id, &peers).await?;
        Ok(page.map(|summary| {
            // one direct conversation per pair: nobody is asked for twice
            let peer = summary.peer.and_then(|id| found.remove(&id));
            ConversationView { summary, peer }
        }))
    }

    /// One conversation of the asker's.
    pub async fn get(&self, actor: &Actor, id: ConversationId) -> Result<ConversationView> {
        self.context.conversation_view(id, actor.user_id).await
    }

    /// The newest message's number in one of the asker's conversations.
    pub async fn last_seq(&self, actor: &Actor, id: ConversationId) -> Result<Seq> {
        let (conversation, _) = self.context.member_access(id, actor.user_id).await?;
        Ok(conversation.last_seq)
    }

    /// The asker's direct conversation with `peer`, if there is one already.
    pub async fn find_direct(
        &self,
        actor: &Actor,
        peer: UserId,
    ) -> Result<Option<ConversationView>> {
        let conversations = self.context.storage.conversations();
        match conversations.find_direct(actor.user_id, peer).await? {
            Some(direct) => self.get(actor, direct.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// The direct conversation with somebody, made when there is none.
    pub async fn open_direct(&self, actor: &Actor, peer: UserId) -> Result<OpenedView> {
        let context = &self.context;
        if peer == actor.user_id {
            return Err(Error::invalid("user_id", "must not be yourself"));
        }
        context
            .storage
            .users()
            .get(peer)
            .await?
            .ok_or(Error::NotFound(Entity::User))?;
        context.check_not_blocked(actor.user_id, peer).await?;
        let new = NewDirect {
            id: ConversationId::from_uuid(context.ids.next()),
            creator: actor.user_id,
            peer,
            now: context.now(),
        };
        let (context, who) = (Arc::clone(context), actor.clone());
        let opening = async move {
            let conversations = context.storage.conversations();
            let opened = conversations.get_or_create_direct(&new).await?;
            if opened.created {
                context.heed(context.tell_new_conversation(&opened, &who).await);
            }
            Ok(opened)
        };
        self.opened(actor, &to_its_end(opening).await?).await
    }

    /// Makes a group.
    pub async fn create_group(&self, actor: &Actor, input: CreateGroup) -> Result<OpenedView> {
        let context = &self.context;
        let mut wrong = Vec::new();
        let name = collect(&mut wrong, text::line("name", &input.name, NAME_MAX))?;
        let description = input.description.unwrap_or_default();
        let description = collect(
            &mut wrong,
            text::optional_block("description", &description, DESCRIPTION_MAX),
        )?;
        let avatar_url = input.avatar_url.unwrap_or_default();
        let avatar_url = collect(&mut wrong, text::optional_link("avatar_url", &avatar_url))?;
        if input.member_ids.len() > ADD_MEMBERS_MAX {
            collect(&mut wrong, too_many_members())?;
        }
        let (Some(name), Some(description), Some(avatar_url), true) =
            (name, description, avatar_url, wrong.is_empty())
        else {
            return Err(Error::Invalid(wrong));
        };
        context
            .check_may_add(actor.user_id, &input.member_ids)
            .await?;
        let new = NewGroup {
            id: ConversationId::from_uuid(context.ids.next()),
            creator: actor.user_id,
            name,
            description,
            avatar_url,
            member_ids: input.member_ids,
            now: context.now(),
        };
        let (context, who) = (Arc::clone(context), actor.clone());
        let opening = async move {
            let opened = context.storage.conversations().create_group(&new).await?;
            context.heed(context.tell_new_conversation(&opened, &who).await);
            Ok(opened)
        };
        self.opened(actor, &to_its_end(opening).await?).await
    }

    /// The room of a slug, made when there is none; the asker is a member of it then.
    pub async fn open_room(
        &self,
        actor: &Actor,
        slug: &str,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<OpenedView> {
        let context = &self.context;
        let slug = Slug::parse(slug)?;
        let name = name.map_or(Ok(None), |name| text::optional_line("name", name, NAME_MAX))?;
        let description = text::optional_block(
            "description",
            description.unwrap_or_default(),
            DESCRIPTION_MAX,
        )?;
        if let Some(room) = context.storage.conversations().find_by_slug(&slug).await? {
            return self.join(actor, room.id).await;
        }
        let new = NewRoom {
            id: ConversationId::from_uuid(context.ids.next()),
            name: name.unwrap_or_else(|| slug.as_str().to_owned()),
            slug,
            description,
            creator: actor.user_id,
            now: context.now(),
        };
        let (context, who) = (Arc::clone(context), actor.clone());
        let opening = async move {
            let conversations = context.storage.conversations();
            let opened = conversations.get_or_create_room(&new).await?;
            context.forget_conversation(opened.conversation.id).await;
            if opened.joined {
                context.heed(context.tell_joined(&opened, &who).await);
            }
            Ok(opened)
        };
        self.opened(actor, &to_its_end(opening).await?).await
    }

    /// Enters the room of a slug.
    pub async fn join_room(&self, actor: &Actor, slug: &str) -> Result<OpenedView> {
        let slug = Slug::parse(slug)?;
        let room = self
            .context
            .storage
            .conversations()
            .find_by_slug(&slug)
            .await?;
        self.join(actor, room.ok_or(Error::NotFound(Entity::Conversation))?.id)
            .await
    }

    async fn join(&self, actor: &Actor, id: ConversationId) -> Result<OpenedView> {
        let (context, who) = (Arc::clone(&self.context), actor.clone());
        let opened = self
            .context
            .lanes
            .in_order(id, async move {
                let opened = context
                    .storage
                    .conversations()
                    .join(id, who.user_id, context.now())
                    .await;
                if opened.as_ref().map_or(true, |opened| opened.joined) {
                    context.forget_conversation(id).await;
                }
                let opened = opened?;
                if opened.joined {
                    context.heed(context.tell_joined(&opened, &who).await);
                }
                Ok(opened)
            })
            .await?;
        self.opened(actor, &opened).await
    }

    /// Changes name, description or picture.
    pub async fn update(
        &self,
        actor: &Actor,
        id: ConversationId,
        change: ConversationChange,
    ) -> Result<ConversationView> {
        let patch = checked(change)?;
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        self.context
            .lanes
            .in_order(id, async move {
                let before = context.storage.conversations().find(id).await?;
                let conversation = context
                    .storage
                    .conversations()
                    .update(id, by, &patch)
                    .await?;
                if before.is_none_or(|before| before.rev < conversation.changed_rev) {
                    context.scenes.forget_conversation(id).await;
                    context
                        .tell_members(Event::ConversationUpdated(conversation), None)
                        .await;
                }
                Ok(())
            })
            .await?;
        self.context.conversation_view(id, actor.user_id).await
    }

    /// Deletes a group or room for everybody.
    pub async fn delete(&self, actor: &Actor, id: ConversationId) -> Result<()> {
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        self.context
            .lanes
            .in_order(id, async move {
                context.forget_conversation(id).await;
                let roster = context.rosters.get(id).await?;
                let conversations = context.storage.conversations();
                let deleted = conversations.delete(id, by, context.now()).await;
                // also when it is not known whether it was
                context.forget_conversation(id).await;
                let rev = deleted?;
                let event = Event::ConversationDeleted {
                    conversation_id: id,
                    rev,
                };
                let audience = Audience::Many(Arc::clone(&roster.members));
                context.publish(Delivery::new(event, audience)).await;
                Ok(())
            })
            .await
    }

    /// Changes how the asker keeps a conversation.
    pub async fn set_preferences(
        &self,
        actor: &Actor,
        id: ConversationId,
        patch: PreferencesPatch,
    ) -> Result<ConversationView> {
        self.context.member_access(id, actor.user_id).await?;
        let changed = self
            .context
            .storage
            .conversations()
            .set_preferences(id, actor.user_id, &patch)
            .await?;
        changed.ok_or(Error::Forbidden(Denial::NotMember))?;
        self.context.conversation_view(id, actor.user_id).await
    }

    async fn opened(&self, actor: &Actor, opened: &Opened) -> Result<OpenedView> {
        let view = self
            .context
            .conversation_view(opened.conversation.id, actor.user_id)
            .await?;
        Ok(OpenedView {
            view,
            created: opened.created,
        })
    }
}

pub(crate) fn too_many_members() -> Result<()> {
    Err(Error::invalid(
        "member_ids",
        format!("must be at most {ADD_MEMBERS_MAX}"),
    ))
}

fn checked(change: ConversationChange) -> Result<ConversationPatch> {
    let mut wrong = Vec::new();
    let patch = ConversationPatch {
        name: match change.name {
            Some(name) => collect(&mut wrong, text::line("name", &name, NAME_MAX))?,
            None => None,
        },
        description: match change.description {
            Some(block) => collect(
                &mut wrong,
                text::optional_block(
                    "description",
                    block.as_deref().unwrap_or_default(),
                    DESCRIPTION_MAX,
                ),
            )?,
            None => None,
        },
        avatar_url: match change.avatar_url {
            Some(link) => collect(
                &mut wrong,
                text::optional_link("avatar_url", link.as_deref().unwrap_or_default()),
            )?,
            None => None,
        },
    };
    if wrong.is_empty() {
        Ok(patch)
    } else {
        Err(Error::Invalid(wrong))
    }
}

impl Context {
    /// The conversation as `user`, who must be a member, sees it.
    pub(crate) async fn conversation_view(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<ConversationView> {
        let Some(summary) = self.storage.conversations().summary(id, user).await? else {
            // tells apart what does not exist and what is not the asker's
            self.member_access(id, user).await?;
            return Err(Error::NotFound(Entity::Conversation));
        };
        let peer = match summary.peer {
            Some(peer) => self.contact_profiles(user, &[peer]).await?.remove(&peer),
            None => None,
        };
        Ok(ConversationView { summary, peer })
    }

    /// Refuses to add somebody who blocks the asker or is blocked by the asker.
    pub(crate) async fn check_may_add(&self, by: UserId, users: &[UserId]) -> Result<()> {
        if self.apart_among(by, users).await?.is_empty() {
            Ok(())
        } else {
            Err(Error::Forbidden(Denial::Blocked))
        }
    }
}
