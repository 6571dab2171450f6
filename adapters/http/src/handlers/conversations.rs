//! Conversations of all three kinds, and how one keeps them.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use connexus_application::Actor;
use connexus_application::conversations::{ConversationChange, CreateGroup, OpenedView};
use connexus_domain::{ConversationId, Entity, PreferencesPatch, UserId};
use connexus_wire::shapes::{ConversationShape, ReceiptShape};
use connexus_wire::time;

use crate::docs::{BadRequest, Denied, NotFound};
use crate::dto::{self, Kind};
use crate::extract::{Authenticated, Signed, id, segment};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::handlers::{Answer, PAGE_DEFAULT, done, json, ok, page};
use crate::query::Params;
use crate::schema;

/// One's conversations, latest activity first
#[utoipa::path(
    get, path = "/v1/conversations", tag = "conversations", operation_id = "list_conversations",
    params(
        ("archived" = Option<bool>, Query, description = "Only archived ones, or only others"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::Conversation>, description = "A page"), BadRequest)
)]
pub async fn list(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let params = Params::of(&request)?;
    let archived = params.flag("archived");
    let (after, limit) = (params.cursor("cursor"), params.limit(PAGE_DEFAULT));
    params.check()?;
    let conversations = &gateway.app.conversations;
    let found = conversations.list(&actor.0, archived, after, limit).await?;
    page(&found, ConversationShape::of)
}

/// Open a conversation: the direct one with somebody, a new group, or the room of a slug
#[utoipa::path(
    post, path = "/v1/conversations", tag = "conversations", operation_id = "open_conversation",
    request_body = dto::OpenConversation,
    responses(
        (status = 201, body = schema::Conversation, description = "It was made"),
        (status = 200, body = schema::Conversation, description = "It was there"),
        BadRequest, Denied, NotFound
    )
)]
pub async fn open(gateway: Data<Gateway>, signed: Signed<dto::OpenConversation>) -> Answer {
    let Signed(actor, body) = signed;
    let opened = open_kind(&gateway, &actor, body).await?;
    let status = if opened.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    json(status, ConversationShape::of(&opened.view))
}

async fn open_kind(
    gateway: &Gateway,
    actor: &Actor,
    body: dto::OpenConversation,
) -> Result<OpenedView, Failure> {
    let required = |field: &str| Failure::invalid(field, "is required");
    let conversations = &gateway.app.conversations;
    let opened = match body.kind {
        Kind::Direct => {
            let peer = body.user_id.ok_or_else(|| required("user_id"))?;
            let peer = UserId::from_uuid(peer);
            conversations.open_direct(actor, peer).await?
        }
        Kind::Group => {
            let members = body.member_ids.unwrap_or_default();
            let group = CreateGroup {
                name: body.name.ok_or_else(|| required("name"))?,
                description: body.description,
                avatar_url: body.avatar_url,
                member_ids: members.into_iter().map(UserId::from_uuid).collect(),
            };
            conversations.create_group(actor, group).await?
        }
        Kind::Room => {
            let slug = body.slug.ok_or_else(|| required("slug"))?;
            let (name, description) = (body.name.as_deref(), body.description.as_deref());
            conversations
                .open_room(actor, &slug, name, description)
                .await?
        }
    };
    Ok(opened)
}

/// A conversation
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "get_conversation",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    responses((status = 200, body = schema::Conversation, description = "As the asker sees it"), Denied, NotFound)
)]
pub async fn get(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = conversation(&request)?;
    let view = gateway.app.conversations.get(&actor.0, id).await?;
    ok(ConversationShape::of(&view))
}

/// Change name, description or picture of a group or room
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "update_conversation",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    request_body = dto::UpdateConversation,
    responses((status = 200, body = schema::Conversation, description = "As it is now"), BadRequest, Denied, NotFound)
)]
pub async fn update(
    gateway: Data<Gateway>,
    signed: Signed<dto::UpdateConversation>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = conversation(&request)?;
    let change = ConversationChange {
        name: body.name,
        description: body.description,
        avatar_url: body.avatar_url,
    };
    let view = gateway.app.conversations.update(&actor, id, change).await?;
    ok(ConversationShape::of(&view))
}

/// Delete a group or room for everybody
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "delete_conversation",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    responses((status = 204, description = "Gone"), Denied, NotFound)
)]
pub async fn delete(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = conversation(&request)?;
    gateway.app.conversations.delete(&actor.0, id).await?;
    Ok(done())
}

/// Enter a room; twice is once
#[utoipa::path(
    post, path = "/v1/rooms/{slug}/join", tag = "conversations", operation_id = "join_room",
    params(("slug" = String, Path, description = "What the room is found by")),
    responses((status = 200, body = schema::Conversation, description = "The room"), BadRequest, NotFound)
)]
pub async fn join(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let slug = segment(&request, "slug");
    let conversations = &gateway.app.conversations;
    let opened = conversations.join_room(&actor.0, &slug).await?;
    ok(ConversationShape::of(&opened.view))
}

/// Change how one keeps a conversation
#[utoipa::path(
    patch, path = "/v1/conversations/{id}/preferences", tag = "conversations", operation_id = "update_preferences",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    request_body = dto::UpdatePreferences,
    responses((status = 200, body = schema::Conversation, description = "As it is now"), BadRequest, Denied, NotFound)
)]
pub async fn preferences(
    gateway: Data<Gateway>,
    signed: Signed<dto::UpdatePreferences>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = conversation(&request)?;
    let until = |text: Option<String>| text.map(|text| time::parse("muted_until", &text));
    let patch = PreferencesPatch {
        archived: body.archived,
        pinned: body.pinned,
        muted_until: body
            .muted_until
            .map(|text| until(text).transpose())
            .transpose()?,
    };
    let conversations = &gateway.app.conversations;
    let view = conversations.set_preferences(&actor, id, patch).await?;
    ok(ConversationShape::of(&view))
}

/// Say how far one has read
#[utoipa::path(
    put, path = "/v1/conversations/{id}/read", tag = "conversations", operation_id = "mark_read",
    params(("id" = uuid::Uuid, Path, description = "The conversation")),
    request_body = dto::Read,
    responses((status = 200, body = schema::Receipt, description = "The asker's receipt"), BadRequest, Denied, NotFound)
)]
pub async fn read(
    gateway: Data<Gateway>,
    signed: Signed<dto::Read>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = conversation(&request)?;
    let seq = match (body.seq, body.message_id) {
        (Some(seq), None) => seq,
        (None, Some(message)) => {
            let message = connexus_domain::MessageId::from_uuid(message);
            gateway.app.messages.seq_of(&actor, id, message).await?
        }
        (None, None) => return Err(Failure::invalid("seq", "is required, or message_id")),
        (Some(_), Some(_)) => {
            let reason = "must not be there together with seq";
            return Err(Failure::invalid("message_id", reason));
        }
    };
    let receipt = gateway.app.receipts.read(&actor, id, seq).await?;
    ok(ReceiptShape::from(&receipt))
}

/// How far each member has come
#[utoipa::path(
    get, path = "/v1/conversations/{id}/receipts", tag = "conversations", operation_id = "list_receipts",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::Receipt>, description = "A page"), BadRequest, Denied, NotFound)
)]
pub async fn receipts(
    gateway: Data<Gateway>,
    actor: Authenticated,
    request: HttpRequest,
) -> Answer {
    let id = conversation(&request)?;
    let params = Params::of(&request)?;
    let (after, limit) = (params.cursor("cursor"), params.limit(PAGE_DEFAULT));
    params.check()?;
    let receipts = &gateway.app.receipts;
    let found = receipts.list(&actor.0, id, after, limit).await?;
    page(&found, ReceiptShape::from)
}

/// The conversation that the path names.
pub fn conversation(request: &HttpRequest) -> Result<ConversationId, Failure> {
    id(request, "id", Entity::Conversation)
}
