//! Black-box tests of the running `connexus` binary: this library starts servers and hands out users,
//! the tests under `tests/e2e` say what must hold. Nothing here knows the server's code.

// a harness fails by panicking: that is how a test says what is wrong
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods
)]

mod app;
mod files;
mod gate;
mod http;
mod outside;
mod server;
mod socket;
mod socketio;
mod storage;
mod user;

pub use app::TestApp;
pub use http::{Http, Reply, failing_fields};
pub use outside::Stored;
pub use server::{Exit, SECRET, run_to_exit};
pub use socket::{Frame, Socket, connect, connect_to};
pub use socketio::{SioEvent, SioSocket, connect_socketio};
pub use user::User;

use std::time::Duration;

/// How long anything that must happen may take before the test fails. A guard, never a measure.
pub const GUARD: Duration = Duration::from_secs(20);

/// Fails the test when what must happen does not.
pub async fn guarded<F: Future>(what: &str, future: F) -> F::Output {
    guarded_for(GUARD, what, future).await
}

/// As [`guarded`], for what takes longer.
pub async fn guarded_for<F: Future>(patience: Duration, what: &str, future: F) -> F::Output {
    match tokio::time::timeout(patience, future).await {
        Ok(output) => output,
        Err(late) => panic!("waited {patience:?} in vain for {what}: {late}"),
    }
}

/// Asks again and again until there is an answer, or fails the test.
pub async fn eventually<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut ask: F) -> T {
    guarded(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
    .await
}

/// Something nobody else has: for names of users and rooms.
pub fn unique(stem: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("{stem}-{}", &id[..12])
}

/// An id that names nothing.
pub fn nobody() -> String {
    uuid::Uuid::new_v4().to_string()
}
