//! What this dialect's sockets say, and are answered.

use std::rc::Rc;

use connexus_domain::{ConversationId, Entity, MessageId, Status};
use connexus_socketio::{Ack, Event, Later};
use connexus_wire::fields;
use connexus_wire::text::Id;
use garde::Validate;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::messages::Outgoing;
use super::places::{self, Place};
use super::users::{Shown, with_oneself};
use super::{events, told};
use crate::ids;
use crate::refused::{Refused, Result};
use crate::socket::{Conn, reply};
use crate::voice::packet;

pub async fn connected(conn: Rc<Conn>) {
    match greet(&conn).await {
        Ok(users) => conn.emit("online-users", &users),
        Err(refused) => conn.complain(&refused),
    }
}

/// In this dialect who connects is online, whatever was chosen before the last connection went.
async fn greet(conn: &Conn) -> Result<Vec<Value>> {
    let (app, actor) = (conn.app(), &conn.actor);
    if app.users.me(actor).await?.user.status == Status::Away {
        app.presence.set_status(actor, Status::Online, None).await?;
    }
    let online = app.presence.online_outside_crowds(actor).await?;
    with_oneself(app, actor, &online, conn.links()).await
}

/// What a socket is told when something was not done.
pub fn complaint(refused: &Refused) -> Value {
    let plain = crate::words(&super::Rooms, refused);
    json!({"message": told(&plain)})
}

pub async fn heard(conn: Rc<Conn>, event: Event) -> Later {
    let Event {
        name, args, ack, ..
    } = event;
    let payload = args.into_iter().next().unwrap_or(Value::Null);
    match name.as_str() {
        "send-message" => return send(conn, payload, ack).await,
        // what was read is answered when it is stored
        "message-read" => {
            return Some(Box::pin(async move {
                let done = read_up_to(&conn, payload).await;
                reply(&conn, ack, done, complaint);
            }));
        }
        _ => {}
    }
    // the next event may be about the room that this one joins or leaves
    let done = act(&conn, &name, payload).await;
    reply(&conn, ack, done, complaint);
    None
}

/// Does what an event asks for; the answer is for its acknowledgement.
async fn act(conn: &Conn, name: &str, payload: Value) -> Result<Value> {
    match name {
        "join-room" => join(conn, &place(&payload)?).await,
        "leave-room" => leave(conn, &place(&payload)?).await,
        "typing-start" | "typing-stop" => {
            let joined = conn.joined_as(place(&payload)?.as_str());
            let id = joined.ok_or_else(|| Refused::said(403, "Join the room first"))?;
            let typing = &conn.app().typing;
            if name == "typing-start" {
                typing.start(&conn.actor, id).await?;
            } else {
                typing.stop(&conn.actor, id).await?;
            }
            Ok(Value::Null)
        }
        "user-status" => {
            let shown: Shown = read(payload)?;
            let online = shown.set(conn.app(), &conn.actor).await?;
            Ok(json!({"isOnline": online}))
        }
        // other backends of this kind ignore what they do not know
        _ => Ok(Value::Null),
    }
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(payload: Value) -> Result<T> {
    if payload.is_object() {
        Ok(fields::of_value(payload)?)
    } else {
        Err(Refused::said(400, "The payload must be an object"))
    }
}

/// The place that an object's `room` or a bare string names.
fn place(payload: &Value) -> Result<Place> {
    match payload.get("room").unwrap_or(payload) {
        Value::String(room) => Place::named(Some(room)),
        Value::Null => Place::named(None),
        // an object without a room
        Value::Object(_) if payload.get("room").is_none() => Place::named(None),
        _ => Err(Refused::field("room", "must be a string")),
    }
}

async fn join(conn: &Conn, place: &Place) -> Result<Value> {
    let (id, room) = listen(conn, place).await?;
    let joined = json!({"room": room});
    conn.emit("joined-room", &joined);
    conn.catch_up_in(id).await?;
    Ok(joined)
}

/// From now on the socket hears the room; the others who do are told. To be followed at once by catching up,
/// before anything that comes is taken for all that there is.
async fn listen(conn: &Conn, place: &Place) -> Result<(ConversationId, String)> {
    let view = place.open(conn.app(), &conn.actor).await?;
    let conversation = &view.summary.conversation;
    let (id, room) = (conversation.id, places::name(conversation));
    if !conn.has_joined(id) {
        relay(conn, "user-joined-room", id, &room).await?;
    }
    conn.join_as(place.as_str(), id);
    if conn.joined_as(place.as_str()).is_none() {
        return Err(Refused::said(400, "You have joined too many rooms"));
    }
    conn.socket.join(&id.to_string());
    Ok((id, room))
}

/// Tells the others who hear the room.
async fn relay(conn: &Conn, name: &str, id: ConversationId, room: &str) -> Result<()> {
    let scene = conn.app().scenes.of(&conn.actor, id).await?;
    let who = events::in_room(&scene, conn.actor.user_id, room);
    conn.world.relay(&conn.socket, id, &packet(name, &who));
    Ok(())
}

/// The socket hears the room no more. The user stays a member, for whom unread messages are counted.
async fn leave(conn: &Conn, place: &Place) -> Result<Value> {
    if let Some(id) = conn.joined_as(place.as_str()) {
        conn.leave(id);
        conn.socket.leave(&id.to_string());
        // who is no member any more has been told to have left
        let _ = relay(conn, "user-left-room", id, place.as_str()).await;
    }
    let left = json!({"room": place.as_str()});
    conn.emit("left-room", &left);
    Ok(left)
}

/// Where a message goes. Who writes in a room joins it.
async fn entered(conn: &Conn, place: &Place) -> Result<ConversationId> {
    if let Some(id) = conn.joined_as(place.as_str()) {
        return Ok(id);
    }
    let (id, _) = listen(conn, place).await?;
    conn.catch_up_in(id).await?;
    Ok(id)
}

/// Puts a message in line before the next event is taken, so that a socket's messages keep their order.
async fn send(conn: Rc<Conn>, payload: Value, ack: Option<Ack>) -> Later {
    let ticket = async {
        let (place, input) = read::<Outgoing>(payload)?.checked()?;
        let id = entered(&conn, &place).await?;
        // the whole room is told, this socket too
        let actor = conn.actor_told_too();
        Ok(conn.app().messages.enqueue(&actor, id, input).await?)
    };
    let ticket: Result<_> = ticket.await;
    Some(Box::pin(async move {
        let sent = async {
            let sent = ticket?.stored().await?;
            // this thread has the message to tell by now, and tells it first
            tokio::task::yield_now().await;
            let answer = json!({"messageId": Id::from(sent.message.id)});
            conn.emit("message-sent", &answer);
            Ok(answer)
        };
        let sent: Result<Value> = sent.await;
        reply(&conn, ack, sent, complaint);
    }))
}

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[garde(skip)]
    message_id: String,
}

async fn read_up_to(conn: &Conn, payload: Value) -> Result<Value> {
    let Read { message_id } = read(payload)?;
    let id: MessageId = ids::parse(&message_id, Entity::Message)?;
    let (app, actor) = (conn.app(), &conn.actor);
    let message = app.messages.get(actor, id).await?;
    app.receipts
        .read(actor, message.conversation_id, message.seq)
        .await?;
    Ok(json!({"messageId": message_id}))
}
