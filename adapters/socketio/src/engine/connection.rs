//! A session as a service sees it.

use std::sync::Arc;

use super::frame::Frame;
use super::reason::CloseReason;
use super::session::{Message, Queued, Session};
use crate::packet::Importance;

/// One session. Clones are the same session; they may be used on any thread.
#[derive(Clone)]
pub struct Connection {
    session: Arc<Session>,
}

impl Connection {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// The next message, `None` when the session has ended. For one reader at a time.
    pub async fn recv(&self) -> Option<Message> {
        self.session.next().await
    }

    /// Queues a message; false when it was dropped or the session has ended.
    pub fn send(&self, frame: &Frame, importance: Importance) -> bool {
        self.session.send(std::iter::once(frame), importance)
    }

    /// Queues messages that belong together.
    pub fn send_all<'a>(
        &self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        importance: Importance,
    ) -> bool {
        self.session.send(frames, importance)
    }

    /// Queues messages that belong together, to be written with the next [flush](Self::flush).
    pub fn queue_all<'a>(
        &self,
        frames: impl Iterator<Item = &'a Frame> + Clone,
        importance: Importance,
    ) -> Queued {
        self.session.queue(frames, importance)
    }

    /// Writes what was queued.
    pub fn flush(&self) {
        self.session.flush();
    }

    /// How many packets wait to be written.
    pub fn queued(&self) -> usize {
        self.session.queued()
    }

    /// The service has let the session in: it no longer counts against its address.
    pub fn settle(&self) {
        self.session.settle();
    }

    /// Ends the session at once. What waits to be written to a WebSocket is written first.
    pub fn close(&self, reason: CloseReason) {
        self.session.close(reason);
    }

    /// Why the session has ended, `None` while it goes on.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.session.close_reason()
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        self.session.closed().await;
    }
}

impl std::fmt::Debug for Connection {
    // the id is a secret: who knows it can take the session over
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}
