//! Takes out of the database what nobody can reach any more, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use connexus_domain::{Limit, Result};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

const EVERY: Duration = Duration::from_mins(1);
const STEP: Limit = Limit::of(500);
/// Ended sessions are kept that long, so that a late reuse of their tokens is still recognised.
const KEEP_SESSIONS: Duration = Duration::from_hours(7 * 24);

pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = clean(&context, &stop).await {
            tracing::warn!(%error, "housekeeping was put off");
        }
    }
}

async fn clean(context: &Context, stop: &CancellationToken) -> Result<()> {
    let before = context.now().minus(KEEP_SESSIONS);
    let (mut sessions, mut messages) = (0, 0);
    while !stop.is_cancelled() {
        let ended = context.storage.sessions().purge_ended(before, STEP).await?;
        let purged = context.storage.conversations().purge_deleted(STEP).await?;
        sessions += ended;
        messages += purged;
        if ended + purged == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    if sessions + messages > 0 {
        tracing::info!(sessions, messages, "purged what had ended");
    }
    Ok(())
}
