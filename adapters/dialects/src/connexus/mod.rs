//! The dialect `connexus`: conversations, direct and group.
//!
//! REST answers are `{success, message, data?}`, errors `{success: false, message, errors?}`. A socket says who
//! it is in the handshake, and is told of all its user's conversations.

mod auth;
mod conversations;
mod events;
mod files;
mod messages;
mod shapes;
mod socket;
mod users;

use std::rc::Rc;

use connexus_application::hub::Delivery;
use connexus_domain::{AuthFailure, Denial, Error};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::links::Links;
use crate::refused::{Plain, Refused};
use crate::rest::{done, plainly};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice, packet};

/// The dialect `connexus`.
pub struct Connexus;

impl Voice for Connexus {
    fn dialect(&self) -> Dialect {
        Dialect::Connexus
    }

    fn routes(&self) -> Vec<Route> {
        let has_name = |body: &Value| body.get("name").is_some();
        crate::dialect_routes! {
            POST "/api/auth/register" Public Auth => auth::register, if has_name;
            POST "/api/auth/login" Public Auth => auth::login;
            PUT "/api/auth/password" Signed Auth => auth::change_password;
            POST "/api/auth/logout" Signed General => auth::logout;
            GET "/api/users/me" Signed General => users::me;
            PUT "/api/users/me" Signed General => users::update;
            GET "/api/users/search" Signed Search => users::search;
            GET "/api/chat/users/search" Signed Search => users::search;
            GET "/api/users/{id}" Signed General => users::get;
            GET "/api/chat/conversations" Signed General => conversations::list;
            POST "/api/chat/conversations/direct" Signed General => conversations::open_direct;
            POST "/api/chat/conversations/group" Signed General => conversations::create_group;
            PUT "/api/chat/conversations/{id}" Signed General => conversations::update;
            PUT "/api/chat/conversations/{id}/read" Signed General => conversations::read;
            PUT "/api/chat/conversations/{id}/archive" Signed General => conversations::archive;
            POST "/api/chat/conversations/{id}/leave" Signed General => conversations::leave;
            POST "/api/chat/conversations/{id}/participants" Signed General => conversations::add;
            PUT "/api/chat/conversations/{id}/participants/role" Signed General => conversations::set_role;
            DELETE "/api/chat/conversations/{id}/participants/{user}" Signed General => conversations::remove;
            GET "/api/chat/conversations/{id}/messages" Signed General => messages::history;
            POST "/api/chat/messages" Signed Send => messages::send;
            PUT "/api/chat/messages/edit" Signed Send => messages::edit;
            POST "/api/chat/messages/reactions" Signed Send => messages::react;
            POST "/api/chat/messages/reactions/remove" Signed Send => messages::unreact;
            DELETE "/api/chat/messages/{id}" Signed Send => messages::delete;
            POST "/api/chat/attachments" Signed Send Streamed => files::attach;
            POST "/api/users/me/avatar" Signed Send Streamed => files::set_avatar;
            GET "/api/health" Public General => users::health;
        }
    }

    fn says(&self, error: &Error) -> Option<(u16, &'static str)> {
        Some(match error {
            Error::Conflict { field: "email" } => (400, "Email already registered"),
            Error::Conflict { .. } => (400, "Already taken"),
            Error::Unauthenticated(AuthFailure::ExpiredToken) => (401, "Token expired"),
            Error::Forbidden(Denial::NotMember) => {
                (403, "You are not a participant of this conversation")
            }
            Error::Invalid(_) => (400, "Validation failed"),
            _ => return None,
        })
    }

    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value {
        let mut body = json!({"success": false, "message": plain.message});
        if !plain.fields.is_empty() {
            let wrong = plain.fields.iter().map(|field| {
                let name = wire_name(&field.field);
                json!({"field": name, "message": format!("{name} {}", field.reason)})
            });
            body["errors"] = wrong.collect();
        }
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
            "join_conversation"
                | "typing_start"
                | "typing_stop"
                | "add_reaction"
                | "remove_reaction"
                | "edit_message"
                | "delete_message"
                | "mark_message_read"
                | "update_user_status"
        )
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        self.complain(socket, error);
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        socket.emit("error", &(socket::complaint(error),));
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

/// The name in this dialect of a field that a use-case refused.
fn wire_name(field: &str) -> &str {
    match field {
        "attachment_ids" => "attachments",
        "body" => "content",
        "kind" => "type",
        "reply_to" => "replyTo",
        "display_name" => "name",
        "avatar_url" => "avatar",
        "member_ids" | "user_ids" => "participants",
        "current_password" => "currentPassword",
        "new_password" => "newPassword",
        other => other,
    }
}
