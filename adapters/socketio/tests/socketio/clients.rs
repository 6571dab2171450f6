//! socket.io-client itself: binary both ways, over every transport.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::start;

/// How long the client may take before the test fails. A guard, never a measure.
const PATIENCE: Duration = Duration::from_mins(1);

#[actix_web::test]
async fn socket_io_client_sends_and_takes_binary() {
    let folder = std::env::var_os("CONNEXUS_TEST_CLIENTS").expect(
        "CONNEXUS_TEST_CLIENTS does not say where the clients are; `cargo xtask test` installs them",
    );
    let running = start(connexus_socketio::Settings::default());
    let client = tokio::process::Command::new("node")
        .arg(PathBuf::from(folder).join("chat.mjs"))
        .args(["binary", &running.address])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, client)
        .await
        .expect("an end")
        .expect("node");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.trim(), "\"done\"");
}
