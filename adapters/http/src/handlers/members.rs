//! Members and their roles.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use connexus_domain::{Entity, Role, UserId};
use connexus_wire::shapes::{List, MemberShape};

use crate::docs::{BadRequest, Denied, NotFound};
use crate::dto;
use crate::extract::{Authenticated, Signed, id};
use crate::gateway::Gateway;
use crate::handlers::conversations::conversation;
use crate::handlers::{Answer, PAGE_DEFAULT, done, json, ok, page};
use crate::query::Params;
use crate::schema;

/// The members of a conversation
#[utoipa::path(
    get, path = "/v1/conversations/{id}/members", tag = "conversations", operation_id = "list_members",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::Member>, description = "A page"), BadRequest, Denied, NotFound)
)]
pub async fn list(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = conversation(&request)?;
    let params = Params::of(&request)?;
    let (after, limit) = (params.cursor("cursor"), params.limit(PAGE_DEFAULT));
    params.check()?;
    let members = &gateway.app.members;
    let found = members.list(&actor.0, id, after, limit).await?;
    page(&found, MemberShape::of)
}

/// Add users to a group or room
#[utoipa::path(
    post, path = "/v1/conversations/{id}/members", tag = "conversations", operation_id = "add_members",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    request_body = dto::AddMembers,
    responses((status = 201, body = schema::List<schema::Member>, description = "Those who were added"), BadRequest, Denied, NotFound)
)]
pub async fn add(
    gateway: Data<Gateway>,
    signed: Signed<dto::AddMembers>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = conversation(&request)?;
    let named = body.user_ids.unwrap_or_default();
    let users: Vec<UserId> = named
        .into_iter()
        .chain(body.user_id)
        .map(UserId::from_uuid)
        .collect();
    let added = gateway.app.members.add(&actor, id, &users).await?;
    let list = List {
        items: added.iter().map(MemberShape::of).collect(),
        next_cursor: None,
    };
    json(StatusCode::CREATED, list)
}

/// Give a member another role
#[utoipa::path(
    patch, path = "/v1/conversations/{id}/members/{user_id}", tag = "conversations", operation_id = "set_role",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("user_id" = uuid::Uuid, Path, description = "The member")
    ),
    request_body = dto::SetRole,
    responses((status = 200, body = schema::Member, description = "As it is now"), BadRequest, Denied, NotFound)
)]
pub async fn set_role(
    gateway: Data<Gateway>,
    signed: Signed<dto::SetRole>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let conversation = conversation(&request)?;
    let target = id(&request, "user_id", Entity::Member)?;
    let role = match body.role {
        dto::Role::Owner => Role::Owner,
        dto::Role::Admin => Role::Admin,
        dto::Role::Member => Role::Member,
    };
    let members = &gateway.app.members;
    let member = members.set_role(&actor, conversation, target, role).await?;
    ok(MemberShape::of(&member))
}

/// Remove a member, or leave
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/members/{user_id}", tag = "conversations", operation_id = "remove_member",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("user_id" = uuid::Uuid, Path, description = "The member; oneself to leave")
    ),
    responses((status = 204, description = "No longer a member"), Denied, NotFound)
)]
pub async fn remove(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let conversation = conversation(&request)?;
    let target = id(&request, "user_id", Entity::Member)?;
    let members = &gateway.app.members;
    members.remove(&actor.0, conversation, target).await?;
    Ok(done())
}
