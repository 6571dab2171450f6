//! The storage contract of Connexus as a library of test cases.
//!
//! A storage adapter implements the ports of `connexus_domain::ports`. What they promise is said there
//! and tested here, through the ports alone: no case knows a database, a driver or a query language, so
//! all adapters are held to the same cases. To try an adapter of your own, add this crate to its
//! `dev-dependencies` (with `tokio` and `async-trait`) and write `tests/contract.rs`:
//!
//! ```ignore
//! struct MyBackend { /* what is needed to connect again */ }
//!
//! #[async_trait::async_trait]
//! impl connexus_contract::Backend for MyBackend {
//!     async fn fresh() -> Self { /* a new, empty, migrated database */ }
//!     fn storage(&self) -> Arc<dyn Storage> { /* the first instance */ }
//!     async fn another(&self) -> Arc<dyn Storage> { /* a second one on the same data */ }
//! }
//!
//! connexus_contract::suite!(MyBackend);
//! ```
//!
//! Each case becomes a test of its own, named after the port and the promise, and gets a storage that no
//! other case sees. A case that fails is a broken promise of the adapter: the ports' documentation says
//! which. Nothing sleeps and nothing is timed, so a slow database fails no case. Random sequences are the
//! same in every run; `CONNEXUS_CONTRACT_SEED=<number>` makes others, and a failure names its seed and the
//! shortest sequence that was found to fail.
//!
//! [`model::compare`] runs one random sequence of operations on two storages and compares all that can be
//! seen through the ports; use it to hold a new adapter against one that is trusted.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a library of tests: to panic is how a case fails"
)]
#![allow(
    clippy::many_single_char_names,
    reason = "users `a`, `b`, `c` have nothing else to be told by"
)]

pub mod cases;
mod harness;
pub mod model;
mod suite;
pub mod upgrade;
pub mod world;

pub use harness::Backend;
pub use world::World;
