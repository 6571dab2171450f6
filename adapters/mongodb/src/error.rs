//! The one place where MongoDB's errors become the domain's.

use bson::Document;
use connexus_domain::{Error, Result};
use mongodb::error::{Error as Driver, ErrorKind, WriteFailure};

/// Why a database cannot be used or brought to this program's version: for the operator who reads it when
/// the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address of this adapter.
    #[error(
        "not a MongoDB address: write mongodb://HOST:PORT/DATABASE, \
         for example mongodb://127.0.0.1:27017/connexus"
    )]
    Address {
        /// Why.
        #[source]
        source: Driver,
    },
    /// A server on its own: it has no transactions.
    #[error(
        "the MongoDB server is not part of a replica set, and only those have transactions: start it as \
         a set of one with `mongod --replSet rs0 …`, then run `rs.initiate()` once in mongosh"
    )]
    Standalone,
    /// A server that lacks what is needed here.
    #[error("the MongoDB server is too old: Connexus needs version 5.0 or later")]
    TooOld,
    /// A newer program has written the database.
    #[error(
        "the database has version {version} of the schema, which is newer than this program: \
         start the newer one, or restore a backup"
    )]
    Newer {
        /// The version that is not known here.
        version: i32,
    },
}

/// A database that did not do in time what was asked, although it may still answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Late {
    #[error("the database did not answer in time")]
    Silent(#[source] tokio::time::error::Elapsed),
    #[error("other writers were faster for too long")]
    Crowded(#[source] Box<Driver>),
    #[error("the server is not the primary of its replica set")]
    NoPrimary,
    #[error("another process is migrating the database for too long")]
    Migrating,
}

/// Statements of one `update` command that failed.
#[derive(Debug, thiserror::Error)]
#[error("an update failed: {0}")]
pub(crate) struct FailedUpdate(pub Document);

/// What ends an attempt: an answer of the domain, or an error of the driver, which may be worth another one.
#[derive(Debug)]
pub(crate) enum Failure {
    Domain(Error),
    Driver(Box<Driver>),
}

/// The result of one attempt.
pub(crate) type Tried<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl From<Driver> for Failure {
    fn from(error: Driver) -> Self {
        Self::Driver(Box::new(error))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Domain(error) => error,
            Failure::Driver(error) => from_driver(*error),
        }
    }
}

/// From an attempt's result to the domain's.
pub(crate) trait InDomain<T> {
    fn in_domain(self) -> Result<T>;
}

impl<T> InDomain<T> for Tried<T> {
    fn in_domain(self) -> Result<T> {
        self.map_err(Error::from)
    }
}

impl<T> InDomain<T> for std::result::Result<T, Driver> {
    fn in_domain(self) -> Result<T> {
        self.map_err(from_driver)
    }
}

/// Whether the same transaction or snapshot may do better a moment later.
pub(crate) fn is_transient(error: &Driver) -> bool {
    // a snapshot outside of transactions has no label for it
    const SNAPSHOT_TOO_OLD: i32 = 239;
    const SNAPSHOT_UNAVAILABLE: i32 = 246;
    error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR)
        || matches!(code(error), Some(SNAPSHOT_TOO_OLD | SNAPSHOT_UNAVAILABLE))
        || is_lost_race(error)
}

/// Whether another transaction was in the way.
pub(crate) fn is_conflict(error: &Driver) -> bool {
    const LOCK_TIMEOUT: i32 = 24;
    const WRITE_CONFLICT: i32 = 112;
    matches!(code(error), Some(LOCK_TIMEOUT | WRITE_CONFLICT))
}

/// Whether the user has no right to it.
pub(crate) fn is_forbidden(error: &Driver) -> bool {
    const UNAUTHORIZED: i32 = 13;
    code(error) == Some(UNAUTHORIZED)
}

/// Whether a value that must be unique was there before.
pub(crate) fn is_duplicate(error: &Driver) -> bool {
    duplicate(error).is_some()
}

/// Two made the same thing at the same time: who comes second finds it at the next attempt.
fn is_lost_race(error: &Driver) -> bool {
    duplicate(error).is_some_and(|message| {
        RACES
            .iter()
            .any(|index| message.contains(&format!("index: {index} ")))
    })
}

/// Unique values of which the second one to come takes what is there.
const RACES: [&str; 2] = ["conversations_direct_key", "conversations_slug_key"];

/// Unique indexes whose values are chosen by users.
const FIELDS: [(&str, &str); 3] = [
    ("users_username_key", "username"),
    ("users_email_key", "email"),
    ("conversations_slug_key", "slug"),
];

pub(crate) fn from_driver(error: Driver) -> Error {
    if let Some(message) = duplicate(&error) {
        return match conflicting_field(message) {
            Some(field) => Error::Conflict { field },
            None => Error::internal(error),
        };
    }
    if is_unavailable(&error) {
        Error::unavailable(error)
    } else {
        Error::internal(error)
    }
}

/// Whether the server could not be reached, so that it is not known what it did.
pub(crate) fn is_lost(error: &Driver) -> bool {
    matches!(
        error.kind.as_ref(),
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
    )
}

fn is_unavailable(error: &Driver) -> bool {
    match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } | ErrorKind::Shutdown | ErrorKind::SessionsNotSupported => {
            true
        }
        _ => {
            is_lost(error)
                || code(error).is_some_and(|code| UNAVAILABLE.contains(&code))
                || ["TransientTransactionError", "RetryableWriteError"]
                    .iter()
                    .any(|label| error.contains_label(label))
        }
    }
}

/// Codes of the server that tell of its state and not of the command:
/// <https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml>
const UNAVAILABLE: [i32; 26] = [
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    46,    // LockBusy
    50,    // MaxTimeMSExpired
    64,    // WriteConcernFailed
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    112,   // WriteConflict
    133,   // FailedToSatisfyReadPreference
    134,   // ReadConcernMajorityNotAvailableYet
    175,   // QueryPlanKilled
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    237,   // CursorKilled
    239,   // SnapshotTooOld
    246,   // SnapshotUnavailable
    251,   // NoSuchTransaction
    262,   // ExceededTimeLimit
    9001,  // SocketException
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
];

fn code(error: &Driver) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(many) => many
            .write_errors
            .as_ref()
            .and_then(|errors| errors.first().map(|first| first.code))
            .or_else(|| many.write_concern_error.as_ref().map(|c| c.code)),
        _ => None,
    }
}

/// What the server says about a value that is there twice.
fn duplicate(error: &Driver) -> Option<&str> {
    const DUPLICATE_KEY: i32 = 11_000;
    let (code, message) = match error.kind.as_ref() {
        ErrorKind::Command(command) => (command.code, &command.message),
        ErrorKind::Write(WriteFailure::WriteError(write)) => (write.code, &write.message),
        ErrorKind::InsertMany(many) => {
            let first = many.write_errors.as_ref()?.first()?;
            (first.code, &first.message)
        }
        _ => return None,
    };
    (code == DUPLICATE_KEY).then_some(message.as_str())
}

/// `E11000 duplicate key error collection: db.users index: users_email_key dup key: { … }`: what comes
/// after the name was chosen by a user, so only the first name counts.
fn conflicting_field(message: &str) -> Option<&'static str> {
    let (_, rest) = message.split_once(" index: ")?;
    let index = rest.split_whitespace().next()?;
    FIELDS
        .into_iter()
        .find_map(|(name, field)| (name == index).then_some(field))
}

/// An error when `reply`, to an `update` command, tells of statements that failed.
pub(crate) fn check_written(reply: Document) -> Tried<()> {
    if reply.contains_key("writeErrors") || reply.contains_key("writeConcernError") {
        return Err(Error::internal(FailedUpdate(reply)).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_value_names_its_field() {
        let message = |index: &str| {
            format!(
                "E11000 duplicate key error collection: a.users index: {index} \
                 dup key: {{ email_key: \" index: users_username_key \" }}"
            )
        };
        assert_eq!(
            conflicting_field(&message("users_email_key")),
            Some("email")
        );
        assert_eq!(
            conflicting_field(&message("conversations_slug_key")),
            Some("slug")
        );
        assert_eq!(conflicting_field(&message("_id_")), None);
    }

    #[test]
    fn a_lost_connection_is_unavailable() {
        let lost = Driver::from(std::io::Error::other("gone"));
        assert!(matches!(from_driver(lost), Error::Unavailable { .. }));
        let ours = Driver::custom("ours");
        assert!(matches!(from_driver(ours), Error::Internal { .. }));
    }
}
