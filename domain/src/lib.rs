//! The inside of the hexagon: entities, the rules on them, events, and the ports through which the
//! application reaches storage, time, randomness and secrets.
//!
//! Nothing here does I/O, reads a clock, or knows a wire format.

pub mod attachment;
pub mod conversation;
pub mod error;
pub mod event;
pub mod id;
pub mod member;
pub mod message;
pub mod page;
pub mod ports;
pub mod receipt;
pub mod search;
pub mod session;
pub mod sync;
pub mod terms;
pub mod text;
pub mod time;
pub mod user;

pub use attachment::{Attachment, MediaKind};
pub use conversation::{Conversation, ConversationKind, ConversationPatch, Slug};
pub use error::{AuthFailure, Denial, Entity, Error, FieldError, Result};
pub use event::Event;
pub use id::{AttachmentId, ConnectionId, ConversationId, MessageId, SessionId, UserId};
pub use member::{Member, MemberAccess, Preferences, PreferencesPatch, Role};
pub use message::{ClientId, Emoji, Message, MessageBody, MessageKind, NewMessage, Reaction};
pub use page::{ActivityCursor, Limit, Page};
pub use receipt::{Receipt, WatermarkAdvance};
pub use session::Session;
pub use sync::{Change, ChangePage, Head, Rev, Seq};
pub use time::Timestamp;
pub use user::{Email, Presence, Privacy, Status, User, UserPatch, Username, Visibility};
