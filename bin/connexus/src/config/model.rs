//! What can be configured. Every key stands in `config/default.toml`, with its meaning and its unit.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub environment: Environment,
    pub server: Server,
    pub storage: Storage,
    pub auth: Auth,
    pub cors: Cors,
    pub limits: Limits,
    pub ws: Ws,
    pub dialects: Dialects,
    pub socketio: Socketio,
    pub coalescer: Coalescer,
    pub delivery: Delivery,
    pub presence: Presence,
    pub sync: Sync,
    pub search: Search,
    pub files: Files,
    pub log: Log,
    pub metrics: Metrics,
    pub data: Data,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Development,
    Test,
    Production,
}

impl Environment {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Production => "production",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub bind: String,
    pub public_url: String,
    pub workers: usize,
    pub body_limit: usize,
    pub request_timeout_ms: u64,
    pub keep_alive_ms: u64,
    pub shutdown_timeout_ms: u64,
    pub trusted_proxies: Vec<String>,
    pub hsts: bool,
    pub rest: bool,
    pub websocket: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub url: String,
    pub max_connections: u32,
    pub connect_timeout_ms: u64,
    pub acquire_timeout_ms: u64,
    pub statement_timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub jwt_secret: SecretString,
    pub jwt_previous_secrets: Vec<SecretString>,
    pub jwt_issuer: String,
    pub jwt_audience: String,
    pub access_ttl_s: u64,
    pub refresh_ttl_s: u64,
    pub password_min: usize,
    pub argon2_memory_kib: u32,
    pub argon2_iterations: u32,
    pub argon2_parallelism: u32,
    pub hash_concurrency: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    pub origins: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Off,
    Normal,
    Strict,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub profile: Profile,
    pub max_subjects: usize,
    /// Set by `RATE_LIMIT_WINDOW_MS` and `RATE_LIMIT_MAX_REQUESTS`: requests per window and address.
    pub window_ms: u64,
    pub window_requests: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ws {
    pub max_frame: usize,
    pub frames_per_second: u32,
    pub bytes_per_second: u32,
    pub auth_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub queue_frames: usize,
    pub queue_bytes: usize,
    pub max_in_flight: usize,
    pub sync_grace_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialects {
    pub enabled: Vec<String>,
    pub token_ttl_s: u64,
    pub password_min: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socketio {
    pub polling: bool,
    pub websocket: bool,
    pub ping_interval_ms: u64,
    pub ping_timeout_ms: u64,
    pub max_payload: usize,
    pub auth_timeout_ms: u64,
    pub max_sessions: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coalescer {
    pub lanes: usize,
    pub max_batch: usize,
    pub queue: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub chatter_max_members: usize,
    pub receipt_flush_ms: u64,
    pub linger_ms: u64,
    pub roster_cache: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    pub grace_ms: u64,
    pub push_interval_ms: u64,
    pub max_members: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    pub index_after_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    pub max_lag: i64,
    pub snapshot_messages: u32,
    pub max_changes: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub url: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub temporary_dir: PathBuf,
    pub max_image: u64,
    pub max_video: u64,
    pub max_audio: u64,
    pub max_file: u64,
    pub allowed: Vec<String>,
    pub picture_concurrency: usize,
    pub link_ttl_s: u64,
    pub redirect: bool,
    pub orphan_after_s: u64,
    pub clamd: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Pretty,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    pub token: SecretString,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}
