//! The dialect `direct`: one-to-one by user id.
//!
//! REST answers are `{success, message, data?}`, errors `{success: false, message, errors?}`. A socket says who
//! it is in the handshake or by `authenticate`. Chats of more than two are shown to it as well, and are named by
//! `chatId` where a chat of two may be named by the other user (`to`).

mod auth;
mod chats;
mod events;
mod messages;
mod place;
mod shapes;
mod socket;
mod users;

use std::rc::Rc;

use connexus_application::hub::{Delivery, Detail};
use connexus_domain::{AuthFailure, Denial, Entity, Error};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::links::Links;
use crate::refused::{Plain, Refused};
use crate::rest::{Answer, json};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice, packet};

/// The dialect `direct`.
pub struct Direct;

impl Voice for Direct {
    fn dialect(&self) -> Dialect {
        Dialect::Direct
    }

    fn routes(&self) -> Vec<Route> {
        let confirms = |body: &Value| body.get("confirmPassword").is_some();
        let identifies = |body: &Value| body.get("identifier").is_some();
        crate::dialect_routes! {
            POST "/api/auth/register" Public Auth => auth::register, if confirms;
            POST "/api/auth/login" Public Auth => auth::login, if identifies;
            POST "/api/auth/refresh-token" Public Auth => auth::refresh;
            POST "/api/auth/logout" Signed General => auth::logout;
            GET "/api/auth/profile" Signed General => users::me;
            PUT "/api/auth/profile" Signed General => users::update;
            PUT "/api/auth/change-password" Signed Auth => auth::change_password;
            POST "/api/messages/send" Signed Send => messages::send;
            GET "/api/messages/conversation/{user}" Signed General => chats::conversation;
            GET "/api/messages/chats" Signed General => chats::list;
            GET "/api/messages/search" Signed Search => messages::search;
            POST "/api/messages/mark-read" Signed General => messages::mark_read;
            PUT "/api/messages/{id}" Signed Send => messages::edit;
            DELETE "/api/messages/{id}" Signed Send => messages::delete;
            GET "/api/users/online" Signed General => users::online;
            GET "/api/users/search" Signed Search => users::search;
            GET "/api/users/{id}" Signed General => users::get;
            GET "/api/users/{id}/status" Signed General => users::status;
        }
    }

    fn says(&self, error: &Error) -> Option<(u16, &'static str)> {
        Some(match error {
            Error::Conflict { field: "email" } => (400, "Email already registered"),
            Error::Conflict { .. } => (400, "Username already taken"),
            Error::NotFound(Entity::Conversation) => (404, "Chat not found"),
            Error::Unauthenticated(AuthFailure::ExpiredToken) => (401, "Token expired"),
            Error::Forbidden(Denial::NotMember) => (403, "You are not a participant of this chat"),
            Error::Invalid(_) => (400, "Validation failed"),
            _ => return None,
        })
    }

    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value {
        let mut body = json!({"success": false, "message": plain.message});
        if !plain.fields.is_empty() {
            body["errors"] = shapes::wrong_fields(plain);
        }
        if let Some(stack) = stack {
            body["stack"] = stack.into();
        }
        body
    }

    fn greeting(&self) -> Greeting {
        Greeting::Either
    }

    /// Who sends an `authenticate` without any token is to hear that it is not one.
    fn token_in<'a>(&self, event: &'a Event) -> Option<&'a str> {
        let named = event.name == "authenticate";
        named.then(|| socket::token(event.args.first()))
    }

    fn owns_event(&self, name: &str) -> bool {
        matches!(
            name,
            "authenticate" | "join_chat" | "read_receipt" | "update_status"
        )
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        self.complain(socket, error);
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        socket.emit("error", &(socket::complaint(error),));
    }

    /// Receipts name the message that was read, and go to its author.
    fn detail(&self) -> Detail {
        Detail::Messages
    }

    fn tell(&self, delivery: &Delivery, links: &Links) -> Vec<Told> {
        events::tell(delivery, links)
    }

    fn session_ended(&self) -> Option<Packet> {
        Some(packet(
            "error",
            &json!({"message": "Your session has ended", "code": "SESSION_REVOKED"}),
        ))
    }

    fn connected(&self, conn: Rc<Conn>) -> LocalBoxFuture<'static, ()> {
        Box::pin(socket::connected(conn))
    }

    fn heard(&self, conn: Rc<Conn>, event: Event) -> LocalBoxFuture<'static, Later> {
        Box::pin(socket::heard(conn, event))
    }
}

/// `{success, message, data}`.
fn done(status: u16, message: &str, data: impl serde::Serialize) -> Answer {
    json(
        status,
        &json!({"success": true, "message": message, "data": data}),
    )
}

/// `{success, message}`.
fn plainly(message: &str) -> Answer {
    json(200, &json!({"success": true, "message": message}))
}
