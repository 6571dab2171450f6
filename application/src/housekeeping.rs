//! Takes out of the database what nobody can reach any more, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use connexus_domain::{Limit, Result};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

const EVERY: Duration = Duration::from_mins(1);
/// How many messages of deleted conversations go in one step.
const MESSAGES: Limit = Limit::of(500);
/// How many sessions do: each has had a token for every few minutes that it was in use.
const SESSIONS: Limit = Limit::of(20);
/// Ended sessions are kept that long, so that a late reuse of their tokens is still recognised.
const KEEP_SESSIONS: Duration = Duration::from_hours(7 * 24);

pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let (sessions, conversations) = (context.storage.sessions(), context.storage.conversations());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let before = context.now().minus(KEEP_SESSIONS);
        purge("sessions", &stop, || sessions.purge_ended(before, SESSIONS)).await;
        purge("messages", &stop, || conversations.purge_deleted(MESSAGES)).await;
    }
}

/// Takes one step after the other, until nothing is left. One kind that cannot be purged is in no other's way.
async fn purge<S>(kind: &'static str, stop: &CancellationToken, step: impl Fn() -> S)
where
    S: Future<Output = Result<u64>>,
{
    let mut count = 0;
    while !stop.is_cancelled() {
        match step().await {
            Ok(0) => break,
            Ok(some) => count += some,
            Err(error) => {
                tracing::warn!(%error, kind, "housekeeping was put off");
                break;
            }
        }
        tokio::task::yield_now().await;
    }
    if count > 0 {
        tracing::info!(kind, count, "purged what had ended");
    }
}
