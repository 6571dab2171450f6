//! The server: namespaces on top of an engine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;

use crate::client::Client;
use crate::engine::{Connection, Engine, Handshake, Service};
use crate::hub::{Hub, Space};
use crate::namespace::Namespace;
use crate::packet::Packet;
use crate::settings::Settings;

/// A Socket.IO server: one for the process, shared by all worker threads.
pub struct Server {
    engine: Arc<Engine>,
    hub: Arc<Hub>,
}

/// Tells the client's address from its handshake.
type AddressOf = dyn Fn(&Handshake) -> IpAddr + Send + Sync;

/// Collects the namespaces of a [`Server`].
pub struct Builder {
    settings: Settings,
    address_of: Box<AddressOf>,
    spaces: HashMap<String, Arc<Space>>,
}

impl Builder {
    /// Adds a namespace; `/` is the main one. A slash at the beginning may be left out.
    #[must_use]
    pub fn namespace(mut self, name: &str, namespace: Arc<dyn Namespace>) -> Self {
        let name = format!("/{}", name.trim_start_matches('/'));
        let held_max = self.settings.queue.packets;
        let space = Arc::new(Space::new(&name, namespace, held_max));
        self.spaces.insert(name, space);
        self
    }

    /// How a client's address is known, which behind a proxy is not the peer's. By it sessions are counted that
    /// have joined no namespace yet ([`Settings::max_unjoined`]). The peer's by default.
    #[must_use]
    pub fn address(mut self, of: impl Fn(&Handshake) -> IpAddr + Send + Sync + 'static) -> Self {
        self.address_of = Box::new(of);
        self
    }

    /// The server.
    pub fn build(self) -> Arc<Server> {
        let hub = Arc::new(Hub {
            settings: self.settings.clone(),
            spaces: self.spaces,
        });
        let service = Arc::new(SocketIo {
            hub: Arc::clone(&hub),
            address_of: self.address_of,
        });
        let engine = Engine::new(self.settings, service);
        Arc::new(Server { engine, hub })
    }
}

impl Server {
    /// A server without namespaces yet.
    pub fn builder(settings: Settings) -> Builder {
        Builder {
            settings,
            address_of: Box::new(peer_address),
            spaces: HashMap::new(),
        }
    }

    /// Mounts the server at a path, such as `/socket.io`, with and without a slash at its end. It may be
    /// mounted at several; the label is in the [`Handshake`].
    pub fn mount(self: &Arc<Self>, config: &mut ServiceConfig, path: &str, label: &'static str) {
        self.engine.mount(config, path, label);
    }

    /// Emits a packet to all sockets in a room of a namespace, but to the one whose id is `except`.
    pub fn emit_to(&self, namespace: &str, room: &str, packet: &Packet, except: Option<&str>) {
        if let Some(space) = self.hub.spaces.get(namespace) {
            space.emit(room, packet, except);
        }
    }

    /// Ends all sessions in such a way that clients reconnect by themselves, and opens no more: for a
    /// restart. WebSockets are closed with 1012.
    pub fn close_all(&self) {
        self.engine.close_all();
    }

    /// Waits until there is no session left and every handler has been told, which is soon after
    /// [`close_all`](Self::close_all). To be awaited before the worker threads are stopped.
    pub async fn drained(&self) {
        self.engine.drained().await;
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.engine.sessions()
    }
}

/// Socket.IO as a service of the engine.
struct SocketIo {
    hub: Arc<Hub>,
    address_of: Box<AddressOf>,
}

#[async_trait(?Send)]
impl Service for SocketIo {
    async fn run(&self, connection: Connection, handshake: Rc<Handshake>) {
        let client = Client::new(Arc::clone(&self.hub), connection, &handshake);
        drop(handshake);
        client.run().await;
    }

    fn counted_by(&self, handshake: &Handshake) -> Option<IpAddr> {
        Some((self.address_of)(handshake))
    }
}

fn peer_address(handshake: &Handshake) -> IpAddr {
    let peer = handshake.peer.map(|peer| peer.ip());
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
