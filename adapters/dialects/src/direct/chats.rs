//! Chats and their histories.

use std::sync::Arc;

use connexus_application::Actor;
use connexus_application::conversations::ConversationView;
use connexus_application::users::Profile;
use connexus_domain::{Limit, Message, Page, Seq, User};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use futures_util::future::try_join_all;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, messages, shapes};
use crate::refused::Result;
use crate::rest::{Answer, Call};
use crate::{paging, people};

/// Chats that one answer has. These clients ask for no further page.
const LISTED: usize = 500;

pub async fn list(call: Call) -> Answer {
    let (app, actor) = (call.app(), call.actor()?);
    let mut views: Vec<ConversationView> = Vec::new();
    let mut after = None;
    while views.len() < LISTED {
        let limit = Limit::of(Limit::MAX);
        let Page { items, next } = app.conversations.list(actor, None, after, limit).await?;
        views.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let me = app.users.me(actor).await?;
    let chats = views.iter().map(|view| chat(&call, actor, view, &me));
    let data = json!({"chats": try_join_all(chats).await?});
    done(200, "Chats retrieved successfully", data)
}

async fn chat(call: &Call, actor: &Actor, view: &ConversationView, me: &Profile) -> Result<Value> {
    let summary = &view.summary;
    let conversation = &summary.conversation;
    let group = shapes::is_group(conversation);
    Ok(json!({
        "_id": Id::from(conversation.id),
        "chatId": Id::from(conversation.id),
        "participants": participants(call, actor, view, me).await?,
        "lastMessage": last_message(call, actor, view).await?,
        "lastActivity": Time(conversation.last_activity_at),
        "isGroup": group,
        "groupName": conversation.name.as_deref().filter(|_| group),
        "unreadCount": summary.unread.count,
        "createdAt": Time(conversation.created_at),
    }))
}

async fn participants(
    call: &Call,
    actor: &Actor,
    view: &ConversationView,
    me: &Profile,
) -> Result<Value> {
    let (app, links) = (call.app(), call.links());
    if let Some(peer) = &view.peer {
        return Ok(json!([
            shapes::profile(me, links),
            shapes::profile(peer, links)
        ]));
    }
    let id = view.summary.conversation.id;
    let scene = app.scenes.of(actor, id).await?;
    if scene.is_crowd() {
        let some = people::crowd(app, actor, &view.summary.me).await?;
        let shapes = some.iter().map(|one| shapes::profile(&one.profile, links));
        return Ok(shapes.collect());
    }
    let ids = scene.users().map(|user| user.id);
    let shown = app.presence.shown_to(actor, ids).await?;
    let shape = |user: &Arc<User>| {
        let (presence, last_seen) = shown.of(user);
        shapes::user(user, presence, last_seen, links)
    };
    Ok(scene.users().map(shape).collect())
}

async fn last_message(call: &Call, actor: &Actor, view: &ConversationView) -> Result<Value> {
    let Some(last) = view.summary.last_message.as_ref().filter(|m| m.is_live()) else {
        return Ok(Value::Null);
    };
    let last = std::slice::from_ref(last);
    let shaped = if last.iter().any(|last| last.sender_id == actor.user_id) {
        messages::shaped(call, actor, view, last).await?
    } else {
        let own = [view.summary.me.receipt()];
        messages::shaped_with(call, actor, view, last, &own).await?
    };
    Ok(shaped.into_iter().next().unwrap_or_default())
}

#[derive(Deserialize, Validate)]
struct Paging {
    #[garde(skip)]
    page: Option<u32>,
    #[garde(skip)]
    limit: Option<u32>,
}

/// Reading a history opens no chat: with somebody to whom one has not written it is empty.
pub async fn conversation(call: Call) -> Answer {
    let Paging { page, limit } = call.query()?;
    let number = page.unwrap_or(1).max(1);
    let limit = Limit::of(limit.unwrap_or(50).clamp(1, Limit::MAX));
    let (app, actor) = (call.app(), call.actor()?);
    let (mut shapes, mut total, mut more, mut chat_id) = (Vec::new(), 0, false, None);
    if let Some(view) = messages::chat_of(app, actor, &call.segment("user")).await? {
        let id = view.summary.conversation.id;
        let skip = paging::skipped(Some(number), limit);
        let page = paging::history(app, actor, id, skip, limit).await?;
        let mut live = page.messages;
        live.retain(Message::is_live);
        shapes = messages::shaped(&call, actor, &view, &live).await?;
        (total, more, chat_id) = (page.total, page.more, Some(Id::from(id)));
    }
    let rows = Seq::try_from(limit.rows()).unwrap_or(Seq::MAX);
    done(
        200,
        "Conversation retrieved successfully",
        json!({
            "chatId": chat_id,
            "messages": shapes,
            "pagination": {
                "page": number,
                "limit": rows,
                "total": total,
                "totalPages": (total + rows - 1) / rows,
                "hasMore": more,
            },
        }),
    )
}
