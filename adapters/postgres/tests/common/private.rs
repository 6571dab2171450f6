//! A server of the test's own, for what cannot be done to the one that all share: to stop it, or to start it
//! with other settings. It keeps its promises about the disk, unlike the shared one.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

const VARIABLE: &str = "CONNEXUS_TEST_POSTGRES_BIN";
/// The superuser, and whom the server runs as when we are root, as which it refuses to run.
const USER: &str = "postgres";
/// How long a start or a stop may take before the test fails.
const GUARD: Duration = Duration::from_mins(1);

/// How a server is stopped; both end its connections at once.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// In order: what runs is rolled back.
    Fast,
    /// As a crash: the next start recovers from the log.
    Immediate,
}

pub struct PrivateServer {
    bin: PathBuf,
    folder: TempDir,
    /// User and group, when they are not ours.
    account: Option<(u32, u32)>,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl PrivateServer {
    /// A new one, as it is shipped.
    pub async fn start() -> Self {
        let mut server = Self::prepare();
        server.launch().await;
        server
    }

    /// A new one, not started yet.
    pub fn prepare() -> Self {
        let server = Self {
            bin: programs(),
            folder: tempfile::tempdir().unwrap(),
            account: account(),
            port: free_port(),
            options: vec![],
            child: None,
        };
        server.give(server.folder.path());
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", USER, "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "-D"])
            .arg(server.data())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        server
    }

    /// A further setting, `name=value`.
    pub fn set(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// A file that only the server may read; answers where it is.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&path);
        path
    }

    /// Starts it, on the data and the port that it has, and waits until it answers.
    pub async fn launch(&mut self) {
        let log = self.folder.path().join("server.log");
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let own = [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("port={}", self.port),
        ];
        for option in own.iter().chain(&self.options) {
            command.arg("-c").arg(option);
        }
        let errors = output.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut child = child.spawn().unwrap();
        let started = Instant::now();
        while !self.answers().await {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", said());
            assert!(started.elapsed() < GUARD, "it is not ready: {}", said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.child = Some(child);
    }

    async fn answers(&self) -> bool {
        let options: PgConnectOptions = self.url("postgres").parse().unwrap();
        match options.disable_statement_logging().connect().await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Stops it, and waits for its end.
    pub async fn stop(&mut self, how: Stop) {
        let mut child = self.child.take().expect("a running server");
        let signal = match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        };
        send(&child, signal);
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < GUARD, "the server does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.account {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match self.account {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}"));
                command.arg(format!("--regid={group}"));
                command.arg("--init-groups").arg(program);
                command
            }
        };
        // the current folder may be closed to them
        command.current_dir("/");
        command
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // a kill would leave its children behind
            send(&child, "QUIT");
            let _ = child.wait();
        }
    }
}

fn send(child: &Child, signal: &str) {
    let kill = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success(), "{kill}");
}

fn programs() -> PathBuf {
    let bin = PathBuf::from(std::env::var_os(VARIABLE).unwrap_or_default());
    assert!(
        bin.join("initdb").is_file() && bin.join("postgres").is_file(),
        "this test starts a server of its own, since it cannot restart the one of CONNEXUS_TEST_POSTGRES_URL: \
         install PostgreSQL and set {VARIABLE} to the folder of `initdb` and `postgres`, for example \
         /usr/lib/postgresql/17/bin (`cargo xtask services up` prints it)"
    );
    bin
}

fn account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let said = Command::new("id").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        said.trim()
            .parse()
            .unwrap_or_else(|error| panic!("id {arguments:?}: {said}: {error}"))
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", USER]), id(&["-g", USER])))
}

/// One below the range from which a system takes the ports of outgoing connections: it is to be the same
/// after a while in which nobody has it.
fn free_port() -> u16 {
    let seed = u16::try_from(std::process::id() % 4_999).unwrap();
    (0..4_999)
        .map(|n| 10_000 + (seed + n) % 4_999)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
