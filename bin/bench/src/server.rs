//! A server that is started for a measurement.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub struct Server {
    url: String,
    child: Child,
    /// Its working directory.
    _folder: TempDir,
}

impl Server {
    /// Starts a server with its defaults for everything that is measured. Limits are off, since all load
    /// comes from one address; password hashes are cheap, since logins are not what is measured.
    pub async fn start(bin: &Path, storage: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(bin)
            .current_dir(folder.path())
            .env("CONNEXUS__SERVER__BIND", format!("127.0.0.1:{port}"))
            .env("CONNEXUS__STORAGE__URL", storage)
            .env("CONNEXUS__LIMITS__PROFILE", "off")
            .env("CONNEXUS__WS__FRAMES_PER_SECOND", "1000000")
            .env("CONNEXUS__WS__BYTES_PER_SECOND", "1073741824")
            .env("CONNEXUS__WS__MAX_IN_FLIGHT", "10000")
            .env("CONNEXUS__SOCKETIO__MAX_SESSIONS", "1000000")
            .env("CONNEXUS__AUTH__ARGON2_MEMORY_KIB", "8")
            .env("CONNEXUS__AUTH__ARGON2_ITERATIONS", "1")
            .env("CONNEXUS__LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", bin.display()))?;
        let mut server = Self {
            url: format!("http://127.0.0.1:{port}"),
            child,
            _folder: folder,
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        for _ in 0..300 {
            let answer = client
                .get(format!("{}/health/ready", self.url))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the server is not ready after 30 seconds")
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `None` when it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub async fn stop(mut self) {
        // nobody wants what it stored
        drop(self.child.kill().await);
    }
}
