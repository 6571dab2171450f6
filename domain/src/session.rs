//! Sessions: one login of one device, and its family of refresh tokens.

use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// Longest device name, in characters.
pub const DEVICE_MAX: usize = 100;

/// One login of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What the client called its device.
    pub device: Option<String>,
    /// When the login was.
    pub created_at: Timestamp,
    /// When its refresh token was last used (the login counts).
    pub last_used_at: Timestamp,
    /// When its refresh token ends.
    pub expires_at: Timestamp,
    /// Whether and when it was ended.
    pub revoked_at: Option<Timestamp>,
}

impl Session {
    /// Whether its tokens are still good.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

/// SHA-256 of a refresh token: what is stored, so that a stolen database opens no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// A session to open, with the hash of its first refresh token.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// Its first refresh token.
    pub refresh: TokenHash,
}

/// What came of presenting a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token was the current one; the next one is current now.
    Rotated(Session),
    /// The presented token had been used before: the session is revoked now, with all its tokens.
    Reused(Session),
    /// The session had ended or expired before.
    Ended,
    /// No session ever had this token.
    Unknown,
}
