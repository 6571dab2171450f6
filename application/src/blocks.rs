//! Who does not want to hear from whom.

use std::sync::Arc;

use connexus_domain::{Error, Limit, Page, Result, UserId};

use crate::Actor;
use crate::context::{Context, to_its_end};
use crate::users::Profile;

/// Blocks.
pub struct Blocks {
    context: Arc<Context>,
}

impl Blocks {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker blocks somebody: neither can write to the other directly or find the other.
    pub async fn block(&self, actor: &Actor, whom: UserId) -> Result<()> {
        if whom == actor.user_id {
            return Err(Error::invalid("user_id", "must not be yourself"));
        }
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        to_its_end(async move {
            let blocks = context.storage.blocks();
            let blocked = blocks.block(by, whom, context.now()).await;
            // whether it is known to be stored or not
            context.forget_block(by, whom).await;
            blocked
        })
        .await
    }

    /// The asker blocks somebody no longer.
    pub async fn unblock(&self, actor: &Actor, whom: UserId) -> Result<()> {
        let (context, by) = (Arc::clone(&self.context), actor.user_id);
        to_its_end(async move {
            let unblocked = context.storage.blocks().unblock(by, whom).await;
            context.forget_block(by, whom).await;
            unblocked
        })
        .await
    }

    /// Whom the asker blocks.
    pub async fn list(
        &self,
        actor: &Actor,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Profile, UserId>> {
        let page = self
            .context
            .storage
            .blocks()
            .list(actor.user_id, after, limit)
            .await?;
        let mut found = self
            .context
            .contact_profiles(actor.user_id, &page.items)
            .await?;
        let items = page
            .items
            .iter()
            .filter_map(|id| found.remove(id))
            .collect();
        Ok(Page {
            items,
            next: page.next,
        })
    }
}
