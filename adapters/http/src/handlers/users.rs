//! Profiles, search of users, presence, blocks.

use actix_web::HttpRequest;
use actix_web::web::Data;
use connexus_application::users::{PrivacyChange, ProfileChange};
use connexus_domain::{Entity, Status, UserId, Visibility};
use connexus_wire::shapes::{PresenceShape, UserShape};

use crate::docs::{BadRequest, Conflict, NotFound};
use crate::dto;
use crate::extract::{Authenticated, Signed, id};
use crate::gateway::Gateway;
use crate::handlers::{Answer, PAGE_DEFAULT, done, ok, page, whole};
use crate::query::Params;
use crate::schema;

/// How many users a page has when nothing is asked.
const USERS_DEFAULT: u32 = 20;

/// One's own account
#[utoipa::path(
    get, path = "/v1/users/me", tag = "users", operation_id = "get_me",
    responses((status = 200, body = schema::Me, description = "With e-mail address and privacy"))
)]
pub async fn me(gateway: Data<Gateway>, actor: Authenticated) -> Answer {
    let profile = gateway.app.users.me(&actor.0).await?;
    ok(UserShape::own(&profile))
}

/// Change one's own account
#[utoipa::path(
    patch, path = "/v1/users/me", tag = "users", operation_id = "update_me",
    request_body = dto::UpdateMe,
    responses((status = 200, body = schema::Me, description = "As it is now"), BadRequest, Conflict)
)]
pub async fn update_me(gateway: Data<Gateway>, signed: Signed<dto::UpdateMe>) -> Answer {
    let Signed(actor, body) = signed;
    let privacy = body.privacy.unwrap_or_default();
    let change = ProfileChange {
        username: body.username,
        display_name: body.display_name,
        avatar_url: body.avatar_url,
        bio: body.bio,
        status: body.status.map(Status::from),
        status_text: body.status_text,
        privacy: PrivacyChange {
            presence: privacy.presence.map(Visibility::from),
            read_receipts: privacy.read_receipts,
            searchable: privacy.searchable,
        },
    };
    let profile = gateway.app.users.update(&actor, change).await?;
    ok(UserShape::own(&profile))
}

impl From<dto::Status> for Status {
    fn from(status: dto::Status) -> Self {
        match status {
            dto::Status::Online => Self::Online,
            dto::Status::Away => Self::Away,
            dto::Status::Busy => Self::Busy,
        }
    }
}

impl From<dto::Visibility> for Visibility {
    fn from(visibility: dto::Visibility) -> Self {
        match visibility {
            dto::Visibility::Everyone => Self::Everyone,
            dto::Visibility::Contacts => Self::Contacts,
            dto::Visibility::Nobody => Self::Nobody,
        }
    }
}

/// Users by the start of their name
#[utoipa::path(
    get, path = "/v1/users", tag = "users", operation_id = "search_users",
    params(
        ("query" = Option<String>, Query, description = "Start of a username or display name; all when absent"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "20 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::User>, description = "A page"), BadRequest)
)]
pub async fn search(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let params = Params::of(&request)?;
    let query = params.text("query");
    let (after, limit) = (params.cursor("cursor"), params.limit(USERS_DEFAULT));
    params.check()?;
    let users = &gateway.app.users;
    let found = users.search(&actor.0, query, after, limit).await?;
    page(&found, UserShape::of)
}

/// A user
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "users", operation_id = "get_user",
    params(("id" = uuid::Uuid, Path, description = "The user")),
    responses((status = 200, body = schema::User, description = "As the asker may see it"), NotFound)
)]
pub async fn get(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let user: UserId = id(&request, "id", Entity::User)?;
    let profile = gateway.app.users.get(&actor.0, user).await?;
    ok(UserShape::of(&profile))
}

/// How a user appears
#[utoipa::path(
    get, path = "/v1/users/{id}/presence", tag = "users", operation_id = "get_presence",
    params(("id" = uuid::Uuid, Path, description = "The user")),
    responses((status = 200, body = schema::UserPresence, description = "As the asker may see it"), NotFound)
)]
pub async fn presence(
    gateway: Data<Gateway>,
    actor: Authenticated,
    request: HttpRequest,
) -> Answer {
    let user: UserId = id(&request, "id", Entity::User)?;
    let profile = gateway.app.users.get(&actor.0, user).await?;
    ok(PresenceShape::of(&profile))
}

/// Who is online among those with whom one shares a conversation
#[utoipa::path(
    get, path = "/v1/presence", tag = "users", operation_id = "list_online",
    responses((status = 200, body = schema::List<schema::UserPresence>, description = "All of them"))
)]
pub async fn online(gateway: Data<Gateway>, actor: Authenticated) -> Answer {
    let online = gateway.app.presence.online(&actor.0).await?;
    whole(&online, PresenceShape::of)
}

/// Whom one blocks
#[utoipa::path(
    get, path = "/v1/users/me/blocks", tag = "users", operation_id = "list_blocks",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::User>, description = "A page"), BadRequest)
)]
pub async fn blocks(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let params = Params::of(&request)?;
    let (after, limit) = (params.cursor("cursor"), params.limit(PAGE_DEFAULT));
    params.check()?;
    let blocked = gateway.app.blocks.list(&actor.0, after, limit).await?;
    page(&blocked, UserShape::of)
}

/// Block a user; twice is once
#[utoipa::path(
    put, path = "/v1/users/me/blocks/{user_id}", tag = "users", operation_id = "block",
    params(("user_id" = uuid::Uuid, Path, description = "Whom")),
    responses((status = 204, description = "Blocked"), BadRequest, NotFound)
)]
pub async fn block(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let whom = id(&request, "user_id", Entity::User)?;
    gateway.app.blocks.block(&actor.0, whom).await?;
    Ok(done())
}

/// Block a user no longer
#[utoipa::path(
    delete, path = "/v1/users/me/blocks/{user_id}", tag = "users", operation_id = "unblock",
    params(("user_id" = uuid::Uuid, Path, description = "Whom")),
    responses((status = 204, description = "Not blocked"), NotFound)
)]
pub async fn unblock(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let whom = id(&request, "user_id", Entity::User)?;
    gateway.app.blocks.unblock(&actor.0, whom).await?;
    Ok(done())
}
