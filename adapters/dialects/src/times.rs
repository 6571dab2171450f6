//! Times and ids in JSON.

use connexus_domain::Timestamp;
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde::Serialize;

/// A time, or null.
pub fn maybe(time: Option<Timestamp>) -> Option<Time> {
    time.map(Time)
}

/// An id as an object's `_id` alone.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct JustId {
    #[serde(rename = "_id")]
    id: Id,
}

impl JustId {
    /// Of any id.
    pub fn of(id: impl Into<Id>) -> Self {
        Self { id: id.into() }
    }
}
