//! The cases, one module for each port or promise; each takes a fresh [`World`](crate::World).

pub mod append;
pub mod attachment;
pub mod avatar;
pub mod block;
pub mod change;
pub mod conversation;
pub mod conversation_change;
pub mod idempotency;
pub mod indexing;
pub mod lease;
pub mod leaving;
pub mod listing;
pub mod media;
pub mod member;
pub mod message;
pub mod property;
pub mod reaction;
pub mod receipt;
pub mod role;
pub mod search;
pub mod session;
pub mod storage;
pub mod thread;
pub mod user;
