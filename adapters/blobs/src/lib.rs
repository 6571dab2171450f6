//! Files that users send: where their bytes are kept, what they are, and what is taken out of them.
//!
//! - [`open`] opens the store of an address: a folder, or a bucket of an S3-compatible store.
//! - [`probe`] tries a store out.
//! - [`Intake`] receives files into temporary ones, tells what they are, and cleans pictures.
//! - [`Clamd`] asks ClamAV about them.
//!
//! A file is written twice on its way in: to a temporary file without a name, and from there, once it is known
//! to be good and what is cut out is cut out, to the store. That costs a second pass over the disk, and buys that
//! the store never holds what was refused, that an upload to S3 can be tried again, and that memory per upload is
//! one piece of 64 KiB, whatever the store. Pictures are the exception: decoding one takes its pixels, which is
//! bounded by [`PictureLimits`] and by how many are worked on at once.

mod clamd;
mod detect;
mod error;
mod files;
mod intake;
mod picture;
mod playing;
mod probe;
mod spool;
mod store;

pub use clamd::{Clamd, ClamdAddress, ClamdSettings};
pub use intake::{Intake, IntakeSettings};
pub use picture::PictureLimits;
pub use probe::probe;
pub use spool::Spool;
pub use store::{BlobSettings, LocalBlobs, S3Blobs, S3Keys, SettingsError, open};
