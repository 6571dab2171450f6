//! Files: what is shared in a room, and one's own picture.

use connexus_application::messages::SendMessage;
use connexus_application::{Actor, Connexus};
use connexus_domain::attachment::{Attachment, MediaKind, Purpose};
use connexus_domain::{
    AttachmentId, ConversationId, Entity, Limit, MessageKind, Page, Result as DomainResult,
};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::messages::own;
use super::places::{self, Place};
use super::shapes::SenderShape;
use super::{done, plainly, shapes};
use crate::refused::{Refused, Result};
use crate::rest::{Answer, Call, upload};

/// How many files may be skipped: they are passed over one by one. Who wants more goes on from the last one.
const SKIP_MAX: u32 = 1_000;

/// Stores a file and sends the message that shows it. Its room may be named before the file or after it.
pub async fn share(mut call: Call) -> Answer {
    let form = upload::form(&mut call, None).await?;
    let place = Place::named(form.text("room"))?;
    let (app, actor) = (call.app(), call.actor()?);
    let view = place.open(app, actor).await?;
    let id = view.summary.conversation.id;
    let file = form.store(Purpose::Message(id)).await?;
    let sent = match app.messages.send(actor, id, showing(&file)).await {
        Ok(sent) => sent,
        Err(error) => {
            // what cannot be sent need not wait for a day
            let _ = app.files.discard(actor, file.id).await;
            return Err(error.into());
        }
    };
    let scene = app.scenes.of_message(actor, &sent.message).await?;
    done(
        201,
        "File uploaded successfully",
        json!({
            "message": shapes::in_scene(&sent.message, &scene, call.links()),
            "file": {
                "url": call.links().file(file.id),
                "originalName": file.name,
                "size": file.size,
                "type": file.media_type,
            },
        }),
    )
}

/// The message that shows a file.
fn showing(file: &Attachment) -> SendMessage {
    let (what, kind) = match file.kind {
        MediaKind::Image => ("an image", MessageKind::Image),
        MediaKind::Video => ("a video", MessageKind::Video),
        MediaKind::Audio => ("an audio", MessageKind::Audio),
        MediaKind::File => ("a file", MessageKind::File),
    };
    SendMessage {
        body: Some(format!("Shared {what}: {}", file.name)),
        kind: Some(kind),
        attachment_ids: vec![file.id],
        ..SendMessage::default()
    }
}

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[garde(skip)]
    limit: Option<u32>,
    #[garde(range(max = SKIP_MAX))]
    skip: Option<u32>,
    #[garde(skip)]
    before: Option<String>,
}

pub async fn media(call: Call) -> Answer {
    let Paging {
        kind,
        limit,
        skip,
        before,
    } = call.query()?;
    let kind = match kind.as_deref() {
        None | Some("" | "all") => None,
        Some(word) => Some(
            MediaKind::parse(word)
                .ok_or_else(|| Refused::field("type", "must be image, video, audio or file"))?,
        ),
    };
    let before = match before.as_deref() {
        None | Some("") => None,
        Some(id) => Some(crate::ids::parse(id, Entity::Attachment)?),
    };
    let limit = Limit::of(limit.unwrap_or(20).clamp(1, Limit::MAX));
    let skip = skip.unwrap_or(0);
    let (app, actor) = (call.app(), call.actor()?);
    let view = place(&call)?.open(app, actor).await?;
    let conversation = &view.summary.conversation;
    let stats = app.files.media_stats(actor, conversation.id).await?;
    let counted = stats
        .iter()
        .filter(|one| kind.is_none_or(|k| k == one.kind));
    let total: u64 = counted.map(|one| one.count).sum();
    let page = page(app, actor, conversation.id, kind, (before, skip), limit).await?;
    let uploaders = page.items.iter().map(|file| file.uploader_id);
    let people = app.scenes.people(uploaders).await?;
    let room = places::name(conversation);
    let media: Vec<Value> = page
        .items
        .iter()
        .map(|file| {
            json!({
                "_id": file.message_id.map(Id::from),
                "fileId": Id::from(file.id),
                "sender": SenderShape::of(&people, file.uploader_id, call.links()),
                "room": room,
                "messageType": file.kind.as_str(),
                "fileUrl": call.links().file(file.id),
                "thumbnailUrl": call.links().thumbnail(file),
                "fileName": file.name,
                "fileSize": file.size,
                "createdAt": Time(file.created_at),
            })
        })
        .collect();
    done(
        200,
        "Media files retrieved successfully",
        json!({
            "media": media,
            "pagination": {
                "total": total,
                "limit": limit.rows(),
                "skip": skip,
                "hasNext": page.next.is_some(),
                "next": page.next.map(Id::from),
            },
        }),
    )
}

/// The room that the path names.
fn place(call: &Call) -> Result<Place> {
    Place::named(Some(&call.segment("room")))
}

/// One page of a room's files, the newest first, after passing over some.
async fn page(
    app: &Connexus,
    actor: &Actor,
    id: ConversationId,
    kind: Option<MediaKind>,
    (mut before, mut skip): (Option<AttachmentId>, u32),
    limit: Limit,
) -> DomainResult<Page<Attachment, AttachmentId>> {
    while skip > 0 {
        let passed = Limit::of(skip.min(Limit::MAX));
        let page = app.files.media(actor, id, kind, before, passed).await?;
        if page.next.is_none() {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        before = page.next;
        skip -= skip.min(Limit::MAX);
    }
    app.files.media(actor, id, kind, before, limit).await
}

/// Deletes the message that shows a file, and the file with it.
pub async fn delete(call: Call) -> Answer {
    let message = own(&call, "You can only delete your own files").await?;
    if message.attachments.is_empty() {
        return Err(Refused::said(404, "File not found"));
    }
    let messages = &call.app().messages;
    messages.delete(call.actor()?, message.id).await?;
    plainly("File deleted successfully")
}

pub async fn stats(call: Call) -> Answer {
    let (app, actor) = (call.app(), call.actor()?);
    let view = place(&call)?.open(app, actor).await?;
    let stats = app
        .files
        .media_stats(actor, view.summary.conversation.id)
        .await?;
    let count: u64 = stats.iter().map(|one| one.count).sum();
    let size: u64 = stats.iter().map(|one| one.total_size).sum();
    let by_kind: Vec<Value> = stats
        .iter()
        .map(|one| {
            let mut shape = amounts(one.count, one.total_size);
            shape["_id"] = one.kind.as_str().into();
            shape
        })
        .collect();
    done(
        200,
        "File statistics retrieved successfully",
        json!({"stats": by_kind, "totals": amounts(count, size)}),
    )
}

/// How much there is of something. What would be a fraction of a byte is dropped.
fn amounts(count: u64, size: u64) -> Value {
    json!({
        "count": count,
        "totalSize": size,
        "averageSize": size.checked_div(count).unwrap_or(0),
    })
}

/// Makes an image one's own picture.
pub async fn set_avatar(mut call: Call) -> Answer {
    let picture = upload::own_picture(&mut call).await?;
    let profile = call.app().users.me(call.actor()?).await?;
    done(
        200,
        "Avatar uploaded successfully",
        json!({
            "user": shapes::profile(&profile, call.links()),
            "avatarUrl": call.links().file(picture.id),
        }),
    )
}
