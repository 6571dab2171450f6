//! An actix-web server that hands the socket of an upgraded connection to who answers the upgrade.
//!
//! Actix keeps an upgraded connection in its HTTP/1 dispatcher, as a request body to read and a response
//! body to write: with buffers of several KiB for as long as the connection lives, and a task to wake for
//! each write. Here the dispatcher ends with the upgrade. Who answers it ([`Takeover`]) gets what the
//! client sends as the request's body, as ever, and the writing half of the socket with the answer that is
//! still to be written ([`Upgraded`]), for a [`WriteQueue`]. For WebSockets there is a [`Reader`] of messages.
//! All other requests are served as by `actix_web::HttpServer`.

mod incoming;
mod queue;
mod reader;
mod serve;
mod takeover;

pub use actix_http::ws::ProtocolError;
pub use queue::{Urgency, WriteQueue};
pub use reader::{Message, Reader};
pub use serve::{Settings, listen, serve};
pub use takeover::{Takeover, Upgraded};
