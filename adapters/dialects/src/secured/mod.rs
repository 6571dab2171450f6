//! The dialect `secured`: one-to-one, several devices.
//!
//! REST answers are `{status: "success", message?, data}`, errors `{status, message}` with `fail` for a client's
//! fault and `error` for ours. A socket says who it is by `register_user`, and is told of one thing: messages to
//! its user in chats of two.

mod auth;
mod messages;
mod socket;
mod users;

use std::rc::Rc;

use connexus_application::hub::Delivery;
use connexus_domain::{AuthFailure, Error};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::links::Links;
use crate::refused::{Plain, Refused};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice, packet};

/// The dialect `secured`.
pub struct Secured;

impl Voice for Secured {
    fn dialect(&self) -> Dialect {
        Dialect::Secured
    }

    fn routes(&self) -> Vec<Route> {
        crate::dialect_routes! {
            POST "/api/v1/users/register" Public Auth => auth::register;
            POST "/api/v1/users/login" Public Auth => auth::login;
            GET "/api/v1/users" Signed Search => users::list;
            POST "/api/v1/messages" Signed Send => messages::send;
            POST "/api/v1/messages/send" Signed Send => messages::send;
            GET "/api/v1/messages/history/{contact}" Signed General => messages::history;
        }
    }

    fn says(&self, error: &Error) -> Option<(u16, &'static str)> {
        Some(match error {
            Error::Conflict { field: "email" } => (400, "Email already registered"),
            Error::Conflict { .. } => (400, "Username already taken"),
            Error::Unauthenticated(AuthFailure::Credentials) => (400, "Invalid email or password"),
            Error::Unauthenticated(AuthFailure::ExpiredToken) => (401, "Token expired"),
            _ => return None,
        })
    }

    /// There is nothing but the message, so it says which fields are wrong.
    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value {
        let ours = plain.status >= 500;
        let status = if ours { "error" } else { "fail" };
        let mut body = json!({"status": status, "message": words(plain)});
        if let Some(stack) = stack {
            body["stack"] = stack.into();
        }
        body
    }

    fn greeting(&self) -> Greeting {
        Greeting::FirstEvent
    }

    /// Who sends a `register_user` without any token is to hear that it is not one.
    fn token_in<'a>(&self, event: &'a Event) -> Option<&'a str> {
        let named = event.name == "register_user";
        named.then(|| socket::token(event.args.first()))
    }

    fn owns_event(&self, name: &str) -> bool {
        name == "register_user"
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        let plain = crate::words(self, error);
        socket.emit("auth_error", &(words(&plain),));
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        let plain = crate::words(self, error);
        socket.emit("error", &(self.error_body(&plain, None),));
    }

    fn tell(&self, delivery: &Delivery, _: &Links) -> Vec<Told> {
        socket::tell(delivery)
    }

    fn session_ended(&self) -> Option<Packet> {
        Some(packet("auth_error", &"Your session has ended"))
    }

    fn connected(&self, conn: Rc<Conn>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move { socket::registered(&conn) })
    }

    fn heard(&self, conn: Rc<Conn>, event: Event) -> LocalBoxFuture<'static, Later> {
        Box::pin(socket::heard(conn, event))
    }
}

/// What a refusal says in one line.
fn words(plain: &Plain) -> String {
    if plain.fields.is_empty() || plain.code == "CONFLICT" {
        return plain.message.clone().into_owned();
    }
    let wrong: Vec<String> = plain
        .fields
        .iter()
        .map(|wrong| {
            let field = match wrong.field.as_str() {
                "body" => "message",
                "display_name" => "name",
                field => field,
            };
            format!("{field} {}", wrong.reason)
        })
        .collect();
    wrong.join(", ")
}
