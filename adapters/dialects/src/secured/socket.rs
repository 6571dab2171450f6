//! What this dialect's sockets say, and are told.

use std::rc::Rc;

use connexus_application::hub::Delivery;
use connexus_domain::{AuthFailure, ConversationKind, Error, Event};
use connexus_socketio::{Event as Heard, Later};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::{Value, json};

use crate::refused::{Refused, Result};
use crate::socket::Conn;
use crate::voice::{To, Told, Voice as _};

use super::Secured;

/// The socket is known from now on.
pub fn registered(conn: &Conn) {
    let answer = json!({"userId": Id::from(conn.actor.user_id)});
    conn.emit("registration_success", &answer);
}

/// The token in a `register_user`: in an object, or bare. Empty when there is none.
pub fn token(payload: Option<&Value>) -> &str {
    let payload = payload.unwrap_or(&Value::Null);
    let text = payload.get("token").unwrap_or(payload);
    text.as_str().unwrap_or_default()
}

/// Words for an event: only messages in chats of two are told, and only to who is written to.
pub fn tell(delivery: &Delivery) -> Vec<Told> {
    let (Event::MessageCreated(message), Some(scene)) = (delivery.event(), delivery.scene()) else {
        return Vec::new();
    };
    let place = scene.conversation.as_ref();
    if place.is_none_or(|place| place.kind != ConversationKind::Direct) {
        return Vec::new();
    }
    vec![Told::to(
        To::Others(message.sender_id),
        "new_message",
        &json!({
            "_id": Id::from(message.id),
            "senderId": Id::from(message.sender_id),
            "text": message.body.as_deref().unwrap_or_default(),
            "createdAt": Time(message.created_at),
        }),
    )]
}

/// A socket that is known can only say once more who it is. Other events are not in this dialect, and are
/// ignored as its own server does.
pub async fn heard(conn: Rc<Conn>, event: Heard) -> Later {
    if event.name != "register_user" {
        return None;
    }
    match register_again(&conn, event.args.first()).await {
        Ok(()) => registered(&conn),
        Err(refused) => {
            refused.log();
            Secured.refuse(&conn.socket, &refused);
        }
    }
    None
}

async fn register_again(conn: &Conn, payload: Option<&Value>) -> Result<()> {
    let token = crate::bare_token(token(payload));
    let actor = conn.app().auth.authenticate(token).await?;
    if actor.user_id == conn.actor.user_id {
        Ok(())
    } else {
        Err(Refused::Domain(Error::Unauthenticated(
            AuthFailure::InvalidToken,
        )))
    }
}
