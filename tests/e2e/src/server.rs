//! The server as a process: where its binary is, how it is told what to do, and its end.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::eventually;
use crate::files::Files;
use crate::gate::Gate;
use crate::storage::Storage;

/// The key that signs access tokens in tests.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-anybody";

/// One running server with its data. Killed when dropped.
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    files: Files,
    storage: Storage,
    settings: Vec<(String, String)>,
    child: Mutex<Option<Child>>,
    _lease: PortLease,
}

impl Server {
    /// Starts a server of its own data and waits until it is ready.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_on(settings, false).await
    }

    /// The same on a database that can be made to go away.
    pub async fn start_gated(settings: &[(&str, &str)]) -> Self {
        Self::start_on(settings, true).await
    }

    /// The same, started while the database is away: not ready, and perhaps never.
    pub async fn start_without_storage(settings: &[(&str, &str)]) -> Self {
        let server = Self::prepare(settings, true).await;
        server.gate().close().await;
        server.spawn();
        server
    }

    async fn start_on(settings: &[(&str, &str)], gated: bool) -> Self {
        for _ in 0..5 {
            let server = Self::prepare(settings, gated).await;
            match server.launch().await {
                Ok(()) => return server,
                Err(log) if log.to_lowercase().contains("in use") => {}
                Err(log) => panic!("the server ended instead of starting:\n{log}"),
            }
        }
        panic!("found no free port");
    }

    async fn prepare(settings: &[(&str, &str)], gated: bool) -> Self {
        let lease = PortLease::take();
        let folder = tempfile::tempdir().unwrap();
        Self {
            port: lease.port,
            storage: if gated {
                Storage::make_gated(folder.path()).await
            } else {
                Storage::make(folder.path()).await
            },
            files: Files::make(folder.path()),
            folder,
            settings: owned(settings),
            child: Mutex::new(None),
            _lease: lease,
        }
    }

    /// Starts the process on the data that there is, and waits until it is ready.
    pub async fn launch(&self) -> Result<(), String> {
        self.spawn();
        self.until_ready().await
    }

    fn spawn(&self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let child = command(self.folder.path(), &self.settings)
            .env("CONNEXUS__SERVER__BIND", self.address())
            .env("CONNEXUS__STORAGE__URL", self.storage.url())
            .envs(self.files.settings())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.child() = Some(child);
    }

    /// Waits until it is ready; what it wrote when it ends instead.
    pub async fn until_ready(&self) -> Result<(), String> {
        let client = reqwest::Client::new();
        let url = format!("http://{}/health/ready", self.address());
        eventually("the server to be ready", async || {
            if self.exited().is_some() {
                return Some(Err(self.log()));
            }
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(Ok(()))
        })
        .await
    }

    /// Where it stores.
    pub fn files(&self) -> &Files {
        &self.files
    }

    pub fn storage_url(&self) -> &str {
        self.storage.url()
    }

    /// What stands before its database.
    pub fn gate(&self) -> &Gate {
        self.storage.gate()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// SIGKILL: no time for last words.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM: asks the server to finish.
    pub fn terminate(&self) {
        let pid = self.child().as_ref().expect("a running server").id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// How the process ended, once it has.
    pub async fn ended(&self) -> ExitStatus {
        eventually("the server to end", async || self.exited()).await
    }

    fn exited(&self) -> Option<ExitStatus> {
        self.child().as_mut()?.try_wait().unwrap()
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is left of a server that was to end by itself.
#[derive(Debug)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// What it had to say.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Starts the binary with these settings alone (nothing is agreed beforehand) and waits for its end.
pub async fn run_to_exit(settings: &[(&str, &str)], args: &[&str]) -> Exit {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (
        folder.path().join("stdout.log"),
        folder.path().join("stderr.log"),
    );
    let mut process = KilledOnDrop(
        bare_command(folder.path())
            .envs(settings.iter().copied())
            .args(args)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap(),
    );
    let status = eventually("the process to end", async || process.0.try_wait().unwrap()).await;
    Exit {
        status,
        stdout: fs::read_to_string(out).unwrap(),
        stderr: fs::read_to_string(err).unwrap(),
    }
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // fails when it has ended, which is what was wanted
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(folder: &Path, settings: &[(String, String)]) -> Command {
    let mut command = bare_command(folder);
    command
        .env("CONNEXUS__AUTH__JWT_SECRET", SECRET)
        .env("CONNEXUS__AUTH__ARGON2_MEMORY_KIB", "64")
        .env("CONNEXUS__AUTH__ARGON2_ITERATIONS", "1")
        .env("CONNEXUS__LIMITS__PROFILE", "off")
        .env("CONNEXUS__LOG__LEVEL", "info")
        .env("CONNEXUS__PRESENCE__GRACE_MS", "200")
        // what waits for a moment so that more may come along need not wait long here
        .env("CONNEXUS__PRESENCE__PUSH_INTERVAL_MS", "100")
        .env("CONNEXUS__DELIVERY__RECEIPT_FLUSH_MS", "50")
        // a test writes as fast as it can
        .env("CONNEXUS__WS__FRAMES_PER_SECOND", "1000000")
        .env("CONNEXUS__WS__BYTES_PER_SECOND", "1073741824")
        .envs(settings.iter().map(|(key, value)| (key, value)));
    command
}

/// The binary in an environment in which nothing of ours, of the shell or of another server is set.
fn bare_command(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).stdin(Stdio::null()).env_clear();
    for kept in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

fn binary() -> PathBuf {
    let path = std::env::var_os("CONNEXUS_BIN").map_or_else(beside_the_test, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not there: build it first: cargo build --workspace",
        path.display()
    );
    path
}

/// The test is `<target dir>/<profile>/deps/e2e-…`, the server `<target dir>/<profile>/connexus`.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join(format!("connexus{}", std::env::consts::EXE_SUFFIX))
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A port that no other test takes for as long as this lives: below the range from which a system takes
/// the ports of outgoing connections, and locked by a file, since tests run in processes of their own.
struct PortLease {
    port: u16,
    _lock: File,
}

impl PortLease {
    fn take() -> Self {
        let folder = std::env::temp_dir().join("connexus-e2e-ports");
        fs::create_dir_all(&folder).unwrap();
        for _ in 0..1_000 {
            let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
            let port = 15_000 + u16::from_be_bytes([high, low]) % 17_000;
            let lock = File::create(folder.join(port.to_string())).unwrap();
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return Self { port, _lock: lock };
            }
        }
        panic!("found no free port");
    }
}
