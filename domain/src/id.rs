//! Typed ids: one type per entity, so that a user's id cannot be passed where a message's is meant.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct InvalidId;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name this kind of entity.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for the edges.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).or(Err(InvalidId))
            }
        }
    };
}

typed_id!(
    /// Names a [`User`](crate::User).
    UserId
);
typed_id!(
    /// Names a [`Session`](crate::Session): one login of one device.
    SessionId
);
typed_id!(
    /// Names a [`Conversation`](crate::Conversation).
    ConversationId
);
typed_id!(
    /// Names a [`Message`](crate::Message).
    MessageId
);
impl MessageId {
    /// The lowest id of a message that was made at this time or later.
    pub fn first_at(time: Timestamp) -> Self {
        const LATEST: i64 = (1 << 48) - 1;
        let millis = time.as_millis().clamp(0, LATEST).cast_unsigned();
        Self(Uuid::from_u128(u128::from(millis) << 80))
    }
}
typed_id!(
    /// Names an uploaded file.
    AttachmentId
);
typed_id!(
    /// Names one open socket of a session. Never stored.
    ConnectionId
);
