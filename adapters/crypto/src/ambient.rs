//! The one place where the ambient clock and the ambient id generator are read; everything else takes the
//! ports, so that tests and recovery can choose the time.

use std::time::{SystemTime, UNIX_EPOCH};

use connexus_domain::Timestamp;
use connexus_domain::ports::{Clock, IdSource};
use uuid::Uuid;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the adapter behind the `Clock` port"
    )]
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            // a machine whose clock was never set: wrong, but it does not stop the server
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Timestamp::from_millis(millis)
    }
}

/// UUIDs of version 7 (RFC 9562), ordered within the process by a shared counter.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7Source;

impl IdSource for UuidV7Source {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the adapter behind the `IdSource` port"
    )]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_2025() {
        assert!(SystemClock.now() > Timestamp::from_millis(1_735_689_600_000));
    }

    #[test]
    fn ids_of_one_process_ascend() {
        let ids: Vec<Uuid> = (0..10_000).map(|_| UuidV7Source.next()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted_by(|one, next| one < next));
    }
}
