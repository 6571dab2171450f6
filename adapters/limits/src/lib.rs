//! Rate limits kept in this process's memory: how many requests of a class an address and a user may make.

mod bucket;
mod limiter;
mod settings;
mod subject;

pub use limiter::GovernorLimiter;
pub use settings::{ClassRates, InvalidRate, LimitSettings, Rate};
