//! The options of the examples. Their defaults are what the official test suites ask for.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use clap::Parser;
use connexus_socketio::Settings;

/// What may be given on the command line.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:3000")]
    bind: SocketAddr,
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
    workers: Option<usize>,
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

    /// Listens where it is to.
    pub fn listen(&self) -> io::Result<TcpListener> {
        connexus_upgrade::listen(self.bind, 1_024)
    }

    /// How to serve.
    pub fn serving(&self) -> connexus_upgrade::Settings {
        let usual = connexus_upgrade::Settings::default();
        connexus_upgrade::Settings {
            workers: self.workers.unwrap_or(usual.workers),
            ..usual
        }
    }
}
