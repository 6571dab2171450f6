use uuid::Uuid;

use crate::time::Timestamp;

/// The time.
pub trait Clock: Send + Sync {
    /// Now, truncated to milliseconds.
    fn now(&self) -> Timestamp;
}

/// New ids.
pub trait IdSource: Send + Sync {
    /// A new UUID of version 7 (RFC 9562): later ones of one process sort after earlier ones.
    fn next(&self) -> Uuid;
}
