//! The cases, one module for each port or promise; each takes a fresh [`World`](crate::World).

pub mod append;
pub mod block;
pub mod change;
pub mod conversation;
pub mod member;
pub mod message;
pub mod property;
pub mod receipt;
pub mod search;
pub mod session;
pub mod storage;
pub mod user;
