//! Sessions that the service has not let in yet, counted by the address that they come from: anybody may open
//! them, and no one is to have them all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The high half of an IPv6 address: its network, as a provider assigns it.
const NETWORK: u128 = !0 << 64;
/// A map that had more places than this gives them back when it needs few.
const KEPT: usize = 1024;

/// How many there are of each address. An address is known only as long as it has one.
pub struct Newcomers {
    max: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
pub struct Newcomer {
    all: Arc<Newcomers>,
    network: IpAddr,
}

impl Newcomers {
    /// So many of one address at most.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            counts: Mutex::default(),
        })
    }

    /// One more of this address, `None` when that is one too many.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Newcomer> {
        let network = network_of(address);
        let mut counts = self.lock();
        match counts.entry(network) {
            Entry::Occupied(count) if *count.get() >= self.max => return None,
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(place) => {
                place.insert(1);
            }
        }
        drop(counts);
        let all = Arc::clone(self);
        Some(Newcomer { all, network })
    }

    fn leave(&self, network: IpAddr) {
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(&network) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            counts.remove(&network);
            if counts.capacity() > KEPT && counts.len() < counts.capacity() / 4 {
                counts.shrink_to_fit();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.all.leave(self.network);
    }
}

/// A home has a whole /64 and may take a new address of it for each request, so a /64 counts as one. An IPv4
/// address is one, also when a dual-stack socket writes it as IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(all: &Arc<Newcomers>, address: &str) -> Option<Newcomer> {
        all.admit(address.parse().unwrap())
    }

    #[test]
    fn one_address_cannot_have_them_all() {
        let all = Newcomers::new(2);
        let first = admit(&all, "192.0.2.1").unwrap();
        let _second = admit(&all, "::ffff:192.0.2.1").unwrap();
        assert!(admit(&all, "192.0.2.1").is_none());
        let _other = admit(&all, "192.0.2.2").unwrap();
        drop(first);
        let _third = admit(&all, "192.0.2.1").unwrap();
        assert!(admit(&all, "192.0.2.1").is_none());
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        let all = Newcomers::new(1);
        let _first = admit(&all, "2001:db8:1:2::1").unwrap();
        assert!(admit(&all, "2001:db8:1:2:ffff::2").is_none());
        assert!(admit(&all, "2001:db8:1:3::1").is_some());
    }

    #[test]
    fn an_address_that_has_none_is_forgotten() {
        let all = Newcomers::new(1);
        let many: Vec<_> = (0..10_000)
            .filter_map(|number| all.admit(IpAddr::V4(number.into())))
            .collect();
        assert_eq!((many.len(), all.lock().len()), (10_000, 10_000));
        drop(many);
        let counts = all.lock();
        assert!(counts.is_empty() && counts.capacity() <= KEPT);
    }
}
