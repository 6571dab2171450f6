//! The server on real connections, as a client sees it.

mod clients;
mod engine;
mod harness;
mod limits;
mod sockets;
