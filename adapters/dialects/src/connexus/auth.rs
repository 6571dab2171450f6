//! Registration, logins, passwords.

use connexus_application::Actor;
use connexus_application::auth::{Login, Tokens};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::{done, plainly, users};
use crate::refused::Refused;
use crate::rest::{Answer, Call};
use crate::text::register_by_name;

#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
struct Registration {
    #[garde(length(chars, min = 1, max = 50))]
    name: String,
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

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct NewPassword {
    #[garde(skip)]
    current_password: String,
    #[garde(skip)]
    new_password: String,
}

pub async fn register(call: Call) -> Answer {
    let Registration {
        name,
        email,
        password,
    } = call.fields()?;
    let made = register_by_name(call.app(), &name, &email, &password, call.claim()).await?;
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
        json!({
            "token": tokens.access_token,
            "user": users::own(call, &actor, &profile).await?,
            "expiresIn": call.world().token_span(),
        }),
    )
}

pub async fn change_password(call: Call) -> Answer {
    let NewPassword {
        current_password,
        new_password,
    } = call.fields()?;
    let auth = &call.app().auth;
    let changed = auth
        .change_password(call.actor()?, &current_password, &new_password)
        .await;
    match changed {
        Err(connexus_domain::Error::Unauthenticated(connexus_domain::AuthFailure::Credentials)) => {
            Err(Refused::said(401, "Current password is incorrect"))
        }
        other => {
            other?;
            plainly("Password changed successfully")
        }
    }
}

pub async fn logout(call: Call) -> Answer {
    call.app().auth.logout(call.actor()?).await?;
    plainly("Logged out successfully")
}
