//! WebSocket: as the first transport, and as the one that takes over from polling.
//!
//! actix-ws does the handshake and reads; writing is a response body of our own, since what is written has
//! been encoded once for all sockets and needs neither a channel nor a copy per socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, ProtocolError};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::frame::Frame;
use super::http::{self, Invalid};
use super::reason::CloseReason;
use super::session::{Message, Session};
use super::{Engine, driver};
use crate::packet::Importance;
use crate::settings::Settings;

/// How long a closed socket is listened to for the other side's close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// The frames of the socket itself, as opposed to its session's: those of the probe, and of its end.
#[derive(Default)]
struct Wire {
    frames: VecDeque<Frame>,
    ended: bool,
    waker: Option<Waker>,
}

impl Wire {
    fn push(wire: &RefCell<Self>, frame: Frame) {
        let mut wire = wire.borrow_mut();
        wire.frames.push_back(frame);
        wire.wake();
    }

    fn end(wire: &RefCell<Self>, code: u16) {
        let mut wire = wire.borrow_mut();
        if !wire.ended {
            wire.frames.push_back(Frame::close(code, ""));
            wire.ended = true;
            wire.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The response body of an upgraded connection. Actix gathers what it yields in one write.
struct Body {
    session: Arc<Session>,
    socket: u32,
    wire: Rc<RefCell<Wire>>,
    /// The body that actix-ws made: its end tells the reading side that the connection is gone.
    _gone_signal: BoxBody,
}

impl MessageBody for Body {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut wire = self.wire.borrow_mut();
        if let Some(frame) = wire.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame.websocket())));
        }
        if wire.ended {
            return Poll::Ready(None);
        }
        wire.waker = Some(cx.waker().clone());
        let polled = self.session.poll_websocket(self.socket, cx);
        polled.map(|frame| frame.map(|frame| Ok(frame.websocket())))
    }
}

fn accept(
    session: &Arc<Session>,
    socket: u32,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(HttpResponse, Socket), Invalid> {
    let (response, writer, stream) = actix_ws::handle(request, payload).map_err(|error| {
        tracing::debug!(%error, "no WebSocket handshake");
        Invalid::Request
    })?;
    // actix-ws's own way of writing is not used
    drop(writer);
    let wire = Rc::new(RefCell::new(Wire::default()));
    let body_parts = (Arc::clone(session), Rc::clone(&wire));
    let response = response.map_body(|_, gone_signal| Body {
        session: body_parts.0,
        socket,
        wire: body_parts.1,
        _gone_signal: gone_signal,
    });
    let limit = max_frame(&session.settings);
    let stream = stream.max_frame_size(limit).aggregate_continuations();
    let socket = Socket {
        session: Arc::clone(session),
        number: socket,
        wire,
        stream: stream.max_continuation_size(limit),
    };
    Ok((response.map_into_boxed_body(), socket))
}

/// The packet's type is not counted.
fn max_frame(settings: &Settings) -> usize {
    settings.max_payload.saturating_add(1)
}

/// A handshake.
pub fn open(
    engine: &Arc<Engine>,
    mount: usize,
    label: &'static str,
    query: Vec<(String, String)>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Invalid> {
    let session = engine.open(mount, true).ok_or(Invalid::Full)?;
    let (response, socket) = match accept(&session, 0, request, payload) {
        Ok(accepted) => accepted,
        Err(invalid) => {
            engine.forget(&session.id);
            return Err(invalid);
        }
    };
    let open = Frame::packet(&http::open_packet(&session, true));
    session.send(std::iter::once(&open), Importance::Essential);
    driver::start(
        engine,
        &session,
        http::handshake(label, query, request, true),
    );
    metrics::counter!("socketio_opened_total", "transport" => "websocket").increment(1);
    actix_rt::spawn(socket.run());
    Ok(response)
}

/// A WebSocket that wants to take over from polling. One that must not is closed when it is open, since
/// that is what clients expect.
pub fn upgrade(
    session: &Arc<Session>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Invalid> {
    let number = session.offer_upgrade();
    match accept(session, number.unwrap_or(u32::MAX), request, payload) {
        Ok((response, socket)) => {
            if number.is_none() {
                Wire::end(&socket.wire, CloseReason::Transport.code());
            }
            actix_rt::spawn(socket.take_over());
            Ok(response)
        }
        Err(invalid) => {
            if let Some(number) = number {
                session.abandon_upgrade(number);
            }
            Err(invalid)
        }
    }
}

/// The reading side of one socket.
struct Socket {
    session: Arc<Session>,
    number: u32,
    wire: Rc<RefCell<Wire>>,
    stream: AggregatedMessageStream,
}

impl Socket {
    /// Serves the socket until its end.
    async fn run(mut self) {
        let session = Arc::clone(&self.session);
        tokio::select! {
            biased;
            () = session.closed() => {}
            reason = self.read() => {
                session.finish(reason);
                // the driver ends the session when it has handed over what has come
                if reason != CloseReason::Transport {
                    session.closed().await;
                }
            }
        }
        self.drain().await;
    }

    /// The connection goes when the other side has closed, or does not.
    async fn drain(&mut self) {
        let rest = async { while self.stream.next().await.is_some() {} };
        drop(tokio::time::timeout(CLOSING, rest).await);
    }

    async fn read(&mut self) -> CloseReason {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return reason_of(&error),
                None => return CloseReason::Transport,
            };
            let message = match message {
                AggregatedMessage::Text(text) => match text.as_bytes().first() {
                    Some(b'4') => Message::Text(text.slice_ref(&text[1..])),
                    Some(b'3') => {
                        self.session.heard(true);
                        continue;
                    }
                    Some(b'6') => continue,
                    Some(b'1') => return CloseReason::Transport,
                    _ => return CloseReason::Protocol,
                },
                AggregatedMessage::Binary(bytes) => Message::Binary(bytes),
                AggregatedMessage::Ping(payload) => {
                    let pong = Frame::pong(&payload);
                    self.session
                        .send(std::iter::once(&pong), Importance::Essential);
                    continue;
                }
                AggregatedMessage::Pong(_) => continue,
                AggregatedMessage::Close(_) => return CloseReason::Transport,
            };
            self.session.heard(false);
            if !self.session.receive(message).await {
                return CloseReason::Transport;
            }
        }
    }

    /// Waits for the probe and for the word to take over.
    async fn take_over(mut self) {
        let timeout = self.session.settings.upgrade_timeout;
        let session = Arc::clone(&self.session);
        let done = tokio::select! {
            done = tokio::time::timeout(timeout, self.negotiate()) => done.unwrap_or(false),
            () = session.closed() => false,
        };
        if done {
            // the body has asked the session before it was this socket's turn
            self.wire.borrow_mut().wake();
            self.run().await;
        } else {
            self.session.abandon_upgrade(self.number);
            Wire::end(&self.wire, CloseReason::Transport.code());
            self.drain().await;
        }
    }

    async fn negotiate(&mut self) -> bool {
        while let Some(Ok(message)) = self.stream.next().await {
            if self.wire.borrow().ended {
                return false;
            }
            match message {
                AggregatedMessage::Text(text) if text == "2probe" => {
                    self.session.probe(self.number);
                    Wire::push(&self.wire, Frame::packet("3probe"));
                }
                AggregatedMessage::Text(text) if text == "5" => {
                    return self.session.upgrade(self.number);
                }
                AggregatedMessage::Ping(payload) => Wire::push(&self.wire, Frame::pong(&payload)),
                AggregatedMessage::Pong(_) => {}
                _ => return false,
            }
        }
        false
    }
}

fn reason_of(error: &ProtocolError) -> CloseReason {
    match error {
        ProtocolError::Overflow => CloseReason::TooBig,
        ProtocolError::Io(io) if io.kind() == std::io::ErrorKind::Other => CloseReason::TooBig,
        ProtocolError::Io(io) if io.kind() != std::io::ErrorKind::InvalidData => {
            CloseReason::Transport
        }
        _ => CloseReason::Protocol,
    }
}
