//! What operators, proxies and developers look at. None of it is limited.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use connexus_domain::{AuthFailure, Error};
use connexus_wire::time::Time;
use serde_json::json;

use crate::extract::bearer;
use crate::gateway::Gateway;
use crate::handlers::{Answer, json as answer, ok};
use crate::{docs, schema};

/// Whether the process lives
///
/// Answers 200 as long as it does, also while the database is away: starting the server again would not
/// bring that back.
#[utoipa::path(
    get, path = "/health", tag = "ops", operation_id = "health", security(()),
    responses((status = 200, body = schema::Health, description = "It lives"))
)]
pub async fn health(gateway: Data<Gateway>) -> Answer {
    let storage = gateway.storage().await;
    ok(json!({
        "success": true,
        "message": "Server is healthy",
        "status": "ok",
        "timestamp": Time(gateway.app.now()),
        "environment": gateway.settings.environment,
        "version": gateway.settings.version,
        "database": if storage.answers { "connected" } else { "unavailable" },
    }))
}

/// Whether requests can be served
#[utoipa::path(
    get, path = "/health/ready", tag = "ops", operation_id = "ready", security(()),
    responses(
        (status = 200, body = schema::Readiness, description = "They can"),
        (status = 503, body = schema::Readiness, description = "The database does not answer")
    )
)]
pub async fn ready(gateway: Data<Gateway>) -> Answer {
    let storage = gateway.storage().await;
    let (status, word, check) = if storage.answers {
        (StatusCode::OK, "ready", "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "unavailable",
        )
    };
    let body = json!({
        "status": word,
        "checks": {"storage": {"status": check, "backend": storage.backend}},
    });
    answer(status, body)
}

/// Numbers for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "ops", operation_id = "metrics", security((), ("metrics" = [])),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "In the text format"),
        (status = 401, body = connexus_wire::Problem, content_type = "application/problem+json", description = "This server keeps them from strangers")
    )
)]
pub async fn metrics(gateway: Data<Gateway>, request: HttpRequest) -> Answer {
    if let Some(expected) = &gateway.settings.metrics_token {
        let given = bearer(&request).ok_or(Error::Unauthenticated(AuthFailure::Missing))?;
        if !same(given.as_bytes(), expected.as_bytes()) {
            return Err(Error::Unauthenticated(AuthFailure::InvalidToken).into());
        }
    }
    Ok(HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(gateway.metrics.render()))
}

/// Compares in a time that tells nothing of where two secrets part.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

/// The description of this API
#[utoipa::path(
    get, path = "/openapi.json", tag = "ops", operation_id = "openapi", security(()),
    responses((status = 200, content_type = "application/json", description = "OpenAPI 3.1"))
)]
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(docs::json())
}

/// The way to the page that shows the description.
pub async fn docs_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "/docs/"))
        .finish()
}
