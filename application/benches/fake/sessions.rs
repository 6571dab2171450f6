//! No sessions, and none to clean up after.

use async_trait::async_trait;
use connexus_domain::ports::SessionRepository;
use connexus_domain::session::{NewSession, Rotation, TokenHash};
use connexus_domain::{Limit, Result, Session, SessionId, Timestamp, UserId};

use super::{Fake, unused};

#[async_trait]
impl SessionRepository for Fake {
    async fn open(&self, _new: &NewSession) -> Result<()> {
        unused()
    }

    async fn rotate(
        &self,
        _presented: TokenHash,
        _next: TokenHash,
        _expires_at: Timestamp,
        _now: Timestamp,
    ) -> Result<Rotation> {
        unused()
    }

    async fn get_many(&self, _ids: &[SessionId]) -> Result<Vec<Session>> {
        unused()
    }

    async fn list(&self, _user: UserId, _now: Timestamp) -> Result<Vec<Session>> {
        unused()
    }

    async fn revoke(&self, _user: UserId, _id: SessionId, _now: Timestamp) -> Result<bool> {
        unused()
    }

    async fn revoke_all(
        &self,
        _user: UserId,
        _keep: Option<SessionId>,
        _now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        unused()
    }

    async fn purge_ended(&self, _before: Timestamp, _limit: Limit) -> Result<u64> {
        Ok(0)
    }
}
