//! Messages, their history, threads, reactions; search and sync.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use connexus_application::messages::{SearchMessages, SendMessage};
use connexus_domain::ports::HistoryRange;
use connexus_domain::{
    AttachmentId, ConversationId, Entity, Limit, MessageId, MessageKind, Page, Seq,
};
use connexus_wire::cursor::Cursor as _;
use connexus_wire::shapes::{List, MessageShape};
use connexus_wire::sync::SyncShape;

use crate::docs::{BadRequest, Conflict, Denied, NotFound};
use crate::dto;
use crate::extract::{Authenticated, Signed, id, segment};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::handlers::conversations::conversation;
use crate::handlers::{Answer, PAGE_DEFAULT, json, ok, page};
use crate::query::Params;
use crate::schema;

/// The messages of a conversation, newest first; oldest first with `after`
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages", tag = "messages", operation_id = "list_messages",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("before" = Option<i64>, Query, description = "Only those with a lower `seq`"),
        ("after" = Option<i64>, Query, description = "Only those with a higher `seq`, oldest first"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before, which is a `seq`: goes on in the same direction")
    ),
    responses((status = 200, body = schema::List<schema::Message>, description = "A page"), BadRequest, Denied, NotFound)
)]
pub async fn history(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = conversation(&request)?;
    let params = Params::of(&request)?;
    let (range, limit) = range(&params);
    params.check()?;
    // one more tells whether there is a next page
    let asked = Limit::of(u32::try_from(limit.and_one()).unwrap_or(Limit::MAX));
    let messages = &gateway.app.messages;
    let items = messages.history(&actor.0, id, range, asked).await?;
    let page = Page::cut(items, limit, |message| message.seq);
    ok(List {
        items: page.items.iter().map(MessageShape).collect(),
        next_cursor: page.next.map(|seq| seq.to_string()),
    })
}

fn range(params: &Params) -> (HistoryRange, Limit) {
    let number = |name: &str| params.get::<Seq>(name, "must be a whole number");
    let (before, after, cursor) = (number("before"), number("after"), number("cursor"));
    if before.is_some() && after.is_some() {
        params.refuse("after", "must not be there together with before");
    }
    let range = match (before, after) {
        (_, Some(after)) => HistoryRange::After(cursor.unwrap_or(after)),
        (before, None) => cursor
            .or(before)
            .map_or(HistoryRange::Latest, HistoryRange::Before),
    };
    (range, params.limit(PAGE_DEFAULT))
}

/// Send a message; with a `client_id` it is safe to send again
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages", tag = "messages", operation_id = "send_message",
    params(
        ("id" = uuid::Uuid, Path, description = "The conversation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `client_id`")
    ),
    request_body = dto::SendMessage,
    responses(
        (status = 201, body = schema::Message, description = "It is stored"),
        (status = 200, body = schema::Message, description = "It was stored before"),
        BadRequest, Denied, NotFound, Conflict
    )
)]
pub async fn send(
    gateway: Data<Gateway>,
    signed: Signed<dto::SendMessage>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = conversation(&request)?;
    let attachments = body.attachment_ids.unwrap_or_default();
    let input = SendMessage {
        body: body.body,
        kind: body.kind.map(MessageKind::from),
        attachment_ids: attachments
            .into_iter()
            .map(AttachmentId::from_uuid)
            .collect(),
        reply_to: body.reply_to.map(MessageId::from_uuid),
        thread_id: body.thread_id.map(MessageId::from_uuid),
        client_id: client_id(&request, body.client_id)?,
    };
    let sent = gateway.app.messages.send(&actor, id, input).await?;
    let status = if sent.duplicate {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    json(status, MessageShape(&sent.message))
}

/// The sender's key, which may stand in the body, in a header, or in both alike.
fn client_id(request: &HttpRequest, body: Option<String>) -> Result<Option<String>, Failure> {
    let Some(header) = request.headers().get("idempotency-key") else {
        return Ok(body);
    };
    let Some(header) = header.to_str().ok() else {
        return Err(Failure::invalid("client_id", "must be ASCII"));
    };
    match body {
        Some(body) if body != header => Err(Failure::invalid(
            "client_id",
            "must be the same as Idempotency-Key",
        )),
        _ => Ok(Some(header.to_owned())),
    }
}

impl From<dto::MessageKind> for MessageKind {
    fn from(kind: dto::MessageKind) -> Self {
        match kind {
            dto::MessageKind::Text => Self::Text,
            dto::MessageKind::Image => Self::Image,
            dto::MessageKind::Video => Self::Video,
            dto::MessageKind::Audio => Self::Audio,
            dto::MessageKind::File => Self::File,
            dto::MessageKind::System => Self::System,
        }
    }
}

/// A message
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages", operation_id = "get_message",
    params(("id" = uuid::Uuid, Path, description = "The message")),
    responses((status = 200, body = schema::Message, description = "The message or its tombstone"), NotFound)
)]
pub async fn get(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = message(&request)?;
    let message = gateway.app.messages.get(&actor.0, id).await?;
    ok(MessageShape(&message))
}

/// Change one's own message
#[utoipa::path(
    patch, path = "/v1/messages/{id}", tag = "messages", operation_id = "edit_message",
    params(("id" = uuid::Uuid, Path, description = "The message")),
    request_body = dto::EditMessage,
    responses((status = 200, body = schema::Message, description = "As it is now"), BadRequest, Denied, NotFound)
)]
pub async fn edit(
    gateway: Data<Gateway>,
    signed: Signed<dto::EditMessage>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let id = message(&request)?;
    let message = gateway.app.messages.edit(&actor, id, &body.body).await?;
    ok(MessageShape(&message))
}

/// Make a message a tombstone
#[utoipa::path(
    delete, path = "/v1/messages/{id}", tag = "messages", operation_id = "delete_message",
    params(("id" = uuid::Uuid, Path, description = "The message")),
    responses((status = 200, body = schema::Message, description = "The tombstone"), Denied, NotFound)
)]
pub async fn delete(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = message(&request)?;
    let tombstone = gateway.app.messages.delete(&actor.0, id).await?;
    ok(MessageShape(&tombstone))
}

/// React; twice is once
#[utoipa::path(
    put, path = "/v1/messages/{id}/reactions/{emoji}", tag = "messages", operation_id = "add_reaction",
    params(
        ("id" = uuid::Uuid, Path, description = "The message"),
        ("emoji" = String, Path, description = "One emoji, percent-encoded", example = "👍")
    ),
    responses((status = 200, body = schema::Message, description = "The message as it is now"), BadRequest, Denied, NotFound)
)]
pub async fn react(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = message(&request)?;
    let emoji = segment(&request, "emoji");
    let messages = &gateway.app.messages;
    let message = messages.react(&actor.0, id, &emoji).await?;
    ok(MessageShape(&message))
}

/// Take a reaction back
#[utoipa::path(
    delete, path = "/v1/messages/{id}/reactions/{emoji}", tag = "messages", operation_id = "remove_reaction",
    params(
        ("id" = uuid::Uuid, Path, description = "The message"),
        ("emoji" = String, Path, description = "One emoji, percent-encoded", example = "👍")
    ),
    responses((status = 200, body = schema::Message, description = "The message as it is now"), BadRequest, Denied, NotFound)
)]
pub async fn unreact(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id = message(&request)?;
    let emoji = segment(&request, "emoji");
    let messages = &gateway.app.messages;
    let message = messages.unreact(&actor.0, id, &emoji).await?;
    ok(MessageShape(&message))
}

/// The messages of a thread, oldest first
#[utoipa::path(
    get, path = "/v1/messages/{id}/thread", tag = "messages", operation_id = "list_thread",
    params(
        ("id" = uuid::Uuid, Path, description = "The message that the thread hangs on"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before")
    ),
    responses((status = 200, body = schema::List<schema::Message>, description = "A page"), BadRequest, NotFound)
)]
pub async fn thread(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let root = message(&request)?;
    let params = Params::of(&request)?;
    let after: Seq = params.cursor("cursor").unwrap_or(0);
    let limit = params.limit(PAGE_DEFAULT);
    params.check()?;
    let messages = &gateway.app.messages;
    let found = messages.thread(&actor.0, root, after, limit).await?;
    page(&found, MessageShape)
}

/// Messages that have all the words, newest first; the last word may be unfinished
#[utoipa::path(
    get, path = "/v1/search/messages", tag = "messages", operation_id = "search_messages",
    params(
        ("q" = String, Query, min_length = 1, max_length = 200, description = "The words"),
        ("conversation_id" = Option<uuid::Uuid>, Query, description = "Only in this conversation"),
        ("sender_id" = Option<uuid::Uuid>, Query, description = "Only by this sender"),
        ("before" = Option<String>, Query, description = "Only before this message: its id, or the `next_cursor` of the page before"),
        ("cursor" = Option<String>, Query, description = "The same as `before`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 when absent")
    ),
    responses((status = 200, body = schema::List<schema::Message>, description = "A page"), BadRequest, Denied, NotFound)
)]
pub async fn search(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let params = Params::of(&request)?;
    let query = params.text("q").unwrap_or_else(|| {
        params.refuse_absent("q");
        ""
    });
    let place = |name: &str| {
        let read = |text: &str| text.parse().ok().or_else(|| MessageId::decode(text).ok());
        params.with(name, read, "must be the id of a message, or a next_cursor")
    };
    let input = SearchMessages {
        query: query.to_owned(),
        conversation_id: params.id("conversation_id"),
        sender_id: params.id("sender_id"),
        before: place("before").or(place("cursor")),
    };
    let limit = params.limit(PAGE_DEFAULT);
    params.check()?;
    let found = gateway.app.messages.search(&actor.0, &input, limit).await?;
    page(&found, MessageShape)
}

/// Everything that changed since
#[utoipa::path(
    post, path = "/v1/sync", tag = "sync", operation_id = "sync",
    request_body = dto::Sync,
    responses((status = 200, body = schema::SyncAnswer, description = "What was missed"), BadRequest)
)]
pub async fn sync(gateway: Data<Gateway>, signed: Signed<dto::Sync>) -> Answer {
    let Signed(actor, body) = signed;
    let known: HashMap<ConversationId, i64> = body
        .conversations
        .unwrap_or_default()
        .into_iter()
        .map(|(id, rev)| (ConversationId::from_uuid(id), rev))
        .collect();
    let answer = gateway.app.sync.sync(&actor, &known, body.limit).await?;
    ok(SyncShape::of(&answer))
}

fn message(request: &HttpRequest) -> Result<MessageId, Failure> {
    id(request, "id", Entity::Message)
}
