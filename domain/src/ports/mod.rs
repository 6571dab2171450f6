//! Ports: what the application needs from outside, as object-safe traits cut by aggregate.
//!
//! Every method is one atomic step that each backend can do in one transaction: what must be atomic
//! together is one method, and no unit of work leaks out. Rules of the domain that need the current
//! state (may this member remove that one?) are called by the adapter *inside* its transaction.
//!
//! Common to all storage ports:
//! - an implementation MUST have made a change durable before it answers `Ok`;
//! - a look-up answers `Option`: absence is not an error;
//! - a lost or overloaded database is `Unavailable`; a record that does not decode is `Internal` naming
//!   table, column and id ([`Error::corrupt`](crate::Error::corrupt)), and is never skipped;
//! - `Internal` and `Unavailable` may come from any method and are not repeated below.

mod attachment;
mod blob;
mod block;
mod clock;
mod conversation;
mod crypto;
mod lease;
mod limits;
mod media;
mod message;
mod receipt;
mod scan;
mod session;
mod storage;
mod user;

pub use attachment::{AttachmentRepository, Depicted};
pub use blob::{BlobKey, BlobRead, BlobStore, ByteStream, Content, Presign, Variant};
pub use block::BlockRepository;
pub use clock::{Clock, IdSource};
pub use conversation::{
    ConversationRepository, ConversationSummary, NewDirect, NewGroup, NewRoom, Opened, Removal,
    RoleChange, Unread,
};
pub use crypto::{AccessClaims, IssuedRefresh, PasswordHash, PasswordHasher, TokenIssuer};
pub use lease::LeaseRepository;
pub use limits::{LimitClass, Quota, RateLimiter, Subject};
pub use media::{
    IntakeError, IntakeRules, MediaFormat, MediaIntake, MediaKind, Received, ReceivedContent,
    Refusal, SizeLimits, Upload,
};
pub use message::{HistoryRange, MessageRepository, MessageSearch, Snapshot};
pub use receipt::ReceiptRepository;
pub use scan::{MalwareScanner, Verdict};
pub use session::SessionRepository;
pub use storage::Storage;
pub use user::{Credentials, NewUser, UserRepository};
