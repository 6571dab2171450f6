//! The native wire format: the JSON shapes of the REST and WebSocket API, the table of public errors, and
//! the cursors. Shared by the two native gateways, so that a message looks the same in both.
//!
//! Shapes that are written borrow from the entities: nothing is cloned to be encoded.

pub mod cursor;
pub mod errors;
pub mod events;
pub mod fields;
pub mod shapes;
pub mod sync;
pub mod text;
pub mod time;

pub use errors::{ErrorCode, Problem};
pub use events::{RESUME, encode_event};
