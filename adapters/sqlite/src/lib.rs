//! Connexus's storage in one SQLite file: what a newcomer gets without installing anything.
//!
//! One connection writes, in `BEGIN IMMEDIATE` transactions: a deferred one that wants to write later
//! fails under load where this one waits. Others read beside it, each read transaction from one
//! snapshot (WAL). A commit is on the disk before it is answered (`synchronous = FULL`).

mod attachment;
mod block;
mod conversation;
mod error;
mod lease;
mod message;
mod open;
#[cfg(test)]
mod plans;
mod receipt;
mod rows;
mod session;
mod sql;
mod storage;
mod user;

pub use error::OpenError;
pub use open::SqliteOptions;
pub use storage::SqliteStorage;
