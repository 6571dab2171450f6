//! What all dialects share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use connexus_application::{Connexus, TrustedProxies, client_address};
use connexus_domain::ports::{LimitClass, RateLimiter, Subject};
use connexus_domain::{ConversationId, Error, Result};
use connexus_socketio::{Packet, Server, Socket};

use crate::dialect::Dialect;
use crate::links::Links;
use crate::voice::Voice;

/// What an operator may tune.
#[derive(Debug, Clone)]
pub struct DialectSettings {
    /// Which are spoken; the order decides who answers a route that several have.
    pub enabled: Vec<Dialect>,
    /// Largest JSON body, in bytes.
    pub body_limit: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a socket may stay unauthenticated.
    pub auth_timeout: Duration,
    /// Proxies whose word about the client's address is taken.
    pub proxies: TrustedProxies,
    /// The environment's name.
    pub environment: &'static str,
    /// Whether answers to faults of ours show what went wrong, for developers.
    pub show_faults: bool,
    /// How long issued tokens are good.
    pub token_ttl: Duration,
    /// Where clients reach the server, as in `https://chat.example`; what a request was sent to, if it is not
    /// said.
    pub public_url: Option<String>,
    /// The same where there is no request to go by.
    pub own_url: String,
}

/// The gateway of the dialects: one for the process, shared by all worker threads.
pub struct World {
    /// The use-cases.
    pub app: Arc<Connexus>,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    /// Addresses of files in what sockets are told: one text for all of them, wherever each has connected.
    pub(crate) links: Links,
    /// What an operator may tune.
    pub settings: DialectSettings,
    /// The server that has this world's sockets; it holds the world, and not the other way round.
    pub(crate) sockets: OnceLock<Weak<Server>>,
}

impl World {
    /// A gateway to these use-cases.
    pub fn new(
        app: Arc<Connexus>,
        limiter: Arc<dyn RateLimiter>,
        settings: DialectSettings,
    ) -> Arc<Self> {
        let base = settings.public_url.as_ref().unwrap_or(&settings.own_url);
        Arc::new(Self {
            links: Links::new(Arc::clone(&app), base),
            app,
            limiter,
            settings,
            sockets: OnceLock::new(),
        })
    }

    /// Tells the other sockets that have joined a conversation what nobody else is told.
    pub(crate) fn relay(&self, from: &Socket, id: ConversationId, packet: &Packet) {
        if let Some(server) = self.sockets.get().and_then(Weak::upgrade) {
            server.emit_to("/", &id.to_string(), packet, Some(from.id()));
        }
    }

    /// The dialects that are spoken, in order.
    pub(crate) fn voices(&self) -> impl Iterator<Item = &'static dyn Voice> {
        self.settings.enabled.iter().copied().map(crate::voice)
    }

    /// Addresses of files in the answer to a request.
    pub(crate) fn links_for(&self, request: &HttpRequest) -> Links {
        if self.settings.public_url.is_some() {
            return self.links.clone();
        }
        let peer = request.peer_addr().map(|peer| peer.ip());
        let base = if peer.is_some_and(|peer| self.settings.proxies.contains(peer)) {
            let reached = request.connection_info();
            base(reached.scheme(), reached.host())
        } else {
            // what a client itself says about a proxy is not believed
            let host = request.headers().get(header::HOST);
            host.and_then(|host| base("http", host.to_str().ok()?))
        };
        match base {
            Some(base) => Links::new(Arc::clone(&self.app), &base),
            None => self.links.clone(),
        }
    }

    /// Counts a request; an error when it is one too many.
    pub(crate) fn count(&self, class: LimitClass, subject: Subject) -> Result<()> {
        match self.limiter.check(class, subject) {
            Some(quota) if !quota.allowed => Err(Error::RateLimited {
                retry_after: quota.retry_after,
            }),
            _ => Ok(()),
        }
    }

    /// Whose request it is.
    pub(crate) fn address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok())
            .collect();
        client_address(peer, &forwarded.join(","), &self.settings.proxies)
    }

    /// `7d`, as the clients are told how long their token is good.
    pub(crate) fn token_span(&self) -> String {
        let seconds = self.settings.token_ttl.as_secs();
        match seconds {
            s if s % 86_400 == 0 => format!("{}d", s / 86_400),
            s if s % 3_600 == 0 => format!("{}h", s / 3_600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        }
    }
}

/// The base of addresses at a host, if it is one (RFC 3986, 3.2.2, without what nobody uses).
fn base(scheme: &str, host: &str) -> Option<String> {
    let usual = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let usable = matches!(scheme, "http" | "https") && !host.is_empty() && host.chars().all(usual);
    usable.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_a_host_and_nothing_else() {
        for host in ["localhost:5000", "chat.example", "[::1]:80", "10.0.0.1"] {
            assert_eq!(base("https", host), Some(format!("https://{host}")));
        }
        for host in ["", "a/b", "a\"><b", "a@b", "a?b", "a b"] {
            assert_eq!(base("http", host), None, "{host}");
        }
        assert_eq!(base("javascript", "a"), None);
    }
}
