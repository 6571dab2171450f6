//! Telling the members of a conversation what has become of it.

use connexus_domain::ports::Opened;
use connexus_domain::{Error, Event, Limit, Result, UserId};

use crate::Actor;
use crate::context::Context;
use crate::doubts;
use crate::hub::{Audience, Delivery, Exclusion};
use crate::lanes;
use crate::users::hidden;

impl Context {
    /// What came of telling something that is stored. Who is connected and could not be told learns of it by a sync.
    pub(crate) fn heed(&self, told: Result<()>) {
        match told {
            // a conversation that is gone has nobody to be told
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(%error, "cannot tell what is stored");
                self.hub.resume_all();
            }
        }
    }

    /// Tells an event to all members of its conversation, which has been changed by it, but not to the
    /// connection that caused it, if that one gets an answer instead. Call it in the conversation's lane.
    pub(crate) async fn tell_members(&self, event: Event, except: Option<Exclusion>) {
        let mut told = Vec::with_capacity(1);
        if let Some(id) = event.conversation_id() {
            doubts::settle(self, id, &mut told).await;
        }
        lanes::tell(self, event, except, &mut told).await;
        self.publish_all(told).await;
    }

    /// Tells each connected member of a new conversation that it is there, each with its own part.
    pub(crate) async fn tell_new_conversation(&self, opened: &Opened, actor: &Actor) -> Result<()> {
        let mut after = None;
        loop {
            let id = opened.conversation.id;
            let page = self
                .storage
                .conversations()
                .members(id, after, Limit::of(Limit::MAX))
                .await?;
            for member in page
                .items
                .into_iter()
                .filter(|member| self.presence.is_connected(member.user_id))
            {
                self.tell_conversation_to(opened, member, actor).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Tells a new member that it is in, and the others that it came.
    pub(crate) async fn tell_joined(&self, opened: &Opened, actor: &Actor) -> Result<()> {
        self.tell_conversation_to(opened, opened.me.clone(), actor)
            .await?;
        if !opened.created {
            self.tell_member_joined(opened.me.clone()).await?;
        }
        Ok(())
    }

    /// Tells one member that it is in a conversation now.
    pub(crate) async fn tell_conversation_to(
        &self,
        opened: &Opened,
        member: connexus_domain::Member,
        actor: &Actor,
    ) -> Result<()> {
        let to = member.user_id;
        let peer = match self.rosters.get(opened.conversation.id).await?.peer_of(to) {
            Some(peer) => self.contact_profiles(to, &[peer]).await?.remove(&peer),
            None => None,
        };
        let event = Event::ConversationCreated {
            conversation: opened.conversation.clone(),
            me: Box::new(member),
            peer: peer.map(Box::new),
        };
        self.publish(Delivery::new(event, Audience::One(to)).except(actor.origin()))
            .await;
        Ok(())
    }

    /// Tells all members but the new one itself that somebody came.
    pub(crate) async fn tell_member_joined(&self, member: connexus_domain::Member) -> Result<()> {
        let users = self.storage.users();
        let Some(user) = users.get(member.user_id).await? else {
            return Ok(());
        };
        let roster = self.rosters.get(member.conversation_id).await?;
        let others = roster.members.iter().copied();
        let others: Vec<UserId> = others.filter(|id| *id != member.user_id).collect();
        // whether the new one is here is no affair of those with whom it has a block, nor of a crowd
        let in_crowd = others.len() >= self.settings.presence.max_members as usize;
        let (strangers, contacts): (Vec<UserId>, Vec<UserId>) = if in_crowd {
            (others, Vec::new())
        } else {
            let apart = self.apart_among(user.id, &others).await?;
            others.into_iter().partition(|id| apart.contains(id))
        };
        let said = [
            (strangers, hidden(user.clone())),
            (contacts, self.shared_profile(user)),
        ];
        let deliveries = said.into_iter().filter(|(to, _)| !to.is_empty());
        let deliveries = deliveries.map(|(to, profile)| {
            let event = Event::MemberJoined {
                member: member.clone(),
                user: Box::new(profile),
            };
            Delivery::new(event, Audience::Many(to.into()))
        });
        self.publish_all(deliveries.collect()).await;
        Ok(())
    }
}
