//! The options of the examples. Their defaults are what the official test suites ask for.

use std::time::Duration;

use clap::Parser;
use connexus_socketio::Settings;

/// What may be given on the command line.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub bind: String,
    /// Where the server is mounted.
    #[arg(long)]
    pub path: Option<String>,
    /// Milliseconds between pings.
    #[arg(long, default_value_t = 300)]
    ping_interval_ms: u64,
    /// Milliseconds that a ping may stay unanswered.
    #[arg(long, default_value_t = 200)]
    ping_timeout_ms: u64,
    /// Largest packet in bytes.
    #[arg(long, default_value_t = 1_000_000)]
    max_payload: usize,
    /// Worker threads; as many as there are cores when it is left out.
    #[arg(long)]
    pub workers: Option<usize>,
}

impl Options {
    /// These options as settings.
    pub fn settings(&self) -> Settings {
        Settings {
            ping_interval: Duration::from_millis(self.ping_interval_ms),
            ping_timeout: Duration::from_millis(self.ping_timeout_ms),
            max_payload: self.max_payload,
            ..Settings::default()
        }
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.unwrap_or_else(cores)
    }
}
