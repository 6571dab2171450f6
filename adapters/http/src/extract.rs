//! Who asks, and what is in the request: every part that is wrong is told by its name.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use connexus_application::Actor;
use connexus_domain::{AuthFailure, Entity, Error};
use connexus_wire::ErrorCode;
use connexus_wire::fields::{self, Refused};
use garde::Validate;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::limits;

type LocalFuture<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

/// Who asks, proven by the access token of the `Authorization` header.
pub struct Authenticated(pub Actor);

impl FromRequest for Authenticated {
    type Error = Failure;
    type Future = LocalFuture<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(authenticate(&request).await?)) })
    }
}

/// The fields of a body.
pub trait Fields: DeserializeOwned + Validate<Context = ()> + 'static {}

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> Fields for T {}

/// A JSON body from anybody.
pub struct Body<T>(pub T);

impl<T: Fields> FromRequest for Body<T> {
    type Error = Failure;
    type Future = LocalFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { Ok(Self(read(&request, payload).await?)) })
    }
}

/// A JSON body from somebody who is known. The token is checked before the body is read, so that a
/// stranger learns nothing from a body and costs us none.
pub struct Signed<T>(pub Actor, pub T);

impl<T: Fields> FromRequest for Signed<T> {
    type Error = Failure;
    type Future = LocalFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let actor = authenticate(&request).await?;
            Ok(Self(actor, read(&request, payload).await?))
        })
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn gateway(request: &HttpRequest) -> Result<&Data<Gateway>, Failure> {
    request
        .app_data::<Data<Gateway>>()
        .ok_or_else(|| Error::internal(std::io::Error::other("no gateway in the app")).into())
}

pub async fn authenticate(request: &HttpRequest) -> Result<Actor, Failure> {
    let gateway = gateway(request)?;
    let token = bearer(request).ok_or(Error::Unauthenticated(AuthFailure::Missing))?;
    let actor = gateway.app.auth.authenticate(token).await?;
    limits::count_user(gateway, request, actor.user_id)?;
    Ok(actor)
}

async fn read<T: Fields>(request: &HttpRequest, mut payload: Payload) -> Result<T, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let named = kind.is_some();
    if let Some(kind) = kind
        && !kind.to_str().is_ok_and(is_json)
    {
        return Err(not_json());
    }
    let body = match Bytes::from_request(request, &mut payload).await {
        Ok(body) => body,
        Err(error) => return Err(unreadable(request, &error)),
    };
    if named {
        return parse(&body);
    }
    // a request without a body has no fields, which is fine where none is required
    if body.is_empty() {
        parse(b"{}")
    } else {
        Err(not_json())
    }
}

fn not_json() -> Failure {
    Failure::Request(
        ErrorCode::UnsupportedMediaType,
        "the body must be JSON, with Content-Type: application/json".to_owned(),
    )
}

fn unreadable(request: &HttpRequest, error: &actix_web::Error) -> Failure {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            let most = request.app_data::<Data<Gateway>>();
            let most = most.map_or(0, |gateway| gateway.settings.body_limit);
            Failure::Request(
                ErrorCode::PayloadTooLarge,
                format!("the body must have at most {most} bytes"),
            )
        }
        _ => Failure::malformed("the body ended before it was complete"),
    }
}

/// `application/json`, or another type that says it is JSON.
fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A body's fields.
fn parse<T: Fields>(body: &[u8]) -> Result<T, Failure> {
    fields::of_json(body).map_err(|refused| match refused {
        Refused::Malformed(detail) => Failure::malformed(detail),
        Refused::Fields(wrong) => Failure::Domain(Error::Invalid(wrong)),
    })
}

/// An id in the path. What is no id names nothing.
pub fn id<T: std::str::FromStr>(
    request: &HttpRequest,
    name: &str,
    entity: Entity,
) -> Result<T, Failure> {
    let text = request.match_info().get(name).unwrap_or_default();
    text.parse().ok().ok_or(Failure::not_found(entity))
}

/// A text in the path; what the router has left encoded is decoded.
pub fn segment(request: &HttpRequest, name: &str) -> String {
    let text = request.match_info().get(name).unwrap_or_default();
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto;

    fn refused<T: Fields>(body: &str) -> (String, String) {
        match parse::<T>(body.as_bytes()).err().unwrap() {
            Failure::Domain(Error::Invalid(fields)) => {
                (fields[0].field.clone(), fields[0].reason.clone())
            }
            Failure::Request(ErrorCode::Malformed, detail) => ("malformed".to_owned(), detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_field_is_named_and_not_repeated() {
        let cases = [
            (
                r#"{"identifier": {"$gt": ""}}"#,
                "identifier",
                "must be a string",
            ),
            (r#"{"identifier": "x"}"#, "password", "is required"),
            (
                r#"{"identifier": 1.5, "password": "x"}"#,
                "identifier",
                "must be a string",
            ),
        ];
        for (body, field, reason) in cases {
            let told = refused::<dto::Login>(body);
            assert_eq!(told, (field.to_owned(), reason.to_owned()));
        }
        let told = refused::<dto::UpdateMe>(r#"{"privacy": {"presence": "secret"}}"#);
        assert_eq!(told.0, "privacy.presence");
        assert!(!told.1.contains("secret"), "{told:?}");
        let told = refused::<dto::AddMembers>(r#"{"user_ids": ["nobody"]}"#);
        assert_eq!(
            told,
            ("user_ids[0]".to_owned(), "must be a UUID".to_owned())
        );
        let told = refused::<dto::AddMembers>(r#"{"user_id": 7}"#);
        assert_eq!(told, ("user_id".to_owned(), "must be a UUID".to_owned()));
        for bad in ["-1.5", "1e300", "[]", "{}", "\"1\"", "99999999999999999999"] {
            let told = refused::<dto::Read>(&format!(r#"{{"seq": {bad}}}"#));
            assert_eq!(
                told,
                ("seq".to_owned(), "must be a whole number".to_owned())
            );
        }
        let told = refused::<dto::Sync>(r#"{"limit": 0}"#);
        assert_eq!(told.0, "limit");
        let told = refused::<dto::Sync>(r#"{"conversations": {"x": 1}}"#);
        assert!(told.0.starts_with("conversations"), "{told:?}");
        let told = refused::<dto::OpenConversation>(r#"{"kind": "club"}"#);
        assert_eq!(told.0, "kind");
    }

    #[test]
    fn what_is_no_json_object_is_malformed() {
        let deep = format!(
            r#"{{"x":{}1{}}}"#,
            r#"{"a":"#.repeat(20_000),
            "}".repeat(20_000)
        );
        for body in [
            "",
            "{",
            "[]",
            "null",
            "4",
            "{\"x\":\"\\ud800\"}",
            "\u{0}",
            &deep,
        ] {
            assert_eq!(refused::<dto::UpdateMe>(body).0, "malformed");
        }
    }

    #[test]
    fn null_and_absent_are_told_apart() {
        let body: dto::UpdateMe = parse(br#"{"bio": null, "display_name": null}"#)
            .ok()
            .unwrap();
        assert_eq!((body.bio, body.status_text), (Some(None), None));
        assert_eq!(body.display_name, None);
    }

    #[test]
    fn json_has_many_names() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/a+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "",
            "text/plain",
            "text/json5",
            "application/xml",
            "multipart/form-data",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
