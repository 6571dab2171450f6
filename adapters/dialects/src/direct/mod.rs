//! The dialect `direct`: one-to-one by user id.

use std::rc::Rc;

use connexus_application::hub::Delivery;
use connexus_domain::Error;
use connexus_socketio::{Event, Later, Packet, Socket};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::refused::{Plain, Refused};
use crate::socket::Conn;
use crate::voice::{Greeting, Route, Told, Voice};

/// The dialect `direct`.
pub struct Direct;

impl Voice for Direct {
    fn dialect(&self) -> Dialect {
        Dialect::Direct
    }

    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    fn says(&self, _: &Error) -> Option<(u16, &'static str)> {
        None
    }

    fn error_body(&self, plain: &Plain, _: Option<&str>) -> Value {
        json!({"success": false, "message": plain.message})
    }

    fn greeting(&self) -> Greeting {
        Greeting::Handshake
    }

    fn token_in<'a>(&self, _: &'a Event) -> Option<&'a str> {
        None
    }

    fn owns_event(&self, _: &str) -> bool {
        false
    }

    fn refuse(&self, socket: &Socket, error: &Refused) {
        self.complain(socket, error);
    }

    fn complain(&self, socket: &Socket, error: &Refused) {
        socket.emit("error", &(json!({"message": crate::words(self, error).message}),));
    }

    fn tell(&self, _: &Delivery) -> Vec<Told> {
        Vec::new()
    }

    fn session_ended(&self) -> Option<Packet> {
        None
    }

    fn connected(&self, _: Rc<Conn>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn heard(&self, _: Rc<Conn>, _: Event) -> LocalBoxFuture<'static, Later> {
        Box::pin(async { None })
    }
}
