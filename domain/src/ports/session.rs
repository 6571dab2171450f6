use async_trait::async_trait;

use crate::error::Result;
use crate::id::{SessionId, UserId};
use crate::page::Limit;
use crate::session::{NewSession, Rotation, Session, TokenHash};
use crate::time::Timestamp;

/// Sessions and their refresh tokens.
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Stores a session with its first refresh token.
    ///
    /// Errors: `NotFound(User)`.
    async fn open(&self, new: &NewSession) -> Result<()>;

    /// Makes `next` the current refresh token of the session whose current one is `presented`, sets
    /// `last_used_at` to `now` and `expires_at`. A compare-and-set: of several simultaneous calls with
    /// one token, exactly one is `Rotated`. A token that is not current any more revokes its session
    /// (`Reused`), which is how a stolen token is found out.
    async fn rotate(
        &self,
        presented: TokenHash,
        next: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation>;

    /// Those of the sessions that there are, each once, in no order.
    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Session>>;

    /// The session.
    async fn get(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.get_many(&[id]).await?.pop())
    }

    /// The user's live sessions, the latest used first.
    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>>;

    /// Ends one session of `user`; `false` when it is not a live session of that user.
    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool>;

    /// Ends all live sessions of `user` but `keep`; answers which.
    async fn revoke_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>>;

    /// Takes up to `limit` sessions that ended before `before` out of the database, with their tokens.
    async fn purge_ended(&self, before: Timestamp, limit: Limit) -> Result<u64>;
}
