//! Registration, logins, tokens, sessions.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use connexus_application::{Actor, auth};
use connexus_domain::Entity;
use connexus_wire::shapes::{SessionShape, TokensShape};

use crate::docs::{BadRequest, Conflict, NotFound};
use crate::dto;
use crate::extract::{Authenticated, Body, Signed, id};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::handlers::{Answer, done, json, whole};
use crate::schema;

async fn tokens(gateway: &Gateway, status: StatusCode, tokens: &auth::Tokens) -> Answer {
    let actor = Actor::new(tokens.user.id, tokens.session_id);
    let profile = gateway.app.users.me(&actor).await?;
    json(status, TokensShape::of(tokens, &profile))
}

/// Make an account and open its first session
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "auth", operation_id = "register", security(()),
    request_body = dto::Register,
    responses((status = 201, body = schema::Tokens, description = "The account and its tokens"), BadRequest, Conflict)
)]
pub async fn register(gateway: Data<Gateway>, body: Body<dto::Register>) -> Answer {
    let Body(body) = body;
    let input = auth::Register {
        username: body.username,
        email: body.email,
        password: body.password,
        display_name: body.display_name,
        device: body.device,
        dialect: None,
    };
    let made = gateway.app.auth.register(&input).await?;
    tokens(&gateway, StatusCode::CREATED, &made).await
}

/// Open a session
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", operation_id = "login", security(()),
    request_body = dto::Login,
    responses(
        (status = 200, body = schema::Tokens, description = "Tokens of a new session"), BadRequest,
        (status = 401, body = connexus_wire::Problem, content_type = "application/problem+json", description = "Wrong identifier or password")
    )
)]
pub async fn login(gateway: Data<Gateway>, body: Body<dto::Login>) -> Answer {
    let Body(body) = body;
    let input = auth::Login {
        identifier: body.identifier,
        password: body.password,
        device: body.device,
        dialect: None,
    };
    let made = gateway.app.auth.login(&input).await?;
    tokens(&gateway, StatusCode::OK, &made).await
}

/// Exchange a refresh token, which works once
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "auth", operation_id = "refresh", security(()),
    request_body = dto::Refresh,
    responses(
        (status = 200, body = schema::Tokens, description = "New tokens of the same session"), BadRequest,
        (status = 401, body = connexus_wire::Problem, content_type = "application/problem+json", description = "The token is not valid, or was used before: then its session has been ended")
    )
)]
pub async fn refresh(gateway: Data<Gateway>, body: Body<dto::Refresh>) -> Answer {
    let made = gateway
        .app
        .auth
        .refresh(&body.0.refresh_token, None)
        .await?;
    tokens(&gateway, StatusCode::OK, &made).await
}

/// End this session; its sockets are closed
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth", operation_id = "logout",
    responses((status = 204, description = "Ended"))
)]
pub async fn logout(gateway: Data<Gateway>, actor: Authenticated) -> Result<HttpResponse, Failure> {
    gateway.app.auth.logout(&actor.0).await?;
    Ok(done())
}

/// Change the password; all other sessions end
#[utoipa::path(
    put, path = "/v1/auth/password", tag = "auth", operation_id = "change_password",
    request_body = dto::ChangePassword,
    responses((status = 204, description = "Changed"), BadRequest)
)]
pub async fn change_password(
    gateway: Data<Gateway>,
    signed: Signed<dto::ChangePassword>,
) -> Answer {
    let Signed(actor, body) = signed;
    let auth = &gateway.app.auth;
    auth.change_password(&actor, &body.current_password, &body.new_password)
        .await?;
    Ok(done())
}

/// The user's live sessions, the latest used first
#[utoipa::path(
    get, path = "/v1/auth/sessions", tag = "auth", operation_id = "list_sessions",
    responses((status = 200, body = schema::List<schema::Session>, description = "All of them"))
)]
pub async fn sessions(gateway: Data<Gateway>, actor: Authenticated) -> Answer {
    let Authenticated(actor) = actor;
    let sessions = gateway.app.auth.sessions(&actor).await?;
    whole(&sessions, |session| {
        SessionShape::of(session, session.id == actor.session_id)
    })
}

/// End one of the user's sessions
#[utoipa::path(
    delete, path = "/v1/auth/sessions/{id}", tag = "auth", operation_id = "end_session",
    params(("id" = uuid::Uuid, Path, description = "The session")),
    responses((status = 204, description = "Ended"), NotFound)
)]
pub async fn end_session(
    gateway: Data<Gateway>,
    actor: Authenticated,
    request: HttpRequest,
) -> Answer {
    let session = id(&request, "id", Entity::Session)?;
    gateway.app.auth.revoke(&actor.0, session).await?;
    Ok(done())
}
