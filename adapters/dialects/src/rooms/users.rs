//! Users, and who of them is here.

use connexus_application::users::{Profile, ProfileChange};
use connexus_application::{Actor, Connexus};
use connexus_domain::{Entity, Limit, Status};
use connexus_wire::time::Time;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, shapes};
use crate::links::Links;
use crate::people;
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};

/// Those who are online, and the user who asks as well.
pub async fn with_oneself(
    app: &Connexus,
    actor: &Actor,
    online: &[Profile],
    links: &Links,
) -> Result<Vec<Value>> {
    let me = app.users.me(actor).await?;
    Ok(online
        .iter()
        .chain([&me])
        .filter(|profile| shapes::is_online(profile.presence))
        .map(|profile| shapes::profile(profile, links))
        .collect())
}

pub async fn online(call: Call) -> Answer {
    let (app, actor) = (call.app(), call.actor()?);
    let online = app.presence.online(actor).await?;
    let users = with_oneself(app, actor, &online, call.links()).await?;
    listed("Online users retrieved successfully", &users)
}

fn listed(message: &str, users: &[Value]) -> Answer {
    done(200, message, json!({"users": users, "count": users.len()}))
}

pub async fn profile(call: Call) -> Answer {
    let profile = call.app().users.me(call.actor()?).await?;
    let user = shapes::profile(&profile, call.links());
    done(200, "Profile retrieved successfully", json!({"user": user}))
}

#[derive(Deserialize, Validate)]
struct Change {
    #[garde(skip)]
    #[serde(default)]
    username: Option<String>,
}

pub async fn update(call: Call) -> Answer {
    let Change { username } = call.fields()?;
    let Some(username) = username else {
        return Err(Refused::said(400, "No valid fields to update"));
    };
    let (users, actor) = (&call.app().users, call.actor()?);
    let before = users.me(actor).await?.user;
    // who never chose another name to be shown is shown by the new one
    let shown = before.display_name == before.username.as_str();
    let change = ProfileChange {
        display_name: shown.then(|| username.clone()),
        username: Some(username),
        ..ProfileChange::default()
    };
    let profile = users.update(actor, change).await?;
    let user = shapes::profile(&profile, call.links());
    done(200, "Profile updated successfully", json!({"user": user}))
}

#[derive(Deserialize, Validate)]
struct Search {
    #[garde(skip)]
    #[serde(default)]
    q: String,
    #[garde(skip)]
    limit: Option<u32>,
}

pub async fn search(call: Call) -> Answer {
    let Search { q, limit } = call.query()?;
    if q.trim().chars().count() < 2 {
        let denial = "Search query must be at least 2 characters";
        return Err(Refused::said(400, denial));
    }
    let limit = Limit::of(limit.unwrap_or(20).clamp(1, Limit::MAX));
    let found = people::search(call.app(), call.actor()?, &q, limit).await?;
    let users: Vec<Value> = found
        .iter()
        .map(|profile| shapes::profile(profile, call.links()))
        .collect();
    listed("Users retrieved successfully", &users)
}

pub async fn get(call: Call) -> Answer {
    let id = call.id("id", Entity::User)?;
    let profile = call.app().users.get(call.actor()?, id).await?;
    let user = shapes::profile(&profile, call.links());
    done(200, "User retrieved successfully", json!({"user": user}))
}

/// How somebody wants to be shown.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    #[garde(skip)]
    is_online: bool,
}

impl Shown {
    /// Sets it; answers what was chosen.
    pub async fn set(&self, app: &Connexus, actor: &Actor) -> Result<bool> {
        let status = if self.is_online {
            Status::Online
        } else {
            Status::Away
        };
        app.presence.set_status(actor, status, None).await?;
        Ok(self.is_online)
    }
}

pub async fn set_status(call: Call) -> Answer {
    let shown: Shown = call.fields()?;
    let online = shown.set(call.app(), call.actor()?).await?;
    // who asks is seen now
    let seen = Time(call.app().now());
    done(
        200,
        "Status updated successfully",
        json!({"isOnline": online, "lastSeen": seen}),
    )
}
