//! Random sequences of operations, a model that says what each must answer, and the comparison of all that
//! can be seen: with the model, or of two storages.
//!
//! The model is the contract written a second time, over the domain's own entities and rules, without
//! transactions, indexes or paging. Where the contract leaves two answers open, no sequence asks.

mod action;
mod book;
mod ops;
mod replica;
mod run;
mod view;

pub use ops::{Draft, Op, operations, sequence};
pub use run::{check, compare};

/// Leaves the enclosing function with what is wrong when two values differ.
macro_rules! same {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) if found == expected => {}
            (found, expected) => {
                return Err(format!(
                    "{}\n  found:    {found:?}\n  expected: {expected:?}",
                    format!($($what)+)
                ));
            }
        }
    };
}
pub(crate) use same;
