//! The dialect `mern`: chats, one-on-one and group.
//!
//! REST answers are bare objects and arrays, errors `{message, stack}`. A socket says who it is by its first
//! event, `setup`, which carries the user's token; messages are sent over REST and told over sockets. The
//! customary texts keep their spelling.

mod chats;
mod events;
mod messages;
mod shapes;
mod socket;
mod users;

use std::borrow::Cow;
use std::rc::Rc;

use connexus_application::hub::{Delivery, Detail};
use connexus_domain::{AuthFailure, ConversationId, Denial, Entity, Error};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::ids;
use crate::links::Links;
use crate::refused::{Plain, Refused, Result};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice, packet};

/// The dialect `mern`.
pub struct Mern;

impl Voice for Mern {
    fn dialect(&self) -> Dialect {
        Dialect::Mern
    }

    fn routes(&self) -> Vec<Route> {
        crate::dialect_routes! {
            POST "/api/user" Public Auth => users::register;
            POST "/api/user/register" Public Auth => users::register;
            POST "/api/user/login" Public Auth => users::login;
            GET "/api/user" Signed Search => users::search;
            POST "/api/chat" Signed General => chats::open_direct;
            GET "/api/chat" Signed General => chats::list;
            POST "/api/chat/group" Signed General => chats::create_group;
            PUT "/api/chat/grouprename" Signed General => chats::rename;
            PUT "/api/chat/rename" Signed General => chats::rename;
            PUT "/api/chat/groupadd" Signed General => chats::add;
            PUT "/api/chat/groupremove" Signed General => chats::remove;
            POST "/api/message" Signed Send => messages::send;
            GET "/api/message/{chat}" Signed General => messages::history;
        }
    }

    fn says(&self, error: &Error) -> Option<(u16, &'static str)> {
        Some(match error {
            Error::Conflict { .. } => (400, "User already exists"),
            Error::Unauthenticated(AuthFailure::Missing) => (401, "Not authorized, no token"),
            Error::Unauthenticated(AuthFailure::Credentials) => (401, "Invalid Email or Password"),
            Error::Unauthenticated(_) => (401, "Not authorized, token failed"),
            Error::NotFound(Entity::Conversation) => (404, "Chat Not Found"),
            Error::NotFound(Entity::Member) => (404, "User is not in this chat"),
            Error::Forbidden(Denial::NotMember) => (403, "You are not a member of this chat"),
            Error::Forbidden(Denial::RoleTooLow) => (403, "Only admins can do this"),
            Error::Forbidden(Denial::FixedConversation) => (403, "This is not a group chat"),
            _ => return None,
        })
    }

    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value {
        json!({"message": message(plain), "stack": stack})
    }

    fn greeting(&self) -> Greeting {
        Greeting::FirstEvent
    }

    fn token_in<'a>(&self, event: &'a Event) -> Option<&'a str> {
        if event.name != "setup" {
            return None;
        }
        // one without a token is refused, not left without an answer
        let token = event.args.first().and_then(|user| user.get("token"));
        Some(token.and_then(Value::as_str).unwrap_or_default())
    }

    fn owns_event(&self, name: &str) -> bool {
        matches!(
            name,
            "setup" | "join chat" | "leave chat" | "stop typing" | "new message" | "message read"
        )
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        self.complain(socket, error);
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        socket.emit("error", &(complaint(error),));
    }

    fn detail(&self) -> Detail {
        Detail::Messages
    }

    fn needs_join(&self, event: &connexus_domain::Event) -> bool {
        matches!(event, connexus_domain::Event::Typing { .. })
    }

    fn tell(&self, delivery: &Delivery, links: &Links) -> Vec<Told> {
        events::tell(delivery, links)
    }

    fn session_ended(&self) -> Option<Packet> {
        let ended = Error::Unauthenticated(AuthFailure::RevokedSession);
        Some(packet("error", &complaint(&ended.into())))
    }

    fn connected(&self, conn: Rc<Conn>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move { socket::greet(&conn) })
    }

    fn heard(&self, conn: Rc<Conn>, event: Event) -> LocalBoxFuture<'static, Later> {
        Box::pin(socket::heard(conn, event))
    }
}

/// What a socket is told when something was not done.
fn complaint(refused: &Refused) -> Value {
    json!({"message": message(&crate::words(&Mern, refused))})
}

/// An error in one line: these clients show nothing else, so wrong fields are named in it.
fn message(plain: &Plain) -> Cow<'_, str> {
    // a value that is taken has words of its own
    if plain.status != 400 || plain.fields.is_empty() || plain.code == "CONFLICT" {
        return Cow::Borrowed(&plain.message);
    }
    let wrong = plain.fields.iter().map(|wrong| {
        let field = match wrong.field.as_str() {
            "display_name" => "name",
            "body" => "content",
            "query" => "search",
            "member_ids" | "user_ids" => "users",
            other => other,
        };
        format!("{field} {}", wrong.reason)
    });
    Cow::Owned(wrong.collect::<Vec<_>>().join(", "))
}

/// The chat that a client names by its id or by the whole object.
fn chat_id(value: &Value) -> Result<ConversationId> {
    if value.is_null() {
        return Err(Refused::field("chatId", "is required"));
    }
    let id =
        ids::of_value(value).ok_or_else(|| Refused::field("chatId", "must be an id or a chat"))?;
    Ok(ids::parse(id, Entity::Conversation)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_message_and_a_stack() {
        let missing = crate::words(&Mern, &Refused::missing(Entity::Conversation));
        assert_eq!(
            Mern.error_body(&missing, None),
            json!({"message": "Chat Not Found", "stack": null})
        );
        let fault = Refused::Domain(Error::internal(std::fmt::Error));
        let fault = crate::words(&Mern, &fault);
        assert_eq!(
            Mern.error_body(&fault, Some("where it was")),
            json!({"message": "Internal server error", "stack": "where it was"})
        );
    }

    #[test]
    fn wrong_fields_are_named_in_one_line() {
        let wrong = Refused::field("body", "must not be empty");
        let plain = crate::words(&Mern, &wrong);
        assert_eq!(message(&plain), "content must not be empty");
        let taken = Refused::Domain(Error::Conflict { field: "email" });
        let plain = crate::words(&Mern, &taken);
        assert_eq!(
            (plain.status, &*message(&plain)),
            (400, "User already exists")
        );
    }
}
