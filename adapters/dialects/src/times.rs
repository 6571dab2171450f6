//! Times in JSON.

use connexus_domain::Timestamp;
use connexus_wire::time::Time;

/// A time, or null.
pub fn maybe(time: Option<Timestamp>) -> Option<Time> {
    time.map(Time)
}
