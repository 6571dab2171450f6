//! Chats and who is in them.

use connexus_application::conversations::{ConversationChange, ConversationView, CreateGroup};
use connexus_application::members::MemberView;
use connexus_application::scene::Scene;
use connexus_domain::{Entity, Limit, Member, Page, UserId};
use futures_util::future::try_join_all;
use garde::Validate;
use serde::Deserialize;
use serde_json::Value;

use super::chat_id;
use super::shapes::{self, Crowd};
use crate::ids;
use crate::links::Links;
use crate::people::People;
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call, json};

/// Chats that one answer has. These clients ask for no further page.
const LISTED: usize = 500;
/// Users of a chat that are shown; of a bigger one, the first so many.
const SHOWN: u32 = 100;

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
    let shapes = try_join_all(views.iter().map(|view| shape(&call, view))).await?;
    json(200, &shapes)
}

async fn shape(call: &Call, view: &ConversationView) -> Result<Value> {
    let conversation = &view.summary.conversation;
    let scene = call.app().scenes.of(call.actor()?, conversation.id).await?;
    let crowd = crowd(call, &scene).await?;
    let latest = latest(call, view, &scene).await?;
    Ok(shapes::chat(conversation, crowd, latest))
}

/// The users of a chat of the asker's.
pub async fn crowd(call: &Call, scene: &Scene) -> Result<Crowd> {
    let Some(conversation) = scene.conversation.as_deref() else {
        return Ok(Crowd::default());
    };
    if scene.members.len() <= SHOWN as usize {
        return Ok(Crowd::in_scene(scene, call.links()));
    }
    let (app, actor) = (call.app(), call.actor()?);
    let members = &app.members;
    let first = members.list(actor, conversation.id, None, Limit::of(SHOWN));
    let first: Vec<MemberView> = first.await?.items;
    let maker = conversation.created_by;
    let people = app.scenes.people([maker]).await?;
    let both = first.iter().map(|one| (&one.profile.user, &one.member));
    Ok(Crowd::of(both, call.links()).or_admin(maker, &people, call.links()))
}

/// The newest message, whose sender may have left.
async fn latest(call: &Call, view: &ConversationView, scene: &Scene) -> Result<Option<Value>> {
    let Some(newest) = &view.summary.last_message else {
        return Ok(None);
    };
    if scene.person(newest.sender_id).is_some() {
        return Ok(shapes::latest(view, scene, scene, call.links()));
    }
    let people = call.app().scenes.people([newest.sender_id]).await?;
    Ok(shapes::latest(view, scene, &people, call.links()))
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Direct {
    #[garde(skip)]
    #[serde(default)]
    user_id: Value,
}

pub async fn open_direct(call: Call) -> Answer {
    let Direct { user_id } = call.fields()?;
    if user_id.is_null() {
        return Err(Refused::said(400, "UserId param not sent with request"));
    }
    let peer = user(&user_id)?;
    let actor = call.actor()?;
    if peer == actor.user_id {
        return Err(Refused::said(400, "You cannot chat with yourself"));
    }
    let opened = call.app().conversations.open_direct(actor, peer).await?;
    json(200, &shape(&call, &opened.view).await?)
}

/// The user whom a client names by its id or by the whole object.
fn user(value: &Value) -> Result<UserId> {
    let id =
        ids::of_value(value).ok_or_else(|| Refused::field("userId", "must be the id of a user"))?;
    Ok(ids::parse(id, Entity::User)?)
}

#[derive(Deserialize, Validate)]
struct Group {
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    users: Value,
}

pub async fn create_group(call: Call) -> Answer {
    let Group { name, users } = call.fields()?;
    let name = name.unwrap_or_default();
    if name.trim().is_empty() || users.is_null() || users == "" {
        return Err(Refused::said(400, "Please Fill all the feilds"));
    }
    let actor = call.actor()?;
    let mut member_ids = listed(users)?;
    member_ids.retain(|id| *id != actor.user_id);
    if member_ids.len() < 2 {
        return Err(Refused::said(
            400,
            "More than 2 users are required to form a group chat",
        ));
    }
    let input = CreateGroup {
        name,
        member_ids,
        ..CreateGroup::default()
    };
    let made = call.app().conversations.create_group(actor, input).await?;
    json(200, &shape(&call, &made.view).await?)
}

/// Users in an array, or in a text that is the JSON of one, as the front ends send it; each once.
fn listed(users: Value) -> Result<Vec<UserId>> {
    let users = match users {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        other => other,
    };
    let Value::Array(users) = users else {
        return Err(Refused::field("users", "must be a list of users"));
    };
    let mut ids = users.iter().map(user).collect::<Result<Vec<UserId>>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Rename {
    #[garde(skip)]
    #[serde(default)]
    chat_id: Value,
    #[garde(skip)]
    chat_name: String,
}

pub async fn rename(call: Call) -> Answer {
    let Rename {
        chat_id: chat,
        chat_name,
    } = call.fields()?;
    let change = ConversationChange {
        name: Some(chat_name),
        ..ConversationChange::default()
    };
    let conversations = &call.app().conversations;
    let view = conversations
        .update(call.actor()?, chat_id(&chat)?, change)
        .await?;
    json(200, &shape(&call, &view).await?)
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Membership {
    #[garde(skip)]
    #[serde(default)]
    chat_id: Value,
    #[garde(skip)]
    #[serde(default)]
    user_id: Value,
}

pub async fn add(call: Call) -> Answer {
    let Membership {
        chat_id: chat,
        user_id,
    } = call.fields()?;
    let (id, who) = (chat_id(&chat)?, user(&user_id)?);
    let (app, actor) = (call.app(), call.actor()?);
    app.members.add(actor, id, &[who]).await?;
    let view = app.conversations.get(actor, id).await?;
    json(200, &shape(&call, &view).await?)
}

pub async fn remove(call: Call) -> Answer {
    let Membership {
        chat_id: chat,
        user_id,
    } = call.fields()?;
    let (id, who) = (chat_id(&chat)?, user(&user_id)?);
    let (app, actor) = (call.app(), call.actor()?);
    if who != actor.user_id {
        app.members.remove(actor, id, who).await?;
        let view = app.conversations.get(actor, id).await?;
        return json(200, &shape(&call, &view).await?);
    }
    // who has left may not look any more, so this is what was there, without the one who left
    let before = app.conversations.get(actor, id).await?;
    let scene = app.scenes.of(actor, id).await?;
    let removal = app.members.remove(actor, id, who).await?;
    let crowd = remaining(&scene, who, removal.promoted.as_ref(), call.links());
    json(
        200,
        &shapes::chat(&before.summary.conversation, crowd, None),
    )
}

/// The users of a chat once somebody has left.
fn remaining(scene: &Scene, left: UserId, promoted: Option<&Member>, links: &Links) -> Crowd {
    let others = scene.members.iter().filter(|id| **id != left);
    let staying = others.filter_map(|id| {
        let now = promoted.filter(|member| member.user_id == *id);
        Some((scene.user(*id)?.as_ref(), now.or(scene.member(*id))?))
    });
    Crowd::of(staying, links)
}
