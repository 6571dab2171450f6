//! The native WebSocket gateway (`GET /v1/ws`): turns frames into use-cases and events into frames.
//!
//! actix-ws does the handshake. Then the connection leaves actix ([`connexus_upgrade`]): what is written has been
//! encoded once for all sockets, and needs neither a channel nor a copy nor a task's turn for each ([`outbox`]);
//! and most sockets are idle most of the time, for which they need no buffers.

mod answer;
mod budget;
mod close;
mod frame;
mod handshake;
mod operations;
mod outbox;
#[doc(hidden)] // for benches
pub mod request;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use connexus_application::{Connexus, TrustedProxies};
use connexus_domain::ports::RateLimiter;

pub use outbox::OutboxLimits;

/// What an operator may tune.
#[derive(Debug, Clone)]
pub struct WsSettings {
    /// Largest frame, and largest message of several frames, in bytes.
    pub max_frame: usize,
    /// Frames in a second.
    pub frames_per_second: u32,
    /// Bytes in a second.
    pub bytes_per_second: u32,
    /// How long a socket may stay unauthenticated.
    pub auth_timeout: Duration,
    /// How often a silent client is pinged.
    pub ping_interval: Duration,
    /// How much may wait for a slow reader.
    pub outbox: OutboxLimits,
    /// Requests of one socket that may be under way.
    pub max_in_flight: usize,
    /// How long a new socket's events wait for its `sync`.
    pub sync_grace: Duration,
    /// Origins of pages that may connect; `*` for all.
    pub origins: Vec<String>,
    /// Proxies whose word about the client's address is taken.
    pub proxies: TrustedProxies,
}

/// The gateway: one for the process, shared by all worker threads.
pub struct Gateway {
    app: Arc<Connexus>,
    limiter: Arc<dyn RateLimiter>,
    settings: WsSettings,
}

impl Gateway {
    /// A gateway to these use-cases.
    pub fn new(
        app: Arc<Connexus>,
        limiter: Arc<dyn RateLimiter>,
        settings: WsSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            app,
            limiter,
            settings,
        })
    }
}

/// Mounts `GET /v1/ws`.
pub fn configure(gateway: &Arc<Gateway>, config: &mut ServiceConfig) {
    config.app_data(web::Data::from(Arc::clone(gateway)));
    config.service(
        web::resource("/v1/ws")
            .name("/v1/ws")
            .route(web::get().to(handshake::open)),
    );
}
