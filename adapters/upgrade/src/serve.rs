use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_codec::{Encoder as _, Framed};
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::{ConnectionType, HttpService, KeepAlive, Request, Response, StatusCode, h1};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service,
    map_config,
};
use actix_web::dev::{AppConfig, Extensions};
use actix_web::{Error, HttpMessage as _};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::incoming::Incoming;
use crate::{Takeover, Upgraded};

/// How long the head of a connection's first request may take. Clients with a pool open connections ahead of need,
/// and an answer to one of them (408) that meets a request on its way is an error there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How the server serves.
#[derive(Clone)]
pub struct Settings {
    /// Threads, each with the connections that it accepted.
    pub workers: usize,
    /// Most connections of one worker.
    pub max_connections: usize,
    /// Where upgraded connections live on, which a graceful stop of the server does not wait for: each takes a
    /// task of a fraction of the size.
    pub upgraded: TaskTracker,
    /// Most upgraded connections of the process; whoever asks for one more is answered with status 503.
    pub max_upgraded: usize,
    /// How long a connection without a request is kept for the next; none is when it is zero.
    pub keep_alive: Duration,
    /// How long a graceful stop waits for connections; rounded up to whole seconds.
    pub shutdown_timeout: Duration,
    /// Called with each new connection.
    pub on_connect: fn(&TcpStream),
}

impl Default for Settings {
    /// A thread for each core, and as many connections as actix-web has for each.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers,
            max_connections: 25_000,
            upgraded: TaskTracker::new(),
            max_upgraded: 25_000 * workers,
            keep_alive: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(30),
            on_connect: |_| {},
        }
    }
}

/// Serves `factory`'s application where it [listens](listen). The future that this returns has to be run.
///
/// # Errors
///
/// When the listener cannot be used.
pub fn serve<F, I, S, B>(
    listener: TcpListener,
    settings: &Settings,
    factory: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let (on_connect, keep_alive) = (settings.on_connect, settings.keep_alive);
    let (upgraded, limit) = (settings.upgraded.clone(), settings.max_upgraded);
    let server = Server::build()
        .workers(settings.workers)
        .max_concurrent_connections(settings.max_connections)
        .shutdown_timeout(seconds_up(settings.shutdown_timeout))
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        // one application for a thread, for requests of both kinds
        let app = Rc::new(map_config(
            factory()
                .into_factory()
                .map_err(|error| error.into().error_response()),
            |()| AppConfig::default(),
        ));
        let made = Rc::new(OnceCell::new());
        let app = move || {
            let (app, made) = (Rc::clone(&app), Rc::clone(&made));
            async move {
                let make = async || app.new_service(()).await.map(Rc::new);
                made.get_or_try_init(make).await.cloned()
            }
        };
        let for_upgrades = app.clone();
        let upgraded = upgraded.clone();
        let stopping = stopping.clone();
        HttpService::build()
            .keep_alive(KeepAlive::from(keep_alive))
            .client_request_timeout(HEAD_TIMEOUT)
            // a poll that its client has given up ends at once
            .h1_allow_half_closed(false)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(move |stream: &TcpStream, _: &mut Extensions| on_connect(stream))
            .upgrade(fn_factory(move || {
                let app = for_upgrades();
                let upgraded = upgraded.clone();
                async move {
                    let app = app.await?;
                    Ok::<_, S::InitError>(fn_service(move |upgrade| {
                        let (app, upgraded) = (Rc::clone(&app), upgraded.clone());
                        async move {
                            if let Err(error) = answer(&*app, upgrade, &upgraded, limit).await {
                                tracing::debug!(%error, "an upgraded connection broke");
                            }
                            Ok::<_, Infallible>(())
                        }
                    }))
                }
            }))
            .finish(fn_factory(app))
            .tcp()
    })?;
    Ok(server.run())
}

/// Serves a request for an upgrade. The upgraded connection lives on by itself.
async fn answer<A, B>(
    app: &A,
    (mut request, framed): (Request, Framed<TcpStream, h1::Codec>),
    upgraded: &TaskTracker,
    limit: usize,
) -> io::Result<()>
where
    A: Service<Request>,
    A::Response: Into<Response<B>>,
    A::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let parts = framed.into_parts();
    let mut codec = parts.codec;
    let mut out = parts.write_buf;
    let (reading, writing) = parts.io.into_split();
    let incoming = Incoming::new(reading, Bytes::copy_from_slice(&parts.read_buf));
    // its room is far greater than what is in it
    drop(parts.read_buf);
    let takeover = Takeover::default();
    request.extensions_mut().insert(takeover.clone());
    *request.payload() = incoming.boxed_local().into();
    let response = if upgraded.len() < limit {
        match app.call(request).await {
            Ok(response) => response.into().map_into_boxed_body(),
            Err(error) => error.into(),
        }
    } else {
        Response::new(StatusCode::SERVICE_UNAVAILABLE).map_into_boxed_body()
    };
    let (mut head, body) = response.into_parts();
    let switched = head.status() == StatusCode::SWITCHING_PROTOCOLS;
    if let Some(start) = takeover.taken().filter(|_| switched) {
        codec.encode(h1::Message::Item((head, BodySize::None)), &mut out)?;
        upgraded.spawn_local(start(Upgraded {
            socket: writing,
            head: out.freeze(),
        }));
        return Ok(());
    }
    if !switched {
        head.head_mut().set_connection_type(ConnectionType::Close);
    }
    codec.encode(h1::Message::Item((head, body.size())), &mut out)?;
    let rest = pass_on(body, codec, out, writing);
    if switched {
        upgraded.spawn_local(async {
            if let Err(error) = rest.await {
                tracing::debug!(%error, "an upgraded connection broke");
            }
        });
        return Ok(());
    }
    rest.await
}

/// Writes a body. What of it is there at once goes out at once.
async fn pass_on(
    body: BoxBody,
    mut codec: h1::Codec,
    mut out: BytesMut,
    mut socket: OwnedWriteHalf,
) -> io::Result<()> {
    const GATHER: usize = 64 * 1024;
    let mut body = pin!(body);
    let mut ended = false;
    while !ended {
        socket.write_all_buf(&mut out).await?;
        // an idle connection holds no buffer
        out = BytesMut::new();
        ended = poll_fn(|cx| {
            while out.len() < GATHER {
                let chunk = match body.as_mut().poll_next(cx) {
                    Poll::Ready(chunk) => chunk
                        .transpose()
                        .map_err(|e| io::Error::other(e.to_string()))?,
                    Poll::Pending if out.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                };
                let last = chunk.is_none();
                codec.encode(h1::Message::Chunk(chunk), &mut out)?;
                if last {
                    return Poll::Ready(io::Result::Ok(true));
                }
            }
            Poll::Ready(Ok(false))
        })
        .await?;
    }
    socket.write_all_buf(&mut out).await
}

/// Listens at an address as actix-web does. The kernel holds back at most `backlog` connections before they are
/// accepted.
///
/// # Errors
///
/// When the address cannot be listened at.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
