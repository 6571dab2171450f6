//! Members and their roles.

use std::sync::Arc;

use connexus_domain::conversation::ADD_MEMBERS_MAX;
use connexus_domain::ports::{Opened, Removal};
use connexus_domain::{
    ConversationId, Entity, Error, Event, Limit, Member, Page, Result, Role, UserId,
};

use crate::Actor;
use crate::context::Context;
use crate::conversations::too_many_members;
use crate::hub::{Audience, Delivery};
use crate::users::Profile;

/// A member, with who it is.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// The membership.
    pub member: Member,
    /// Who it is.
    pub profile: Profile,
}

/// Members and their roles.
pub struct Members {
    context: Arc<Context>,
}

impl Members {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The members of one of the asker's conversations.
    pub async fn list(
        &self,
        actor: &Actor,
        id: ConversationId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<MemberView, UserId>> {
        let (_, access) = self.context.member_access(id, actor.user_id).await?;
        let page = self
            .context
            .storage
            .conversations()
            .members(access.conversation_id(), after, limit)
            .await?;
        let items = self.views(actor, page.items).await?;
        Ok(Page {
            items,
            next: page.next,
        })
    }

    /// Adds users; answers those who came by that.
    pub async fn add(
        &self,
        actor: &Actor,
        id: ConversationId,
        users: &[UserId],
    ) -> Result<Vec<MemberView>> {
        if users.is_empty() {
            return Err(Error::invalid("user_ids", "must not be empty"));
        }
        if users.len() > ADD_MEMBERS_MAX {
            too_many_members()?;
        }
        self.context.rosters.of_member(id, actor.user_id).await?;
        self.context.check_may_add(actor.user_id, users).await?;
        let (context, who, users) = (Arc::clone(&self.context), actor.clone(), users.to_vec());
        let added = self
            .context
            .lanes
            .in_order(id, async move {
                let conversations = context.storage.conversations();
                let added = conversations
                    .add_members(id, who.user_id, &users, context.now())
                    .await;
                // also when it is not known whether they were added
                context.forget_conversation(id).await;
                let added = added?;
                context.heed(context.tell_added(&added, &who).await);
                Ok(added)
            })
            .await?;
        self.views(actor, added).await
    }

    /// Removes a member, or leaves.
    pub async fn remove(
        &self,
        actor: &Actor,
        id: ConversationId,
        target: UserId,
    ) -> Result<Removal> {
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        self.context
            .lanes
            .in_order(id, async move {
                let conversations = context.storage.conversations();
                let removed = conversations
                    .remove_member(id, by, target, context.now())
                    .await;
                let Ok(removal) = removed else {
                    // who may be gone is not told any more, nor may read
                    context.forget_conversation(id).await;
                    return removed;
                };
                let before = context.rosters.get(id).await;
                context.forget_conversation(id).await;
                let told = match before {
                    Ok(roster) => Arc::clone(&roster.members),
                    // or the conversation went with its last member
                    Err(error) => {
                        context.heed(Err(error));
                        Arc::from([target])
                    }
                };
                let event = Event::MemberLeft(removal.left.clone());
                context
                    .publish(Delivery::new(event, with(&told, target)))
                    .await;
                if let Some(promoted) = &removal.promoted {
                    context
                        .tell_members(Event::MemberUpdated(promoted.clone()), None)
                        .await;
                }
                Ok(removal)
            })
            .await
    }

    /// Gives a member a role.
    pub async fn set_role(
        &self,
        actor: &Actor,
        id: ConversationId,
        target: UserId,
        role: Role,
    ) -> Result<MemberView> {
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        let member = self
            .context
            .lanes
            .in_order(id, async move {
                let change = context
                    .storage
                    .conversations()
                    .set_role(id, by, target, role)
                    .await?;
                if change.changed {
                    context.scenes.forget_conversation(id).await;
                    context
                        .tell_members(Event::MemberUpdated(change.member.clone()), None)
                        .await;
                }
                Ok(change.member)
            })
            .await?;
        self.views(actor, vec![member])
            .await?
            .pop()
            .ok_or(Error::NotFound(Entity::Member))
    }

    async fn views(&self, actor: &Actor, members: Vec<Member>) -> Result<Vec<MemberView>> {
        let ids: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
        let mut found = self.context.contact_profiles(actor.user_id, &ids).await?;
        let view = |member: Member| {
            let profile = found.remove(&member.user_id)?;
            Some(MemberView { member, profile })
        };
        Ok(members.into_iter().filter_map(view).collect())
    }
}

/// An audience with one more user in it.
fn with(members: &[UserId], one: UserId) -> Audience {
    let mut all = members.to_vec();
    if let Err(place) = all.binary_search(&one) {
        all.insert(place, one);
    }
    Audience::Many(all.into())
}

impl Context {
    async fn tell_added(&self, added: &[Member], actor: &Actor) -> Result<()> {
        for member in added {
            let found = self
                .storage
                .conversations()
                .find(member.conversation_id)
                .await?;
            let Some(conversation) = found else {
                return Ok(());
            };
            let opened = Opened {
                conversation,
                me: member.clone(),
                created: false,
                joined: true,
            };
            self.tell_conversation_to(&opened, member.clone(), actor)
                .await?;
            self.tell_member_joined(member.clone()).await?;
        }
        Ok(())
    }
}
