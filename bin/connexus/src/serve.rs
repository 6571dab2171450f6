//! `connexus serve`: listens until told to stop, then finishes what was begun.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connexus_application::{Connexus, TrustedProxies};
use connexus_dialects::{DialectSettings, World};
use connexus_http::HttpSettings;
use connexus_limits::GovernorLimiter;
use connexus_ws::{OutboxLimits, WsSettings};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret as _;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::config::{Config, Environment, bind_address, proxies};
use crate::wiring;

/// A peer that acknowledges nothing for this long is gone; its socket would stay otherwise, with all
/// that waits for it.
const PEER_PATIENCE: Duration = Duration::from_secs(10);
/// What the kernel may hold for a peer that does not read, in bytes.
const SEND_BUFFER: usize = 256 * 1024;
/// How long the end waits for what has gathered to be written, after all connections have ended or had their time.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Connections that the kernel may hold back before they are accepted.
const BACKLOG: u32 = 4_096;

pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let address = bind_address(&config.server.bind)?;
    let metrics = recorder()?;
    let app = wiring::application(config).await?;
    let limiter = wiring::limiter(config)?;
    let trusted = TrustedProxies::new(proxies(&config.server.trusted_proxies)?);
    let http = connexus_http::Gateway::new(
        Arc::clone(&app),
        Arc::clone(&limiter) as Arc<_>,
        metrics.clone(),
        http_settings(config, trusted.clone()),
    );
    let ws = config.server.websocket.then(|| {
        connexus_ws::Gateway::new(
            Arc::clone(&app),
            Arc::clone(&limiter) as Arc<_>,
            ws_settings(config, trusted.clone()),
        )
    });
    let dialects = dialects(config, &app, &limiter, trusted)?;
    let socketio = dialects.as_ref().map(|(_, server)| Arc::clone(server));
    let upgraded = TaskTracker::new();
    let listening = connexus_upgrade::Settings {
        workers: workers(config),
        max_connections: 50_000,
        upgraded: upgraded.clone(),
        max_upgraded: 50_000 * workers(config),
        keep_alive: Duration::from_millis(config.server.keep_alive_ms),
        shutdown_timeout: Duration::from_millis(config.server.shutdown_timeout_ms),
        on_connect: tune,
    };
    let listener = connexus_upgrade::listen(address, BACKLOG)
        .with_context(|| format!("server.bind = \"{address}\": cannot listen there"))?;
    let server = connexus_upgrade::serve(listener, &listening, move || {
        let (ws, dialects) = (ws.clone(), dialects.clone());
        connexus_http::app(&http, move |routes| {
            if let Some(ws) = &ws {
                connexus_ws::configure(ws, routes);
            }
            if let Some((world, server)) = &dialects {
                connexus_dialects::configure(world, server, routes);
            }
        })
    })?;
    let handle = server.handle();
    let mut signals = Signals::listen()?;
    tracing::info!(%address, storage = app.check_storage().await.0, "Connexus listens");
    let serving = tokio::spawn(server);
    let upkeep = tokio::spawn(run_upkeep(metrics));
    signals.wait().await;
    tracing::info!("stopping: telling sockets, finishing what was begun");
    let grace = Duration::from_millis(config.server.shutdown_timeout_ms);
    let finish = async {
        let by = Instant::now() + grace;
        app.hub().restart_all();
        let close_polls = || {
            if let Some(server) = &socketio {
                server.close_all();
            }
        };
        // sockets that were opened meanwhile are told, too
        let stop = async {
            handle.pause().await;
            upgraded.close();
            // sockets that do not go are ended with the server's threads
            drop(timeout_at(by, upgraded.wait()).await);
            drop(timeout_at(by, handle.stop(true)).await);
        };
        let again = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            app.hub().restart_all();
            close_polls();
            if let Some(server) = &socketio {
                drop(timeout_at(by, server.drained()).await);
            }
        };
        tokio::join!(stop, again);
        // whoever still holds a connection open: what has gathered is written
        if timeout(LAST_WRITES, app.shutdown()).await.is_err() {
            tracing::warn!("not everything could be written in time");
        }
    };
    tokio::select! {
        () = finish => {}
        () = signals.wait() => tracing::warn!("a second signal: ending at once"),
    }
    upkeep.abort();
    serving.abort();
    tracing::info!("stopped");
    Ok(())
}

fn workers(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// Socket options that actix has no words for.
fn tune(connection: &TcpStream) {
    let socket = SockRef::from(connection);
    // a kernel that refuses one of these still serves
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_user_timeout(Some(PEER_PATIENCE)));
    drop(socket.set_send_buffer_size(SEND_BUFFER));
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn recorder() -> anyhow::Result<PrometheusHandle> {
    use metrics_exporter_prometheus::Matcher;
    let seconds = [
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ];
    let sizes = [
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
    ];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), &sizes)?
        .install_recorder()
        .context("metrics")
}

/// Keeps histograms small between scrapes.
async fn run_upkeep(metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
        process_figures();
    }
}

/// Memory and threads of this process, as Linux tells them.
fn process_figures() {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return;
    };
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace()
            .next()?
            .parse::<u32>()
            .ok()
            .map(f64::from)
    };
    if let Some(kib) = figure("VmRSS:") {
        metrics::gauge!("process_resident_memory_bytes").set(kib * 1_024.0);
    }
    if let Some(threads) = figure("Threads:") {
        metrics::gauge!("process_threads").set(threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds")
            .set(f64::from(u32::try_from(open.count()).unwrap_or(u32::MAX)));
    }
}

/// The dialects and their Socket.IO server, if any is spoken.
fn dialects(
    config: &Config,
    app: &Arc<Connexus>,
    limiter: &Arc<GovernorLimiter>,
    proxies: TrustedProxies,
) -> anyhow::Result<Option<(Arc<World>, Arc<connexus_socketio::Server>)>> {
    let enabled = crate::config::dialects(&config.dialects.enabled)?;
    if enabled.is_empty() {
        return Ok(None);
    }
    let settings = DialectSettings {
        enabled,
        body_limit: config.server.body_limit,
        request_timeout: Duration::from_millis(config.server.request_timeout_ms),
        auth_timeout: Duration::from_millis(config.socketio.auth_timeout_ms),
        proxies,
        environment: config.environment.as_str(),
        show_faults: config.environment == Environment::Development,
        token_ttl: Duration::from_secs(config.dialects.token_ttl_s),
        public_url: Some(config.server.public_url.clone()).filter(|url| !url.is_empty()),
        own_url: format!("http://{}", config.server.bind),
    };
    let world = World::new(Arc::clone(app), Arc::clone(limiter) as Arc<_>, settings);
    let socketio = &config.socketio;
    let server = connexus_dialects::socketio(
        &world,
        connexus_socketio::Settings {
            ping_interval: Duration::from_millis(socketio.ping_interval_ms),
            ping_timeout: Duration::from_millis(socketio.ping_timeout_ms),
            max_payload: socketio.max_payload,
            max_sessions: socketio.max_sessions,
            polling: socketio.polling,
            websocket: socketio.websocket,
            origins: config.cors.origins.clone(),
            ..connexus_socketio::Settings::default()
        },
    );
    Ok(Some((world, server)))
}

fn http_settings(config: &Config, proxies: TrustedProxies) -> HttpSettings {
    let token = config.metrics.token.expose_secret();
    HttpSettings {
        body_limit: config.server.body_limit,
        request_timeout: Duration::from_millis(config.server.request_timeout_ms),
        cors_origins: config.cors.origins.clone(),
        proxies,
        metrics_token: (!token.is_empty()).then(|| token.to_owned()),
        environment: config.environment.as_str(),
        hsts: config.server.hsts,
        version: env!("CARGO_PKG_VERSION"),
        rest: config.server.rest,
    }
}

fn ws_settings(config: &Config, proxies: TrustedProxies) -> WsSettings {
    let ws = &config.ws;
    WsSettings {
        max_frame: ws.max_frame,
        frames_per_second: ws.frames_per_second,
        bytes_per_second: ws.bytes_per_second,
        auth_timeout: Duration::from_millis(ws.auth_timeout_ms),
        ping_interval: Duration::from_millis(ws.ping_interval_ms),
        outbox: OutboxLimits {
            frames: ws.queue_frames,
            bytes: ws.queue_bytes,
        },
        max_in_flight: ws.max_in_flight,
        sync_grace: Duration::from_millis(ws.sync_grace_ms),
        origins: config.cors.origins.clone(),
        proxies,
    }
}
