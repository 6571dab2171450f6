//! Registration, logins, search.

use connexus_application::Actor;
use connexus_application::auth::{Login, Tokens};
use connexus_application::users::ProfileChange;
use connexus_domain::{Limit, text};
use garde::Validate;
use serde::Deserialize;
use serde_json::Value;

use super::shapes;
use crate::people;
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call, json};
use crate::text::register_by_name;

/// Users that one search answers. These clients ask for no further page.
const FOUND: u32 = 50;

#[derive(Deserialize, Validate)]
struct Registration {
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    email: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    password: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    pic: Option<String>,
}

pub async fn register(call: Call) -> Answer {
    let Registration {
        name,
        email,
        password,
        pic,
    } = call.fields()?;
    let (name, email, password) = (filled(name)?, filled(email)?, filled(password)?);
    // before anything is made
    let pic = text::optional_link("pic", pic.as_deref().unwrap_or_default())?;
    let mut made = register_by_name(call.app(), &name, &email, &password, call.claim()).await?;
    if pic.is_some() {
        let change = ProfileChange {
            avatar_url: Some(pic),
            ..ProfileChange::default()
        };
        let actor = Actor::new(made.user.id, made.session_id);
        made.user = call.app().users.update(&actor, change).await?.user;
    }
    answer(&call, 201, &made)
}

#[derive(Deserialize, Validate)]
struct Credentials {
    #[garde(skip)]
    #[serde(default)]
    email: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    password: Option<String>,
}

pub async fn login(call: Call) -> Answer {
    let Credentials { email, password } = call.fields()?;
    let input = Login {
        identifier: filled(email)?,
        password: filled(password)?,
        device: None,
        dialect: Some(call.claim()),
    };
    let tokens = call.app().auth.login(&input).await?;
    answer(&call, 200, &tokens)
}

/// What must not be empty.
fn filled(field: Option<String>) -> Result<String> {
    field
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Refused::said(400, "Please Enter all the Feilds"))
}

fn answer(call: &Call, status: u16, tokens: &Tokens) -> Answer {
    let account = shapes::account(&tokens.user, &tokens.access_token, call.links());
    json(status, &account)
}

#[derive(Deserialize, Validate)]
struct Search {
    #[garde(skip)]
    #[serde(default)]
    search: String,
}

pub async fn search(call: Call) -> Answer {
    let Search { search } = call.query()?;
    let found = people::search(call.app(), call.actor()?, &search, Limit::of(FOUND)).await?;
    let users: Vec<Value> = found
        .iter()
        .map(|profile| shapes::user(&profile.user, call.links()))
        .collect();
    json(200, &users)
}
