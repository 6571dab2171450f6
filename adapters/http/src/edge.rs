//! What every request goes through before it is routed: an id, a span, numbers, limits, headers.

use std::rc::Rc;
use std::time::Instant;

use actix_cors::Cors;
use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest};
use connexus_domain::ports::Subject;
use connexus_wire::{ErrorCode, Problem};
use tracing::Instrument as _;

use crate::failure::{Failure, PROBLEM};
use crate::gateway::Gateway;
use crate::limits::{self, RouteClass};
use crate::routes;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const UNMATCHED: &str = "unmatched";

/// The route's pattern. To find it compares the path with one pattern after the other, so it is done once.
#[derive(Clone)]
struct Pattern(Rc<str>);

/// The pattern that was found of a request's route.
pub fn pattern(request: &ServiceRequest) -> Rc<str> {
    let found = request.extensions().get::<Pattern>().cloned();
    found.map_or_else(|| UNMATCHED.into(), |found| found.0)
}

/// The outermost layer: whatever the answer is, it has an id and the security headers, and is counted.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let gateway = request.app_data::<Data<Gateway>>().cloned();
    let id = request_id(&request, gateway.as_ref());
    let method = known_method(request.method());
    let route: Rc<str> = request
        .resource_map()
        .match_pattern(routed(request.request()))
        .as_deref()
        .unwrap_or(UNMATCHED)
        .into();
    request.extensions_mut().insert(Pattern(Rc::clone(&route)));
    // nothing that a client may put into a path, a query or a header is written to the log, but the id
    let span = tracing::info_span!("request", request_id = %id, method, route = &*route);
    let answer = next.call(request).instrument(span.clone()).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = started.elapsed();
    count(method, &route, status, took.as_secs_f64());
    span.in_scope(|| {
        let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        if route.starts_with("/health") || *route == *"/metrics" {
            tracing::debug!(status, latency_ms, "answered");
        } else {
            tracing::info!(status, latency_ms, "answered");
        }
    });
    let mut answer = answer?;
    let path = Path::of(routed(answer.request()));
    let hsts = gateway.is_some_and(|gateway| gateway.settings.hsts);
    let headers = answer.headers_mut();
    secure(headers, path, hsts);
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    Ok(answer)
}

/// The client's own id for the request when it is a sane one, else a new one.
fn request_id(request: &ServiceRequest, gateway: Option<&Data<Gateway>>) -> String {
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|value| value.to_str().ok()).filter(|id| {
        let sane = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        (1..=64).contains(&id.len()) && id.bytes().all(sane)
    });
    match (given, gateway) {
        (Some(id), _) => id.to_owned(),
        (None, Some(gateway)) => gateway.app.new_connection_id().to_string(),
        (None, None) => String::new(),
    }
}

/// A method as a label: a client must not be able to make up more labels.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn count(method: &'static str, route: &str, status: StatusCode, seconds: f64) {
    metrics::counter!(
        "connexus_http_requests_total",
        "method" => method,
        "route" => route.to_owned(),
        "status" => status.as_str().to_owned()
    )
    .increment(1);
    metrics::histogram!(
        "connexus_http_request_seconds",
        "method" => method,
        "route" => route.to_owned()
    )
    .record(seconds);
}

/// What kind of thing a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Api,
    Docs,
    Other,
}

impl Path {
    fn of(path: &str) -> Self {
        if is_api(path) {
            Self::Api
        } else if path == "/docs" || path.starts_with("/docs/") {
            Self::Docs
        } else {
            Self::Other
        }
    }
}

/// The path as it is routed: what is percent-encoded in it without need is decoded. All that depends on the path goes
/// by this one, or another spelling of a route would be another thing to the limits than to the router.
fn routed(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}

fn is_api(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

fn secure(headers: &mut HeaderMap, path: Path, hsts: bool) {
    // what an answer says itself stands: files may be cached, and shown by pages that stand elsewhere
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-site",
    );
    let policy = if path == Path::Docs {
        // the page that shows the description: its own scripts and styles, and pictures written into these
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
    } else {
        "default-src 'none'; frame-ancestors 'none'"
    };
    set(header::CONTENT_SECURITY_POLICY, policy);
    if hsts {
        set(
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    if path == Path::Api {
        set(header::CACHE_CONTROL, "no-store");
    }
}

/// Refuses a body that is compressed: a few bytes of one may be gigabytes, all of them unpacked before anybody could
/// compare them with a limit.
fn check_plain(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING);
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Failure::Request(
        ErrorCode::UnsupportedMediaType,
        "the body must not be compressed: no Content-Encoding".to_owned(),
    ))
}

/// Refuses what nobody can afford to read, and counts requests of the API by address, before anything else is done for
/// them.
pub async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Err(refused) = check_plain(request.headers()) {
        return Ok(request.error_response(refused).map_into_right_body());
    }
    let gateway = request.app_data::<Data<Gateway>>().cloned();
    let Some(gateway) = gateway.filter(|_| is_api(routed(request.request()))) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let class = routes::class(&pattern(&request), request.method());
    request.extensions_mut().insert(RouteClass(class));
    let subject = Subject::Address(gateway.address(request.request()));
    let mut answer = match limits::count(&gateway, request.request(), class, subject) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(refused) => request.error_response(refused).map_into_right_body(),
    };
    let told = limits::headers(&gateway, answer.request());
    for (name, value) in told {
        answer.headers_mut().insert(name, value);
    }
    if !answer.status().is_client_error() && !answer.status().is_server_error() {
        return Ok(answer);
    }
    Ok(answer.map_body(|head, body| match problem_of(head) {
        Some(problem) => EitherBody::right(BoxBody::new(problem)),
        None => body,
    }))
}

/// An error that is not of our making, such as a WebSocket handshake that is none, as a problem.
fn problem_of(head: &mut ResponseHead) -> Option<Vec<u8>> {
    let code = match head.status.as_u16() {
        400 => ErrorCode::Malformed,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        500 => ErrorCode::Internal,
        _ => return None,
    };
    let kind = head.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == PROBLEM) {
        return None;
    }
    let detail = format!("{}.", code.title());
    let body = serde_json::to_vec(&Problem::new(code, detail)).ok()?;
    let headers = head.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    Some(body)
}

/// Which pages may use the API.
pub fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "x-request-id",
        ])
        .expose_headers([
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-request-id",
        ])
        .max_age(3_600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    let origins: Vec<String> = origins
        .iter()
        .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
        .collect();
    // cookies say nothing here, but pages that send them want to be told that they may
    cors.supports_credentials()
        .allowed_origin_fn(move |origin, _| {
            let origin = origin.as_bytes().to_ascii_lowercase();
            origins.iter().any(|allowed| allowed.as_bytes() == origin)
        })
}
