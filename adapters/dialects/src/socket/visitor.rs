//! One socket from its first to its last moment.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connexus_application::Actor;
use connexus_application::hub::{CloseReason, Delivery, Detail, Handed};
use connexus_application::hub::{Connection, GuestRegistration, Outlet, Registration, Worker};
use connexus_domain::ports::{LimitClass, Subject};
use connexus_domain::{AuthFailure, Error, Result};
use connexus_socketio::{DisconnectReason, Event, Handler, Later, Socket};

use super::conn::Conn;
use crate::dialect::Dialect;
use crate::refused::Refused;
use crate::voice::Voice;
use crate::world::World;

/// How long a socket that may speak any dialect is waited for to say something.
const UNDECIDED_FOR: Duration = Duration::from_millis(700);

pub struct Visitor {
    world: Arc<World>,
    socket: Socket,
    address: IpAddr,
    /// The dialect, as far as it is known.
    voice: Option<&'static dyn Voice>,
    state: State,
    /// Whether it has said who it is, for the task that waits for that.
    known: Rc<Cell<bool>>,
}

enum State {
    /// Nobody knows who it is.
    Unknown { _guest: Option<GuestRegistration> },
    /// The handshake has said it; not attached yet.
    Proven(Box<Actor>),
    /// Attached.
    Known {
        conn: Rc<Conn>,
        _registration: Registration,
    },
    /// It was refused, or has gone.
    Over,
}

impl Visitor {
    /// A socket that has not said who it is.
    pub fn unknown(
        world: Arc<World>,
        socket: Socket,
        address: IpAddr,
        voice: Option<&'static dyn Voice>,
    ) -> Box<dyn Handler> {
        Box::new(Self {
            world,
            socket,
            address,
            voice,
            state: State::Unknown { _guest: None },
            known: Rc::default(),
        })
    }

    /// A socket whose handshake has said it.
    pub fn known(
        world: Arc<World>,
        socket: Socket,
        address: IpAddr,
        actor: Actor,
        voice: Option<&'static dyn Voice>,
    ) -> Box<dyn Handler> {
        let known = Rc::new(Cell::new(true));
        Box::new(Self {
            world,
            socket,
            address,
            voice,
            state: State::Proven(Box::new(actor)),
            known,
        })
    }

    /// The dialect, or the first one while it is not known.
    fn voice(&self) -> &'static dyn Voice {
        self.voice
            .or_else(|| self.world.voices().next())
            .unwrap_or_else(|| crate::voice(Dialect::Connexus))
    }

    /// Attaches the socket to the hub and tells it what it has missed.
    async fn attach(&mut self, mut actor: Actor) -> Result<()> {
        let app = Arc::clone(&self.world.app);
        let id = app.new_connection_id();
        actor.connection_id = Some(id);
        let connection = Connection {
            id,
            user_id: actor.user_id,
            session_id: actor.session_id,
        };
        let voice = self.voice();
        // one that may still turn out to speak another dialect wants what any of them wants
        let detail = match self.voice {
            Some(voice) => voice.detail(),
            None => Detail::Messages,
        };
        let conn = Conn::new(
            Arc::clone(&self.world),
            self.socket.clone(),
            actor,
            voice,
            detail,
        );
        let registration =
            Worker::here(app.hub()).connect(connection, Rc::clone(&conn.outlet) as Rc<_>);
        self.known.set(true);
        self.socket.settle();
        self.state = State::Known {
            conn: Rc::clone(&conn),
            _registration: registration,
        };
        if app.auth.was_ended(&conn.actor) {
            return Err(Error::Unauthenticated(AuthFailure::RevokedSession));
        }
        if self.voice.is_some() {
            return conn.settle().await;
        }
        // its first event decides; if there is none, the first dialect is as good as any
        actix_rt::spawn(async move {
            tokio::time::sleep(UNDECIDED_FOR).await;
            conn.settle_or_close().await;
        });
        Ok(())
    }

    async fn attach_or_close(&mut self, actor: Actor) {
        match self.attach(actor).await {
            Ok(()) => {}
            Err(error @ Error::Unauthenticated(_)) => {
                self.voice().refuse(&self.socket, &error.into());
                self.state = State::Over;
                self.socket.disconnect();
            }
            // it comes back when the database does
            Err(error) => {
                Refused::Domain(error).log();
                self.state = State::Over;
                self.socket.close();
            }
        }
    }

    /// Hears who this is. Everything else that comes before is not heard.
    async fn identify(&mut self, event: &Event) {
        let speaks = |voice: &&'static dyn Voice| voice.token_in(event).is_some();
        let voice = match self.voice {
            Some(voice) => Some(voice).filter(speaks),
            None => self.world.voices().find(speaks),
        };
        let Some((voice, token)) = voice.and_then(|voice| Some((voice, voice.token_in(event)?)))
        else {
            return;
        };
        if let Err(error) = self
            .world
            .count(LimitClass::Auth, Subject::Address(self.address))
        {
            voice.refuse(&self.socket, &error.into());
            return;
        }
        let app = Arc::clone(&self.world.app);
        match app.auth.authenticate(crate::bare_token(token)).await {
            Ok(actor) => {
                self.voice = Some(voice);
                self.attach_or_close(actor).await;
            }
            Err(error) => {
                let refused = Refused::Domain(error);
                refused.log();
                voice.refuse(&self.socket, &refused);
            }
        }
    }

    /// Lets the first event that only one dialect has decide which one it is.
    async fn decide(&mut self, conn: &Rc<Conn>, event: &Event) {
        if self.voice.is_some() {
            return;
        }
        let mut owners = self
            .world
            .voices()
            .filter(|voice| voice.owns_event(&event.name));
        let (Some(owner), None) = (owners.next(), owners.next()) else {
            return;
        };
        drop(owners);
        self.voice = Some(owner);
        if owner.dialect() != conn.voice().dialect() {
            conn.speak(owner);
            if conn.is_settled() {
                owner.connected(Rc::clone(conn)).await;
            }
        }
    }
}

#[async_trait(?Send)]
impl Handler for Visitor {
    fn is_guest(&self) -> bool {
        matches!(self.state, State::Unknown { .. })
    }

    async fn connected(&mut self) {
        if let State::Proven(actor) = &self.state {
            let actor = Actor::clone(actor);
            self.attach_or_close(actor).await;
            return;
        }
        let guest = Rc::new(Guest(self.socket.clone()));
        let guest = Some(Worker::here(self.world.app.hub()).welcome(guest));
        self.state = State::Unknown { _guest: guest };
        let (known, socket) = (Rc::clone(&self.known), self.socket.clone());
        let patience = self.world.settings.auth_timeout;
        actix_rt::spawn(async move {
            tokio::time::sleep(patience).await;
            if !known.get() {
                socket.disconnect();
            }
        });
    }

    async fn event(&mut self, event: Event) -> Later {
        let conn = match &self.state {
            State::Unknown { .. } | State::Proven(_) => {
                self.identify(&event).await;
                return None;
            }
            State::Known { conn, .. } => Rc::clone(conn),
            State::Over => return None,
        };
        self.decide(&conn, &event).await;
        conn.settle_or_close().await;
        let subject = Subject::User(conn.actor.user_id);
        if let Err(error) = self.world.count(class_of(&event.name), subject) {
            conn.complain(&error.into());
            return None;
        }
        conn.voice().heard(conn, event).await
    }

    async fn disconnected(self: Box<Self>, _: DisconnectReason) {
        // what it was registered with goes with it; the task that waited for its name need not act
        self.known.set(true);
    }
}

/// How an event is limited, by what all dialects have in its name.
fn class_of(name: &str) -> LimitClass {
    let sends = ["send", "edit", "delete", "reaction"];
    if sends.iter().any(|word| name.contains(word)) {
        LimitClass::Send
    } else {
        LimitClass::General
    }
}

/// A socket of whom it is not known whose it is: told only that the server goes away.
struct Guest(Socket);

impl Outlet for Guest {
    fn deliver(&self, _: &Arc<Delivery>) -> Handed {
        Handed::Refused
    }

    fn close(&self, _: CloseReason) {
        self.0.close();
    }
}
