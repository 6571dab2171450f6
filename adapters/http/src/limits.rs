//! Who asks too often is told when to come back (RateLimit headers: draft-ietf-httpapi-ratelimit-headers-10).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};
use connexus_domain::ports::{LimitClass, Quota, RateLimiter, Subject};
use connexus_domain::{Error, UserId};
use connexus_wire::errors::whole_seconds;

use crate::failure::Failure;
use crate::gateway::Gateway;

/// In how many seconds a whole quota comes back, by class, for addresses and for users: what the policy
/// header tells as `w`.
pub struct Windows {
    address: [Option<u64>; 4],
    user: [Option<u64>; 4],
}

impl Windows {
    /// Learns the windows from what one request of nobody costs: the port tells when a quota is whole
    /// again, and of a fresh one exactly one request is missing.
    pub fn of(limiter: &dyn RateLimiter) -> Self {
        let nowhere = Subject::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let nobody = Subject::User(UserId::from_uuid(uuid::Uuid::nil()));
        let window = |class, subject| {
            let quota = limiter.check(class, subject)?;
            let used = quota.limit.saturating_sub(quota.remaining).max(1);
            let window = quota.reset_after.checked_mul(quota.limit)? / used;
            Some(nearest_second(window))
        };
        Self {
            address: LimitClass::ALL.map(|class| window(class, nowhere)),
            user: LimitClass::ALL.map(|class| window(class, nobody)),
        }
    }

    fn get(&self, class: LimitClass, subject: Subject) -> Option<u64> {
        let windows = match subject {
            Subject::Address(_) => &self.address,
            Subject::User(_) => &self.user,
        };
        let place = LimitClass::ALL.iter().position(|one| *one == class)?;
        windows[place]
    }
}

/// A quota is told in milliseconds that are rounded up, so a window of 60 s may look like 60.06 s.
fn nearest_second(span: Duration) -> u64 {
    (span + Duration::from_millis(500)).as_secs().max(1)
}

/// The class of this request, as its route says.
#[derive(Debug, Clone, Copy)]
pub struct RouteClass(pub LimitClass);

/// The tightest quota that this request was counted on.
#[derive(Debug, Clone, Copy)]
struct Tightest {
    class: LimitClass,
    subject: Subject,
    quota: Quota,
}

/// Counts the request for one more subject. Refused: the failure to answer with.
pub fn count(
    gateway: &Gateway,
    request: &HttpRequest,
    class: LimitClass,
    subject: Subject,
) -> Result<(), Failure> {
    let Some(quota) = gateway.limiter.check(class, subject) else {
        return Ok(());
    };
    let now = Tightest {
        class,
        subject,
        quota,
    };
    let mut extensions = request.extensions_mut();
    let before = extensions.get::<Tightest>().map(|other| other.quota);
    if before.is_none_or(|before| !quota.allowed || quota.remaining < before.remaining) {
        extensions.insert(now);
    }
    if quota.allowed {
        return Ok(());
    }
    metrics::counter!("connexus_rate_limited_total", "class" => class.as_str()).increment(1);
    Err(Failure::Domain(Error::RateLimited {
        retry_after: quota.retry_after,
    }))
}

/// Counts the request for the user who has been authenticated.
pub fn count_user(gateway: &Gateway, request: &HttpRequest, user: UserId) -> Result<(), Failure> {
    let class = request.extensions().get::<RouteClass>().copied();
    let class = class.map_or(LimitClass::General, |class| class.0);
    count(gateway, request, class, Subject::User(user))
}

/// Headers that tell the client what is left.
pub fn headers(gateway: &Gateway, request: &HttpRequest) -> Vec<(HeaderName, HeaderValue)> {
    let Some(told) = request.extensions().get::<Tightest>().copied() else {
        return Vec::new();
    };
    let (name, quota) = (told.class.as_str(), told.quota);
    let left = format!(
        "\"{name}\";r={};t={}",
        quota.remaining,
        whole_seconds(quota.reset_after)
    );
    let policy = match gateway.windows.get(told.class, told.subject) {
        Some(window) => format!("\"{name}\";q={};w={window}", quota.limit),
        None => format!("\"{name}\";q={}", quota.limit),
    };
    [("ratelimit", left), ("ratelimit-policy", policy)]
        .into_iter()
        .filter_map(|(header, text)| {
            let value = HeaderValue::try_from(text).ok()?;
            Some((HeaderName::from_static(header), value))
        })
        .collect()
}
