//! Connexus's storage in PostgreSQL, 14 or later: for more than one server process.
//!
//! **How it locks.** Whoever changes a conversation locks its row first (`FOR NO KEY UPDATE`: as good as
//! `FOR UPDATE` among ourselves, and foreign keys do not wait for it); several are locked in the order of
//! their ids. Under `READ COMMITTED` each statement after that sees all that was committed before the lock
//! was given, so numbers are dense and rules see the present. What needs a snapshot of several statements
//! reads in `REPEATABLE READ, READ ONLY`. A transaction that loses a deadlock is repeated.
//!
//! **What each connection is given.** `synchronous_commit = on`, timeouts for statements and for idle
//! transactions, and settings of the planner go into the startup packet (`options`), not into `SET`: they
//! cost no round trip, and no session state is ever changed afterwards. The planner is kept to indexes and
//! nested loops (`enable_seqscan`, `enable_hashjoin`, `enable_mergejoin`, `enable_material` and `jit` are
//! off, and so are parallel plans): every query here reads a bounded number of rows by an index, and a plan
//! that was made and kept while tables were empty would otherwise read them whole when they are not.
//!
//! **`PgBouncer`.** It needs `ignore_startup_parameters = extra_float_digits,options`; since it then drops
//! what is above, give the role the same by `ALTER ROLE … SET …` (one whose `synchronous_commit` is off is
//! refused). In session mode that is all. In transaction mode also either `max_prepared_statements` of at
//! least 200 (1.21 or later), or `?statement-cache-capacity=0` in the address. With that, every read runs
//! in a transaction of its own, so that its two halves meet the same connection, and every transaction
//! begins with `DEALLOCATE ALL` (in the same round trip): the driver remembers no prepared statements
//! then, and does not take them away either. Nothing here needs a session: locks, also that of migrations,
//! end with their transaction, and there is no `LISTEN`, no temporary table and no `SET` that outlives one.
//!
//! **TLS** is as the address says: `?sslmode=verify-full&sslrootcert=/path/ca.pem`.

// for what the tests have in common, which is written against the crate from outside
#[cfg(test)]
extern crate self as connexus_postgres;

mod attachment;
mod block;
mod connections;
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
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod testing;
mod user;

pub use error::OpenError;
pub use open::PostgresOptions;
pub use storage::PostgresStorage;
