//! Connexus's storage in MongoDB: a replica set of any size, one server being enough.
//!
//! Every change is a transaction that is acknowledged when a majority has it in its journal; every look
//! that takes more than one query is read from one snapshot. Changes of a conversation first take its next
//! rev, so they come one after the other: who comes too early is told by a write conflict and tries again,
//! for a bounded time.

mod attachment;
mod block;
mod conversation;
mod documents;
mod error;
mod indexes;
mod lease;
mod message;
mod migrate;
mod open;
mod orphans;
#[cfg(test)]
mod plans;
mod query;
mod receipt;
mod session;
mod storage;
mod tx;
mod user;

pub use error::OpenError;
pub use open::MongoOptions;
pub use storage::MongoStorage;
