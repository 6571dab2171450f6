//! From an address to a client that keeps what is acknowledged.

use std::time::Duration;

use bson::{Document, doc};
use connexus_domain::{Error, Result};
use mongodb::error::{Error as Driver, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};

use crate::error::{InDomain as _, Late, OpenError};
use crate::orphans::Lifetime;

/// The database when the address names none.
const DATABASE: &str = "connexus";
/// Of 5.0, the first version with snapshot reads outside of transactions.
const MIN_WIRE_VERSION: i32 = 13;

/// Connections for what runs beside calls: readiness checks, the upkeep of sessions and transactions.
const SPARE_CONNECTIONS: u32 = 4;

/// How to reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoOptions {
    /// How many connections for calls at most, beside a few for upkeep.
    pub max_connections: u32,
    /// How long to wait for a connection to be made.
    pub connect_timeout: Duration,
    /// How long to wait for a primary.
    pub selection_timeout: Duration,
    /// How long one call may take, with all its attempts; one attempt may take three fifths of it.
    pub operation_timeout: Duration,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self {
            max_connections: 32,
            connect_timeout: Duration::from_secs(2),
            selection_timeout: Duration::from_secs(3),
            operation_timeout: Duration::from_secs(5),
        }
    }
}

pub(crate) async fn open(url: &str, options: &MongoOptions) -> Result<(Client, Database)> {
    // an address of the kind `mongodb+srv` is looked up, which takes a name server
    let parsing = ClientOptions::parse(url);
    let mut client_options = tokio::time::timeout(options.operation_timeout, parsing)
        .await
        .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
        .map_err(refusal)?;
    let connections = options.max_connections.saturating_add(SPARE_CONNECTIONS);
    client_options.max_pool_size = Some(connections);
    // as many as calls have turns, so that none of them waits in the driver's queue
    client_options.max_connecting = Some(connections);
    client_options.connect_timeout = Some(options.connect_timeout);
    client_options.server_selection_timeout = Some(options.selection_timeout);
    client_options.retry_reads = Some(true);
    client_options.retry_writes = Some(true);
    // whatever the address says: less would acknowledge what may be lost
    client_options.write_concern = Some(durable());
    // none here: the driver would keep it where a snapshot is meant (each read says its own)
    client_options.read_concern = None;
    client_options.selection_criteria =
        Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = client_options
        .default_database
        .clone()
        .unwrap_or_else(|| DATABASE.into());
    // by which what a killed process leaves open is known
    let lifetime = Lifetime::of(options.operation_timeout);
    client_options.app_name = Some(lifetime.app_name(&name));
    let client = Client::with_options(client_options)
        .map_err(|source| Error::internal(OpenError::Address { source }))?;
    let hello = tokio::time::timeout(
        options.operation_timeout,
        client.database("admin").run_command(doc! { "hello": 1 }),
    )
    .await
    .map_err(|elapsed| Error::unavailable(Late::Silent(elapsed)))?
    .in_domain()?;
    check(&hello)?;
    let database = client.database(&name);
    Ok((client, database))
}

fn refusal(source: Driver) -> Error {
    match source.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => Error::unavailable(source),
        _ => Error::internal(OpenError::Address { source }),
    }
}

/// A majority has it in its journal.
pub(crate) fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// Whether the server that said this has transactions and takes writes.
fn check(hello: &Document) -> Result<()> {
    let is_router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    if !hello.contains_key("setName") && !is_router {
        // a set that was never initiated knows that it will be one
        return Err(match hello.get_bool("isreplicaset") {
            Ok(true) => Error::unavailable(Late::NoPrimary),
            _ => Error::internal(OpenError::Standalone),
        });
    }
    if hello.get_i32("maxWireVersion").unwrap_or(0) < MIN_WIRE_VERSION {
        return Err(Error::internal(OpenError::TooOld));
    }
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Err(Error::unavailable(Late::NoPrimary));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_error(hello: &Document) -> String {
        match check(hello).unwrap_err() {
            Error::Internal { source } => source.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_on_its_own_is_refused_with_a_hint() {
        let said = open_error(&doc! { "isWritablePrimary": true, "maxWireVersion": 17 });
        assert!(said.contains("mongod --replSet rs0"), "{said}");
        assert!(said.contains("rs.initiate()"), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn a_set_without_a_primary_is_worth_waiting_for() {
        let electing = doc! { "setName": "rs0", "isWritablePrimary": false, "maxWireVersion": 17 };
        let new = doc! { "isreplicaset": true, "isWritablePrimary": false, "maxWireVersion": 17 };
        for hello in [electing, new] {
            let error = check(&hello).unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        }
    }

    #[test]
    fn primaries_and_routers_are_taken_unless_they_are_too_old() {
        let mut primary =
            doc! { "setName": "rs0", "isWritablePrimary": true, "maxWireVersion": 17 };
        check(&primary).unwrap();
        check(&doc! { "msg": "isdbgrid", "isWritablePrimary": true, "maxWireVersion": 17 })
            .unwrap();
        primary.insert("maxWireVersion", 9);
        assert!(open_error(&primary).contains("too old"));
    }
}
