//! Why something was refused, before a dialect words it.

use std::borrow::Cow;

use connexus_domain::{AuthFailure, Denial, Entity, Error, FieldError};
use connexus_wire::errors::{self, ErrorCode};
use connexus_wire::{Problem, fields};

/// What a handler fails with.
#[derive(Debug, Clone)]
pub enum Refused {
    /// A use-case said no. The dialect's table of errors words it.
    Domain(Error),
    /// The dialect has words of its own for this case.
    Said(u16, Cow<'static, str>),
}

pub type Result<T, E = Refused> = std::result::Result<T, E>;

/// A refusal in words that fit every dialect.
#[derive(Debug)]
pub struct Plain {
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub message: Cow<'static, str>,
    /// For programs: the public error code, in capitals.
    pub code: String,
    /// Every field that was refused.
    pub fields: Vec<FieldError>,
    /// When to try again, in seconds.
    pub retry_after: Option<u64>,
}

impl Refused {
    /// In the dialect's own words.
    pub fn said(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Said(status, message.into())
    }

    /// There is no such thing.
    pub const fn missing(entity: Entity) -> Self {
        Self::Domain(Error::NotFound(entity))
    }

    /// A field is wrong.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Domain(Error::invalid(field, reason))
    }

    /// Without the dialect's own table.
    pub fn plain(&self) -> Plain {
        match self {
            Self::Said(status, message) => Plain {
                status: *status,
                message: message.clone(),
                code: code_of(*status).to_owned(),
                fields: Vec::new(),
                retry_after: None,
            },
            Self::Domain(error) => Plain {
                status: ErrorCode::of(error).status(),
                message: words(error),
                code: ErrorCode::of(error).as_str().to_ascii_uppercase(),
                fields: match error {
                    Error::Invalid(fields) => fields.clone(),
                    Error::Conflict { field } => vec![FieldError {
                        field: (*field).to_owned(),
                        reason: "is already taken".to_owned(),
                    }],
                    _ => Vec::new(),
                },
                retry_after: errors::retry_after(error),
            },
        }
    }

    /// A fault of ours is logged here and nowhere else: this is where its cause is dropped.
    pub fn log(&self) {
        match self {
            Self::Domain(Error::Internal { source }) => {
                tracing::error!(cause = %source, "a request failed");
            }
            Self::Domain(Error::Unavailable { source, .. }) => {
                tracing::warn!(cause = %source, "a request could not be served now");
            }
            _ => {}
        }
    }
}

/// The word of a status, for clients that look at codes.
const fn code_of(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        409 => "CONFLICT",
        413 => "PAYLOAD_TOO_LARGE",
        429 => "RATE_LIMITED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        _ => "VALIDATION_FAILED",
    }
}

fn words(error: &Error) -> Cow<'static, str> {
    match error {
        Error::NotFound(entity) => match entity {
            Entity::User => "User not found",
            Entity::Conversation => "Conversation not found",
            Entity::Message => "Message not found",
            Entity::Member => "Member not found",
            _ => "Not found",
        }
        .into(),
        Error::Forbidden(Denial::NotMember) => "You are not a member of this conversation".into(),
        Error::Forbidden(Denial::NotSender) => "You can only change your own messages".into(),
        Error::Forbidden(Denial::RoleTooLow) => "You are not allowed to do this".into(),
        Error::Forbidden(Denial::Blocked) => "You cannot write to this user".into(),
        Error::Unauthenticated(AuthFailure::Missing) => "No token provided".into(),
        Error::Unauthenticated(AuthFailure::Credentials) => "Invalid credentials".into(),
        Error::Unauthenticated(_) => "Invalid token".into(),
        Error::RateLimited { .. } => "Too many requests, please try again later".into(),
        Error::Unavailable { .. } => "Service unavailable, please try again later".into(),
        Error::Internal { .. } => "Internal server error".into(),
        other => Problem::of(other).detail.into(),
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl From<fields::Refused> for Refused {
    fn from(refused: fields::Refused) -> Self {
        match refused {
            fields::Refused::Malformed(detail) => Self::said(400, detail),
            fields::Refused::Fields(wrong) => Self::Domain(Error::Invalid(wrong)),
        }
    }
}
