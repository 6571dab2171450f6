//! HTTP long-polling: a `GET` waits for packets, a `POST` brings some.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::StreamExt as _;

use super::http::Invalid;
use super::reason::CloseReason;
use super::session::{Message, Polled, Session};

/// Stands between the packets of a body.
const SEPARATOR: u8 = 0x1E;
/// How long a client's close waits for its poll, which may be on its way on another connection.
const FAREWELL: Duration = Duration::from_millis(100);
/// A poll of a session that was upgraded is refused after what its WebSocket is being told.
const UPGRADED: Duration = Duration::from_millis(20);
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An answer of packets.
pub fn text(body: impl actix_web::body::MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=UTF-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body)
}

/// A poll that is dropped before it has its answer: its client is gone.
struct Pending<'a>(&'a Session, bool);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.end_poll();
        if !self.1 {
            self.0.close(CloseReason::Transport);
        }
    }
}

pub async fn get(session: &Session) -> Result<HttpResponse, Invalid> {
    if session.lock().is_websocket() {
        tokio::time::sleep(UPGRADED).await;
        return Err(Invalid::Request);
    }
    session.start_poll().map_err(|reason| {
        tracing::debug!(reason = reason.as_str(), "a poll too many");
        Invalid::Request
    })?;
    let mut pending = Pending(session, false);
    let polled = session.poll().await;
    pending.1 = true;
    match polled {
        Polled::Packets(frames) => {
            let mut body = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum());
            for frame in &frames {
                if !body.is_empty() {
                    body.push(SEPARATOR);
                }
                frame.write_polling(&mut body);
            }
            Ok(text(body))
        }
        Polled::Noop => Ok(text("6")),
        Polled::Close => Ok(text("1")),
        Polled::Upgraded => {
            tokio::time::sleep(UPGRADED).await;
            Err(Invalid::Request)
        }
    }
}

/// Lets the next body come, however this one ends.
struct Posting<'a>(&'a Session);

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        self.0.lock().posting = false;
    }
}

pub async fn post(
    session: &Session,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Invalid> {
    {
        let mut state = session.lock();
        if state.is_websocket() {
            return Err(Invalid::Request);
        }
        if state.posting {
            drop(state);
            session.close(CloseReason::Protocol);
            return Err(Invalid::Request);
        }
        state.posting = true;
    }
    let _posting = Posting(session);
    let body = tokio::select! {
        body = read(request, payload, session.settings.max_payload) => body,
        () = session.closed() => return Err(Invalid::Session),
    };
    let body = match body {
        Ok(body) => body,
        Err(reason) => {
            session.close(reason);
            return Ok(match reason {
                CloseReason::TooBig => {
                    let mut response = HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE);
                    // what is left of the body is not read
                    response
                        .head_mut()
                        .set_connection_type(actix_web::http::ConnectionType::Close);
                    response
                }
                _ => Invalid::Request.response(),
            });
        }
    };
    match take(session, &body).await {
        Ok(()) => Ok(HttpResponse::Ok().content_type("text/html").body("ok")),
        Err(reason) => {
            session.close(reason);
            Err(Invalid::Request)
        }
    }
}

async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    limit: usize,
) -> Result<Bytes, CloseReason> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(CloseReason::TooBig);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a body ended early");
            CloseReason::Transport
        })?;
        if body.len() + chunk.len() > limit {
            return Err(CloseReason::TooBig);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Takes the packets of a body, one after the other.
async fn take(session: &Session, body: &Bytes) -> Result<(), CloseReason> {
    for packet in body.split(|byte| *byte == SEPARATOR) {
        let content = packet.get(1..).unwrap_or_default();
        let message = match packet.first() {
            Some(b'4') => {
                let text = ByteString::try_from(body.slice_ref(content));
                Message::Text(text.map_err(|_not_utf8| CloseReason::Protocol)?)
            }
            Some(b'b') => {
                let decoded = BASE64.decode(content);
                Message::Binary(decoded.map_err(|_no_base64| CloseReason::Protocol)?.into())
            }
            Some(b'3') => {
                session.heard(true);
                continue;
            }
            Some(b'6') => continue,
            Some(b'1') => {
                farewell(session).await;
                return Ok(());
            }
            _ => return Err(CloseReason::Protocol),
        };
        session.heard(false);
        if !session.receive(message).await {
            return Err(CloseReason::Transport);
        }
    }
    Ok(())
}

/// The client closes: its poll ends first.
async fn farewell(session: &Session) {
    let wait = async {
        loop {
            let mut polled = std::pin::pin!(session.changed.notified());
            polled.as_mut().enable();
            if session.answer_noop() || session.close_reason().is_some() {
                return;
            }
            polled.await;
        }
    };
    drop(tokio::time::timeout(FAREWELL, wait).await);
    session.finish(CloseReason::Transport);
}
