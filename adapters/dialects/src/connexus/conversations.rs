//! Conversations and who is in them.

use std::sync::Arc;

use connexus_application::conversations::{ConversationChange, ConversationView, CreateGroup};
use connexus_application::members::MemberView;
use connexus_application::presence::Shown;
use connexus_application::scene::Scene;
use connexus_domain::{
    ConversationId, Entity, Limit, Member, Page, PreferencesPatch, Role, Seq, User, UserId,
};
use futures_util::future::try_join_all;
use garde::Validate;
use serde::Deserialize;
use serde_json::Value;

use super::{done, plainly, shapes};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};
use crate::{ids, links, people};

/// Conversations that one answer has. These clients ask for no further page.
const LISTED: usize = 500;

pub async fn list(call: Call) -> Answer {
    let mut views: Vec<ConversationView> = Vec::new();
    let mut after = None;
    while views.len() < LISTED {
        let conversations = &call.app().conversations;
        let page = conversations
            .list(call.actor()?, None, after, Limit::of(Limit::MAX))
            .await?;
        let Page { items, next } = page;
        views.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let shapes = shaped(&call, &views).await?;
    done(200, "Conversations retrieved successfully", shapes)
}

async fn shape(call: &Call, view: &ConversationView) -> Result<Value> {
    Ok(shaped(call, std::slice::from_ref(view)).await?.remove(0))
}

async fn shaped(call: &Call, views: &[ConversationView]) -> Result<Vec<Value>> {
    let (app, actor) = (call.app(), call.actor()?);
    let scenes = views
        .iter()
        .map(|view| app.scenes.of(actor, view.summary.conversation.id));
    let scenes = try_join_all(scenes).await?;
    let users = scenes.iter().flat_map(Scene::users).map(|user| user.id);
    let shown = &app.presence.shown_to(actor, users).await?;
    let newest = views.iter().filter_map(|v| v.summary.last_message.as_ref());
    // who may have left
    let senders = &app.scenes.people(newest.map(|m| m.sender_id)).await?;
    let shapes = views.iter().zip(&scenes).map(async |(view, scene)| {
        let participants = if scene.is_crowd() {
            let some = people::crowd(app, actor, &view.summary.me).await?;
            some.iter().map(|one| of_crowd(call, view, one)).collect()
        } else {
            participants(call, view, scene, shown)
        };
        let links = call.links();
        Ok(shapes::conversation(view, &participants, senders, links))
    });
    try_join_all(shapes).await
}

fn participants(
    call: &Call,
    view: &ConversationView,
    scene: &Scene,
    shown: &Shown<'_>,
) -> Vec<Value> {
    let shape = |(user, member): (&Arc<User>, &Member)| {
        let seen = match &view.peer {
            Some(peer) if peer.user.id == user.id => (peer.presence, peer.last_seen_at),
            _ => shown.of(user),
        };
        shapes::participant(view, (user, member), seen, call.links())
    };
    scene.participants().map(shape).collect()
}

fn of_crowd(call: &Call, view: &ConversationView, one: &MemberView) -> Value {
    let profile = &one.profile;
    let seen = (profile.presence, profile.last_seen_at);
    shapes::participant(view, (&profile.user, &one.member), seen, call.links())
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Direct {
    #[garde(skip)]
    participant_id: String,
}

pub async fn open_direct(call: Call) -> Answer {
    let Direct { participant_id } = call.fields()?;
    let peer: UserId = ids::parse(&participant_id, Entity::User)?;
    let actor = call.actor()?;
    if peer == actor.user_id {
        return Err(Refused::said(
            400,
            "Cannot create a conversation with yourself",
        ));
    }
    let opened = call.app().conversations.open_direct(actor, peer).await?;
    let shape = shape(&call, &opened.view).await?;
    done(201, "Direct conversation created successfully", shape)
}

#[derive(Deserialize, Validate)]
struct Group {
    #[garde(skip)]
    name: String,
    #[garde(skip)]
    #[serde(default)]
    description: Option<String>,
    #[garde(length(max = 1000))]
    #[serde(default)]
    participants: Vec<String>,
    #[garde(skip)]
    #[serde(default)]
    avatar: Option<String>,
}

pub async fn create_group(call: Call) -> Answer {
    let Group {
        name,
        description,
        participants,
        avatar,
    } = call.fields()?;
    let input = CreateGroup {
        name,
        description,
        // a group's own picture cannot be another's
        avatar_url: links::changed_picture(avatar),
        member_ids: users(&participants)?,
    };
    let made = call
        .app()
        .conversations
        .create_group(call.actor()?, input)
        .await?;
    let shape = shape(&call, &made.view).await?;
    done(201, "Group conversation created successfully", shape)
}

fn users(ids: &[String]) -> Result<Vec<UserId>> {
    let parsed = ids.iter().map(|id| ids::parse(id, Entity::User));
    Ok(parsed.collect::<connexus_domain::Result<_>>()?)
}

#[derive(Deserialize, Validate)]
struct Change {
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    description: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    avatar: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    deleted: Option<bool>,
}

pub async fn update(call: Call) -> Answer {
    let Change {
        name,
        description,
        avatar,
        deleted,
    } = call.fields()?;
    if deleted == Some(true) {
        let id = conversation(&call)?;
        call.app().conversations.delete(call.actor()?, id).await?;
        return plainly("Conversation deleted successfully");
    }
    let change = ConversationChange {
        name,
        description: description.map(Some),
        avatar_url: links::changed_picture(avatar).map(Some),
    };
    let id = conversation(&call)?;
    let conversations = &call.app().conversations;
    let view = conversations.update(call.actor()?, id, change).await?;
    let shape = shape(&call, &view).await?;
    done(200, "Conversation updated successfully", shape)
}

fn conversation(call: &Call) -> Result<ConversationId> {
    call.id("id", Entity::Conversation)
}

pub async fn read(call: Call) -> Answer {
    let receipts = &call.app().receipts;
    receipts
        .read(call.actor()?, conversation(&call)?, Seq::MAX)
        .await?;
    plainly("Conversation marked as read")
}

#[derive(Deserialize, Validate)]
struct Archive {
    #[garde(skip)]
    #[serde(default)]
    archived: Option<bool>,
}

/// Without `archived` in the body, an archived conversation comes back, and another one goes.
pub async fn archive(call: Call) -> Answer {
    let Archive { archived } = call.fields()?;
    let (id, actor) = (conversation(&call)?, call.actor()?);
    let conversations = &call.app().conversations;
    let archived = if let Some(archived) = archived {
        archived
    } else {
        let view = conversations.get(actor, id).await?;
        !view.summary.me.preferences.archived
    };
    let patch = PreferencesPatch {
        archived: Some(archived),
        ..PreferencesPatch::default()
    };
    let view = conversations.set_preferences(actor, id, patch).await?;
    let shape = shape(&call, &view).await?;
    done(200, "Conversation updated successfully", shape)
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Participants {
    #[garde(skip)]
    #[serde(default)]
    user_id: Option<String>,
    #[garde(length(max = 1000))]
    #[serde(default, alias = "participantIds", alias = "userIds")]
    participants: Vec<String>,
}

pub async fn add(call: Call) -> Answer {
    let Participants {
        user_id,
        mut participants,
    } = call.fields()?;
    participants.extend(user_id);
    if participants.is_empty() {
        return Err(Refused::field("userId", "is required"));
    }
    let (id, actor) = (conversation(&call)?, call.actor()?);
    call.app()
        .members
        .add(actor, id, &users(&participants)?)
        .await?;
    whole(&call, id, "Participant added successfully").await
}

async fn whole(call: &Call, id: ConversationId, message: &str) -> Answer {
    let view = call.app().conversations.get(call.actor()?, id).await?;
    done(200, message, shape(call, &view).await?)
}

pub async fn remove(call: Call) -> Answer {
    let (id, actor) = (conversation(&call)?, call.actor()?);
    let user: UserId = call.id("user", Entity::Member)?;
    call.app().members.remove(actor, id, user).await?;
    if user == actor.user_id {
        return plainly("You left the conversation");
    }
    whole(&call, id, "Participant removed successfully").await
}

/// Removes oneself; the client takes the answer for it.
pub async fn leave(call: Call) -> Answer {
    let (id, actor) = (conversation(&call)?, call.quiet_actor()?);
    let me = actor.user_id;
    call.app().members.remove(&actor, id, me).await?;
    plainly("You left the conversation")
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct NewRole {
    #[garde(skip)]
    #[serde(alias = "participantId")]
    user_id: String,
    #[garde(skip)]
    role: String,
}

pub async fn set_role(call: Call) -> Answer {
    let NewRole { user_id, role } = call.fields()?;
    let role =
        Role::parse(&role).ok_or_else(|| Refused::field("role", "must be admin or member"))?;
    let user: UserId = ids::parse(&user_id, Entity::Member)?;
    let (id, actor) = (conversation(&call)?, call.actor()?);
    call.app().members.set_role(actor, id, user, role).await?;
    whole(&call, id, "Role updated successfully").await
}
