//! The clients that front ends use, from npm and PyPI, against the running server. `cargo xtask test` installs
//! them; see tests/clients.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use connexus_e2e::{TestApp, guarded_for};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a whole scenario may take before the test fails. A guard, never a measure.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the clients were installed.
fn installed() -> PathBuf {
    let folder = std::env::var_os("CONNEXUS_TEST_CLIENTS").expect(
        "CONNEXUS_TEST_CLIENTS does not say where the clients are; `cargo xtask test` installs them",
    );
    PathBuf::from(folder)
}

struct Client {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            input,
            lines,
        }
    }

    fn node(scenario: &str, address: &str) -> Self {
        let mut command = Command::new("node");
        command
            .arg(installed().join("chat.mjs"))
            .args([scenario, address]);
        Self::start(command)
    }

    async fn line(&mut self) -> Option<String> {
        guarded_for(PATIENCE, "the client", self.lines.next_line())
            .await
            .unwrap()
    }

    async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    async fn done(mut self) {
        let mut last = None;
        while let Some(line) = self.line().await {
            last = Some(line);
        }
        let status = guarded_for(PATIENCE, "the client's end", self.child.wait())
            .await
            .unwrap();
        let said = last.unwrap_or_default();
        assert!(status.success(), "{status}; it said {said:?} last");
        assert_eq!(said.trim_matches('"'), "done");
    }
}

#[tokio::test]
async fn javascript_over_every_transport() {
    let app = TestApp::shared().await;
    Client::node("every_transport", &app.address()).done().await;
}

#[tokio::test]
async fn javascript_with_a_bad_token() {
    let app = TestApp::shared().await;
    Client::node("refused", &app.address()).done().await;
}

#[tokio::test]
async fn javascript_two_hundred_at_once() {
    let app = TestApp::with(&[]).await;
    Client::node("crowd", &app.address()).done().await;
}

#[tokio::test]
async fn javascript_across_a_restart() {
    let app = TestApp::with(&[]).await;
    let mut client = Client::node("restart", &app.address());
    assert_eq!(client.line().await.as_deref(), Some("\"connected\""));
    app.terminate();
    app.ended().await;
    app.restart().await;
    client.say("restarted").await;
    client.done().await;
}

#[tokio::test]
async fn python_over_every_transport() {
    let app = TestApp::shared().await;
    let mut command = Command::new("python3");
    command
        .arg(installed().join("chat.py"))
        .arg(app.address())
        .env("PYTHONPATH", installed().join("python"));
    Client::start(command).done().await;
}
