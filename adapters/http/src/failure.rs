//! Everything that is not a success leaves as a problem (RFC 9457).

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use connexus_domain::{Entity, Error};
use connexus_wire::{ErrorCode, Problem, errors};

/// The media type of a problem.
pub const PROBLEM: &str = "application/problem+json";

/// What a handler or extractor fails with.
#[derive(Debug)]
pub enum Failure {
    /// A use-case said no.
    Domain(Error),
    /// The request itself is not acceptable.
    Request(ErrorCode, String),
    /// The route has other methods: these.
    Method(String),
    /// The request took too long; worth another try.
    Slow,
}

impl Failure {
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::Request(ErrorCode::Malformed, detail.into())
    }

    pub const fn not_found(entity: Entity) -> Self {
        Self::Domain(Error::NotFound(entity))
    }

    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Domain(Error::invalid(field, reason))
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Domain(error) => Problem::of(error),
            Self::Request(code, detail) => Problem::new(*code, detail.clone()),
            Self::Method(allowed) => Problem::new(
                ErrorCode::MethodNotAllowed,
                format!("this route has the methods {allowed}"),
            ),
            Self::Slow => Problem::new(ErrorCode::Unavailable, "the request took too long"),
        }
    }

    /// A fault of ours is logged here and nowhere else: this is where its cause is dropped.
    fn log(&self) {
        match self {
            Self::Domain(error @ Error::Internal { .. }) => {
                tracing::error!(cause = %Causes(error), "a request failed");
            }
            Self::Domain(error @ Error::Unavailable { .. }) => {
                tracing::warn!(cause = %Causes(error), "a request could not be served now");
            }
            Self::Slow => tracing::warn!("a request took too long"),
            _ => {}
        }
    }
}

/// An error and what caused it, down to the last.
struct Causes<'a>(&'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem().detail)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.log();
        let problem = self.problem();
        let mut answer = HttpResponse::build(self.status_code());
        match self {
            Self::Method(allowed) => {
                answer.insert_header((header::ALLOW, allowed.as_str()));
            }
            Self::Slow => {
                answer.insert_header((header::RETRY_AFTER, "1"));
            }
            Self::Domain(error) => {
                if let Some(seconds) = errors::retry_after(error) {
                    answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
                }
            }
            Self::Request(..) => {}
        }
        if problem.status == 401 {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        answer.insert_header((header::CONTENT_TYPE, PROBLEM));
        match serde_json::to_vec(&problem) {
            Ok(body) => answer.body(body),
            Err(error) => {
                tracing::error!(%error, "a problem that cannot be written");
                answer.finish()
            }
        }
    }
}
