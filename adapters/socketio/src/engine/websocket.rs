//! WebSocket: as the first transport, and as the one that takes over from polling.
//!
//! The connection leaves actix with its socket ([`connexus_upgrade`]), since what is written has been encoded once for
//! all sockets: whoever sends it can write it, too, without a copy or a turn of the socket's task.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use connexus_upgrade::{
    Message as Incoming, ProtocolError, Reader, Takeover, Upgraded, WriteQueue,
};
use futures_util::StreamExt as _;

use super::frame::Frame;
use super::http::{self, Invalid};
use super::reason::CloseReason;
use super::session::{Message, Session, Transport};
use super::{Engine, driver};
use crate::packet::Importance;
use crate::settings::Settings;

/// How long a closed socket is listened to for the other side's close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// Answers an upgrade, and serves the socket with `serve`.
fn accept<F: Future<Output = ()> + 'static>(
    session: &Arc<Session>,
    number: u32,
    request: &HttpRequest,
    payload: Payload,
    serve: impl FnOnce(Socket, Upgraded) -> F + 'static,
) -> Result<HttpResponse, Invalid> {
    let mut response = ws::handshake(request.head()).map_err(|error| {
        tracing::debug!(%error, "no WebSocket handshake");
        Invalid::Request
    })?;
    let takeover = Takeover::offered(request).ok_or_else(|| {
        tracing::error!("served without a way to take the socket");
        Invalid::Transport
    })?;
    let socket = Socket {
        session: Arc::clone(session),
        number,
        reader: Reader::new(payload.into_inner(), max_frame(&session.settings)),
    };
    takeover.take(|upgraded| serve(socket, upgraded));
    Ok(response.finish().map_into_boxed_body().into())
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
    let handshake = http::handshake(label, query, request, true);
    let session = engine.open(mount, &handshake)?;
    let accepted = accept(&session, 0, request, payload, Socket::run);
    let response = accepted.inspect_err(|_| engine.forget(&session.id))?;
    let open = Frame::packet(&http::open_packet(&session, true));
    session.send(std::iter::once(&open), Importance::Essential);
    driver::start(engine, &session, handshake);
    metrics::counter!("socketio_opened_total", "transport" => "websocket").increment(1);
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
    let Some(number) = number else {
        return accept(session, u32::MAX, request, payload, Socket::refuse);
    };
    accept(session, number, request, payload, Socket::take_over)
        .inspect_err(|_| session.abandon_upgrade(number))
}

/// One socket.
struct Socket {
    session: Arc<Session>,
    number: u32,
    reader: Reader,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.session.hang_up(self.number);
    }
}

impl Socket {
    /// Serves a socket that is its session's transport from the beginning.
    async fn run(self, upgraded: Upgraded) {
        self.session.lock().writing.start(upgraded);
        self.serve().await;
    }

    /// Serves the session's transport until its end.
    async fn serve(mut self) {
        let session = Arc::clone(&self.session);
        let work = async {
            tokio::select! {
                biased;
                () = session.closed() => {}
                reason = self.read() => {
                    session.finish(reason);
                    // the driver ends the session when it has handed over what has come
                    session.closed().await;
                }
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            // the last: what waits is written when there is nothing else to do
            error = session.broken() => {
                tracing::debug!(%error, "a socket broke");
                return;
            }
        }
        // the connection goes when the other side has closed, or does not
        let end = async {
            session.write_rest().await;
            drain(&mut self.reader).await;
        };
        drop(tokio::time::timeout(CLOSING, end).await);
    }

    async fn read(&mut self) -> CloseReason {
        loop {
            let message = match self.reader.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return reason_of(&error),
                None => return CloseReason::Transport,
            };
            let message = match message {
                Incoming::Text(text) => match text.as_bytes().first() {
                    Some(b'4') => Message::Text(text.slice_ref(&text[1..])),
                    Some(b'3') => {
                        self.session.heard(true);
                        continue;
                    }
                    Some(b'6') => continue,
                    Some(b'1') => return CloseReason::Transport,
                    _ => return CloseReason::Protocol,
                },
                Incoming::Binary(bytes) => Message::Binary(bytes),
                Incoming::Ping(payload) => {
                    let pong = Frame::pong(&payload);
                    self.session
                        .send(std::iter::once(&pong), Importance::Essential);
                    continue;
                }
                Incoming::Pong => continue,
                Incoming::Close => return CloseReason::Transport,
            };
            self.session.heard(false);
            if !self.session.receive(message).await {
                return CloseReason::Transport;
            }
        }
    }

    /// Waits for the probe and for the word to take over.
    async fn take_over(mut self, upgraded: Upgraded) {
        let timeout = self.session.settings.upgrade_timeout;
        let session = Arc::clone(&self.session);
        // until then it has a queue of its own
        let mut queue = WriteQueue::from(upgraded);
        let done = tokio::select! {
            done = tokio::time::timeout(timeout, self.negotiate(&mut queue)) => done.unwrap_or(false),
            () = session.closed() => false,
        };
        if done {
            self.serve().await;
        } else {
            session.abandon_upgrade(self.number);
            self.close(queue).await;
        }
    }

    async fn negotiate(&mut self, queue: &mut WriteQueue) -> bool {
        loop {
            if poll_fn(|cx| queue.poll_write(cx)).await.is_err() {
                return false;
            }
            let Some(Ok(message)) = self.reader.next().await else {
                return false;
            };
            match message {
                Incoming::Text(text) if text == "2probe" => {
                    self.session.probe(self.number);
                    queue.push(Frame::packet("3probe").websocket());
                }
                Incoming::Text(text) if text == "5" => {
                    return self.session.upgrade(self.number, queue);
                }
                Incoming::Ping(payload) => queue.push(Frame::pong(&payload).websocket()),
                Incoming::Pong => {}
                _ => return false,
            }
        }
    }

    /// Closes a socket that must not take over.
    async fn refuse(self, upgraded: Upgraded) {
        self.close(upgraded.into()).await;
    }

    async fn close(mut self, mut queue: WriteQueue) {
        queue.push(Frame::close(CloseReason::Transport.code(), "").websocket());
        let end = async {
            if poll_fn(|cx| queue.poll_write(cx)).await.is_ok() {
                queue.hang_up();
                drain(&mut self.reader).await;
            }
        };
        drop(tokio::time::timeout(CLOSING, end).await);
    }
}

/// Reads until the other side has closed.
async fn drain(reader: &mut Reader) {
    while reader.next().await.is_some() {}
}

impl Session {
    /// Writes what waits, now and whenever the socket can take more; ends when the connection is broken.
    async fn broken(&self) -> io::Error {
        poll_fn(|cx| self.lock().writing.poll_broken(cx)).await
    }

    /// Writes the rest, and says that there is no more.
    async fn write_rest(&self) {
        if let Err(error) = poll_fn(|cx| self.lock().writing.poll_write(cx)).await {
            tracing::debug!(%error, "a socket broke before all was written");
        }
        self.lock().writing.hang_up();
    }

    /// A socket is gone, and the session with it if that was its transport.
    fn hang_up(&self, socket: u32) {
        let mut state = self.lock();
        if state.transport == Transport::WebSocket(socket) {
            state.writing.hang_up();
            drop(state);
            self.finish(CloseReason::Transport);
        }
    }
}

fn reason_of(error: &ProtocolError) -> CloseReason {
    match error {
        ProtocolError::Overflow => CloseReason::TooBig,
        ProtocolError::Io(io) if io.kind() != io::ErrorKind::InvalidData => CloseReason::Transport,
        _ => CloseReason::Protocol,
    }
}
