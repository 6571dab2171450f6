//! Engine.IO, protocol 4: sessions over HTTP long-polling and WebSocket that carry text and binary
//! messages. Socket.IO is one [`Service`] on top of it; there may be others.

mod connection;
mod driver;
mod frame;
mod heartbeat;
mod http;
mod newcomers;
mod polling;
mod reason;
mod session;
mod upgrade;
mod websocket;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::header::HeaderMap;
use actix_web::web::{self, ServiceConfig};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::sync::Notify;

pub use connection::Connection;
pub use frame::Frame;
pub use reason::CloseReason;
pub use session::{Message, Queued};

use crate::settings::Settings;
use http::Invalid;
use newcomers::Newcomers;
use session::Session;

/// Bytes of randomness in an id.
const ID_BYTES: usize = 18;

/// What is made of sessions.
#[async_trait(?Send)]
pub trait Service: Send + Sync {
    /// Serves one session, on the thread that took its handshake. The session ends when this returns; when
    /// [`Connection::recv`] answers `None`, it has ended and this should return soon.
    async fn run(&self, connection: Connection, handshake: Rc<Handshake>);

    /// The address by which a session is counted until it is [settled](Connection::settle), so that one client
    /// cannot take all sessions. `None`, the default, does not count it.
    fn counted_by(&self, _handshake: &Handshake) -> Option<IpAddr> {
        None
    }
}

/// The request that opened a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Handshake {
    /// The label of the mount it came to.
    pub label: &'static str,
    /// The headers.
    pub headers: HeaderMap,
    /// The query, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// The other side of the connection, which may be a proxy.
    pub peer: Option<SocketAddr>,
    /// Whether the server itself speaks TLS.
    pub secure: bool,
    /// Whether it was a WebSocket from the beginning.
    pub websocket: bool,
}

/// A server of sessions: one for the process, shared by all worker threads.
pub struct Engine {
    settings: Arc<Settings>,
    service: Arc<dyn Service>,
    sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    newcomers: Arc<Newcomers>,
    mounts: Mutex<Vec<(String, &'static str)>>,
    closing: AtomicBool,
    drained: Notify,
}

impl Engine {
    /// An engine with this service on top.
    pub fn new(settings: Settings, service: Arc<dyn Service>) -> Arc<Self> {
        Arc::new(Self {
            newcomers: Newcomers::new(settings.unjoined_of_one()),
            settings: Arc::new(settings),
            service,
            sessions: Mutex::default(),
            mounts: Mutex::default(),
            closing: AtomicBool::new(false),
            drained: Notify::new(),
        })
    }

    /// Mounts the engine at a path, with and without a slash at its end. It may be mounted at several; a
    /// session is known at its own only.
    pub fn mount(self: &Arc<Self>, config: &mut ServiceConfig, path: &str, label: &'static str) {
        let path = path.trim_end_matches('/');
        let mount = self.mount_number(path, label);
        let engine = Arc::clone(self);
        config.service(web::resource([path.to_owned(), format!("{path}/")]).to(
            move |request, payload| {
                let engine = Arc::clone(&engine);
                async move { http::answer(&engine, mount, label, request, payload).await }
            },
        ));
    }

    /// The same on each worker thread.
    fn mount_number(&self, path: &str, label: &'static str) -> usize {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = mounts
            .iter()
            .position(|known| *known == (path.to_owned(), label));
        known.unwrap_or_else(|| {
            mounts.push((path.to_owned(), label));
            mounts.len() - 1
        })
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.lock().len()
    }

    /// Ends all sessions in such a way that clients reconnect by themselves, and opens no more: for a
    /// restart. WebSockets are closed with 1012.
    pub fn close_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let sessions: Vec<_> = self.lock().values().cloned().collect();
        for session in sessions {
            session.close(CloseReason::Restart);
        }
    }

    /// Waits until there is no session left, and so all services have been told.
    pub async fn drained(&self) {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            if self.sessions() == 0 {
                return;
            }
            drained.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session, unless there may be no more.
    fn open(&self, mount: usize, handshake: &Handshake) -> Result<Arc<Session>, Invalid> {
        let opened = self.try_open(mount, handshake);
        match &opened {
            Ok(_) => metrics::gauge!("socketio_sessions").increment(1),
            Err(_) => metrics::counter!("socketio_refused_total").increment(1),
        }
        opened
    }

    fn try_open(&self, mount: usize, handshake: &Handshake) -> Result<Arc<Session>, Invalid> {
        let id: Arc<str> = random_id().ok_or(Invalid::Full)?.into();
        let settings = Arc::clone(&self.settings);
        let session = Session::new(Arc::clone(&id), mount, settings, handshake.websocket);
        let session = Arc::new(session);
        let address = self.service.counted_by(handshake);
        let mut sessions = self.lock();
        // looked at under the lock, or `close_all` could miss it
        if self.closing.load(Ordering::SeqCst) || sessions.len() >= self.settings.max_sessions {
            return Err(Invalid::Full);
        }
        if let Some(address) = address {
            let newcomer = self.newcomers.admit(address);
            session.lock().newcomer = Some(newcomer.ok_or(Invalid::Crowded)?);
        }
        sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    fn find(&self, mount: usize, id: &str) -> Option<Arc<Session>> {
        let session = self.lock().get(id).cloned()?;
        (session.mount == mount && session.is_alive()).then_some(session)
    }

    fn forget(&self, id: &str) {
        let mut sessions = self.lock();
        if let Some(session) = sessions.remove(id) {
            if sessions.capacity() > 1024 && sessions.len() < sessions.capacity() / 4 {
                sessions.shrink_to_fit();
            }
            let empty = sessions.is_empty();
            drop(sessions);
            // sockets that are kept keep the session, too
            session.settle();
            metrics::gauge!("socketio_sessions").decrement(1);
            if empty {
                self.drained.notify_waiters();
            }
        }
    }
}

/// An id that cannot be guessed; `None` when the system has no randomness.
pub(crate) fn random_id() -> Option<String> {
    let mut bytes = [0; ID_BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .inspect_err(|error| tracing::error!(%error, "no randomness"))
        .ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
