//! How a WebSocket takes over from polling.

use connexus_upgrade::WriteQueue;

use super::session::{Session, Transport};

impl Session {
    /// A number for a WebSocket that wants to take over, if there may be one.
    pub fn offer_upgrade(&self) -> Option<u32> {
        let mut state = self.lock();
        let free = state.closed.is_none()
            && state.candidate.is_none()
            && state.transport == Transport::Polling;
        free.then(|| {
            state.sockets += 1;
            state.candidate = Some(state.sockets);
            state.sockets
        })
    }

    /// The WebSocket was probed: polls end from now on.
    pub fn probe(&self, socket: u32) {
        let mut state = self.lock();
        if state.candidate == Some(socket) && state.transport == Transport::Polling {
            state.transport = Transport::Upgrading(socket);
            state.wake();
        }
    }

    /// The WebSocket takes over, with what is to be written to it. False when it must not.
    pub fn upgrade(&self, socket: u32, writing: &mut WriteQueue) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() || state.transport != Transport::Upgrading(socket) {
            return false;
        }
        state.switch(socket, std::mem::take(writing));
        state.candidate = None;
        state.wake();
        drop(state);
        metrics::counter!("socketio_upgrades_total").increment(1);
        true
    }

    /// The WebSocket does not take over.
    pub fn abandon_upgrade(&self, socket: u32) {
        let mut state = self.lock();
        if state.candidate == Some(socket) {
            state.candidate = None;
            if state.transport == Transport::Upgrading(socket) {
                state.transport = Transport::Polling;
            }
        }
    }
}
