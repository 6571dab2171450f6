//! What this dialect's sockets say, and are answered.

use std::rc::Rc;

use connexus_domain::{AuthFailure, ConversationId, Entity, Error, Seq};
use connexus_socketio::{Event, Later};
use connexus_wire::fields;
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use garde::Validate;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::messages::{self, Outgoing};
use super::place;
use super::{shapes, users};
use crate::ids;
use crate::refused::{Refused, Result};
use crate::socket::{Conn, reply};
use crate::times::maybe;

pub async fn connected(conn: Rc<Conn>) {
    if let Err(refused) = authenticated(&conn).await {
        conn.complain(&refused);
    }
}

async fn authenticated(conn: &Conn) -> Result<Value> {
    let profile = conn.app().users.me(&conn.actor).await?;
    let answer = json!({"user": shapes::profile(&profile, conn.links())});
    conn.emit("authenticated", &answer);
    Ok(answer)
}

/// The token in an `authenticate`: in an object, or bare. Empty when there is none.
pub fn token(payload: Option<&Value>) -> &str {
    let payload = payload.unwrap_or(&Value::Null);
    let text = payload.get("token").unwrap_or(payload);
    text.as_str().unwrap_or_default()
}

/// What a socket is told when something was not done: what was wrong, where it can be said.
pub fn complaint(refused: &Refused) -> Value {
    let plain = crate::words(&super::Direct, refused);
    let wrong: Vec<String> = plain
        .fields
        .iter()
        .map(|wrong| format!("{} {}", shapes::wire_name(&wrong.field), wrong.reason))
        .collect();
    let message = if wrong.is_empty() {
        plain.message.into_owned()
    } else {
        wrong.join(", ")
    };
    json!({"message": message, "code": plain.code})
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
        "authenticate" => authenticate_again(conn, &payload).await,
        "join_chat" => {
            let id = chat(&payload)?;
            app.scenes.of(actor, id).await?;
            Ok(json!({"chatId": Id::from(id)}))
        }
        "typing" => {
            let Writing {
                to,
                chat_id,
                is_typing,
            } = read(payload)?;
            let target = place::target(app, actor, to.as_ref(), chat_id.as_ref()).await?;
            // with whom there is no chat yet, there is nowhere to show it
            if let Some(id) = place::find(app, actor, target).await? {
                if is_typing {
                    app.typing.start(actor, id).await?;
                } else {
                    app.typing.stop(actor, id).await?;
                }
            }
            Ok(Value::Null)
        }
        "read_receipt" => {
            let (id, seq) = read_up_to(conn, payload).await?;
            let receipt = app.receipts.read(actor, id, seq).await?;
            Ok(json!({"chatId": Id::from(id), "readAt": maybe(receipt.read_at)}))
        }
        "update_status" => {
            let status = match payload {
                Value::String(word) => word,
                payload => read::<NewStatus>(payload)?.status,
            };
            let status = users::chosen(&status)?;
            app.presence.set_status(actor, status, None).await?;
            Ok(json!({"status": status.as_str()}))
        }
        // other backends of this kind ignore what they do not know
        _ => Ok(Value::Null),
    }
}

/// Clients that gave their token in the handshake may send it once more.
async fn authenticate_again(conn: &Conn, payload: &Value) -> Result<Value> {
    let token = crate::bare_token(token(Some(payload)));
    let actor = conn.app().auth.authenticate(token).await?;
    if actor.user_id != conn.actor.user_id {
        return Err(Error::Unauthenticated(AuthFailure::InvalidToken).into());
    }
    authenticated(conn).await
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Writing {
    #[garde(skip)]
    #[serde(default)]
    to: Option<Value>,
    #[garde(skip)]
    #[serde(default)]
    chat_id: Option<Value>,
    #[garde(skip)]
    is_typing: bool,
}

#[derive(Deserialize, Validate)]
struct NewStatus {
    #[garde(skip)]
    status: String,
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct ReadReceipt {
    #[garde(skip)]
    #[serde(default)]
    message_id: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    chat_id: Option<Value>,
}

/// How far was read: to the message that is named, or all of a chat.
async fn read_up_to(conn: &Conn, payload: Value) -> Result<(ConversationId, Seq)> {
    let ReadReceipt {
        message_id,
        chat_id,
    } = read(payload)?;
    let (app, actor) = (conn.app(), &conn.actor);
    let named = match &chat_id {
        None | Some(Value::Null) => None,
        Some(chat_id) => Some(chat(chat_id)?),
    };
    match (message_id.as_deref(), named) {
        (None | Some(""), None) => Err(Refused::field("messageId", "is required")),
        (None | Some(""), Some(id)) => Ok((id, Seq::MAX)),
        (Some(message), named) => {
            let place = messages::read_up_to(app, actor, message).await?;
            match named {
                Some(named) if named != place.0 => Err(Refused::missing(Entity::Message)),
                _ => Ok(place),
            }
        }
    }
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(payload: Value) -> Result<T> {
    if !payload.is_object() {
        return Err(Refused::said(400, "The payload must be an object"));
    }
    Ok(fields::of_value(payload)?)
}

/// The chat that an id names, bare or within an object.
fn chat(payload: &Value) -> Result<ConversationId> {
    let text = ids::of_value(payload.get("chatId").unwrap_or(payload));
    let text = text.ok_or_else(|| Refused::field("chatId", "must be an id"))?;
    Ok(ids::parse(text, Entity::Conversation)?)
}

/// Puts a message in line before the next event is taken, so that a socket's messages keep their order.
async fn send(conn: Rc<Conn>, event: Event) -> Later {
    let ack = event.ack;
    let payload = event.args.into_iter().next().unwrap_or(Value::Null);
    let ticket = async {
        let outgoing = read::<Outgoing>(payload)?;
        let (app, actor) = (conn.app(), &conn.actor);
        let (id, input) = outgoing.checked(app, actor).await?;
        Ok::<_, Refused>(app.messages.enqueue(actor, id, input).await?)
    };
    let ticket = ticket.await;
    Some(Box::pin(async move {
        let sent = async {
            let message = ticket?.stored().await?.message;
            let answer = json!({
                "messageId": Id::from(message.id),
                "chatId": Id::from(message.conversation_id),
                "timestamp": Time(message.created_at),
            });
            conn.emit("message_sent", &answer);
            Ok(answer)
        };
        let sent = sent.await;
        reply(&conn, ack, sent, complaint);
    }))
}
