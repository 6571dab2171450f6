//! The one place where SQLite's errors become the domain's.

use std::io;
use std::path::PathBuf;

use connexus_domain::{Entity, Error, Result};

/// Why a database cannot be opened or brought to this program's version: for the operator who reads it
/// when the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address of this adapter.
    #[error(
        "'{url}' is not an SQLite address: write sqlite:PATH, for example sqlite:./data/connexus.db"
    )]
    Address {
        /// What was given.
        url: String,
    },
    /// A database in memory.
    #[error(
        "an SQLite database in memory cannot be shared by several connections: \
         write sqlite:PATH, for example sqlite:./data/connexus.db"
    )]
    InMemory,
    /// The file or its folder cannot be made.
    #[error("cannot create {path}")]
    Create {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be opened as a database.
    #[error("cannot open the SQLite database {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A newer program has written it.
    #[error(
        "the database has version {version} of the schema, which is newer than this program: \
         start the newer one, or restore a backup"
    )]
    Newer {
        /// The version that is not known here.
        version: i64,
    },
    /// The schema cannot be brought to this program's version.
    #[error("cannot migrate the database")]
    Migrate {
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// From the driver's result to the domain's.
pub(crate) trait InDomain<T> {
    /// Every error as its domain counterpart.
    fn in_domain(self) -> Result<T>;

    /// The same, where a violated foreign key means that there is no such `entity`.
    fn in_domain_or_missing(self, entity: Entity) -> Result<T>;
}

impl<T> InDomain<T> for Result<T, sqlx::Error> {
    fn in_domain(self) -> Result<T> {
        self.map_err(from_sqlx)
    }

    fn in_domain_or_missing(self, entity: Entity) -> Result<T> {
        self.map_err(|error| match error.as_database_error() {
            Some(database) if database.is_foreign_key_violation() => Error::NotFound(entity),
            _ => from_sqlx(error),
        })
    }
}

/// Whether another connection holds what is wanted: worth waiting for.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

pub(crate) fn from_sqlx(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            match conflicting_field(database.message()) {
                Some(field) => Error::Conflict { field },
                None => Error::internal(error),
            }
        }
        sqlx::Error::Database(_) => match primary_code(&error) {
            Some(BUSY | LOCKED | NOMEM | READONLY | INTERRUPT | IOERR | FULL | CANTOPEN) => {
                Error::unavailable(error)
            }
            _ => Error::internal(error),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Error::unavailable(error),
        _ => Error::internal(error),
    }
}

// https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary one.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NOMEM: u32 = 7;
const READONLY: u32 = 8;
const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

/// SQLite names the columns of a violated index, not the index.
fn conflicting_field(message: &str) -> Option<&'static str> {
    const FIELDS: [(&str, &str); 3] = [
        ("users.username_key", "username"),
        ("users.email_key", "email"),
        ("conversations.slug", "slug"),
    ];
    FIELDS
        .into_iter()
        .find_map(|(columns, field)| message.ends_with(columns).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_value_names_its_field() {
        let message = "UNIQUE constraint failed: users.email_key";
        assert_eq!(conflicting_field(message), Some("email"));
        assert_eq!(
            conflicting_field("UNIQUE constraint failed: messages.id"),
            None
        );
    }

    #[test]
    fn a_closed_pool_is_unavailable() {
        assert!(matches!(
            from_sqlx(sqlx::Error::PoolClosed),
            Error::Unavailable { .. }
        ));
    }
}
