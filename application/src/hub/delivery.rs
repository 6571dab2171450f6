use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use connexus_domain::{ConnectionId, Event, SessionId, Timestamp, UserId};

use super::Connection;
use crate::scene::Scene;

/// Who is told.
#[derive(Debug, Clone)]
pub enum Audience {
    /// These users, in the order of their ids; every connection of each.
    Many(Arc<[UserId]>),
    /// One user.
    One(UserId),
}

/// Who is left out, since it gets an answer instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The connection that caused it.
    Connection(ConnectionId),
    /// Every connection of the session that caused it, for clients that act over REST and listen on a
    /// socket.
    Session(SessionId),
}

/// How many wire formats there can be.
const FORMATS: usize = 8;

/// One way of wording events, as values of type `T`. Each inbound adapter that has one takes a number of
/// its own.
#[derive(Debug)]
pub struct WireFormat<T>(usize, PhantomData<fn() -> T>);

impl<T> WireFormat<T> {
    /// The format of a number below eight; a higher number is taken modulo eight.
    pub const fn new(number: usize) -> Self {
        Self(number % FORMATS, PhantomData)
    }
}

/// An event on its way: encoded at most once per wire format, and the same bytes go to every connection.
#[derive(Debug)]
pub struct Delivery {
    event: Event,
    audience: Audience,
    except: Option<Exclusion>,
    scene: Option<Arc<Scene>>,
    told_at: Option<Timestamp>,
    encoded: [OnceLock<Box<dyn Any + Send + Sync>>; FORMATS],
}

impl Delivery {
    /// An event for an audience.
    pub fn new(event: Event, audience: Audience) -> Self {
        Self {
            event,
            audience,
            except: None,
            scene: None,
            told_at: None,
            encoded: Default::default(),
        }
    }

    /// Leaves out who caused it: it gets its answer instead.
    #[must_use]
    pub fn except(mut self, origin: Option<Exclusion>) -> Self {
        self.except = origin;
        self
    }

    /// Adds what surrounds the event.
    #[must_use]
    pub fn in_scene(mut self, scene: Arc<Scene>) -> Self {
        self.scene = Some(scene);
        self
    }

    /// Adds the time of telling, for gateways whose words have one where the event has none.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.told_at = Some(now);
        self
    }

    /// When it was told; absent in what a single connection is told later.
    pub fn told_at(&self) -> Option<Timestamp> {
        self.told_at
    }

    /// What surrounds the event; absent when no connection wanted it, or it could not be loaded.
    pub fn scene(&self) -> Option<&Arc<Scene>> {
        self.scene.as_ref()
    }

    /// What happened.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Who is told.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Whether this connection is left out.
    pub fn excludes(&self, connection: &Connection) -> bool {
        match self.except {
            None => false,
            Some(Exclusion::Connection(id)) => connection.id == id,
            Some(Exclusion::Session(id)) => connection.session_id == id,
        }
    }

    /// The event in one wire format; `encode` runs once for all connections.
    ///
    /// # Panics
    ///
    /// When two formats of different types have the same number.
    pub fn encoded<T: Send + Sync + 'static>(
        &self,
        format: &WireFormat<T>,
        encode: impl FnOnce(&Self) -> T,
    ) -> &T {
        self.encoded[format.0]
            .get_or_init(|| Box::new(encode(self)))
            .downcast_ref()
            .expect("a format's number belongs to one type")
    }
}
