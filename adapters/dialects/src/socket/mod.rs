//! Sockets of all dialects: who they are, which dialect they speak, and how events reach them.

mod conn;
mod gateway;
mod outlet;
mod reply;
mod visitor;

pub use conn::Conn;
pub use gateway::Gateway;
pub use reply::reply;
