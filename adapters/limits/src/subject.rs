use std::net::IpAddr;

use connexus_domain::ports::Subject;

/// The high half of an IPv6 address: its network, as a provider assigns it.
const NETWORK: u128 = !0 << 64;

/// Which store a subject is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    User,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Address, Self::User];

    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
        }
    }
}

/// The subject's kind, and its key among those of its kind.
pub(crate) fn key_of(subject: Subject) -> (Kind, u128) {
    match subject {
        Subject::Address(address) => (Kind::Address, address_key(address)),
        Subject::User(user) => (Kind::User, user.as_uuid().as_u128()),
    }
}

/// A home has a whole /64 and may take a new address of it for each request, so a /64 counts as one. An
/// IPv4 address is one, also when a dual-stack socket writes it as IPv6; the two cannot collide, since an
/// IPv4 key has an empty high half and a network's key an empty low one.
fn address_key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & NETWORK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> u128 {
        address_key(text.parse().unwrap())
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:eeee:dddd:1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    #[test]
    fn ipv4_counts_alone_however_it_is_written() {
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("::192.0.2.1"));
        assert_ne!(key("0.0.0.0"), key("::"));
    }
}
