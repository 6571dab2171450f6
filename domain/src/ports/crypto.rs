use async_trait::async_trait;

use crate::error::Result;
use crate::id::{SessionId, UserId};
use crate::session::TokenHash;
use crate::time::Timestamp;

/// A password's hash in PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Hashes passwords. Work is done away from the threads that serve requests, and bounded: a storm of
/// logins waits, it does not starve others; who waits too long gets `Unavailable`.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A salted hash of the password.
    async fn hash(&self, password: &str) -> Result<PasswordHash>;

    /// Whether the password is the one that was hashed. With `None` (there is no such user) MUST do the
    /// same work and answer `false`, so that the time tells nothing.
    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool>;
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose.
    pub user_id: UserId,
    /// Of which session.
    pub session_id: SessionId,
    /// The user's name, for clients that look inside.
    pub username: String,
    /// The dialect that it was issued in, if one asked for it.
    pub dialect: Option<Box<str>>,
    /// From when.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A refresh token: the text for the client, the hash for the database.
#[derive(Clone)]
pub struct IssuedRefresh {
    /// For the client; 256 random bits.
    pub token: String,
    /// For the database.
    pub hash: TokenHash,
}

/// Makes and checks tokens.
pub trait TokenIssuer: Send + Sync {
    /// A signed access token.
    fn issue_access(&self, claims: &AccessClaims) -> Result<String>;

    /// The claims of a token that was signed here, is meant for us, and has not expired at `now`.
    ///
    /// Errors: `Unauthenticated(InvalidToken | ExpiredToken)`.
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims>;

    /// A signature over a text of ours, safe in a query string. What is signed here is never a valid token,
    /// and no token's signature is one of these.
    fn sign(&self, text: &str) -> Result<String>;

    /// Whether the text was signed here; compared in constant time.
    fn is_signed(&self, text: &str, signature: &str) -> bool;

    /// A new random refresh token.
    fn issue_refresh(&self) -> Result<IssuedRefresh>;

    /// The hash of a refresh token that a client presents.
    fn hash_refresh(&self, token: &str) -> TokenHash;
}
