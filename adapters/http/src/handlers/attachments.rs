//! Files: uploads, downloads, media of a conversation, pictures of users and groups.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest as _, HttpRequest, web};
use connexus_application::Actor;
use connexus_application::files::Incoming;
use connexus_domain::attachment::{Attachment, AvatarOwner, MediaKind, Purpose};
use connexus_domain::ports::{Depicted, IntakeError, Refusal, Variant};
use connexus_domain::{AttachmentId, ConversationId, Entity, Error};
use connexus_wire::ErrorCode;
use connexus_wire::shapes::{AttachmentShape, MediaStatsShape};
use futures_util::StreamExt as _;

use crate::docs::{BadRequest, NotFound};
use crate::download;
use crate::dto;
use crate::extract::{Authenticated, Signed, id};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::handlers::{Answer, done, json, ok, page, whole};
use crate::query::Params;
use crate::schema;

/// Files that one request may bring.
const FILES_MAX: usize = 10;
/// Longest text field, in bytes.
const FIELD_MAX: usize = 256;
/// How many files a page has when nothing is asked.
const MEDIA_DEFAULT: u32 = 30;

/// Upload files, to be sent with a message of a conversation, or as a picture
#[utoipa::path(
    post, path = "/v1/attachments", tag = "attachments", operation_id = "upload_attachments",
    request_body(content = dto::Upload, content_type = "multipart/form-data"),
    responses((status = 201, body = schema::List<schema::Attachment>, description = "In the order of the parts"), BadRequest, NotFound)
)]
pub async fn upload(
    gateway: Data<Gateway>,
    actor: Authenticated,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let mut payload = payload.into_inner();
    let mut form = Multipart::from_request(&request, &mut payload)
        .await
        .map_err(|error| {
            Failure::malformed(format!("the body must be multipart/form-data: {error}"))
        })?;
    let mut conversation: Option<ConversationId> = None;
    let mut avatar = false;
    let mut files: Vec<Attachment> = Vec::new();
    loop {
        let patience = gateway.settings.request_timeout;
        let Some(field) = in_time(patience, form.next()).await? else {
            break;
        };
        let field = field.map_err(|error| malformed(&error))?;
        let disposition = field.content_disposition().cloned();
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = disposition.as_ref().and_then(|d| d.get_filename());
        match (name.as_str(), file_name) {
            ("conversation_id", None) => {
                let text = text(field, patience).await?;
                let wrong = |_| Failure::invalid("conversation_id", "must be a UUID");
                conversation = Some(text.parse().map_err(wrong)?);
            }
            ("purpose", None) => match text(field, patience).await?.as_str() {
                "message" => avatar = false,
                "avatar" => avatar = true,
                _ => return Err(Failure::invalid("purpose", "must be message or avatar")),
            },
            (_, Some(file_name)) => {
                if files.len() == FILES_MAX {
                    return Err(Failure::invalid(
                        "file",
                        format!("must be at most {FILES_MAX}"),
                    ));
                }
                let purpose = match (avatar, conversation) {
                    (true, _) => Purpose::Avatar,
                    (false, Some(conversation)) => Purpose::Message(conversation),
                    (false, None) => {
                        let reason = "is required, and must come before the files";
                        return Err(Failure::invalid("conversation_id", reason));
                    }
                };
                let file_name = file_name.to_owned();
                files.push(receive(&gateway, &actor.0, purpose, &file_name, field).await?);
            }
            _ => {
                let reason = "is not a field of this request";
                return Err(Failure::invalid(name, reason));
            }
        }
    }
    if files.is_empty() {
        return Err(Failure::invalid("file", "is required"));
    }
    json(
        StatusCode::CREATED,
        connexus_wire::shapes::List {
            items: files.iter().map(AttachmentShape::of).collect(),
            next_cursor: None,
        },
    )
}

/// A slow link may take its time, a silent one may not.
async fn in_time<T>(
    patience: std::time::Duration,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => Ok(done),
        Err(_) => Err(Failure::malformed("the body stopped coming")),
    }
}

fn malformed(error: &MultipartError) -> Failure {
    Failure::malformed(format!("the multipart body cannot be read: {error}"))
}

/// A short text field.
async fn text(mut field: Field, patience: std::time::Duration) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(patience, field.next()).await? {
        bytes.extend_from_slice(&chunk.map_err(|error| malformed(&error))?);
        if bytes.len() > FIELD_MAX {
            return Err(Failure::malformed("a field is too long"));
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => Err(Failure::malformed("a field is not UTF-8")),
    }
}

/// One file, chunk by chunk.
async fn receive(
    gateway: &Gateway,
    actor: &Actor,
    purpose: Purpose,
    name: &str,
    mut field: Field,
) -> Result<Attachment, Failure> {
    let patience = gateway.settings.request_timeout;
    let begun = gateway.app.files.begin(actor, purpose, name).await;
    let mut incoming: Incoming = begun.map_err(refused)?;
    while let Some(chunk) = in_time(patience, field.next()).await? {
        let chunk = chunk.map_err(|error| malformed(&error))?;
        incoming.write(chunk).await.map_err(refused)?;
    }
    incoming.finish().await.map_err(refused)
}

/// A file that was not taken.
fn refused(error: IntakeError) -> Failure {
    match error {
        IntakeError::Failed(error) => Failure::Domain(error),
        IntakeError::Refused(refusal) => match &refusal {
            Refusal::TooLarge { .. } => {
                Failure::Request(ErrorCode::PayloadTooLarge, refusal.to_string())
            }
            Refusal::TypeNotAllowed { .. } => {
                Failure::Request(ErrorCode::UnsupportedMediaType, refusal.to_string())
            }
            _ => Failure::invalid("file", refusal.to_string()),
        },
    }
}

/// Download a file
#[utoipa::path(
    get, path = "/v1/attachments/{id}", tag = "attachments", operation_id = "download_attachment",
    params(
        ("id" = uuid::Uuid, Path), ("expires" = Option<i64>, Query, description = "Of a signed address"),
        ("signature" = Option<String>, Query, description = "Of a signed address, which needs no token"),
        ("download" = Option<bool>, Query, description = "To be saved rather than shown")
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 206, description = "The range that was asked for"),
        (status = 302, description = "Where the store itself serves it, if so configured"),
        (status = 304, description = "The client has it"),
        (status = 416, description = "There is no such range"), BadRequest, NotFound
    )
)]
pub async fn download(gateway: Data<Gateway>, request: HttpRequest) -> Answer {
    serve(&gateway, &request, Variant::Original).await
}

/// Download a picture's thumbnail
#[utoipa::path(
    get, path = "/v1/attachments/{id}/thumbnail", tag = "attachments", operation_id = "download_thumbnail",
    params(
        ("id" = uuid::Uuid, Path), ("size" = Option<String>, Query, description = "`small` (default) or `large`"),
        ("expires" = Option<i64>, Query), ("signature" = Option<String>, Query)
    ),
    responses((status = 200, description = "WebP", content_type = "image/webp"), (status = 304, description = "The client has it"), BadRequest, NotFound)
)]
pub async fn thumbnail(gateway: Data<Gateway>, request: HttpRequest) -> Answer {
    let params = Params::of(&request)?;
    let variant = match params.text("size") {
        None | Some("small") => Variant::ThumbSmall,
        Some("large") => Variant::ThumbLarge,
        Some(_) => return Err(Failure::invalid("size", "must be small or large")),
    };
    serve(&gateway, &request, variant).await
}

async fn serve(gateway: &Data<Gateway>, request: &HttpRequest, variant: Variant) -> Answer {
    let attachment = readable(gateway, request, variant).await?;
    download::answer(gateway, request, &attachment, variant).await
}

/// The file, if whoever asks may read it: by a signed address, or by a token.
async fn readable(
    gateway: &Data<Gateway>,
    request: &HttpRequest,
    variant: Variant,
) -> Result<Attachment, Failure> {
    let id: AttachmentId = id(request, "id", Entity::Attachment)?;
    let params = Params::of(request)?;
    let (expires, signature) = (params.text("expires"), params.text("signature"));
    let files = &gateway.app.files;
    if let (Some(expires), Some(signature)) = (expires, signature) {
        let expires = expires.parse().unwrap_or(0);
        if !files.check_link(id, variant, expires, signature) {
            return Err(Failure::not_found(Entity::Attachment));
        }
        return Ok(files.get_signed(id).await?);
    }
    let actor = crate::extract::authenticate(request).await?;
    Ok(files.get(&actor, id).await?)
}

/// A signed address of a file, for what cannot send a token
#[utoipa::path(
    get, path = "/v1/attachments/{id}/link", tag = "attachments", operation_id = "link_attachment",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = schema::Link, description = "Paths on this server, good for a while"), NotFound)
)]
pub async fn link(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id: AttachmentId = id(&request, "id", Entity::Attachment)?;
    let files = &gateway.app.files;
    let attachment = files.get(&actor.0, id).await?;
    let thumbnail = attachment
        .thumbnails
        .then(|| files.link(id, Variant::ThumbSmall));
    ok(serde_json::json!({
        "url": files.link(id, Variant::Original)?,
        "thumbnail_url": thumbnail.transpose()?,
    }))
}

/// Give up a file that was not sent
#[utoipa::path(
    delete, path = "/v1/attachments/{id}", tag = "attachments", operation_id = "discard_attachment",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "It is gone"), NotFound)
)]
pub async fn discard(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let id: AttachmentId = id(&request, "id", Entity::Attachment)?;
    gateway.app.files.discard(&actor.0, id).await?;
    Ok(done())
}

/// Media of a conversation, the newest first
#[utoipa::path(
    get, path = "/v1/conversations/{id}/media", tag = "attachments", operation_id = "list_media",
    params(
        ("id" = uuid::Uuid, Path), ("kind" = Option<String>, Query, description = "image, video, audio or file"),
        ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)
    ),
    responses((status = 200, body = schema::List<schema::Attachment>, description = "A page"), BadRequest, NotFound)
)]
pub async fn media(gateway: Data<Gateway>, actor: Authenticated, request: HttpRequest) -> Answer {
    let conversation = id(&request, "id", Entity::Conversation)?;
    let params = Params::of(&request)?;
    let kind = params.text("kind").and_then(|word| {
        let kind = MediaKind::parse(word);
        if kind.is_none() {
            params.refuse("kind", "must be image, video, audio or file");
        }
        kind
    });
    let (before, limit) = (params.cursor("cursor"), params.limit(MEDIA_DEFAULT));
    params.check()?;
    let found = gateway
        .app
        .files
        .media(&actor.0, conversation, kind, before, limit)
        .await?;
    page(&found, AttachmentShape::of)
}

/// How much media a conversation has
#[utoipa::path(
    get, path = "/v1/conversations/{id}/media/stats", tag = "attachments", operation_id = "media_stats",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = schema::List<schema::MediaStats>, description = "By kind"), NotFound)
)]
pub async fn media_stats(
    gateway: Data<Gateway>,
    actor: Authenticated,
    request: HttpRequest,
) -> Answer {
    let conversation = id(&request, "id", Entity::Conversation)?;
    let stats = gateway
        .app
        .files
        .media_stats(&actor.0, conversation)
        .await?;
    whole(&stats, MediaStatsShape::of)
}

/// Make an uploaded image one's own picture
#[utoipa::path(
    put, path = "/v1/users/me/avatar", tag = "users", operation_id = "set_avatar",
    request_body = dto::Avatar,
    responses((status = 204, description = "It is"), BadRequest, NotFound)
)]
pub async fn set_avatar(gateway: Data<Gateway>, signed: Signed<dto::Avatar>) -> Answer {
    let Signed(actor, body) = signed;
    depict(&gateway, &actor, &body, AvatarOwner::User(actor.user_id)).await
}

/// Make an uploaded image the picture of a group or room
#[utoipa::path(
    put, path = "/v1/conversations/{id}/avatar", tag = "conversations", operation_id = "set_conversation_avatar",
    params(("id" = uuid::Uuid, Path)), request_body = dto::Avatar,
    responses((status = 204, description = "It is"), BadRequest, NotFound)
)]
pub async fn set_conversation_avatar(
    gateway: Data<Gateway>,
    signed: Signed<dto::Avatar>,
    request: HttpRequest,
) -> Answer {
    let Signed(actor, body) = signed;
    let conversation = id(&request, "id", Entity::Conversation)?;
    depict(&gateway, &actor, &body, AvatarOwner::Group(conversation)).await
}

async fn depict(
    gateway: &Gateway,
    actor: &Actor,
    body: &dto::Avatar,
    owner: AvatarOwner,
) -> Answer {
    let id = AttachmentId::from_uuid(body.attachment_id);
    let depicted: Result<Depicted, Error> = gateway.app.files.make_avatar(actor, id, owner).await;
    depicted?;
    Ok(done())
}
