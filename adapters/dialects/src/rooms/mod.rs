//! The dialect `rooms`: public rooms by name.
//!
//! REST answers are `{success, message, data?}`, errors `{success: false, message}`. A socket says who it is in
//! the handshake, and hears only the rooms that it has joined. A `room` is the public room of that slug, opened
//! by being named; where a room is an id, it is a direct conversation or a group of the user's.

mod auth;
mod events;
mod files;
mod messages;
mod places;
mod shapes;
mod socket;
mod users;

use std::borrow::Cow;
use std::rc::Rc;

use connexus_application::hub::{Delivery, Detail};
use connexus_domain::{AuthFailure, Denial, Entity, Error};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::links::Links;
use crate::refused::{Plain, Refused};
use crate::rest::{done, plainly};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice, packet};

/// The dialect `rooms`.
pub struct Rooms;

impl Voice for Rooms {
    fn dialect(&self) -> Dialect {
        Dialect::Rooms
    }

    fn routes(&self) -> Vec<Route> {
        let ours =
            |body: &Value| body.get("username").is_some() && body.get("confirmPassword").is_none();
        crate::dialect_routes! {
            POST "/api/auth/register" Public Auth => auth::register, if ours;
            POST "/api/auth/login" Public Auth => auth::login;
            GET "/api/auth/me" Signed General => auth::me;
            GET "/api/messages" Signed General => messages::history;
            POST "/api/messages" Signed Send => messages::send;
            PUT "/api/messages/{id}" Signed Send => messages::edit;
            DELETE "/api/messages/{id}" Signed Send => messages::delete;
            POST "/api/messages/{id}/read" Signed General => messages::read;
            POST "/api/messages/{id}/react" Signed Send => messages::react;
            GET "/api/users/online" Signed General => users::online;
            GET "/api/users/profile" Signed General => users::profile;
            PUT "/api/users/profile" Signed General => users::update;
            GET "/api/users/search" Signed Search => users::search;
            POST "/api/users/status" Signed General => users::set_status;
            GET "/api/users/{id}" Signed General => users::get;
            POST "/api/users/avatar" Signed Send Streamed => files::set_avatar;
            POST "/api/files/upload" Signed Send Streamed => files::share;
            GET "/api/files/media/{room}" Signed General => files::media;
            GET "/api/files/stats/{room}" Signed General => files::stats;
            DELETE "/api/files/{id}" Signed Send => files::delete;
        }
    }

    fn says(&self, error: &Error) -> Option<(u16, &'static str)> {
        Some(match error {
            Error::Conflict { field: "username" } => (400, "Username already exists"),
            Error::Conflict { field: "email" } => (400, "Email already exists"),
            Error::NotFound(Entity::Conversation) => (404, "Room not found"),
            Error::Forbidden(Denial::NotMember) => (403, "You are not a member of this room"),
            Error::Forbidden(Denial::NotSender) => (403, "You can only edit your own messages"),
            Error::Unauthenticated(AuthFailure::Missing) => (401, "Access token required"),
            Error::Unauthenticated(AuthFailure::Credentials) => (401, "Invalid email or password"),
            Error::Unauthenticated(_) => (401, "Invalid token"),
            _ => return None,
        })
    }

    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value {
        let mut body = json!({"success": false, "message": told(plain)});
        if let Some(stack) = stack {
            body["stack"] = stack.into();
        }
        body
    }

    fn greeting(&self) -> Greeting {
        Greeting::Handshake
    }

    fn token_in<'a>(&self, _: &'a Event) -> Option<&'a str> {
        None
    }

    fn owns_event(&self, name: &str) -> bool {
        matches!(
            name,
            "join-room"
                | "leave-room"
                | "send-message"
                | "typing-start"
                | "typing-stop"
                | "message-read"
                | "user-status"
        )
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        self.complain(socket, error);
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        socket.emit("error", &(socket::complaint(error),));
    }

    fn detail(&self) -> Detail {
        Detail::Messages
    }

    fn only_joined(&self) -> bool {
        true
    }

    fn tell(&self, delivery: &Delivery, links: &Links) -> Vec<Told> {
        events::tell(delivery, links)
    }

    fn session_ended(&self) -> Option<Packet> {
        Some(packet(
            "error",
            &json!({"message": "Your session has ended"}),
        ))
    }

    fn connected(&self, conn: Rc<Conn>) -> LocalBoxFuture<'static, ()> {
        Box::pin(socket::connected(conn))
    }

    fn heard(&self, conn: Rc<Conn>, event: Event) -> LocalBoxFuture<'static, Later> {
        Box::pin(socket::heard(conn, event))
    }
}

/// A refusal in one text, which is all that these clients show: which fields are wrong stands in it.
fn told(plain: &Plain) -> Cow<'static, str> {
    if plain.code != "VALIDATION_FAILED" || plain.fields.is_empty() {
        return plain.message.clone();
    }
    let named = |field: &str| match field {
        "body" => "content".to_owned(),
        "kind" => "messageType".to_owned(),
        "slug" => "room".to_owned(),
        other => other.to_owned(),
    };
    let wrong: Vec<String> = plain
        .fields
        .iter()
        // the name to display is made from the username, which is refused itself
        .filter(|wrong| wrong.field != "display_name")
        .map(|wrong| format!("{} {}", named(&wrong.field), wrong.reason))
        .collect();
    wrong.join(", ").into()
}
