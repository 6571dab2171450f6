//! The namespaces, and who is in their rooms.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::namespace::Namespace;
use crate::packet::{Importance, Packet};
use crate::settings::Settings;
use crate::socket::Socket;

/// All namespaces.
pub struct Hub {
    pub settings: Settings,
    pub spaces: HashMap<String, Arc<Space>>,
}

/// One namespace.
pub struct Space {
    pub name: String,
    pub namespace: Arc<dyn Namespace>,
    /// Packets that may be kept for a socket that is connecting.
    pub held_max: usize,
    rooms: RwLock<Rooms>,
}

type Rooms = HashMap<Arc<str>, HashMap<Arc<str>, Socket>>;

impl Space {
    pub fn new(name: &str, namespace: Arc<dyn Namespace>, held_max: usize) -> Self {
        Self {
            name: name.to_owned(),
            namespace,
            held_max,
            rooms: RwLock::default(),
        }
    }

    /// Adds a socket; the room's name is shared by all of its sockets.
    pub fn join(&self, room: &str, socket: &Socket) -> Arc<str> {
        let mut rooms = self.write();
        let name = rooms
            .get_key_value(room)
            .map_or_else(|| Arc::from(room), |(name, _)| Arc::clone(name));
        let members = rooms.entry(Arc::clone(&name)).or_default();
        members.insert(socket.shared_id(), socket.clone());
        name
    }

    pub fn leave(&self, room: &str, id: &str) {
        let mut rooms = self.write();
        let Some(members) = rooms.get_mut(room) else {
            return;
        };
        let left = members.remove(id);
        if members.is_empty() {
            rooms.remove(room);
        }
        drop(rooms);
        drop(left);
    }

    pub fn emit(&self, room: &str, packet: &Packet, except: Option<&str>) {
        // a socket that is connecting keeps packets under a lock of its own, which it also holds while
        // it joins a room: it gets them when the rooms are let go
        let mut connecting = Vec::new();
        let rooms = self.read();
        for (id, socket) in rooms.get(room).into_iter().flatten() {
            if except == Some(&**id) {
                continue;
            }
            if socket.is_connecting() {
                connecting.push(socket.clone());
            } else {
                socket.offer(packet, Importance::Essential);
            }
        }
        drop(rooms);
        for socket in connecting {
            socket.offer(packet, Importance::Essential);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Rooms> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rooms> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}
