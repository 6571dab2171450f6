//! The one table of public errors: code, HTTP status, meaning. `docs/errors.md` is held to it by a test.

use std::time::Duration;

use connexus_domain::{AuthFailure, Denial, Error, FieldError};
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! error_codes {
    ($($name:ident, $code:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $title] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, in general.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

error_codes! {
    Malformed, "malformed", 400, "The request is not well-formed";
    ValidationFailed, "validation_failed", 400, "Some fields are not acceptable";
    TokenMissing, "token_missing", 401, "An access token is required";
    InvalidCredentials, "invalid_credentials", 401, "Wrong identifier or password";
    TokenInvalid, "token_invalid", 401, "The token is not valid";
    TokenExpired, "token_expired", 401, "The token has expired";
    SessionRevoked, "session_revoked", 401, "The session has ended";
    RefreshReused, "refresh_reused", 401, "The refresh token was used before; its session has been ended";
    NotMember, "not_member", 403, "Only members of the conversation may do this";
    NotSender, "not_sender", 403, "Only the sender of the message may do this";
    RoleTooLow, "role_too_low", 403, "The member's role does not allow this";
    Blocked, "blocked", 403, "One of the two users has blocked the other";
    FixedConversation, "fixed_conversation", 403, "A direct conversation cannot be changed";
    LastOwner, "last_owner", 403, "A conversation needs an owner";
    NotFound, "not_found", 404, "There is no such thing, or it is not for the asker to know";
    MethodNotAllowed, "method_not_allowed", 405, "The route does not have this method";
    Conflict, "conflict", 409, "A unique value is taken";
    IdempotencyMismatch, "idempotency_mismatch", 409, "The client_id was used for a different message";
    PayloadTooLarge, "payload_too_large", 413, "The body is too large";
    UnsupportedMediaType, "unsupported_media_type", 415, "The body must be JSON";
    RateLimited, "rate_limited", 429, "Too many requests; Retry-After says when the next may come";
    Internal, "internal", 500, "A fault of the server; it has been logged";
    Unavailable, "unavailable", 503, "The service is not available now; Retry-After says when to try again";
}

impl ErrorCode {
    /// The code of an error.
    pub const fn of(error: &Error) -> Self {
        match error {
            Error::NotFound(_) => Self::NotFound,
            Error::Conflict { .. } => Self::Conflict,
            Error::Forbidden(denial) => match denial {
                Denial::NotMember => Self::NotMember,
                Denial::NotSender => Self::NotSender,
                Denial::RoleTooLow => Self::RoleTooLow,
                Denial::Blocked => Self::Blocked,
                Denial::FixedConversation => Self::FixedConversation,
                Denial::LastOwner => Self::LastOwner,
            },
            Error::Unauthenticated(failure) => match failure {
                AuthFailure::Missing => Self::TokenMissing,
                AuthFailure::Credentials => Self::InvalidCredentials,
                AuthFailure::InvalidToken => Self::TokenInvalid,
                AuthFailure::ExpiredToken => Self::TokenExpired,
                AuthFailure::RevokedSession => Self::SessionRevoked,
                AuthFailure::ReusedRefreshToken => Self::RefreshReused,
            },
            Error::Invalid(_) => Self::ValidationFailed,
            Error::IdempotencyMismatch => Self::IdempotencyMismatch,
            Error::RateLimited { .. } => Self::RateLimited,
            Error::Unavailable { .. } => Self::Unavailable,
            Error::Internal { .. } => Self::Internal,
        }
    }
}

/// One field that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemField {
    /// The field's name.
    #[schema(example = "username")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "must have 3 to 30 characters")]
    pub reason: String,
}

/// An error (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of error.
    #[serde(rename = "type")]
    #[schema(example = "urn:connexus:error:validation_failed")]
    pub kind: String,
    /// What the kind means.
    #[schema(example = "Some fields are not acceptable")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What happened this time.
    #[schema(example = "username: must have 3 to 30 characters")]
    pub detail: String,
    /// The kind, for programs.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// Every field that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:connexus:error:{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str(),
            errors: Vec::new(),
        }
    }

    /// What a client is told of an error: never its source.
    pub fn of(error: &Error) -> Self {
        let mut problem = Self::new(ErrorCode::of(error), error.to_string());
        match error {
            Error::Invalid(fields) => {
                problem.errors = fields.iter().map(ProblemField::from).collect();
                let listed: Vec<String> = fields
                    .iter()
                    .map(|f| format!("{}: {}", f.field, f.reason))
                    .collect();
                problem.detail = listed.join("; ");
            }
            Error::Conflict { field } => {
                let reason = "is already taken".to_owned();
                problem.errors = vec![ProblemField {
                    field: (*field).to_owned(),
                    reason,
                }];
            }
            _ => {}
        }
        problem
    }
}

impl From<&FieldError> for ProblemField {
    fn from(error: &FieldError) -> Self {
        Self {
            field: error.field.clone(),
            reason: error.reason.clone(),
        }
    }
}

/// When to try again, in whole seconds and at least one, for `Retry-After`.
pub fn retry_after(error: &Error) -> Option<u64> {
    match error {
        Error::RateLimited { retry_after } | Error::Unavailable { retry_after, .. } => {
            Some(whole_seconds(*retry_after))
        }
        _ => None,
    }
}

/// Rounded up, at least one.
pub fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_with_its_status() {
        let docs = include_str!("../../../docs/errors.md");
        for code in ErrorCode::ALL {
            let row = format!(
                "| `{}` | {} | {} |",
                code.as_str(),
                code.status(),
                code.title()
            );
            assert!(docs.contains(&row), "docs/errors.md lacks: {row}");
        }
        let rows = docs.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(
            rows,
            ErrorCode::ALL.len(),
            "docs/errors.md has a row too many"
        );
    }

    #[test]
    fn a_source_is_never_told() {
        let error = Error::unavailable(std::io::Error::other("password=hunter2"));
        let told = serde_json::to_string(&Problem::of(&error)).unwrap();
        assert!(!told.contains("hunter2"));
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2_001)), 3);
    }
}
