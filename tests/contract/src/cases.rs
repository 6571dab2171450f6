//! The cases, one module for each port; each takes a fresh [`World`](crate::World).

pub mod storage;
