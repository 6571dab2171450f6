use async_trait::async_trait;

use super::PasswordHash;
use crate::error::Result;
use crate::id::{SessionId, UserId};
use crate::page::{Limit, Page};
use crate::time::Timestamp;
use crate::user::{User, UserPatch};

/// An account to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The account.
    pub user: User,
    /// Its password's hash.
    pub password_hash: PasswordHash,
}

/// An account with its password's hash, for those who check passwords.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// Its password's hash.
    pub password_hash: PasswordHash,
}

/// Accounts.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores an account.
    ///
    /// Errors: `Conflict{username}`, `Conflict{email}` by the keys of both
    /// ([`Username::key`](crate::Username::key), [`Email::key`](crate::Email::key)); when both are taken,
    /// either is named.
    async fn create(&self, new: &NewUser) -> Result<()>;

    /// The account.
    async fn get(&self, id: UserId) -> Result<Option<User>>;

    /// Those of the accounts that exist, in no order, each once.
    async fn get_many(&self, ids: &[UserId]) -> Result<Vec<User>>;

    /// The account whose username or e-mail has this key: an identifier with `@` is an e-mail.
    async fn credentials_by_login(&self, key: &str) -> Result<Option<Credentials>>;

    /// The account with its password's hash.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// Changes an account as [`UserPatch::apply`] does. `None` when there is none. Another `avatar_url`
    /// than before condemns the attachment that was the picture.
    ///
    /// Errors: `Conflict{username}`.
    async fn update(&self, id: UserId, patch: &UserPatch, now: Timestamp) -> Result<Option<User>>;

    /// Replaces the password's hash and ends all live sessions but `keep`, atomically; answers which ended.
    ///
    /// Errors: `NotFound(User)`.
    async fn change_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>>;

    /// Remembers when the last connections of users went; never moves back. Unknown users are ignored.
    async fn touch_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<()>;

    /// Accounts whose username or display name, folded ([`fold`](crate::text::fold)), starts with the
    /// folded `prefix` (all, when it is empty), in the order of their ids, after `after`: without `viewer`, without
    /// those who block or are blocked by the viewer, without those who are not searchable.
    async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User, UserId>>;
}
