//! Contacts: everybody but oneself.

use connexus_application::users::Profile;
use connexus_domain::{Limit, Page};
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth;
use crate::rest::{Answer, Call, json};

/// Users that one answer has. Who is not among them is found by `search`.
const LISTED: usize = 1_000;

#[derive(Deserialize, Validate)]
struct Search {
    #[garde(skip)]
    #[serde(default)]
    search: Option<String>,
}

pub async fn list(call: Call) -> Answer {
    let Search { search } = call.query()?;
    let (found, actor) = (&call.app().users, call.actor()?);
    let mut users: Vec<Value> = Vec::new();
    let mut after = None;
    while users.len() < LISTED {
        let limit = Limit::of(Limit::MAX);
        let page = found.search(actor, search.as_deref(), after, limit).await?;
        let Page { items, next } = page;
        let shape = |profile: &Profile| auth::user(&profile.user, call.links());
        users.extend(items.iter().map(shape));
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    json(
        200,
        &json!({"status": "success", "results": users.len(), "data": {"users": users}}),
    )
}
