//! The five dialects by name.

use std::fmt;

/// The REST routes and Socket.IO event names of one chat backend that Connexus stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Conversations, direct and group.
    Connexus,
    /// Public rooms by name.
    Rooms,
    /// Chats, one-on-one and group.
    Mern,
    /// One-to-one by user id.
    Direct,
    /// One-to-one, several devices, authenticated by the first event.
    Secured,
}

impl Dialect {
    /// All of them, in the default order.
    pub const ALL: [Self; 5] = [
        Self::Connexus,
        Self::Rooms,
        Self::Mern,
        Self::Direct,
        Self::Secured,
    ];

    /// The name in configuration, paths and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connexus => "connexus",
            Self::Rooms => "rooms",
            Self::Mern => "mern",
            Self::Direct => "direct",
            Self::Secured => "secured",
        }
    }

    /// The dialect of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.as_str() == name)
    }

    /// A number of its own, from 0.
    pub(crate) const fn number(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
