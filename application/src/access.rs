//! Checks that several use-cases make, answered with proof values.

use connexus_domain::ports::Storage;
use connexus_domain::{
    Conversation, ConversationId, Denial, Entity, Error, MemberAccess, Message, MessageId, Result,
    UserId,
};
use rustc_hash::FxHashSet;

use crate::context::Context;

impl Context {
    /// Proof that `user` is a present member, read from the database, with the conversation.
    pub async fn member_access(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> Result<(Conversation, MemberAccess)> {
        member_access(&*self.storage, id, user).await
    }

    /// A message that `user` may see. To everybody else it does not exist.
    pub async fn visible_message(&self, id: MessageId, user: UserId) -> Result<Message> {
        let message = self
            .storage
            .messages()
            .get(id)
            .await?
            .ok_or(Error::NotFound(Entity::Message))?;
        match self.rosters.of_member(message.conversation_id, user).await {
            Ok(_) => Ok(message),
            Err(Error::Forbidden(_) | Error::NotFound(_)) => Err(Error::NotFound(Entity::Message)),
            Err(other) => Err(other),
        }
    }

    /// Whether one of the two blocks the other.
    pub async fn are_apart(&self, a: UserId, b: UserId) -> Result<bool> {
        let pair = pair(a, b);
        let blocks = self.storage.blocks();
        self.blocked_pairs
            .try_get_with(pair, blocks.either_blocks(pair.0, pair.1))
            .await
            .map_err(|error: std::sync::Arc<Error>| Error::clone(&error))
    }

    /// Those of `others` from whom the user is apart by a block.
    pub async fn apart_among(&self, user: UserId, others: &[UserId]) -> Result<FxHashSet<UserId>> {
        if others.is_empty() {
            return Ok(FxHashSet::default());
        }
        let apart = self.storage.blocks().apart_from(user, others).await?;
        Ok(apart.into_iter().collect())
    }

    /// Refuses when one of the two blocks the other.
    pub async fn check_not_blocked(&self, a: UserId, b: UserId) -> Result<()> {
        if self.are_apart(a, b).await? {
            Err(Error::Forbidden(Denial::Blocked))
        } else {
            Ok(())
        }
    }

    /// One of the two has blocked the other, or does no longer.
    pub async fn forget_block(&self, a: UserId, b: UserId) {
        // one that is being looked up may be as it was before, and would be kept
        drop(self.are_apart(a, b).await);
        self.blocked_pairs.invalidate(&pair(a, b)).await;
    }
}

/// Proof that `user` is a present member, with the conversation, where there is no context.
pub(crate) async fn member_access(
    storage: &dyn Storage,
    id: ConversationId,
    user: UserId,
) -> Result<(Conversation, MemberAccess)> {
    let found = storage.conversations().find_with_member(id, user).await?;
    let (conversation, member) = found.ok_or(Error::NotFound(Entity::Conversation))?;
    let access = member
        .ok_or(Error::Forbidden(Denial::NotMember))?
        .access()?;
    Ok((conversation, access))
}

fn pair(a: UserId, b: UserId) -> (UserId, UserId) {
    if a <= b { (a, b) } else { (b, a) }
}
