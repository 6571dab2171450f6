//! The upgrade: who may connect, and the ways to say who one is.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use connexus_application::client_address;

use crate::close::Close;
use crate::outbox::{Outbox, OutboxBody};
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
    gateway: web::Data<Gateway>,
) -> Result<HttpResponse, actix_web::Error> {
    let settings = &gateway.settings;
    let (response, session, stream) =
        actix_ws::handle_with_protocols(&request, payload, &[PROTOCOL])?;
    // actix-ws's own way of writing is not used
    drop(session);
    let outbox = Outbox::new(settings.outbox);
    let body_outbox = Rc::clone(&outbox);
    let response = response.map_body(|_, gone_signal| OutboxBody::new(body_outbox, gone_signal));
    let stream = stream
        .max_frame_size(settings.max_frame)
        .aggregate_continuations();
    let stream = stream.max_continuation_size(settings.max_frame);
    if !origin_allowed(&request, settings) {
        outbox.close(Close::Origin);
    }
    let token = token_of(&request);
    let address = address_of(&request, settings);
    let mut socket = Socket::new(gateway.into_inner(), outbox, address);
    socket.enter(token).await;
    actix_rt::spawn(socket.run(stream));
    Ok(response.map_into_boxed_body())
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
