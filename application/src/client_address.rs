//! Whose request it is, by address: the peer's own, unless the peer is a proxy that we trust.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Proxies whose word about the client's address is taken.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Proxies in these networks.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether what comes from this address was passed on by one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address: walks from the peer through the `X-Forwarded-For` entries, the last first, as
/// long as each is a trusted proxy. The first that is not is the client; what stands before it may be
/// made up by it.
pub fn client_address(peer: IpAddr, forwarded_for: &str, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer.to_canonical();
    for entry in forwarded_for.rsplit(',') {
        if !trusted.contains(client) {
            break;
        }
        match parse(entry.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// An address, which some proxies write with its port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let trusted = TrustedProxies::new(
            trusted
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
        );
        client_address(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(of("203.0.113.9", "10.1.1.1", &[]), "203.0.113.9");
        assert_eq!(
            of("203.0.113.9", "10.1.1.1", &["127.0.0.0/8"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn a_chain_of_proxies_is_walked_from_its_end() {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"];
        assert_eq!(of("127.0.0.1", "198.51.100.7", &trusted), "198.51.100.7");
        assert_eq!(
            of("127.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", &trusted),
            "198.51.100.7"
        );
        assert_eq!(
            of("::ffff:127.0.0.1", "[2001:db8::1]:443", &trusted),
            "2001:db8::1"
        );
    }

    #[test]
    fn rubbish_ends_the_walk() {
        assert_eq!(
            of("127.0.0.1", "198.51.100.7, unknown", &["127.0.0.0/8"]),
            "127.0.0.1"
        );
        assert_eq!(of("127.0.0.1", "", &["127.0.0.0/8"]), "127.0.0.1");
    }
}
