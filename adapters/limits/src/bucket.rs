use std::time::Duration;

use connexus_domain::ports::Quota;
use governor::nanos::Nanos;
use governor::state::StateStore;

use crate::settings::{InvalidRate, Rate};

/// The generic cell rate algorithm with numbers. It is written out here, over governor's lock-free states,
/// because governor's own check tells an allowed request no more than how many may follow; a client wants
/// to know when as well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gcra {
    burst: u32,
    /// Time that one request uses up, in nanoseconds.
    each: u64,
}

impl Gcra {
    pub(crate) fn new(rate: Rate) -> Result<Self, InvalidRate> {
        let each = u64::try_from(rate.each()?.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self {
            burst: rate.burst,
            each,
        })
    }

    /// Counts one request at `now` nanoseconds on the state of `key`.
    ///
    /// A state is the time at which its bucket will be whole again; each allowed request moves it on by
    /// `each`, and none is allowed that would move it more than a whole burst away from now.
    pub(crate) fn count<S: StateStore>(self, store: &S, key: &S::Key, now: u64) -> Quota {
        let whole = self.each * u64::from(self.burst);
        let outcome = store.measure_and_replace(key, |state| {
            let before = state.map_or(now, |state| state.as_u64().max(now));
            let after = before + self.each;
            if after - now <= whole {
                Ok((after, Nanos::new(after)))
            } else {
                Err(before)
            }
        });
        let (allowed, state) = match outcome {
            Ok(after) => (true, after),
            Err(before) => (false, before),
        };
        let used = state.saturating_sub(now);
        let free = whole.saturating_sub(used);
        Quota {
            allowed,
            limit: self.burst,
            // free / each ≤ burst, which is a u32
            remaining: u32::try_from(free / self.each).unwrap_or(self.burst),
            reset_after: milliseconds_up(used),
            retry_after: milliseconds_up(self.each.saturating_sub(free)),
        }
    }
}

/// Rounded up to a whole millisecond, so that who waits as long as told is never a moment too early.
fn milliseconds_up(nanos: u64) -> Duration {
    Duration::from_millis(nanos.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use governor::state::{InMemoryState, NotKeyed};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    struct Bucket(Gcra, InMemoryState);

    impl Bucket {
        fn new(burst: u32, per: Duration) -> Self {
            Self(
                Gcra::new(Rate::new(burst, per)).unwrap(),
                InMemoryState::default(),
            )
        }

        fn at(&self, now: u64) -> Quota {
            self.0.count(&self.1, &NotKeyed::NonKey, now)
        }
    }

    fn quota(allowed: bool, remaining: u32, reset: u64, retry: u64) -> Quota {
        Quota {
            allowed,
            limit: 3,
            remaining,
            reset_after: Duration::from_millis(reset),
            retry_after: Duration::from_millis(retry),
        }
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let bucket = Bucket::new(3, Duration::from_secs(30));
        let start = 5 * SECOND;
        assert_eq!(bucket.at(start), quota(true, 2, 10_000, 0));
        assert_eq!(bucket.at(start), quota(true, 1, 20_000, 0));
        // the last one is allowed, and the next has to wait
        assert_eq!(bucket.at(start), quota(true, 0, 30_000, 10_000));
        assert_eq!(bucket.at(start), quota(false, 0, 30_000, 10_000));
        // a refused request costs nothing
        assert_eq!(
            bucket.at(start + 4 * SECOND),
            quota(false, 0, 26_000, 6_000)
        );
        assert_eq!(
            bucket.at(start + 10 * SECOND),
            quota(true, 0, 30_000, 10_000)
        );
        // long after, it is whole, and not more than whole
        assert_eq!(bucket.at(start + 500 * SECOND), quota(true, 2, 10_000, 0));
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in_and_not_before() {
        // 3 per second: a third of a second each, which no millisecond divides
        let bucket = Bucket::new(3, Duration::from_secs(1));
        for _ in 0..3 {
            assert!(bucket.at(0).allowed);
        }
        let refused = bucket.at(0);
        assert_eq!(refused, quota(false, 0, 1_000, 334));
        assert!(!bucket.at(333_333_332).allowed);
        assert!(bucket.at(334_000_000).allowed);
    }

    #[test]
    fn remaining_grows_with_time() {
        let bucket = Bucket::new(3, Duration::from_secs(30));
        for _ in 0..3 {
            bucket.at(0);
        }
        // 25 s gave two and a half; one of them is used now
        assert_eq!(bucket.at(25 * SECOND), quota(true, 1, 15_000, 0));
    }

    #[test]
    fn a_burst_of_one() {
        let bucket = Bucket::new(1, Duration::from_secs(1));
        assert!(bucket.at(0).allowed);
        assert!(!bucket.at(SECOND - 1).allowed);
        assert!(bucket.at(SECOND).allowed);
    }
}
