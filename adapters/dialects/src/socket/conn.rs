//! One socket that is known.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use connexus_application::hub::{Audience, Delivery, Detail};
use connexus_application::{Actor, Connexus, Missed};
use connexus_domain::{ConversationId, Event, Message, Result};
use connexus_socketio::{Importance, Socket};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::outlet::Outlet;
use crate::links::Links;
use crate::refused::Refused;
use crate::voice::Voice;
use crate::world::World;

/// How many conversations a socket may join.
const JOINED_MAX: usize = 10_000;

/// One socket that is known: whose it is, which dialect it speaks, what it has joined.
pub struct Conn {
    /// What the dialects share.
    pub world: Arc<World>,
    /// Where answers go.
    pub socket: Socket,
    /// Whose it is.
    pub actor: Actor,
    pub(super) voice: Cell<&'static dyn Voice>,
    settled: Cell<bool>,
    pub(super) outlet: Rc<Outlet>,
    joined: Rc<RefCell<FxHashSet<ConversationId>>>,
    /// By what name it has joined them, where the client goes by names.
    names: RefCell<FxHashMap<String, ConversationId>>,
}

impl Conn {
    pub(super) fn new(
        world: Arc<World>,
        socket: Socket,
        actor: Actor,
        voice: &'static dyn Voice,
        detail: Detail,
    ) -> Rc<Self> {
        let joined = Rc::new(RefCell::default());
        let outlet = Outlet::new(
            Arc::clone(&world),
            socket.clone(),
            actor.user_id,
            voice,
            detail,
            Rc::clone(&joined),
        );
        Rc::new(Self {
            world,
            socket,
            actor,
            voice: Cell::new(voice),
            settled: Cell::new(false),
            outlet,
            joined,
            names: RefCell::default(),
        })
    }

    /// The use-cases.
    pub fn app(&self) -> &Arc<Connexus> {
        &self.world.app
    }

    /// Addresses of files for it.
    pub fn links(&self) -> &Links {
        &self.world.links
    }

    /// The dialect that it speaks.
    pub fn voice(&self) -> &'static dyn Voice {
        self.voice.get()
    }

    /// From now on it speaks another dialect.
    pub(super) fn speak(&self, voice: &'static dyn Voice) {
        self.voice.set(voice);
        self.outlet.speak(voice);
    }

    /// Who acts, when this very socket is to be told as well: for events that go to all.
    pub fn actor_told_too(&self) -> Actor {
        Actor {
            connection_id: None,
            ..self.actor.clone()
        }
    }

    /// Sends an event with one argument.
    pub fn emit(&self, name: &str, payload: &impl Serialize) {
        self.socket.emit(name, &(payload,));
    }

    /// Says that something was not done.
    pub fn complain(&self, refused: &Refused) {
        refused.log();
        self.voice().complain(&self.socket, refused);
    }

    /// From now on the socket is told of this conversation, where it has to join.
    pub fn join(&self, id: ConversationId) {
        let mut joined = self.joined.borrow_mut();
        if joined.len() < JOINED_MAX {
            joined.insert(id);
        }
    }

    /// The same, by the client's name for it.
    pub fn join_as(&self, name: &str, id: ConversationId) {
        self.join(id);
        let mut names = self.names.borrow_mut();
        if names.len() < JOINED_MAX {
            names.insert(name.to_owned(), id);
        }
    }

    /// What it has joined by this name.
    pub fn joined_as(&self, name: &str) -> Option<ConversationId> {
        let id = self.names.borrow().get(name).copied();
        id.filter(|id| self.has_joined(*id))
    }

    /// And now no more.
    pub fn leave(&self, id: ConversationId) {
        self.joined.borrow_mut().remove(&id);
        self.names.borrow_mut().retain(|_, known| *known != id);
    }

    /// Whether it has joined.
    pub fn has_joined(&self, id: ConversationId) -> bool {
        self.joined.borrow().contains(&id)
    }

    /// Whether it has been greeted in some dialect.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    /// Greets the socket in its dialect and hands over what it has missed; once.
    pub(super) async fn settle(self: &Rc<Self>) -> Result<()> {
        if self.settled.replace(true) {
            return Ok(());
        }
        let voice = self.voice();
        voice.connected(Rc::clone(self)).await;
        if !voice.only_joined() {
            self.catch_up().await?;
        }
        self.release();
        Ok(())
    }

    /// The same; when the database is away, the socket is to come back.
    pub(super) async fn settle_or_close(self: &Rc<Self>) {
        if let Err(error) = self.settle().await {
            Refused::Domain(error).log();
            self.socket.close();
        }
    }

    /// Hands over what none of the user's connections was handed, and remembers that it was.
    pub async fn catch_up(&self) -> Result<()> {
        let missed = self.app().missed.all(&self.actor).await?;
        // the latest conversation last: what stands at the end is what the user sees
        for one in missed.into_iter().rev() {
            self.hand_over(one);
        }
        Ok(())
    }

    /// The same of one conversation that was joined just now.
    pub async fn catch_up_in(&self, id: ConversationId) -> Result<()> {
        let holds = self.outlet.hold(id);
        let missed = self.app().missed.of_one(&self.actor, id).await;
        let done = missed.map(|missed| missed.into_iter().for_each(|one| self.hand_over(one)));
        if holds {
            self.release();
        }
        done
    }

    /// Lets go what was kept back while it caught up.
    pub(super) fn release(&self) {
        let written = self.outlet.release();
        self.app().missed.handed(&self.actor, &written);
    }

    fn hand_over(&self, missed: Missed) {
        let Missed {
            scene,
            conversation_id,
            messages,
            upto,
        } = missed;
        let mut handed: Vec<Message> = Vec::with_capacity(messages.len());
        for message in messages {
            let event = Event::MessageCreated(message.clone());
            let delivery = Delivery::new(event, Audience::One(self.actor.user_id))
                .in_scene(Arc::clone(&scene));
            let told = self.voice().tell(&delivery, &self.world.links);
            let packets = told.iter().filter(|told| self.outlet.is_for(told.to));
            let mut any = false;
            for told in packets {
                any |= self.socket.offer(&told.packet, Importance::Essential);
            }
            if any {
                handed.push(message);
            }
        }
        self.outlet.was_told(conversation_id, upto);
        self.app().missed.handed(&self.actor, &handed);
    }
}

/// Up to which message a socket was told by catching up.
pub(super) type ToldUpTo = FxHashMap<ConversationId, connexus_domain::Seq>;
