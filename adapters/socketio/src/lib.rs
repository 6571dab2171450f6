//! A Socket.IO server for actix-web: Engine.IO protocol 4 and Socket.IO protocol 5, over HTTP long-polling
//! and WebSocket.
//!
//! [`Server`] is built from [`Namespace`]s and mounted in an `App`. Each session is served by one task on
//! the thread that took its handshake, so a [`Handler`] need not be `Send`; a [`Socket`] and a [`Packet`]
//! may be used on any thread. [`engine`] is the layer below, for other protocols than Socket.IO.

mod ack;
mod client;
mod decode;
pub mod engine;
mod hub;
mod namespace;
mod packet;
mod recall;
mod server;
mod settings;
mod socket;

pub use ack::{Ack, AckError, Reply};
pub use engine::{CloseReason, Handshake, Queued};
pub use namespace::{DisconnectReason, Event, Handler, Later, Namespace, Refusal};
pub use packet::{Importance, Packet};
pub use server::{Builder, Server};
pub use settings::{QueueLimits, Settings};
pub use socket::Socket;

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
