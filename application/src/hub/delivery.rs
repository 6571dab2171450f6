use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use connexus_domain::{ConnectionId, Event, UserId};

/// Who is told.
#[derive(Debug, Clone)]
pub enum Audience {
    /// These users, in the order of their ids; every connection of each.
    Many(Arc<[UserId]>),
    /// One user.
    One(UserId),
}

/// One way of wording events as bytes. Each inbound adapter that has one takes a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFormat(usize);

impl WireFormat {
    /// How many there can be.
    pub const MAX: usize = 8;

    /// The format of a number below [`Self::MAX`]; a higher number is taken modulo it.
    pub const fn new(number: usize) -> Self {
        Self(number % Self::MAX)
    }
}

/// An event on its way: encoded at most once per wire format, and the same bytes go to every connection.
#[derive(Debug)]
pub struct Delivery {
    event: Event,
    audience: Audience,
    except: Option<ConnectionId>,
    encoded: [OnceLock<Bytes>; WireFormat::MAX],
}

impl Delivery {
    /// An event for an audience.
    pub fn new(event: Event, audience: Audience) -> Self {
        Self {
            event,
            audience,
            except: None,
            encoded: Default::default(),
        }
    }

    /// Leaves out the connection that caused it: it gets its answer instead.
    #[must_use]
    pub fn except(mut self, connection: Option<ConnectionId>) -> Self {
        self.except = connection;
        self
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
    pub fn excludes(&self, connection: ConnectionId) -> bool {
        self.except == Some(connection)
    }

    /// The event in one wire format; `encode` runs once for all connections.
    pub fn encoded(&self, format: WireFormat, encode: impl FnOnce(&Event) -> Bytes) -> &Bytes {
        self.encoded[format.0].get_or_init(|| encode(&self.event))
    }
}
