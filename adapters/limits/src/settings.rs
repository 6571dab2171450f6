use std::time::Duration;

use connexus_domain::ports::LimitClass;

/// Longest time over which a burst may be spread: what is longer is a slip of a unit.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// How fast requests may come: `burst` at once, and as many again in each `per`, evenly (GCRA). So 600 a
/// minute with a burst of 120 is `Rate { burst: 120, per: 12 s }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: u32,
    /// How long an empty bucket takes to be full again.
    pub per: Duration,
}

impl Rate {
    /// `burst` requests in each `per`, all at once if need be.
    pub const fn new(burst: u32, per: Duration) -> Self {
        Self { burst, per }
    }

    /// `requests` a minute, all at once if need be.
    pub const fn per_minute(requests: u32) -> Self {
        Self::new(requests, Duration::from_mins(1))
    }

    /// As many in the long run, but at most `burst` at once.
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        // a rate of zero cannot be stretched: it becomes one that the limiter refuses
        let per = self
            .per
            .checked_mul(burst)
            .and_then(|per| per.checked_div(self.burst))
            .unwrap_or(Duration::MAX);
        Self { burst, per }
    }

    /// Time that one request uses up.
    pub(crate) fn each(self) -> Result<Duration, InvalidRate> {
        let wrong = InvalidRate {
            burst: self.burst,
            per: self.per,
        };
        if self.per > LONGEST {
            return Err(wrong);
        }
        match self.per.checked_div(self.burst) {
            Some(each) if !each.is_zero() => Ok(each),
            _ => Err(wrong),
        }
    }
}

/// A rate that lets nothing through, or counts in less than nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate of {burst} requests per {per:?} cannot be kept: at least one request, at most one a nanosecond, and at most a year are allowed"
)]
pub struct InvalidRate {
    /// As it was given.
    pub burst: u32,
    /// As it was given.
    pub per: Duration,
}

/// The rates of one class; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassRates {
    /// For each address (IPv6: each /64). Everybody behind one NAT or proxy shares it, so an office of
    /// hundreds, or a load test from one machine, wants it raised or `None`.
    pub per_address: Option<Rate>,
    /// For each user, from wherever.
    pub per_user: Option<Rate>,
}

/// What is limited, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Register, login, refresh, password change.
    pub auth: ClassRates,
    /// Sending, editing, reacting.
    pub send: ClassRates,
    /// Search of users and messages.
    pub search: ClassRates,
    /// Everything else.
    pub general: ClassRates,
    /// Send and search draw on general's buckets, and their own rates are not used: one number for the
    /// whole API, as with a limiter that sits in front of all routes.
    pub pooled: bool,
    /// Most subjects that one bucket store remembers, about 100 bytes each. There is one store per class
    /// and kind of subject that has a rate. With 0 all share one bucket.
    pub max_subjects: usize,
}

impl LimitSettings {
    /// Enough for a busy office behind one address on each class, and well above what a lively user does.
    pub const MAX_SUBJECTS: usize = 100_000;

    /// What a lively user of a chat never meets, and a script that runs wild does:
    ///
    /// | class | each address | each user |
    /// | --- | --- | --- |
    /// | auth | 600 a minute (an office logs in at nine from one address; hashing is bounded anyway) | 60 a minute |
    /// | send | 60,000 a minute | 1,200 a minute, at most 600 at once (a paste of many lines) |
    /// | search | 6,000 a minute | 300 a minute (a search at each keystroke) |
    /// | general | 60,000 a minute | 6,000 a minute |
    pub fn normal() -> Self {
        let rates = |address: u32, user: Rate| ClassRates {
            per_address: Some(Rate::per_minute(address)),
            per_user: Some(user),
        };
        Self {
            auth: rates(600, Rate::per_minute(60)),
            send: rates(60_000, Rate::new(600, Duration::from_secs(30))),
            search: rates(6_000, Rate::per_minute(300)),
            general: rates(60_000, Rate::per_minute(6_000)),
            pooled: false,
            max_subjects: Self::MAX_SUBJECTS,
        }
    }

    /// 100 requests per 15 minutes and address over everything but auth, and 5 for auth: the numbers that
    /// tutorials give, for an API that is called now and then. A chat client meets them.
    pub fn strict() -> Self {
        let window = Duration::from_mins(15);
        Self::window(Rate::new(100, window), Rate::new(5, window))
    }

    /// One rate per address for everything but auth, and one for auth.
    pub fn window(general: Rate, auth: Rate) -> Self {
        let by_address = |rate| ClassRates {
            per_address: Some(rate),
            per_user: None,
        };
        Self {
            auth: by_address(auth),
            general: by_address(general),
            pooled: true,
            ..Self::off()
        }
    }

    /// No limits: for tests and for a server that sits behind a limiting proxy.
    pub fn off() -> Self {
        Self {
            auth: ClassRates::default(),
            send: ClassRates::default(),
            search: ClassRates::default(),
            general: ClassRates::default(),
            pooled: false,
            max_subjects: Self::MAX_SUBJECTS,
        }
    }

    /// The class whose buckets `class` draws on.
    pub(crate) fn bucket_of(&self, class: LimitClass) -> LimitClass {
        match class {
            LimitClass::Send | LimitClass::Search if self.pooled => LimitClass::General,
            own => own,
        }
    }

    /// The rates of a class's own buckets.
    pub(crate) fn rates(&self, class: LimitClass) -> ClassRates {
        match class {
            LimitClass::Auth => self.auth,
            LimitClass::Send => self.send,
            LimitClass::Search => self.search,
            LimitClass::General => self.general,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self::normal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_burst_keeps_the_long_run() {
        let rate = Rate::per_minute(600).with_burst(120);
        assert_eq!(rate, Rate::new(120, Duration::from_secs(12)));
        assert_eq!(rate.each(), Ok(Duration::from_millis(100)));
        assert!(Rate::per_minute(0).with_burst(5).each().is_err());
        assert!(Rate::per_minute(5).with_burst(0).each().is_err());
    }

    #[test]
    fn rates_that_cannot_be_kept_are_refused() {
        for (burst, per) in [
            (0, Duration::from_secs(1)),
            (1, Duration::ZERO),
            (2, Duration::from_nanos(1)),
            (1, Duration::MAX),
        ] {
            assert_eq!(
                Rate::new(burst, per).each(),
                Err(InvalidRate { burst, per })
            );
        }
        assert!(Rate::new(u32::MAX, LONGEST).each().is_ok());
    }

    #[test]
    fn the_profiles_can_all_be_kept() {
        for settings in [
            LimitSettings::normal(),
            LimitSettings::strict(),
            LimitSettings::off(),
        ] {
            for class in LimitClass::ALL {
                let ClassRates {
                    per_address,
                    per_user,
                } = settings.rates(class);
                for rate in [per_address, per_user].into_iter().flatten() {
                    assert!(rate.each().is_ok(), "{rate:?}");
                }
            }
        }
    }
}
