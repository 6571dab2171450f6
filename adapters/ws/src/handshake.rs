//! The upgrade: who may connect, and the ways to say who one is.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::BoxBody;
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use connexus_application::client_address;
use connexus_upgrade::{Reader, Takeover};

use crate::close::Close;
use crate::outbox::Outbox;
use crate::socket::Socket;
use crate::{Gateway, WsSettings};

/// The protocol's name; the only one that is ever answered, so that no token is echoed.
const PROTOCOL: &str = "connexus.v1";
const BEARER_PROTOCOL: &str = "bearer.";

/// `GET /v1/ws`. What is wrong with origin or token is told by a close code, which a browser's script can
/// read, other than a status.
pub async fn open(
    request: HttpRequest,
    payload: web::Payload,
    // taken once, so there is none left
    no_payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Result<HttpResponse, actix_web::Error> {
    let settings = &gateway.settings;
    let answered = actix_ws::handle_with_protocols(&request, no_payload, &[PROTOCOL])?;
    // no more than the answer is used of actix-ws: reading and writing need less memory here
    let response = answered.0.map_body(|_, _| BoxBody::new(()));
    let takeover = Takeover::offered(&request)
        .ok_or_else(|| ErrorInternalServerError("served without a way to take the socket"))?;
    let outbox = Outbox::new(settings.outbox);
    if !origin_allowed(&request, settings) {
        outbox.close(Close::Origin);
    }
    let token = token_of(&request);
    let address = address_of(&request, settings);
    let reader = Reader::new(payload.into_inner(), settings.max_frame);
    let gateway = gateway.into_inner();
    let mut socket = Box::new(Socket::new(gateway, outbox, address, reader));
    socket.enter(token).await;
    takeover.take(|upgraded| socket.run(upgraded));
    Ok(response)
}

/// A page's origin must be allowed; who sends none is no browser.
fn origin_allowed(request: &HttpRequest, settings: &WsSettings) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let own = || {
        // a page that this server itself has served
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let of_origin = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == of_origin
    };
    settings
        .origins
        .iter()
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
        || own()
}

/// The token of the `Authorization` header or of the protocol list; never of the query string, which ends
/// up in logs.
fn token_of(request: &HttpRequest) -> Option<String> {
    let headers = request.headers();
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, token)) = header.and_then(|value| value.trim().split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(token.trim().to_owned());
    }
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(BEARER_PROTOCOL))
        .map(str::to_owned)
}

fn address_of(request: &HttpRequest, settings: &WsSettings) -> IpAddr {
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .collect();
    client_address(peer, &forwarded.join(","), &settings.proxies)
}
