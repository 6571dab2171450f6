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
const STEP: u32 = 2_000;

pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut step = STEP;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = index(&context, &stop, &mut step).await {
            tracing::warn!(%error, messages = step, "indexing messages was put off");
            step = shorter(step);
        }
    }
}

async fn index(context: &Context, stop: &CancellationToken, step: &mut u32) -> Result<()> {
    let before = context.now().minus(context.settings.search.index_after);
    while !stop.is_cancelled() {
        let limit = Limit::of(*step);
        let count = context.storage.messages().index(before, limit).await?;
        metrics::counter!("connexus_messages_indexed_total").increment(count);
        *step = longer(*step);
        if count < limit.rows() as u64 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// After a step that failed: long texts may be more than the database takes in at once, and would be the next time.
fn shorter(step: u32) -> u32 {
    (step / 4).max(1)
}

fn longer(step: u32) -> u32 {
    (step * 2).min(STEP)
}
