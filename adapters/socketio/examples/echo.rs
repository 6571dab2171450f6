//! Echoes events: what the official Socket.IO test suite talks to.

mod common;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use async_trait::async_trait;
use clap::Parser as _;
use connexus_socketio::{
    DisconnectReason, Event, Handler, Handshake, Later, Namespace, Refusal, Server, Socket,
};
use serde_json::{Value, json};

/// `/`: tells the client its auth, and echoes.
struct Main;

/// `/custom`: tells the client its auth.
struct Custom;

struct Echo {
    socket: Socket,
    auth: Value,
    echoes: bool,
}

fn echo(socket: Socket, auth: Value, echoes: bool) -> Box<dyn Handler> {
    let auth = if auth.is_null() { json!({}) } else { auth };
    Box::new(Echo {
        socket,
        auth,
        echoes,
    })
}

#[async_trait(?Send)]
impl Namespace for Main {
    async fn connect(
        &self,
        socket: Socket,
        _handshake: Rc<Handshake>,
        auth: Value,
    ) -> Result<Box<dyn Handler>, Refusal> {
        Ok(echo(socket, auth, true))
    }
}

#[async_trait(?Send)]
impl Namespace for Custom {
    async fn connect(
        &self,
        socket: Socket,
        _handshake: Rc<Handshake>,
        auth: Value,
    ) -> Result<Box<dyn Handler>, Refusal> {
        Ok(echo(socket, auth, false))
    }
}

#[async_trait(?Send)]
impl Handler for Echo {
    async fn connected(&mut self) {
        // the suite listens for one message at a time, and misses one that comes in the same segment
        actix_web::rt::time::sleep(Duration::from_millis(10)).await;
        self.socket.emit("auth", &(&self.auth,));
    }

    async fn event(&mut self, event: Event) -> Later {
        if !self.echoes {
            return None;
        }
        match (event.name.as_str(), event.ack) {
            ("message", _) => {
                self.socket
                    .emit_binary("message-back", &event.args, event.attachments);
            }
            ("message-with-ack", Some(ack)) => ack.send_binary(&event.args, event.attachments),
            _ => {}
        }
        None
    }

    async fn disconnected(self: Box<Self>, _reason: DisconnectReason) {}
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let options = common::Options::parse();
    let server = Server::builder(options.settings())
        .namespace("/", Arc::new(Main))
        .namespace("/custom", Arc::new(Custom))
        .build();
    let path = options.path.clone().unwrap_or("/socket.io".to_owned());
    let listener = options.listen()?;
    connexus_upgrade::serve(listener, &options.serving(), move || {
        App::new().configure(|config| server.mount(config, &path, "echo"))
    })?
    .await
}
