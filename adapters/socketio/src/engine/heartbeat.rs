//! When to ping, and when to give up.

use tokio::time::{Duration, Instant};

use super::frame::Frame;
use super::reason::CloseReason;
use super::session::Session;

/// A ping that is this late because of the timer's grain still counts from when it was due.
const GRAIN: Duration = Duration::from_millis(25);

impl Session {
    /// Something was heard of the client.
    pub fn heard(&self, pong: bool) {
        let mut state = self.lock();
        let now = Instant::now();
        if pong && state.pinged {
            state.pinged = false;
            state.due = now + self.settings.ping_interval;
            drop(state);
            self.changed.notify_waiters();
        } else if state.pinged {
            // what is still under way before the pong proves as much
            state.due = now + self.settings.ping_timeout;
        }
    }

    /// Does what is due, and tells when to look again; `None` when the session has ended.
    pub fn beat(&self) -> Option<Instant> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return None;
        }
        let now = Instant::now();
        if now >= state.due {
            if !state.pinged {
                let on_time = now - state.due < GRAIN;
                let sent = if on_time { state.due } else { now };
                state.pinged = true;
                state.due = sent + self.settings.ping_timeout;
                state.push(Frame::packet("2"));
                state.wake();
            } else if state.inbox.len() >= self.settings.max_events_waiting {
                // it is this side that is late: the pong may be behind what waits
                state.due = now + self.settings.ping_timeout;
            } else {
                self.close_locked(state, CloseReason::PingTimeout);
                return None;
            }
        }
        Some(state.due)
    }

    /// A request has come: whether the session is still alive, even if the timer is late.
    pub fn is_alive(&self) -> bool {
        let state = self.lock();
        if state.closed.is_some() {
            return false;
        }
        let now = Instant::now();
        let deadline = if state.pinged {
            state.due
        } else {
            state.due + self.settings.ping_timeout
        };
        if now >= deadline && state.inbox.len() < self.settings.max_events_waiting {
            self.close_locked(state, CloseReason::PingTimeout);
            return false;
        }
        true
    }
}
