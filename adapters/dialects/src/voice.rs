//! What makes a dialect: its routes, its words for errors, its words for events, and what its sockets say.

use std::rc::Rc;

use actix_web::http::Method;
use connexus_application::hub::{Delivery, Detail};
use connexus_domain::ports::LimitClass;
use connexus_domain::{Error, UserId};
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::links::Links;
use crate::refused::{Plain, Refused};
use crate::rest::{Answer, Call};
use crate::socket::Conn;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever has a token.
    Signed,
}

/// How a route takes its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Read before the handler is called.
    Whole,
    /// As it comes: only the handler knows how much of it to take, and how fast it has to come.
    Streamed,
}

/// One route of a dialect.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for what varies. At the root, several dialects may have the same one.
    pub pattern: &'static str,
    /// Who may use it.
    pub access: Access,
    /// How it is limited.
    pub class: LimitClass,
    /// How it takes its body. Routes that several dialects have take it alike.
    pub body: Body,
    /// Does it.
    pub handler: fn(Call) -> LocalBoxFuture<'static, Answer>,
    /// Whether a body or query is one that only this dialect's clients send.
    pub hint: Option<fn(&Value) -> bool>,
}

/// A table of routes: `METHOD "/path" access class [Streamed] => handler [, if hint];`.
#[macro_export]
#[doc(hidden)]
macro_rules! dialect_routes {
    ($($method:ident $pattern:literal $access:ident $class:ident $($body:ident)? => $handler:path $(, if $hint:expr)?;)*) => {
        vec![$($crate::voice::Route {
            method: actix_web::http::Method::$method,
            pattern: $pattern,
            access: $crate::voice::Access::$access,
            class: connexus_domain::ports::LimitClass::$class,
            body: $crate::dialect_routes!(@body $($body)?),
            handler: |call| Box::pin($handler(call)),
            hint: $crate::dialect_routes!(@hint $($hint)?),
        }),*]
    };
    (@body) => { $crate::voice::Body::Whole };
    (@body $body:ident) => { $crate::voice::Body::$body };
    (@hint) => { None };
    (@hint $hint:expr) => { Some($hint) };
}

/// Which of a dialect's sockets an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All whom it reaches.
    All,
    /// All but those of this user.
    Others(UserId),
    /// Those of this user alone.
    One(UserId),
}

/// One packet that tells an event, encoded once for all sockets of the dialect.
#[derive(Debug, Clone)]
pub struct Told {
    /// For whom.
    pub to: To,
    /// What they get.
    pub packet: Packet,
}

impl Told {
    /// An event with one argument, for all whom it reaches.
    pub fn all(name: &str, payload: &impl serde::Serialize) -> Self {
        Self::to(To::All, name, payload)
    }

    /// An event with one argument.
    pub fn to(to: To, name: &str, payload: &impl serde::Serialize) -> Self {
        Self {
            to,
            packet: packet(name, payload),
        }
    }
}

/// An event of the default namespace with one argument.
pub fn packet(name: &str, payload: &impl serde::Serialize) -> Packet {
    Packet::event("/", name, &(payload,))
}

/// How a new socket may say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// In the handshake, or not at all.
    Handshake,
    /// In the handshake or by the first event.
    Either,
    /// By the first event.
    FirstEvent,
}

/// A dialect.
pub trait Voice: Sync + 'static {
    /// Which one.
    fn dialect(&self) -> Dialect;

    /// Its routes.
    fn routes(&self) -> Vec<Route>;

    /// Its own status and words for an error, where the common ones do not fit.
    fn says(&self, error: &Error) -> Option<(u16, &'static str)>;

    /// The body of an answer that is an error. `stack` is there in development only.
    fn error_body(&self, plain: &Plain, stack: Option<&str>) -> Value;

    /// How its sockets say who they are.
    fn greeting(&self) -> Greeting;

    /// The token in an event that says who this is; `None` when it is not such an event.
    fn token_in<'a>(&self, event: &'a Event) -> Option<&'a str>;

    /// Whether only this dialect's clients send an event of this name.
    fn owns_event(&self, name: &str) -> bool;

    /// Tells a socket that it has not proven who it is.
    fn refuse(&self, socket: &Socket, error: &Refused);

    /// Tells a socket that something it asked for was not done.
    fn complain(&self, socket: &Socket, error: &Refused);

    /// How much it has to know about events.
    fn detail(&self) -> Detail {
        Detail::Scene
    }

    /// Whether its sockets are told only of conversations that they have joined.
    fn only_joined(&self) -> bool {
        false
    }

    /// Whether its sockets are told of this event only in conversations that they have joined.
    fn needs_join(&self, _event: &connexus_domain::Event) -> bool {
        self.only_joined()
    }

    /// Words for an event, made once for all sockets of the dialect. There is always a scene.
    fn tell(&self, delivery: &Delivery, links: &Links) -> Vec<Told>;

    /// What a session's sockets are told before they are closed because it has ended.
    fn session_ended(&self) -> Option<Packet>;

    /// A socket is known now, and listens: greets it.
    fn connected(&self, conn: Rc<Conn>) -> LocalBoxFuture<'static, ()>;

    /// An event from a socket that is known. Awaited before the next event is taken; what it answers goes
    /// on beside.
    fn heard(&self, conn: Rc<Conn>, event: Event) -> LocalBoxFuture<'static, Later>;
}
