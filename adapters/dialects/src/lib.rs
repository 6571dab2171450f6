//! Five chat backends' REST routes and Socket.IO events, mapped onto the use-cases of Connexus, so that their
//! front ends work unchanged. A dialect holds no rule of its own: it reads, calls, and words.
//!
//! Each dialect is a [`Voice`](voice::Voice) in a folder of its own; what they share stands here once:
//! which dialect a request or socket speaks, who asks, and how events reach sockets.

mod connexus;
mod dialect;
mod direct;
#[cfg(test)]
mod docs_tests;
mod ids;
mod links;
mod mern;
mod paging;
mod people;
mod refused;
mod rest;
mod rooms;
mod secured;
mod socket;
mod text;
mod times;
mod voice;
mod world;

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use connexus_socketio::{Server, Settings};

pub use dialect::Dialect;
pub use world::{DialectSettings, World};

use refused::{Plain, Refused};
use voice::Voice;

/// The Socket.IO server of the dialects.
pub fn socketio(world: &Arc<World>, settings: Settings) -> Arc<Server> {
    let namespace = Arc::new(socket::Gateway::new(Arc::clone(world)));
    let asked = Arc::clone(world);
    let server = Server::builder(settings)
        .namespace("/", namespace)
        .address(move |handshake| asked.address(handshake.peer, &handshake.headers))
        .build();
    // a world has one server: the first
    let _ = world.sockets.set(Arc::downgrade(&server));
    server
}

/// Mounts the routes and sockets of all enabled dialects, at the root and under each dialect's name.
pub fn configure(world: &Arc<World>, server: &Arc<Server>, config: &mut ServiceConfig) {
    for voice in world.voices() {
        let name = voice.dialect().as_str();
        server.mount(config, &format!("/{name}/socket.io"), name);
    }
    server.mount(config, "/socket.io", "");
    rest::mount(world, config);
}

/// A dialect's voice.
fn voice(dialect: Dialect) -> &'static dyn Voice {
    match dialect {
        Dialect::Connexus => &connexus::Connexus,
        Dialect::Rooms => &rooms::Rooms,
        Dialect::Mern => &mern::Mern,
        Dialect::Direct => &direct::Direct,
        Dialect::Secured => &secured::Secured,
    }
}

/// A refusal as a dialect says it.
fn words(voice: &dyn Voice, refused: &Refused) -> Plain {
    let mut plain = refused.plain();
    if let Refused::Domain(error) = refused
        && let Some((status, message)) = voice.says(error)
    {
        plain.status = status;
        plain.message = message.into();
    }
    plain
}

/// A token without the `Bearer` that may stand before it.
fn bare_token(text: &str) -> &str {
    let text = text.trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    }
}
