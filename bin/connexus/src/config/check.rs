//! What values are allowed, beyond their types.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::RangeInclusive;

use connexus_dialects::Dialect;
use ipnet::IpNet;
use secrecy::ExposeSecret as _;

use super::{Config, ConfigError, Environment};
use crate::backends;

/// Shortest secret in production, in bytes: HS256 wants a key as long as its hash (RFC 7518, 3.2).
pub const SECRET_MIN: usize = 32;

pub fn check(config: &Config) -> Result<(), ConfigError> {
    numbers(config)?;
    dialect_numbers(config)?;
    file_numbers(config)?;
    bind_address(&config.server.bind)?;
    public_url(&config.server.public_url)?;
    proxies(&config.server.trusted_proxies)?;
    storage(&config.storage.url)?;
    origins(config)?;
    dialects(&config.dialects.enabled)?;
    secrets(config)
}

/// A base that paths are put behind.
fn public_url(url: &str) -> Result<(), ConfigError> {
    let known = ["https://", "http://"];
    let host = known.iter().find_map(|scheme| url.strip_prefix(scheme));
    let usable = host.is_some_and(|host| {
        !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "?#\"<>".contains(c))
    });
    if url.is_empty() || usable {
        return Ok(());
    }
    let allowed = "must be like https://chat.example, or empty";
    Err(ConfigError::new("server.public_url", url, allowed))
}

/// The dialects that are spoken, in order.
pub fn dialects(names: &[String]) -> Result<Vec<Dialect>, ConfigError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let allowed = "must name each of connexus, rooms, mern, direct, secured at most once";
        match Dialect::parse(name) {
            Some(dialect) if !found.contains(&dialect) => found.push(dialect),
            _ => return Err(ConfigError::new("dialects.enabled", name, allowed)),
        }
    }
    Ok(found)
}

fn numbers(config: &Config) -> Result<(), ConfigError> {
    const DAY_MS: u64 = 86_400_000;
    const YEAR_S: u64 = 31_557_600;
    let Config {
        server,
        storage,
        auth,
        ws,
        coalescer,
        delivery,
        presence,
        search,
        sync,
        ..
    } = config;
    within("server.workers", server.workers, 0..=1_024)?;
    within("server.body_limit", server.body_limit, 1_024..=104_857_600)?;
    within(
        "server.request_timeout_ms",
        server.request_timeout_ms,
        100..=3_600_000,
    )?;
    within("server.keep_alive_ms", server.keep_alive_ms, 0..=3_600_000)?;
    within(
        "server.shutdown_timeout_ms",
        server.shutdown_timeout_ms,
        0..=3_600_000,
    )?;
    within(
        "storage.max_connections",
        storage.max_connections,
        1..=10_000,
    )?;
    within(
        "storage.acquire_timeout_ms",
        storage.acquire_timeout_ms,
        10..=600_000,
    )?;
    within(
        "storage.statement_timeout_ms",
        storage.statement_timeout_ms,
        10..=3_600_000,
    )?;
    within(
        "storage.connect_timeout_ms",
        storage.connect_timeout_ms,
        0..=3_600_000,
    )?;
    within("auth.access_ttl_s", auth.access_ttl_s, 1..=YEAR_S)?;
    within("auth.refresh_ttl_s", auth.refresh_ttl_s, 1..=10 * YEAR_S)?;
    within("auth.password_min", auth.password_min, 1..=128)?;
    within(
        "auth.argon2_memory_kib",
        auth.argon2_memory_kib,
        8..=4_194_304,
    )?;
    within("auth.argon2_iterations", auth.argon2_iterations, 1..=1_000)?;
    within("auth.argon2_parallelism", auth.argon2_parallelism, 1..=64)?;
    within("auth.hash_concurrency", auth.hash_concurrency, 0..=1_024)?;
    within("limits.window_ms", config.limits.window_ms, 0..=31 * DAY_MS)?;
    within("ws.max_frame", ws.max_frame, 1_024..=16_777_216)?;
    within("ws.frames_per_second", ws.frames_per_second, 1..=1_000_000)?;
    within(
        "ws.bytes_per_second",
        ws.bytes_per_second,
        1_024..=1_073_741_824,
    )?;
    within("ws.auth_timeout_ms", ws.auth_timeout_ms, 10..=600_000)?;
    within("ws.ping_interval_ms", ws.ping_interval_ms, 100..=3_600_000)?;
    within("ws.queue_frames", ws.queue_frames, 8..=1_000_000)?;
    within("ws.queue_bytes", ws.queue_bytes, 65_536..=1_073_741_824)?;
    within("ws.max_in_flight", ws.max_in_flight, 1..=10_000)?;
    within("ws.sync_grace_ms", ws.sync_grace_ms, 0..=60_000)?;
    within("coalescer.lanes", coalescer.lanes, 1..=256)?;
    within("coalescer.max_batch", coalescer.max_batch, 1..=10_000)?;
    within("coalescer.queue", coalescer.queue, 1..=1_000_000)?;
    within(
        "delivery.receipt_flush_ms",
        delivery.receipt_flush_ms,
        0..=60_000,
    )?;
    within("delivery.linger_ms", delivery.linger_ms, 0..=1_000)?;
    within("presence.grace_ms", presence.grace_ms, 0..=600_000)?;
    within(
        "presence.push_interval_ms",
        presence.push_interval_ms,
        50..=60_000,
    )?;
    within(
        "search.index_after_ms",
        search.index_after_ms,
        0..=86_400_000,
    )?;
    within("sync.max_lag", sync.max_lag, 1..=10_000_000)?;
    within("sync.snapshot_messages", sync.snapshot_messages, 1..=1_000)?;
    within("sync.max_changes", sync.max_changes, 2..=100_000)
}

fn file_numbers(config: &Config) -> Result<(), ConfigError> {
    const MOST: u64 = 5 * 1024 * 1024 * 1024;
    let files = &config.files;
    for (key, size) in [
        ("files.max_image", files.max_image),
        ("files.max_video", files.max_video),
        ("files.max_audio", files.max_audio),
        ("files.max_file", files.max_file),
    ] {
        within(key, size, 1..=MOST)?;
    }
    within(
        "files.picture_concurrency",
        files.picture_concurrency,
        0..=256,
    )?;
    within("files.link_ttl_s", files.link_ttl_s, 60..=31_557_600)?;
    within(
        "files.orphan_after_s",
        files.orphan_after_s,
        60..=31_557_600,
    )
}

fn dialect_numbers(config: &Config) -> Result<(), ConfigError> {
    let Config {
        dialects, socketio, ..
    } = config;
    within("dialects.token_ttl_s", dialects.token_ttl_s, 1..=31_557_600)?;
    within("dialects.password_min", dialects.password_min, 1..=128)?;
    within(
        "socketio.ping_interval_ms",
        socketio.ping_interval_ms,
        100..=3_600_000,
    )?;
    within(
        "socketio.ping_timeout_ms",
        socketio.ping_timeout_ms,
        100..=3_600_000,
    )?;
    within(
        "socketio.max_payload",
        socketio.max_payload,
        1_024..=16_777_216,
    )?;
    within(
        "socketio.auth_timeout_ms",
        socketio.auth_timeout_ms,
        10..=600_000,
    )?;
    within(
        "socketio.max_sessions",
        socketio.max_sessions,
        1..=10_000_000,
    )
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(
        key,
        &value.to_string(),
        &format!("must be from {} to {}", range.start(), range.end()),
    ))
}

/// Where to listen.
pub fn bind_address(bind: &str) -> Result<SocketAddr, ConfigError> {
    let resolved = bind
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next());
    resolved.ok_or_else(|| {
        ConfigError::new(
            "server.bind",
            bind,
            "must be an address and a port, such as 127.0.0.1:5000",
        )
    })
}

/// Proxies that are believed.
pub fn proxies(list: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: &String| {
        let network = text.parse::<IpNet>().ok().or_else(|| {
            text.parse()
                .ok()
                .map(|address: std::net::IpAddr| address.into())
        });
        network.ok_or_else(|| {
            ConfigError::new(
                "server.trusted_proxies",
                text,
                "must be addresses or networks, such as 10.0.0.0/8",
            )
        })
    };
    list.iter().map(parse).collect()
}

fn storage(url: &str) -> Result<(), ConfigError> {
    let scheme = backends::scheme(url);
    if backends::SCHEMES.contains(&scheme) {
        return Ok(());
    }
    // the rest may hold a password
    Err(ConfigError::new(
        "storage.url",
        &format!("{scheme}:…"),
        &format!("must start with one of {}:", backends::SCHEMES.join(":, ")),
    ))
}

fn origins(config: &Config) -> Result<(), ConfigError> {
    for origin in &config.cors.origins {
        if origin == "*" {
            if config.environment == Environment::Production {
                return Err(ConfigError::new(
                    "cors.origins",
                    origin,
                    "must name the origins in production",
                ));
            }
            continue;
        }
        let host = ["https://", "http://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        let plain = |host: &str| !host.is_empty() && !host.contains(['/', ' ', '*', '?', '#', '@']);
        if !host.is_some_and(plain) {
            return Err(ConfigError::new(
                "cors.origins",
                origin,
                "must be origins such as https://chat.example.org, or *",
            ));
        }
    }
    Ok(())
}

fn secrets(config: &Config) -> Result<(), ConfigError> {
    let secret = config.auth.jwt_secret.expose_secret();
    let known = [
        "secret",
        "changeme",
        "your_super",
        "your-super",
        "change_in_production",
        "change-in-production",
    ];
    if config.environment != Environment::Production {
        return Ok(());
    }
    if secret.is_empty() {
        return Err(ConfigError::new(
            "auth.jwt_secret",
            "",
            "must be set in production (at least 32 bytes)",
        ));
    }
    if secret.len() < SECRET_MIN
        || known
            .iter()
            .any(|word| secret.to_ascii_lowercase().starts_with(word))
    {
        let allowed =
            "must be at least 32 random bytes in production; `openssl rand -base64 48` makes some";
        return Err(ConfigError::new("auth.jwt_secret", "", allowed));
    }
    Ok(())
}
