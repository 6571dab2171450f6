//! Users, and whether the server is well.

use connexus_application::Actor;
use connexus_application::users::{Profile, ProfileChange};
use connexus_domain::{Entity, Limit, Status};
use connexus_wire::time::Time;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, shapes};
use crate::links::changed_picture;
use crate::people;
use crate::refused::Refused;
use crate::rest::{Answer, Call, json};

pub async fn me(call: Call) -> Answer {
    let profile = call.app().users.me(call.actor()?).await?;
    done(
        200,
        "Profile retrieved successfully",
        own(&call, call.actor()?, &profile).await?,
    )
}

/// An account as its owner sees it.
pub async fn own(call: &Call, actor: &Actor, profile: &Profile) -> Result<Value, Refused> {
    let contacts = call.app().users.count_contacts(actor).await?;
    let blocked = call.app().blocks.list(actor, None, Limit::of(Limit::MAX));
    Ok(shapes::own_profile(
        profile,
        contacts,
        &blocked.await?.items,
        call.links(),
    ))
}

/// What is kept of a profile. Phone, location and links are taken and not kept: see the list of differences
/// in the documentation.
#[derive(Deserialize, Validate)]
struct Change {
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    avatar: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    bio: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    status: Option<String>,
}

pub async fn update(call: Call) -> Answer {
    let Change {
        name,
        avatar,
        bio,
        status,
    } = call.fields()?;
    let change = ProfileChange {
        display_name: name,
        avatar_url: changed_picture(avatar).map(Some),
        bio: bio.map(Some),
        status: self::status(status.as_deref())?,
        ..ProfileChange::default()
    };
    let profile = call.app().users.update(call.actor()?, change).await?;
    done(
        200,
        "Profile updated successfully",
        own(&call, call.actor()?, &profile).await?,
    )
}

/// The status of this name. Nobody can choose to be offline: that is having no connection.
pub fn status(word: Option<&str>) -> Result<Option<Status>, Refused> {
    match word {
        None | Some("offline") => Ok(None),
        Some(word) => Status::parse(word)
            .map(Some)
            .ok_or_else(|| Refused::field("status", "must be online, away, busy or offline")),
    }
}

pub async fn get(call: Call) -> Answer {
    let id = call.id("id", Entity::User)?;
    let profile = call.app().users.get(call.actor()?, id).await?;
    done(
        200,
        "User retrieved successfully",
        shapes::profile(&profile, call.links()),
    )
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
        return Err(Refused::said(400, "Query too short"));
    }
    let limit = Limit::of(limit.unwrap_or(20).clamp(1, Limit::MAX));
    let found = people::search(call.app(), call.actor()?, &q, limit).await?;
    let users: Vec<Value> = found
        .iter()
        .map(|profile| shapes::found(profile, call.links()))
        .collect();
    done(200, "Users retrieved successfully", users)
}

pub async fn health(call: Call) -> Answer {
    let (_, storage) = call.app().check_storage().await;
    let (status, database) = match storage {
        Ok(()) => (200, "connected"),
        Err(_) => (503, "disconnected"),
    };
    json(
        status,
        &json!({
            "success": status == 200,
            "message": if status == 200 { "Server is healthy" } else { "The database does not answer" },
            "timestamp": Time(call.app().now()),
            "environment": call.world().settings.environment,
            "database": database,
        }),
    )
}
