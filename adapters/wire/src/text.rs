//! Values that are written as text.

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A UUID as 36 characters, written without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

macro_rules! from_id {
    ($($name:ident)*) => {
        $(
            impl From<connexus_domain::$name> for Id {
                fn from(id: connexus_domain::$name) -> Self {
                    Self(id.as_uuid())
                }
            }
        )*
    };
}

from_id!(UserId SessionId ConversationId MessageId AttachmentId ConnectionId);
