//! Registration, logins, and who one is.

use connexus_application::Actor;
use connexus_application::auth::{Login, Register, Tokens};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::{done, shapes};
use crate::rest::{Answer, Call};

#[derive(Deserialize, Validate)]
struct Registration {
    #[garde(skip)]
    username: String,
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
        email,
        password,
    } = call.fields()?;
    let input = Register {
        username,
        email,
        password,
        display_name: None,
        device: None,
        dialect: Some(call.claim()),
    };
    let made = call.app().auth.register(&input).await?;
    answer(&call, 201, "User registered successfully", &made).await
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
    answer(&call, 200, "Login successful", &tokens).await
}

async fn answer(call: &Call, status: u16, message: &str, tokens: &Tokens) -> Answer {
    let actor = Actor::new(tokens.user.id, tokens.session_id);
    let profile = call.app().users.me(&actor).await?;
    done(
        status,
        message,
        json!({"user": shapes::profile(&profile, call.links()), "token": tokens.access_token}),
    )
}

pub async fn me(call: Call) -> Answer {
    let profile = call.app().users.me(call.actor()?).await?;
    let user = shapes::profile(&profile, call.links());
    done(200, "User retrieved successfully", json!({"user": user}))
}
