//! Requests: which of them are valid, and what is told about those that are not.

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::session::Session;
use super::{Engine, Handshake, driver, polling, websocket};
use crate::settings::Settings;

/// The errors of the protocol's reference implementation, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    Transport,
    Session,
    HandshakeMethod,
    Request,
    Forbidden,
    Version,
    /// No more sessions; has no number of its own.
    Full,
    /// Too many of this address that have joined nothing yet; the same.
    Crowded,
}

/// After how many seconds a client of a crowded address may try again: those before it join within moments.
const RETRY_AFTER: u32 = 5;

impl Invalid {
    pub fn response(self) -> HttpResponse {
        let (code, message) = match self {
            Self::Transport => (0, "Transport unknown"),
            Self::Session => (1, "Session ID unknown"),
            Self::HandshakeMethod => (2, "Bad handshake method"),
            Self::Request => (3, "Bad request"),
            Self::Forbidden => (4, "Forbidden"),
            Self::Version => (5, "Unsupported protocol version"),
            Self::Full => (3, "No more sessions"),
            Self::Crowded => (3, "Too many sessions of this address"),
        };
        let status = match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Crowded => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut response = HttpResponse::build(status);
        if self == Self::Crowded {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(serde_json::json!({ "code": code, "message": message }))
    }
}

/// Answers one request.
pub async fn answer(
    engine: &Arc<Engine>,
    mount: usize,
    label: &'static str,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let cors = cors_origin(&request, &engine.settings);
    let mut response = if engine.settings.cors && request.method() == Method::OPTIONS {
        preflight(&request)
    } else {
        route(engine, mount, label, request, payload)
            .await
            .unwrap_or_else(Invalid::response)
    };
    if let Some(origin) = cors {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::HeaderValue::from_static("true"),
        );
        headers.append(header::VARY, header::HeaderValue::from_static("Origin"));
    }
    response
}

async fn route(
    engine: &Arc<Engine>,
    mount: usize,
    label: &'static str,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Invalid> {
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_or_else(|_| Vec::new(), Query::into_inner);
    let value = |name: &str| {
        let mut found = query.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    };
    let is_websocket = match value("transport") {
        Some("polling") if engine.settings.polling => false,
        Some("websocket") if engine.settings.websocket => true,
        _ => return Err(Invalid::Transport),
    };
    if value("EIO") != Some("4") {
        return Err(Invalid::Version);
    }
    // JSONP is not offered
    if value("j").is_some() {
        return Err(Invalid::Request);
    }
    let known = match value("sid") {
        Some(id) => Some(engine.find(mount, id).ok_or(Invalid::Session)?),
        None => None,
    };
    if is_websocket {
        if request.method() != Method::GET {
            return Err(Invalid::HandshakeMethod);
        }
        if !origin_allowed(&request, &engine.settings) {
            return Err(Invalid::Forbidden);
        }
        return match known {
            Some(session) => websocket::upgrade(&session, &request, payload),
            None => websocket::open(engine, mount, label, query, &request, payload),
        };
    }
    match (known, request.method()) {
        (Some(session), &Method::GET) => polling::get(&session).await,
        (Some(session), &Method::POST) => polling::post(&session, &request, payload).await,
        (Some(_), _) => Err(Invalid::Request),
        (None, &Method::GET) => {
            let handshake = handshake(label, query, &request, false);
            let session = engine.open(mount, &handshake)?;
            driver::start(engine, &session, handshake);
            metrics::counter!("socketio_opened_total", "transport" => "polling").increment(1);
            Ok(polling::text(open_packet(&session, false)))
        }
        (None, _) => Err(Invalid::HandshakeMethod),
    }
}

pub fn handshake(
    label: &'static str,
    query: Vec<(String, String)>,
    request: &HttpRequest,
    websocket: bool,
) -> Handshake {
    Handshake {
        label,
        headers: request.headers().clone(),
        query,
        peer: request.peer_addr(),
        secure: request.app_config().secure(),
        websocket,
    }
}

/// The packet that opens a session; it has these five keys and no other.
pub fn open_packet(session: &Session, websocket: bool) -> String {
    let settings = &session.settings;
    let upgrades: &[&str] = if websocket || !settings.websocket {
        &[]
    } else {
        &["websocket"]
    };
    let open = serde_json::json!({
        "sid": &*session.id,
        "upgrades": upgrades,
        "pingInterval": millis(settings.ping_interval),
        "pingTimeout": millis(settings.ping_timeout),
        "maxPayload": settings.max_payload,
    });
    format!("0{open}")
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A page's origin must be allowed; who sends none is no browser.
fn origin_allowed(request: &HttpRequest, settings: &Settings) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let own = || {
        // a page that this server itself has served
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let of_origin = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == of_origin
    };
    listed(origin, settings) || own()
}

fn listed(origin: &str, settings: &Settings) -> bool {
    let mut origins = settings.origins.iter();
    origins.any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

fn cors_origin(request: &HttpRequest, settings: &Settings) -> Option<header::HeaderValue> {
    if !settings.cors {
        return None;
    }
    let origin = request.headers().get(header::ORIGIN)?;
    let allowed = origin.to_str().is_ok_and(|origin| listed(origin, settings));
    allowed.then(|| origin.clone())
}

fn preflight(request: &HttpRequest) -> HttpResponse {
    let mut response = HttpResponseBuilder::new(StatusCode::NO_CONTENT);
    response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"));
    if let Some(asked) = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
    {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone()));
    }
    response.finish()
}
