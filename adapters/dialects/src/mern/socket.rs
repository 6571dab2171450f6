//! What this dialect's sockets say, and are answered.

use std::rc::Rc;

use connexus_domain::{AuthFailure, ConversationId, Entity, Error, Seq};
use connexus_socketio::{Event, Later};
use serde_json::Value;

use super::{chat_id, complaint};
use crate::ids;
use crate::refused::{Refused, Result};
use crate::socket::{Conn, reply};

/// Tells a socket that it is known.
pub fn greet(conn: &Conn) {
    conn.socket.emit("connected", &());
}

pub async fn heard(conn: Rc<Conn>, event: Event) -> Later {
    let Event {
        name, args, ack, ..
    } = event;
    let payload = args.into_iter().next().unwrap_or(Value::Null);
    // it waits until it is written
    let takes_time = name == "message read";
    let work = async move {
        let done = act(&conn, &name, &payload).await;
        reply(&conn, ack, done.map(|()| Value::Null), complaint);
    };
    if takes_time {
        return Some(Box::pin(work));
    }
    // who joins and then writes has joined by then, and who stops writing after starting has stopped
    work.await;
    None
}

/// Does what an event asks for.
async fn act(conn: &Conn, name: &str, payload: &Value) -> Result<()> {
    let (app, actor) = (conn.app(), &conn.actor);
    match name {
        "setup" => set_up(conn, payload).await,
        "join chat" => {
            let id = chat_id(payload)?;
            app.scenes.of(actor, id).await?;
            conn.join(id);
            Ok(())
        }
        "leave chat" => {
            conn.leave(chat_id(payload)?);
            Ok(())
        }
        "typing" => Ok(app.typing.start(actor, chat_id(payload)?).await?),
        "stop typing" => Ok(app.typing.stop(actor, chat_id(payload)?).await?),
        "message read" => {
            let (id, seq) = read_up_to(conn, payload).await?;
            app.receipts.read(actor, id, seq).await?;
            Ok(())
        }
        // it has been stored and told, or will be, when it comes over REST
        "new message" if payload.is_object() => Ok(()),
        "new message" => Err(Refused::field("message", "must be a message")),
        // other backends of this kind ignore what they do not know
        _ => Ok(()),
    }
}

/// A socket that is known says again who it is.
async fn set_up(conn: &Conn, payload: &Value) -> Result<()> {
    if let Some(token) = payload.get("token").and_then(Value::as_str) {
        let who = conn
            .app()
            .auth
            .authenticate(crate::bare_token(token))
            .await?;
        if who.user_id != conn.actor.user_id {
            return Err(Error::Unauthenticated(AuthFailure::InvalidToken).into());
        }
    }
    greet(conn);
    Ok(())
}

/// The watermark that a `message read` comes to: the message, or everything when none is named.
async fn read_up_to(conn: &Conn, payload: &Value) -> Result<(ConversationId, Seq)> {
    let field = |name: &str| payload.get(name).unwrap_or(&Value::Null);
    let id = chat_id(field("chatId"))?;
    let message = field("messageId");
    if message.is_null() {
        return Ok((id, Seq::MAX));
    }
    let message = ids::of_value(message)
        .ok_or_else(|| Refused::field("messageId", "must be an id or a message"))?;
    let message = ids::parse(message, Entity::Message)?;
    let seq = conn.app().messages.seq_of(&conn.actor, id, message).await?;
    Ok((id, seq))
}
