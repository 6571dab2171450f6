//! What this dialect's sockets say, and are answered.

use std::rc::Rc;

use connexus_application::scene::Scene;
use connexus_application::users::ProfileChange;
use connexus_domain::{ConversationId, Entity, MessageId, Presence, Seq};
use connexus_socketio::{Event, Later};
use connexus_wire::fields;
use connexus_wire::text::Id;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::messages::{Edit, Outgoing, React};
use super::shapes::{MessageShape, Progress, reactions};
use super::users;
use crate::ids;
use crate::refused::{Refused, Result};
use crate::socket::{Conn, reply};

/// Messages that one `mark_message_read` may name.
const NAMED_MAX: usize = 500;

pub async fn connected(conn: Rc<Conn>) {
    let presence = &conn.app().presence;
    match presence.online_outside_crowds(&conn.actor).await {
        Ok(online) => {
            let users: Vec<Value> = online
                .iter()
                .map(|profile| json!({"userId": Id::from(profile.user.id)}))
                .collect();
            conn.emit("current_online_users", &users);
        }
        Err(error) => conn.complain(&error.into()),
    }
}

/// What a socket is told when something was not done.
pub fn complaint(refused: &Refused) -> Value {
    let plain = crate::words(&super::Connexus, refused);
    let mut complaint = json!({"message": plain.message, "code": plain.code});
    if !plain.fields.is_empty() {
        complaint["errors"] = plain
            .fields
            .iter()
            .map(|field| json!({"field": super::wire_name(&field.field), "message": field.reason}))
            .collect();
    }
    complaint
}

pub async fn heard(conn: Rc<Conn>, event: Event) -> Later {
    if event.name == "send_message" {
        return send(conn, event).await;
    }
    let ack = event.ack;
    let payload = event.args.into_iter().next().unwrap_or(Value::Null);
    let name = event.name;
    Some(Box::pin(async move {
        let done = act(&conn, &name, payload).await;
        reply(&conn, ack, done, complaint);
    }))
}

/// Does what an event asks for; the answer is for its acknowledgement.
async fn act(conn: &Conn, name: &str, payload: Value) -> Result<Value> {
    let (app, actor) = (conn.app(), &conn.actor);
    match name {
        "join_conversation" => {
            let id = conversation(&payload)?;
            let scene = app.scenes.of(actor, id).await?;
            let joined = json!({"conversationId": Id::from(id)});
            conn.emit("joined_conversation", &joined);
            if !conn.has_joined(id) {
                conn.join(id);
                tell_who_is_here(conn, &scene).await?;
            }
            Ok(joined)
        }
        "leave_conversation" => {
            let left = json!({"conversationId": Id::from(conversation(&payload)?)});
            conn.emit("left_conversation", &left);
            Ok(left)
        }
        "typing_start" | "typing_stop" => {
            let id = conversation(&payload)?;
            if name == "typing_start" {
                app.typing.start(actor, id).await?;
            } else {
                app.typing.stop(actor, id).await?;
            }
            Ok(Value::Null)
        }
        "add_reaction" | "remove_reaction" => {
            let React { message_id, emoji } = read(payload)?;
            let id: MessageId = ids::parse(&message_id, Entity::Message)?;
            let message = if name == "add_reaction" {
                app.messages.react(actor, id, &emoji).await?
            } else {
                app.messages.unreact(actor, id, &emoji).await?
            };
            Ok(json!({"messageId": message_id, "reactions": reactions(&message)}))
        }
        "edit_message" => {
            let Edit {
                message_id,
                new_content,
            } = read(payload)?;
            let id: MessageId = ids::parse(&message_id, Entity::Message)?;
            let actor = conn.actor_told_too();
            app.messages.edit(&actor, id, &new_content).await?;
            Ok(json!({"messageId": message_id}))
        }
        "delete_message" => {
            let Named { message_id } = read(payload)?;
            let id: MessageId = ids::parse(&message_id, Entity::Message)?;
            app.messages.delete(&conn.actor_told_too(), id).await?;
            Ok(json!({"messageId": message_id}))
        }
        "mark_message_read" => {
            let (id, seq) = read_up_to(conn, payload).await?;
            app.receipts.read(actor, id, seq).await?;
            Ok(json!({"conversationId": Id::from(id)}))
        }
        "update_user_status" => {
            let NewStatus { status } = read(payload)?;
            let change = ProfileChange {
                status: users::status(status.as_deref())?,
                ..ProfileChange::default()
            };
            app.users.update(actor, change).await?;
            Ok(Value::Null)
        }
        "ping" => {
            conn.socket.emit("pong", &());
            Ok(Value::Null)
        }
        // other backends of this kind ignore what they do not know
        _ => Ok(Value::Null),
    }
}

/// Who of a conversation is here: one that was opened after the connection may be with users of whom
/// `current_online_users` said nothing.
async fn tell_who_is_here(conn: &Conn, scene: &Scene) -> Result<()> {
    let others = scene.users().filter(|user| user.id != conn.actor.user_id);
    let ids = others.clone().map(|user| user.id);
    let shown = conn.app().presence.shown_to(&conn.actor, ids).await?;
    for user in others {
        if shown.of(user).0 != Presence::Offline {
            let here = json!({"userId": Id::from(user.id), "lastSeen": null});
            conn.emit("user_online", &here);
        }
    }
    Ok(())
}

#[derive(Deserialize, Validate)]
struct NewStatus {
    #[garde(skip)]
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[garde(skip)]
    message_id: String,
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct MarkRead {
    #[garde(length(max = NAMED_MAX))]
    #[serde(default)]
    message_ids: Vec<String>,
    #[garde(skip)]
    #[serde(default)]
    conversation_id: Option<String>,
}

/// The watermark that a list of messages comes to: the newest of them, or everything when none is named.
async fn read_up_to(conn: &Conn, payload: Value) -> Result<(ConversationId, Seq)> {
    let MarkRead {
        message_ids,
        conversation_id,
    } = read(payload)?;
    let (app, actor) = (conn.app(), &conn.actor);
    let named = match conversation_id.as_deref() {
        Some(id) => Some(ids::parse(id, Entity::Conversation)?),
        None => None,
    };
    let mut newest: Option<(ConversationId, Seq)> = None;
    for id in &message_ids {
        let id = ids::parse(id, Entity::Message)?;
        let message = app.messages.get(actor, id).await?;
        let place = (message.conversation_id, message.seq);
        if named.is_some_and(|named| named != place.0) {
            return Err(Refused::missing(Entity::Message));
        }
        newest = Some(newest.map_or(place, |known| (place.0, known.1.max(place.1))));
    }
    newest
        .or_else(|| named.map(|id| (id, Seq::MAX)))
        .ok_or_else(|| Refused::field("messageIds", "is required"))
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(payload: Value) -> Result<T> {
    Ok(fields::of_value(payload)?)
}

/// The conversation that a bare string names, or an object's `conversationId`.
fn conversation(payload: &Value) -> Result<ConversationId> {
    let text = payload
        .as_str()
        .or_else(|| payload.get("conversationId").and_then(ids::of_value))
        .ok_or_else(|| Refused::field("conversationId", "is required"))?;
    Ok(ids::parse(text, Entity::Conversation)?)
}

/// What who sent a message is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    message: MessageShape<'a>,
    temp_id: &'a Value,
    conversation_id: Id,
}

/// Puts a message in line before the next event is taken, so that a socket's messages keep their order.
async fn send(conn: Rc<Conn>, event: Event) -> Later {
    let ack = event.ack;
    let payload = event.args.into_iter().next().unwrap_or(Value::Null);
    let temp_id = payload.get("tempId").cloned().unwrap_or(Value::Null);
    let ticket = async {
        let (id, input) = read::<Outgoing>(payload)?.checked()?;
        Ok(conn.app().messages.enqueue(&conn.actor, id, input).await?)
    };
    let ticket: Result<_> = ticket.await;
    Some(Box::pin(async move {
        let sent = async {
            let sent = ticket?.stored().await?;
            let message = sent.message;
            let scene = conn.app().scenes.of_message(&conn.actor, &message).await?;
            let answer = Sent {
                message: MessageShape::of(&message, &scene, &Progress::default(), conn.links()),
                temp_id: &temp_id,
                conversation_id: message.conversation_id.into(),
            };
            conn.emit("message_sent", &answer);
            // few ask for the acknowledgement, too
            Ok(ack.as_ref().map_or(Value::Null, |_| json!(answer)))
        };
        let sent: Result<Value> = sent.await;
        reply(&conn, ack, sent, |refused| {
            let mut complaint = complaint(refused);
            complaint["tempId"] = temp_id.clone();
            complaint
        });
    }))
}
