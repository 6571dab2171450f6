use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use connexus_domain::ports::{LimitClass, Quota, RateLimiter, Subject};
use governor::clock::{Clock, QuantaClock, Reference};
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed};
use metrics::{describe_gauge, gauge};

use crate::bucket::Gcra;
use crate::settings::{InvalidRate, LimitSettings, Rate};
use crate::subject::{Kind, key_of};

/// How many subjects are remembered, by `class` and `subject` (`address` or `user`).
const SUBJECTS: &str = "connexus_rate_limit_subjects";

/// How often a full store may be searched for subjects to forget: the search looks at each of them.
const SHED_EVERY: Duration = Duration::from_secs(1);

/// A time that no search was made at.
const NEVER: u64 = u64::MAX;

/// Limits by the generic cell rate algorithm (GCRA): an even flow with room for bursts, one number of
/// memory for each subject. Kept in this process; with several nodes each counts for itself.
///
/// Memory: a store keeps at most `max_subjects` (and one more for each thread that comes at the same
/// moment). When it is full it forgets those whose bucket is whole again. While that does not help, known
/// subjects keep their buckets, and all unknown ones share one.
pub struct GovernorLimiter<C: Clock = QuantaClock> {
    clock: C,
    start: C::Instant,
    settings: LimitSettings,
    /// By the position of the class in `LimitClass` and of the kind in `Kind`.
    stores: [[Option<Store>; 2]; 4],
}

impl GovernorLimiter {
    /// With the processor's clock, which never goes back.
    ///
    /// Errors: a rate that cannot be kept.
    pub fn new(settings: LimitSettings) -> Result<Self, InvalidRate> {
        Self::with_clock(settings, QuantaClock::default())
    }
}

impl<C: Clock> GovernorLimiter<C> {
    /// With a clock of one's own.
    ///
    /// Errors: a rate that cannot be kept.
    pub fn with_clock(settings: LimitSettings, clock: C) -> Result<Self, InvalidRate> {
        describe_gauge!(SUBJECTS, "Addresses and users with a rate limit bucket");
        let mut stores = [const { [const { None }; 2] }; 4];
        for class in LimitClass::ALL {
            // a class that draws on another's buckets has none of its own
            if settings.bucket_of(class) != class {
                continue;
            }
            let rates = settings.rates(class);
            for kind in Kind::ALL {
                let rate = match kind {
                    Kind::Address => rates.per_address,
                    Kind::User => rates.per_user,
                };
                stores[class as usize][kind as usize] = rate
                    .map(|rate| Store::new(rate, class, kind, settings.max_subjects))
                    .transpose()?;
            }
        }
        let start = clock.now();
        Ok(Self {
            clock,
            start,
            settings,
            stores,
        })
    }

    fn store(&self, class: LimitClass, kind: Kind) -> Option<&Store> {
        self.stores[self.settings.bucket_of(class) as usize][kind as usize].as_ref()
    }
}

impl<C> RateLimiter for GovernorLimiter<C>
where
    C: Clock + Send + Sync,
{
    fn check(&self, class: LimitClass, subject: Subject) -> Option<Quota> {
        let (kind, key) = key_of(subject);
        let store = self.store(class, kind)?;
        let now = self.clock.now().duration_since(self.start).as_u64();
        Some(store.count(key, now))
    }
}

/// The buckets of one class and kind of subject.
struct Store {
    gcra: Gcra,
    class: LimitClass,
    kind: Kind,
    /// Hashed with a random key, so that nobody can choose addresses that collide.
    subjects: DashMapStateStore<u128>,
    /// For the unknown while `subjects` is full.
    overflow: InMemoryState,
    max_subjects: usize,
    /// When it was last searched for subjects to forget, in nanoseconds since the start.
    shed_at: AtomicU64,
}

impl Store {
    fn new(
        rate: Rate,
        class: LimitClass,
        kind: Kind,
        max_subjects: usize,
    ) -> Result<Self, InvalidRate> {
        Ok(Self {
            gcra: Gcra::new(rate)?,
            class,
            kind,
            subjects: DashMapStateStore::default(),
            overflow: InMemoryState::default(),
            max_subjects,
            shed_at: AtomicU64::new(NEVER),
        })
    }

    fn count(&self, key: u128, now: u64) -> Quota {
        if self.subjects.contains_key(&key) {
            return self.gcra.count(&self.subjects, &key, now);
        }
        if !self.has_room() {
            self.shed(now);
        }
        if !self.has_room() {
            return self.gcra.count(&self.overflow, &NotKeyed::NonKey, now);
        }
        let quota = self.gcra.count(&self.subjects, &key, now);
        self.report();
        quota
    }

    fn has_room(&self) -> bool {
        self.subjects.len() < self.max_subjects
    }

    /// Forgets those whose bucket is whole again, unless that was just tried.
    fn shed(&self, now: u64) {
        let last = self.shed_at.load(Ordering::Relaxed);
        let due = last == NEVER || now.saturating_sub(last) >= nanos(SHED_EVERY);
        // one of many threads wins
        let won = due
            && self
                .shed_at
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            // a bucket that is whole is as good as none
            self.subjects.retain_recent(Nanos::new(now));
            self.report();
        }
    }

    fn report(&self) {
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!(SUBJECTS, "class" => self.class.as_str(), "subject" => self.kind.as_str())
            .set(self.subjects.len() as f64);
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use connexus_domain::UserId;
    use governor::clock::FakeRelativeClock;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use uuid::Uuid;

    use super::*;
    use crate::settings::ClassRates;

    const MINUTE: Duration = Duration::from_mins(1);

    fn limiter(settings: LimitSettings) -> (GovernorLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limiter = GovernorLimiter::with_clock(settings, clock.clone()).unwrap();
        (limiter, clock)
    }

    fn auth_only(rate: Rate, max_subjects: usize) -> LimitSettings {
        LimitSettings {
            auth: ClassRates {
                per_address: Some(rate),
                per_user: None,
            },
            max_subjects,
            ..LimitSettings::off()
        }
    }

    fn address(number: u32) -> Subject {
        Subject::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn user(number: u128) -> Subject {
        Subject::User(UserId::from_uuid(Uuid::from_u128(number)))
    }

    fn allowed(
        limiter: &GovernorLimiter<FakeRelativeClock>,
        class: LimitClass,
        subject: Subject,
    ) -> bool {
        limiter.check(class, subject).unwrap().allowed
    }

    /// How many of `tries` are let through at one moment.
    fn passed(
        limiter: &GovernorLimiter<FakeRelativeClock>,
        class: LimitClass,
        subject: Subject,
        tries: u32,
    ) -> usize {
        (0..tries)
            .filter(|_| allowed(limiter, class, subject))
            .count()
    }

    fn remembered(limiter: &GovernorLimiter<FakeRelativeClock>) -> usize {
        let store = limiter.store(LimitClass::Auth, Kind::Address).unwrap();
        store.subjects.len()
    }

    #[test]
    fn a_class_and_a_subject_do_not_touch_another() {
        let (limiter, _) = limiter(LimitSettings::normal());
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 700), 600);
        assert_eq!(passed(&limiter, LimitClass::Auth, address(2), 700), 600);
        assert!(allowed(&limiter, LimitClass::General, address(1)));
        assert_eq!(passed(&limiter, LimitClass::Send, user(1), 700), 600);
        assert_eq!(passed(&limiter, LimitClass::Send, user(2), 700), 600);
        // a user whose number is that of an address
        assert_eq!(passed(&limiter, LimitClass::Auth, user(1), 100), 60);
    }

    #[test]
    fn a_lively_user_is_never_stopped() {
        let (limiter, clock) = limiter(LimitSettings::normal());
        for _ in 0..2_000 {
            assert!(allowed(&limiter, LimitClass::Send, user(1)));
            clock.advance(Duration::from_millis(100));
        }
    }

    #[test]
    fn strict_counts_everything_but_auth_together() {
        let (limiter, clock) = limiter(LimitSettings::strict());
        assert_eq!(passed(&limiter, LimitClass::Send, address(1), 40), 40);
        assert_eq!(passed(&limiter, LimitClass::Search, address(1), 40), 40);
        assert_eq!(passed(&limiter, LimitClass::General, address(1), 40), 20);
        assert!(!allowed(&limiter, LimitClass::Send, address(1)));
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 10), 5);
        assert_eq!(limiter.check(LimitClass::Send, user(1)), None);
        clock.advance(15 * MINUTE);
        assert_eq!(passed(&limiter, LimitClass::Send, address(1), 200), 100);
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 10), 5);
    }

    #[test]
    fn off_counts_nothing() {
        let (limiter, _) = limiter(LimitSettings::off());
        for class in LimitClass::ALL {
            assert_eq!(limiter.check(class, address(1)), None);
            assert_eq!(limiter.check(class, user(1)), None);
        }
    }

    #[test]
    fn the_numbers_reach_the_caller() {
        let (limiter, clock) = limiter(LimitSettings::strict());
        let quota = |allowed, remaining, reset, retry| {
            Some(Quota {
                allowed,
                limit: 5,
                remaining,
                reset_after: Duration::from_secs(reset),
                retry_after: Duration::from_secs(retry),
            })
        };
        let check = || limiter.check(LimitClass::Auth, address(1));
        assert_eq!(check(), quota(true, 4, 180, 0));
        clock.advance(MINUTE);
        assert_eq!(check(), quota(true, 3, 300, 0));
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 3), 3);
        assert_eq!(check(), quota(false, 0, 840, 120));
        clock.advance(2 * MINUTE);
        assert_eq!(check(), quota(true, 0, 900, 180));
    }

    #[test]
    fn one_home_is_one_subject() {
        let (limiter, _) = limiter(LimitSettings::strict());
        let at = |text: &str| Subject::Address(text.parse().unwrap());
        assert_eq!(passed(&limiter, LimitClass::Auth, at("2001:db8::1"), 9), 5);
        assert!(!allowed(&limiter, LimitClass::Auth, at("2001:db8::2")));
        assert!(allowed(&limiter, LimitClass::Auth, at("2001:db8:0:1::1")));
        assert_eq!(passed(&limiter, LimitClass::Auth, at("192.0.2.1"), 9), 5);
        assert!(!allowed(&limiter, LimitClass::Auth, at("::ffff:192.0.2.1")));
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_memory_nor_locks_out_the_known() {
        let (limiter, clock) = limiter(auth_only(Rate::per_minute(5), 1_000));
        assert!(allowed(&limiter, LimitClass::Auth, address(0)));
        let mut let_in = 0;
        for number in 1..=200_000 {
            let_in += u32::from(allowed(&limiter, LimitClass::Auth, address(number)));
            assert!(remembered(&limiter) <= 1_000);
        }
        // the first to come have buckets of their own, the rest share one
        assert_eq!(let_in, 999 + 5);
        assert_eq!(passed(&limiter, LimitClass::Auth, address(0), 9), 4);
        // when it is over, the store forgets and newcomers get buckets again
        clock.advance(MINUTE);
        assert_eq!(passed(&limiter, LimitClass::Auth, address(999_999), 9), 5);
        assert_eq!(remembered(&limiter), 1);
    }

    #[test]
    fn only_whole_buckets_are_forgotten() {
        let (limiter, clock) = limiter(auth_only(Rate::per_minute(6), 3));
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 9), 6);
        assert!(allowed(&limiter, LimitClass::Auth, address(2)));
        assert!(allowed(&limiter, LimitClass::Auth, address(3)));
        // 2 and 3 are whole again after 10 s; 1 has one request to its name
        clock.advance(Duration::from_secs(10));
        assert!(allowed(&limiter, LimitClass::Auth, address(4)));
        assert_eq!(remembered(&limiter), 2);
        assert_eq!(passed(&limiter, LimitClass::Auth, address(1), 9), 1);
    }

    #[test]
    fn a_full_store_is_searched_once_a_second() {
        let (limiter, clock) = limiter(auth_only(Rate::new(1, Duration::from_millis(500)), 1));
        assert!(allowed(&limiter, LimitClass::Auth, address(1)));
        // full: searched in vain, and the unknown share a bucket
        assert!(allowed(&limiter, LimitClass::Auth, address(2)));
        assert!(!allowed(&limiter, LimitClass::Auth, address(3)));
        // 1 could be forgotten now, but the last search was half a second ago
        clock.advance(Duration::from_millis(500));
        assert!(allowed(&limiter, LimitClass::Auth, address(2)));
        assert!(!allowed(&limiter, LimitClass::Auth, address(3)));
        assert!(allowed(&limiter, LimitClass::Auth, address(1)));
        clock.advance(Duration::from_millis(500));
        assert!(allowed(&limiter, LimitClass::Auth, address(2)));
        // 2 has the place of 1, and the shared bucket is whole again
        assert!(allowed(&limiter, LimitClass::Auth, address(3)));
        assert!(!allowed(&limiter, LimitClass::Auth, address(2)));
        assert_eq!(remembered(&limiter), 1);
    }

    #[test]
    fn the_number_of_subjects_is_a_metric() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (limiter, clock) = limiter(auth_only(Rate::per_minute(5), 2));
            let shows = |number: u32| {
                let line = format!("{SUBJECTS}{{class=\"auth\",subject=\"address\"}} {number}\n");
                metrics.render().contains(&line)
            };
            for number in 1..=3 {
                limiter.check(LimitClass::Auth, address(number));
            }
            assert!(shows(2), "{}", metrics.render());
            clock.advance(MINUTE);
            limiter.check(LimitClass::Auth, address(4));
            assert!(shows(1), "{}", metrics.render());
        });
    }

    #[test]
    fn a_rate_that_cannot_be_kept_is_refused() {
        let settings = auth_only(Rate::per_minute(0), 10);
        assert!(GovernorLimiter::new(settings).is_err());
    }

    #[test]
    fn many_threads_do_not_get_more_than_one_would() {
        let settings = auth_only(Rate::new(1_000, 24 * 60 * MINUTE), 10);
        let limiter = GovernorLimiter::new(settings).unwrap();
        let let_in: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000)
                            .filter_map(|_| limiter.check(LimitClass::Auth, address(1)))
                            .filter(|quota| quota.allowed)
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(let_in, 1_000);
    }
}
