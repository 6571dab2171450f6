//! Brings the index of search up to date, behind the back of those who send.
//!
//! The longer a message waits, the more neighbours it shares a segment with, and the rarer it is edited after.

use std::sync::Arc;
use std::time::Duration;

use connexus_domain::{Limit, Result};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

const EVERY: Duration = Duration::from_secs(1);
/// So few that those who write at the same time hardly notice, and so many that neighbours come together when
/// hundreds of conversations are busy.
const STEP: Limit = Limit::of(2_000);

pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = index(&context, &stop).await {
            tracing::warn!(%error, "indexing messages was put off");
        }
    }
}

async fn index(context: &Context, stop: &CancellationToken) -> Result<()> {
    let before = context.now().minus(context.settings.search.index_after);
    while !stop.is_cancelled() {
        let count = context.storage.messages().index(before, STEP).await?;
        metrics::counter!("connexus_messages_indexed_total").increment(count);
        if count < STEP.rows() as u64 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
