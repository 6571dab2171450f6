//! A socket as the hub sees it: words an event in the socket's dialect, once for all its sockets, and puts
//! it in line.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use connexus_application::hub::{self, CloseReason, Delivery, Detail, WireFormat};
use connexus_domain::event::Importance as Weight;
use connexus_domain::{ConversationId, Event, Seq, UserId};
use connexus_socketio::{Importance, Socket};
use rustc_hash::FxHashSet;

use super::conn::ToldUpTo;
use crate::voice::{To, Told, Voice};

/// Events that may wait while a socket catches up.
const HELD_MAX: usize = 1_024;

/// Each dialect's place among the wordings of an event; 0 is the native one's.
static FORMATS: [WireFormat<Vec<Told>>; 5] = [
    WireFormat::new(1),
    WireFormat::new(2),
    WireFormat::new(3),
    WireFormat::new(4),
    WireFormat::new(5),
];

pub struct Outlet {
    socket: Socket,
    user: UserId,
    voice: Cell<&'static dyn Voice>,
    detail: Detail,
    joined: Rc<RefCell<FxHashSet<ConversationId>>>,
    /// Events kept back while the socket catches up.
    held: RefCell<Option<Vec<Arc<Delivery>>>>,
    told: RefCell<ToldUpTo>,
}

impl Outlet {
    pub fn new(
        socket: Socket,
        user: UserId,
        voice: &'static dyn Voice,
        detail: Detail,
        joined: Rc<RefCell<FxHashSet<ConversationId>>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            socket,
            user,
            voice: Cell::new(voice),
            detail,
            joined,
            held: RefCell::new(Some(Vec::new())),
            told: RefCell::default(),
        })
    }

    /// From now on it speaks another dialect.
    pub fn speak(&self, voice: &'static dyn Voice) {
        self.voice.set(voice);
    }

    /// Everything up to this message has been told by other means.
    pub fn was_told(&self, id: ConversationId, upto: Seq) {
        self.told.borrow_mut().insert(id, upto);
    }

    /// Lets go what was kept back.
    pub fn release(&self) {
        let held = self.held.borrow_mut().take();
        for delivery in held.into_iter().flatten() {
            hub::Outlet::deliver(self, &delivery);
        }
    }

    /// Whether a packet is for this socket.
    pub fn is_for(&self, to: To) -> bool {
        match to {
            To::All => true,
            To::Others(user) => user != self.user,
            To::One(user) => user == self.user,
        }
    }

    fn was_caught_up(&self, event: &Event) -> bool {
        let Event::MessageCreated(message) = event else {
            return false;
        };
        let mut told = self.told.borrow_mut();
        match told.get(&message.conversation_id) {
            Some(upto) if message.seq <= *upto => true,
            // what comes later cannot be older
            Some(_) => {
                told.remove(&message.conversation_id);
                false
            }
            None => false,
        }
    }
}

impl hub::Outlet for Outlet {
    fn deliver(&self, delivery: &Arc<Delivery>) -> bool {
        let event = delivery.event();
        let voice = self.voice.get();
        if matches!(event, Event::SessionRevoked { .. }) {
            return voice
                .session_ended()
                .is_some_and(|packet| self.socket.offer(&packet, Importance::Essential));
        }
        if let Some(held) = self.held.borrow_mut().as_mut() {
            if held.len() < HELD_MAX {
                held.push(Arc::clone(delivery));
                return true;
            }
            self.socket.close();
            return false;
        }
        if voice.needs_join(event)
            && let Some(id) = event.conversation_id()
            && !self.joined.borrow().contains(&id)
        {
            return false;
        }
        if self.was_caught_up(event) {
            return true;
        }
        let importance = match event.importance() {
            Weight::Fleeting => Importance::Fleeting,
            Weight::Refreshable => Importance::Refreshable,
            Weight::Essential => Importance::Essential,
        };
        if delivery.scene().is_none() {
            // it comes back and is told what it missed
            if importance == Importance::Essential {
                self.socket.close();
            }
            return false;
        }
        let format = &FORMATS[voice.dialect().number()];
        let told = delivery.encoded(format, |delivery| voice.tell(delivery));
        let mut any = false;
        for Told { packet, .. } in told.iter().filter(|told| self.is_for(told.to)) {
            any |= self.socket.offer(packet, importance);
        }
        any
    }

    fn close(&self, reason: CloseReason) {
        match reason {
            // the client is not to come back by itself
            CloseReason::SessionRevoked => self.socket.disconnect(),
            CloseReason::Resume | CloseReason::Restart => self.socket.close(),
        }
    }

    fn detail(&self) -> Detail {
        self.detail
    }
}
