//! Echoes Engine.IO messages: what the official Engine.IO test suite talks to.

mod common;

use std::rc::Rc;
use std::sync::Arc;

use actix_web::App;
use async_trait::async_trait;
use clap::Parser as _;
use connexus_socketio::Importance;
use connexus_socketio::engine::{Connection, Engine, Frame, Handshake, Message, Service};

struct Echo;

#[async_trait(?Send)]
impl Service for Echo {
    async fn run(&self, connection: Connection, _handshake: Rc<Handshake>) {
        while let Some(message) = connection.recv().await {
            let frame = match message {
                Message::Text(text) => Frame::text(&text),
                Message::Binary(bytes) => Frame::binary(&bytes),
            };
            connection.send(&frame, Importance::Essential);
        }
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let options = common::Options::parse();
    let engine = Engine::new(options.settings(), Arc::new(Echo));
    let path = options.path.clone().unwrap_or("/engine.io".to_owned());
    let listener = options.listen()?;
    connexus_upgrade::serve(listener, &options.serving(), move || {
        App::new().configure(|config| engine.mount(config, &path, "echo"))
    })?
    .await
}
