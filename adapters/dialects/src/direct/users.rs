//! Users and how they appear.

use connexus_application::users::ProfileChange;
use connexus_domain::{Entity, Limit, Status};
use connexus_wire::text::Id;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, shapes};
use crate::links::changed_picture;
use crate::people;
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call};
use crate::times::maybe;

pub async fn me(call: Call) -> Answer {
    let profile = call.app().users.me(call.actor()?).await?;
    let user = json!({"user": shapes::profile(&profile, call.links())});
    done(200, "Profile retrieved successfully", user)
}

/// What may change of a profile. Front ends send the whole of it back: an e-mail address that is the same
/// is no change.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Change {
    #[garde(skip)]
    #[serde(default)]
    username: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    email: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    profile_picture: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    bio: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    status: Option<String>,
}

pub async fn update(call: Call) -> Answer {
    let Change {
        username,
        email,
        profile_picture,
        bio,
        status,
    } = call.fields()?;
    let (users, actor) = (&call.app().users, call.actor()?);
    if let Some(email) = email {
        let own = users.me(actor).await?.user.email;
        if !email.trim().eq_ignore_ascii_case(own.as_str()) {
            return Err(Refused::field("email", "cannot be changed"));
        }
    }
    let change = ProfileChange {
        username,
        avatar_url: changed_picture(profile_picture).map(Some),
        bio: bio.map(Some),
        status: status.as_deref().map(chosen).transpose()?,
        ..ProfileChange::default()
    };
    let profile = users.update(actor, change).await?;
    let user = json!({"user": shapes::profile(&profile, call.links())});
    done(200, "Profile updated successfully", user)
}

/// A status that somebody chose. Nobody who is connected is offline: who wants to look so is away.
pub fn chosen(word: &str) -> Result<Status> {
    let word = if word == "offline" { "away" } else { word };
    Status::parse(word)
        .ok_or_else(|| Refused::field("status", "must be online, away, busy or offline"))
}

pub async fn get(call: Call) -> Answer {
    let id = call.id("id", Entity::User)?;
    let profile = call.app().users.get(call.actor()?, id).await?;
    let user = json!({"user": shapes::profile(&profile, call.links())});
    done(200, "User retrieved successfully", user)
}

pub async fn status(call: Call) -> Answer {
    let id = call.id("id", Entity::User)?;
    let profile = call.app().users.get(call.actor()?, id).await?;
    done(
        200,
        "User status retrieved successfully",
        json!({
            "userId": Id::from(profile.user.id),
            "status": profile.presence.as_str(),
            "lastSeen": maybe(profile.last_seen_at),
        }),
    )
}

/// Those who are online among those with whom one has a chat: nobody is shown to the whole world.
pub async fn online(call: Call) -> Answer {
    let online = call.app().presence.online(call.actor()?).await?;
    let users: Vec<Value> = online
        .iter()
        .map(|profile| shapes::profile(profile, call.links()))
        .collect();
    let data = json!({"count": users.len(), "users": users});
    done(200, "Online users retrieved successfully", data)
}

#[derive(Deserialize, Validate)]
struct Search {
    #[garde(skip)]
    #[serde(default, alias = "query")]
    q: String,
    #[garde(skip)]
    limit: Option<u32>,
}

pub async fn search(call: Call) -> Answer {
    let Search { q, limit } = call.query()?;
    if q.trim().is_empty() {
        return Err(Refused::said(400, "Search query is required"));
    }
    let limit = Limit::of(limit.unwrap_or(20).clamp(1, Limit::MAX));
    let found = people::search(call.app(), call.actor()?, &q, limit).await?;
    let users: Vec<Value> = found
        .iter()
        .map(|profile| shapes::profile(profile, call.links()))
        .collect();
    let data = json!({"count": users.len(), "users": users});
    done(200, "Users retrieved successfully", data)
}
