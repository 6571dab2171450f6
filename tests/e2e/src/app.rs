//! The server as a test sees it.

use std::process::ExitStatus;
use std::sync::{Arc, Weak};

use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::http::Http;
use crate::outside::Stored;
use crate::server::Server;
use crate::socket::{self, Socket};
use crate::user::User;

/// The server that tests of one process share while any of them runs.
static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());

/// A running server. Its log is printed when the test fails.
pub struct TestApp {
    server: Arc<Server>,
}

impl TestApp {
    /// The server that this process's tests share: with limits off and a short presence grace.
    pub async fn shared() -> Self {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Self { server };
        }
        let server = Arc::new(Server::start(&[]).await);
        *shared = Arc::downgrade(&server);
        Self { server }
    }

    /// A server of the test's own, with further settings.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self {
            server: Arc::new(Server::start(settings).await),
        }
    }

    /// A server of the test's own on a database that can be made to go away.
    pub async fn on_fragile_storage(settings: &[(&str, &str)]) -> Self {
        Self {
            server: Arc::new(Server::start_gated(settings).await),
        }
    }

    /// A server of the test's own whose database is not there yet, so that it cannot be ready.
    pub async fn without_storage(settings: &[(&str, &str)]) -> Self {
        Self {
            server: Arc::new(Server::start_without_storage(settings).await),
        }
    }

    /// The names of all files that the server keeps.
    pub async fn kept_files(&self) -> Vec<String> {
        self.server.files().names().await
    }

    /// Waits until the server is ready.
    pub async fn ready(&self) {
        if let Err(log) = self.server.until_ready().await {
            panic!("the server ended instead of starting:\n{log}");
        }
    }

    /// What is stored, past the server.
    pub async fn look_into_storage(&self) -> Stored {
        Stored::read(self.server.storage_url()).await
    }

    /// The database goes away.
    pub async fn lose_storage(&self) {
        self.server.gate().close().await;
    }

    /// The database comes back.
    pub async fn regain_storage(&self) {
        self.server.gate().open().await;
    }

    /// A new user of a unique name that starts with `stem`.
    pub async fn user(&self, stem: &str) -> User {
        User::register(Arc::clone(&self.server), stem).await
    }

    /// Several new users.
    pub async fn users<const N: usize>(&self, stems: [&str; N]) -> [User; N] {
        let users = join_all(stems.map(|stem| self.user(stem))).await;
        users
            .try_into()
            .unwrap_or_else(|_| unreachable!("as many users as names"))
    }

    /// `count` new users.
    pub async fn crowd(&self, count: usize) -> Vec<User> {
        join_all((0..count).map(|_| self.user("crowd"))).await
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Http {
        Http::new(Arc::clone(&self.server), None)
    }

    /// Somebody with this token, whatever it is.
    pub fn bearing(&self, token: &str) -> Http {
        Http::new(Arc::clone(&self.server), Some(token.to_owned()))
    }

    /// An open socket that has not said who it is.
    pub async fn stranger(&self) -> Socket {
        socket::connect(&self.address(), &[])
            .await
            .expect("a socket without a token may say who it is in its first frame")
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.server.terminate();
    }

    /// How the server ended, once it has.
    pub async fn ended(&self) -> ExitStatus {
        self.server.ended().await
    }

    /// Starts it again, on the same port and data.
    pub async fn restart(&self) {
        if let Err(log) = self.server.launch().await {
            panic!("the server did not start again:\n{log}");
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.server.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(100)..];
            eprintln!("--- the server's log ends with:\n{}\n---", tail.join("\n"));
        }
    }
}
