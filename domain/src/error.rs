//! What can go wrong, in the domain's own words. Adapters map their driver's errors to these at their
//! edge; inbound adapters map these to a status.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The domain's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was looked for and not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// An account.
    User,
    /// A login of a device.
    Session,
    /// A conversation.
    Conversation,
    /// A user in a conversation.
    Member,
    /// A message.
    Message,
    /// An uploaded file.
    Attachment,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Conversation => "conversation",
            Self::Member => "member",
            Self::Message => "message",
            Self::Attachment => "attachment",
        })
    }
}

/// Why somebody who is known may not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The user is not (or no longer) a member of the conversation.
    NotMember,
    /// Only the sender of a message may do this.
    NotSender,
    /// The member's role does not allow it.
    RoleTooLow,
    /// One of the two has blocked the other.
    Blocked,
    /// A direct conversation's members, name and roles never change.
    FixedConversation,
    /// The room's last owner cannot step down without a successor.
    LastOwner,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMember => "you are not a member of this conversation",
            Self::NotSender => "only the sender of a message may do this",
            Self::RoleTooLow => "your role in this conversation does not allow this",
            Self::Blocked => "one of you has blocked the other",
            Self::FixedConversation => "a direct conversation cannot be changed",
            Self::LastOwner => "a conversation needs an owner: make somebody else one first",
        })
    }
}

/// Why it is not known who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// No token was given.
    Missing,
    /// Unknown user or wrong password; which of the two is not said.
    Credentials,
    /// The token is malformed, was not issued here, or was altered.
    InvalidToken,
    /// The token's time is over.
    ExpiredToken,
    /// The session was ended.
    RevokedSession,
    /// An already used refresh token came again: its whole session is ended.
    ReusedRefreshToken,
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "an access token is required",
            Self::Credentials => "wrong identifier or password",
            Self::InvalidToken => "the token is not valid",
            Self::ExpiredToken => "the token has expired",
            Self::RevokedSession => "the session has ended",
            Self::ReusedRefreshToken => {
                "the refresh token was used before; the session has been ended"
            }
        })
    }
}

/// One field that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: String,
    /// What is wrong with it, for a person.
    pub reason: String,
}

/// A cause that is kept for the log and never shown to a client.
pub type Source = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// Everything a use-case or a port may fail with. `Clone`, since one failed batch fails each of its items.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the asker may not know of it.
    #[error("{0} not found")]
    NotFound(Entity),
    /// A unique value is taken.
    #[error("{field} is already taken")]
    Conflict {
        /// The field's name on the wire.
        field: &'static str,
    },
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(Denial),
    /// Not known.
    #[error("{0}")]
    Unauthenticated(AuthFailure),
    /// Some fields are not acceptable; every one that failed is named.
    #[error("invalid input")]
    Invalid(Vec<FieldError>),
    /// A `client_id` was used before for another content.
    #[error("this client_id was used before for a different message")]
    IdempotencyMismatch,
    /// Too many requests.
    #[error("too many requests")]
    RateLimited {
        /// When the next one will be allowed.
        retry_after: Duration,
    },
    /// A database, broker or disk does not answer now.
    #[error("the service is temporarily unavailable")]
    Unavailable {
        /// When it is worth trying again.
        retry_after: Duration,
        /// The driver's error.
        #[source]
        source: Source,
    },
    /// A fault of ours or a corrupt record.
    #[error("internal error")]
    Internal {
        /// What happened, for the log.
        #[source]
        source: Source,
    },
}

impl Error {
    /// One unacceptable field.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.into(),
            reason: reason.into(),
        }])
    }

    /// A storage or network fault that is worth trying again in a second.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable {
            retry_after: Duration::from_secs(1),
            source: Arc::new(source),
        }
    }

    /// A fault that trying again will not cure.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal {
            source: Arc::new(source),
        }
    }

    /// A stored record that does not decode: names where it is, so that an operator finds it.
    pub fn corrupt(table: &'static str, column: &'static str, id: impl fmt::Display) -> Self {
        Self::internal(CorruptRecord {
            table,
            column,
            id: id.to_string(),
        })
    }
}

/// A stored record that breaks its own rules.
#[derive(Debug, thiserror::Error)]
#[error("corrupt record: {table}.{column} of {id}")]
pub struct CorruptRecord {
    /// Table or collection.
    pub table: &'static str,
    /// Column or key.
    pub column: &'static str,
    /// The record's id.
    pub id: String,
}
