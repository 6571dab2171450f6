//! The one place where PostgreSQL's errors become the domain's.

use connexus_domain::error::Source;
use connexus_domain::{Entity, Error, Result};

/// Why a database cannot be used or brought to this program's version: for the operator who reads it when
/// the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address of this adapter. It may hold a password, so it is not repeated here.
    #[error(
        "not a PostgreSQL address: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, \
         for example postgres://connexus@localhost:5432/connexus"
    )]
    Address,
    /// An address whose parameters are not understood.
    #[error("the PostgreSQL address is not understood")]
    Parameters {
        /// What is wrong with it.
        #[source]
        source: sqlx::Error,
    },
    /// The server answers, and does not let us in.
    #[error("the PostgreSQL server at {server} refuses database '{database}' for user '{user}'")]
    Refused {
        /// Host and port, or socket.
        server: String,
        /// Which database.
        database: String,
        /// As whom.
        user: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// TLS is asked for, and does not come about.
    #[error("no TLS connection to the PostgreSQL server at {server}")]
    Tls {
        /// Host and port, or socket.
        server: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// Too old a server.
    #[error("PostgreSQL {found} is too old: version 14 or later is needed")]
    Version {
        /// What the server calls its version.
        found: String,
    },
    /// What is acknowledged could be lost.
    #[error(
        "synchronous_commit is 'off' here, so acknowledged messages could be lost: \
         set it to 'on' for this role (ALTER ROLE … SET synchronous_commit = on)"
    )]
    NotDurable,
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

pub(crate) fn from_sqlx(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            match database.constraint().and_then(conflicting_field) {
                Some(field) => Error::Conflict { field },
                None => Error::internal(error),
            }
        }
        sqlx::Error::Database(_) if code(&error).is_some_and(|code| is_passing(&code)) => {
            Error::unavailable(error)
        }
        // a server that is cut off in the middle of a word counts as `Protocol`
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Error::unavailable(error),
        _ => Error::internal(error),
    }
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE: &str = "40001";
const READ_ONLY: &str = "25006";
const DEADLOCK_DETECTED: &str = "40P01";

/// Whether it will be over some time, without anybody changing anything here.
fn is_passing(code: &str) -> bool {
    /// Classes: connection, insufficient resources, operator intervention (statement timeout and shutdown
    /// among it), system error.
    const CLASSES: [&str; 4] = ["08", "53", "57", "58"];
    /// Also: lost against another transaction, a lock not given, a standby that takes no writes, a
    /// transaction idle for too long.
    const CODES: [&str; 5] = [
        SERIALIZATION_FAILURE,
        DEADLOCK_DETECTED,
        "55P03",
        READ_ONLY,
        "25P03",
    ];
    CODES.contains(&code) || CLASSES.iter().any(|class| code.starts_with(class))
}

/// Whether the transaction lost against another one, and may be repeated at once.
pub(crate) fn has_lost_a_race(error: &Error) -> bool {
    driver(error)
        .and_then(code)
        .is_some_and(|code| [SERIALIZATION_FAILURE, DEADLOCK_DETECTED].contains(&code.as_str()))
}

/// Whether something of the same name or key is stored.
pub(crate) fn is_taken(error: &Error) -> bool {
    match error {
        Error::Conflict { .. } => true,
        error => {
            matches!(driver(error), Some(sqlx::Error::Database(database)) if database.is_unique_violation())
        }
    }
}

/// Whether the connection went away: another one may do.
pub(crate) fn has_lost_its_connection(error: &Error) -> bool {
    driver(error).is_some_and(|error| match error {
        sqlx::Error::Io(_) => true,
        // terminated by an administrator, by a crash of another one, or by a shutdown
        _ => code(error).is_some_and(|code| ["57P01", "57P02"].contains(&code.as_str())),
    })
}

/// Whether the server, or the database, is one for reading only.
pub(crate) fn takes_no_writes(error: &Error) -> bool {
    let code = driver(error).and_then(code);
    code.is_some_and(|code| code == READ_ONLY)
}

fn driver(error: &Error) -> Option<&sqlx::Error> {
    match error {
        Error::Unavailable { source, .. } | Error::Internal { source } => source.downcast_ref(),
        _ => None,
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn conflicting_field(constraint: &str) -> Option<&'static str> {
    match constraint {
        "users_username_key" => Some("username"),
        "users_email_key" => Some("email"),
        "conversations_slug_key" => Some("slug"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_value_names_its_field() {
        assert_eq!(conflicting_field("users_email_key"), Some("email"));
        assert_eq!(conflicting_field("messages_id_key"), None);
    }

    #[test]
    fn what_passes_and_what_does_not() {
        for passing in ["57014", "57P03", "53300", "08006", "40P01", "25006"] {
            assert!(is_passing(passing), "{passing}");
        }
        for lasting in ["28P01", "3D000", "42P01", "23505", "22021"] {
            assert!(!is_passing(lasting), "{lasting}");
        }
    }

    #[test]
    fn a_closed_pool_is_unavailable() {
        let error = from_sqlx(sqlx::Error::PoolClosed);
        assert!(matches!(error, Error::Unavailable { .. }));
        assert!(!has_lost_its_connection(&error));
    }
}
