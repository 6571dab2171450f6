//! What the whole gateway shares.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use connexus_application::{Connexus, TrustedProxies, client_address};
use connexus_domain::ports::RateLimiter;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::limits::Windows;

/// What an operator may tune.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Origins of pages that may use the API; `*` for all.
    pub cors_origins: Vec<String>,
    /// Proxies whose word about the client's address is taken.
    pub proxies: TrustedProxies,
    /// What `/metrics` asks for; nothing when absent.
    pub metrics_token: Option<String>,
    /// The environment's name, for `/health`.
    pub environment: &'static str,
    /// Whether browsers are told to use HTTPS only.
    pub hsts: bool,
    /// The program's version.
    pub version: &'static str,
    /// Whether the REST API is served; without it only the operator's routes are.
    pub rest: bool,
}

/// The gateway: one for the process, shared by all worker threads.
pub struct Gateway {
    pub(crate) app: Arc<Connexus>,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) windows: Windows,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) settings: HttpSettings,
    storage: tokio::sync::Mutex<Option<StorageState>>,
}

/// What the database said when it was asked last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StorageState {
    asked: Instant,
    pub backend: &'static str,
    pub answers: bool,
}

/// How long the database's last word is believed, so that asking often costs it nothing.
const STORAGE_STATE_TTL: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const STORAGE_PATIENCE: Duration = Duration::from_secs(2);

impl Gateway {
    /// A gateway to these use-cases.
    pub fn new(
        app: Arc<Connexus>,
        limiter: Arc<dyn RateLimiter>,
        metrics: PrometheusHandle,
        settings: HttpSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            windows: Windows::of(limiter.as_ref()),
            app,
            limiter,
            metrics,
            settings,
            storage: tokio::sync::Mutex::default(),
        })
    }

    /// Whether the database answers, as of at most a second ago.
    pub(crate) async fn storage(&self) -> StorageState {
        let mut known = self.storage.lock().await;
        if let Some(state) = *known
            && state.asked.elapsed() < STORAGE_STATE_TTL
        {
            return state;
        }
        let asked = Instant::now();
        let backend = known.map_or("unknown", |state| state.backend);
        let state = match tokio::time::timeout(STORAGE_PATIENCE, self.app.check_storage()).await {
            Ok((backend, answer)) => StorageState {
                asked,
                backend,
                answers: answer.is_ok(),
            },
            Err(_) => StorageState {
                asked,
                backend,
                answers: false,
            },
        };
        *known = Some(state);
        state
    }

    /// Whose request it is.
    pub(crate) fn address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let forwarded: Vec<&str> = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok())
            .collect();
        client_address(peer, &forwarded.join(","), &self.settings.proxies)
    }
}
