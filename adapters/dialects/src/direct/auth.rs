//! Registration, logins, tokens, passwords.

use connexus_application::Actor;
use connexus_application::auth::{Login, Register, Tokens};
use connexus_domain::{AuthFailure, Error};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::{done, plainly, shapes};
use crate::refused::Refused;
use crate::rest::{Answer, Call};

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Registration {
    #[garde(skip)]
    username: String,
    #[garde(skip)]
    email: String,
    #[garde(skip)]
    password: String,
    #[garde(skip)]
    confirm_password: String,
}

#[derive(Deserialize, Validate)]
struct Credentials {
    #[garde(skip)]
    identifier: String,
    #[garde(skip)]
    password: String,
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Refresh {
    #[garde(skip)]
    refresh_token: String,
}

#[derive(Deserialize, Validate)]
struct NewPassword {
    #[garde(skip)]
    #[serde(rename = "currentPassword")]
    current: String,
    #[garde(skip)]
    #[serde(rename = "newPassword")]
    new: String,
    #[garde(skip)]
    #[serde(default, rename = "confirmPassword")]
    confirmed: Option<String>,
}

pub async fn register(call: Call) -> Answer {
    let Registration {
        username,
        email,
        password,
        confirm_password,
    } = call.fields()?;
    if password != confirm_password {
        return Err(unlike());
    }
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

fn unlike() -> Refused {
    Refused::said(400, "Passwords do not match")
}

pub async fn login(call: Call) -> Answer {
    let Credentials {
        identifier,
        password,
    } = call.fields()?;
    let input = Login {
        identifier,
        password,
        device: None,
        dialect: Some(call.claim()),
    };
    let tokens = call.app().auth.login(&input).await?;
    answer(&call, 200, "Login successful", &tokens).await
}

pub async fn refresh(call: Call) -> Answer {
    let Refresh { refresh_token } = call.fields()?;
    let auth = &call.app().auth;
    match auth.refresh(&refresh_token, Some(call.claim())).await {
        Err(Error::Unauthenticated(_)) => Err(Refused::said(401, "Invalid refresh token")),
        tokens => answer(&call, 200, "Token refreshed successfully", &tokens?).await,
    }
}

async fn answer(call: &Call, status: u16, message: &str, tokens: &Tokens) -> Answer {
    let actor = Actor::new(tokens.user.id, tokens.session_id);
    let profile = call.app().users.me(&actor).await?;
    done(
        status,
        message,
        json!({
            "user": shapes::profile(&profile, call.links()),
            "token": tokens.access_token,
            "accessToken": tokens.access_token,
            "refreshToken": tokens.refresh_token,
            "expiresIn": call.world().token_span(),
        }),
    )
}

pub async fn logout(call: Call) -> Answer {
    call.app().auth.logout(call.actor()?).await?;
    plainly("Logged out successfully")
}

/// A wrong password is a 400: these clients take a 401 for a token that is to be refreshed.
pub async fn change_password(call: Call) -> Answer {
    let NewPassword {
        current,
        new,
        confirmed,
    } = call.fields()?;
    if confirmed.is_some_and(|confirmed| confirmed != new) {
        return Err(unlike());
    }
    let auth = &call.app().auth;
    let changed = auth.change_password(call.actor()?, &current, &new).await;
    match changed {
        Err(Error::Unauthenticated(AuthFailure::Credentials)) => {
            Err(Refused::said(400, "Current password is incorrect"))
        }
        other => {
            other?;
            plainly("Password changed successfully")
        }
    }
}
