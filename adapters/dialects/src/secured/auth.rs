//! Registration and logins.

use connexus_application::auth::{Login, Register, Tokens};
use connexus_domain::User;
use connexus_wire::text::Id;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::links::Links;
use crate::refused::Refused;
use crate::rest::{Answer, Call, json};
use crate::text::register_by_name;

#[derive(Deserialize, Validate)]
struct Registration {
    #[garde(skip)]
    #[serde(default)]
    username: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    name: Option<String>,
    #[garde(skip)]
    email: String,
    #[garde(skip)]
    password: String,
}

#[derive(Deserialize, Validate)]
struct Credentials {
    #[garde(skip)]
    email: String,
    #[garde(skip)]
    password: String,
}

pub async fn register(call: Call) -> Answer {
    let Registration {
        username,
        name,
        email,
        password,
    } = call.fields()?;
    let (app, dialect) = (call.app(), call.claim());
    let made = match (username, name) {
        (Some(username), display_name) => {
            let input = Register {
                username,
                email,
                password,
                display_name,
                device: None,
                dialect: Some(dialect),
            };
            app.auth.register(&input).await?
        }
        (None, Some(name)) => register_by_name(app, &name, &email, &password, dialect).await?,
        (None, None) => return Err(Refused::field("username", "is required")),
    };
    answer(&call, 201, "User registered successfully", &made)
}

pub async fn login(call: Call) -> Answer {
    let Credentials { email, password } = call.fields()?;
    let input = Login {
        identifier: email,
        password,
        device: None,
        dialect: Some(call.claim()),
    };
    let tokens = call.app().auth.login(&input).await?;
    answer(&call, 200, "Login successful", &tokens)
}

fn answer(call: &Call, status: u16, message: &str, tokens: &Tokens) -> Answer {
    json(
        status,
        &json!({
            "status": "success",
            "message": message,
            "data": {"token": tokens.access_token, "user": user(&tokens.user, call.links())},
        }),
    )
}

/// An account.
pub fn user(user: &User, links: &Links) -> Value {
    json!({
        "_id": Id::from(user.id),
        "id": Id::from(user.id),
        "username": user.username.as_str(),
        "name": user.display_name,
        "email": user.email.as_str(),
        "avatar": links.picture_of(user).unwrap_or_default(),
    })
}
