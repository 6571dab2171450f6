//! A socket as the hub sees it: words an event in the socket's dialect, once for all its sockets, and puts
//! it in line.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use connexus_application::hub::{self, CloseReason, Delivery, Detail, Handed, WireFormat};
use connexus_domain::event::Importance as Weight;
use connexus_domain::{ConversationId, Event, Message, Seq, UserId};
use connexus_socketio::{Importance, Queued, Socket};
use rustc_hash::FxHashSet;

use super::conn::ToldUpTo;
use crate::voice::{To, Told, Voice};
use crate::world::World;

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

/// Events kept back while the socket catches up. They count as handed over when they are let go: a mark
/// that is set before would hide what came earlier and is still to be caught up with.
#[derive(Default)]
struct Held {
    /// Of this conversation; of all, when none is named.
    of: Option<ConversationId>,
    events: Vec<Arc<Delivery>>,
}

pub struct Outlet {
    world: Arc<World>,
    socket: Socket,
    user: UserId,
    voice: Cell<&'static dyn Voice>,
    detail: Detail,
    joined: Rc<RefCell<FxHashSet<ConversationId>>>,
    held: RefCell<Option<Held>>,
    told: RefCell<ToldUpTo>,
}

impl Outlet {
    pub fn new(
        world: Arc<World>,
        socket: Socket,
        user: UserId,
        voice: &'static dyn Voice,
        detail: Detail,
        joined: Rc<RefCell<FxHashSet<ConversationId>>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            world,
            socket,
            user,
            voice: Cell::new(voice),
            detail,
            joined,
            held: RefCell::new(Some(Held::default())),
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

    /// Keeps back what happens in a conversation; `false` when something is kept back already.
    pub fn hold(&self, id: ConversationId) -> bool {
        let mut held = self.held.borrow_mut();
        let free = held.is_none();
        held.get_or_insert_with(|| Held {
            of: Some(id),
            events: Vec::new(),
        });
        free
    }

    /// Lets go what was kept back; the messages among it that were written.
    pub fn release(&self) -> Vec<Message> {
        let held = self.held.borrow_mut().take().unwrap_or_default();
        let written = held
            .events
            .iter()
            .filter(|delivery| self.take(delivery) != Queued::Dropped)
            .filter_map(|delivery| match delivery.event() {
                Event::MessageCreated(message) => Some(message.clone()),
                _ => None,
            })
            .collect();
        self.socket.flush();
        written
    }

    /// Queues an event for the socket, to be flushed.
    fn take(&self, delivery: &Arc<Delivery>) -> Queued {
        let event = delivery.event();
        let voice = self.voice.get();
        if matches!(event, Event::SessionRevoked { .. }) {
            return voice.session_ended().map_or(Queued::Dropped, |packet| {
                self.socket.queue(&packet, Importance::Essential)
            });
        }
        if let Some(held) = self.held.borrow_mut().as_mut()
            && (held.of.is_none() || held.of == event.conversation_id())
        {
            if held.events.len() < HELD_MAX {
                held.events.push(Arc::clone(delivery));
            } else {
                self.socket.close();
            }
            return Queued::Dropped;
        }
        if voice.needs_join(event)
            && let Some(id) = event.conversation_id()
            && !self.joined.borrow().contains(&id)
        {
            return Queued::Dropped;
        }
        if self.was_caught_up(event) {
            return Queued::Sent;
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
            return Queued::Dropped;
        }
        let format = &FORMATS[voice.dialect().number()];
        let told = delivery.encoded(format, |delivery| voice.tell(delivery, &self.world.links));
        let packets = told.iter().filter(|told| self.is_for(told.to));
        let queued = packets
            .map(|Told { packet, .. }| self.socket.queue(packet, importance))
            .max();
        self.forget_if_over(event);
        queued.unwrap_or(Queued::Dropped)
    }

    /// Who is no member any more has joined nothing.
    fn forget_if_over(&self, event: &Event) {
        let id = match event {
            Event::MemberLeft(member) if member.user_id == self.user => member.conversation_id,
            Event::ConversationDeleted {
                conversation_id, ..
            } => *conversation_id,
            _ => return,
        };
        self.joined.borrow_mut().remove(&id);
        self.socket.leave(&id.to_string());
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
        // one's own messages are not among what is caught up with
        if message.sender_id == self.user {
            return false;
        }
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
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        match self.take(delivery) {
            Queued::Dropped => Handed::Refused,
            Queued::Sent => Handed::Taken,
            Queued::Lingers => Handed::Lingers,
            Queued::Waits => Handed::Waits,
        }
    }

    fn flush(&self) {
        self.socket.flush();
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
