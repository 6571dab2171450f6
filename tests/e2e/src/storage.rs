//! Where a server under test keeps its data: every test on a database of its own, every backend in turn.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mongodb::Client;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::gate::Gate;

const POSTGRES: &str = "CONNEXUS_TEST_POSTGRES_URL";
const MONGODB: &str = "CONNEXUS_TEST_MONGODB_URL";
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// A database, removed when dropped.
pub(crate) struct Storage {
    url: String,
    kind: Kind,
    gate: Option<Gate>,
}

enum Kind {
    /// A file in the server's folder, which goes with it.
    Sqlite,
    Postgres {
        server: String,
        name: String,
    },
    Mongodb {
        server: String,
        name: String,
    },
}

impl Storage {
    /// An empty one on the backend that `CONNEXUS_TEST_BACKEND` names.
    pub async fn make(folder: &Path) -> Self {
        let backend = std::env::var("CONNEXUS_TEST_BACKEND");
        let name = format!("connexus_e2e_{}", uuid::Uuid::new_v4().simple());
        match backend.as_deref().unwrap_or("sqlite") {
            "sqlite" => Self {
                url: format!("sqlite:{}", folder.join("connexus.db").display()),
                kind: Kind::Sqlite,
                gate: None,
            },
            "postgres" => {
                let server = address(POSTGRES);
                // the other template can be in use
                execute(
                    &server,
                    format!("CREATE DATABASE {name} TEMPLATE template0"),
                )
                .await
                .unwrap_or_else(|error| panic!("{POSTGRES}: {error}"));
                Self {
                    url: with_database(&server, &name),
                    kind: Kind::Postgres { server, name },
                    gate: None,
                }
            }
            "mongodb" => {
                let server = address(MONGODB);
                Self {
                    url: with_database(&server, &name),
                    kind: Kind::Mongodb { server, name },
                    gate: None,
                }
            }
            other => panic!(
                "CONNEXUS_TEST_BACKEND={other}: unknown, must be 'sqlite', 'postgres' or 'mongodb'"
            ),
        }
    }

    /// The same behind a gate, by which it can be made to go away and come back.
    pub async fn make_gated(folder: &Path) -> Self {
        let mut storage = Self::make(folder).await;
        let gate = match &storage.kind {
            Kind::Sqlite => Gate::on(folder.join("connexus.db")),
            Kind::Postgres { server, .. } | Kind::Mongodb { server, .. } => {
                Gate::before(host_of(server)).await
            }
        };
        if let Some(address) = gate.address() {
            let (start, rest) = storage.url.split_once("://").expect("an address");
            let host_ends = rest.find(['/', '?']).unwrap_or(rest.len());
            let host_starts = rest[..host_ends].find('@').map_or(0, |at| at + 1);
            let (login, path) = (&rest[..host_starts], &rest[host_ends..]);
            storage.url = format!("{start}://{login}{address}{path}");
            if matches!(storage.kind, Kind::Mongodb { .. }) {
                // or the driver would go around the gate, to where the replica set says it is
                let path = storage.url.split('?').next().unwrap_or_default();
                storage.url = format!("{path}?directConnection=true");
            }
        }
        storage.gate = Some(gate);
        storage
    }

    /// What stands before it.
    pub fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("a storage behind a gate")
    }

    /// As `storage.url` wants it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Storage {
    /// A server of the tests goes away as a whole, so what cannot be removed does no harm.
    fn drop(&mut self) {
        match &self.kind {
            Kind::Sqlite => {}
            Kind::Postgres { server, name } => {
                wait_for(drop_postgres(server.clone(), name.clone()));
            }
            Kind::Mongodb { server, name } => {
                wait_for(drop_mongodb(server.clone(), name.clone()));
            }
        }
    }
}

/// Where a server listens.
fn host_of(server: &str) -> SocketAddr {
    let (_, rest) = server.split_once("://").expect("an address of a server");
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let host = rest.split(['/', '?', ',']).next().unwrap_or_default();
    host.to_socket_addrs().unwrap().next().unwrap()
}

/// Of a server: a test that finds none must fail.
fn address(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("set {variable}: `cargo xtask services up` starts one"))
}

async fn execute(server: &str, statement: String) -> sqlx::Result<()> {
    let options: PgConnectOptions = server.parse()?;
    let mut connection: PgConnection = options.disable_statement_logging().connect().await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}

/// Waits for what removes a database: on a thread of its own, since nothing can be awaited in a `drop`.
fn wait_for(removing: impl Future<Output = ()> + Send + 'static) {
    let removed = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(removing);
        }
    });
    let _ = removed.join();
}

async fn drop_postgres(server: String, name: String) {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    let _ = execute(&server, statement).await;
}

/// Waits for a moment only: a server that was killed may have left a transaction open, for whose end the
/// database waits.
async fn drop_mongodb(server: String, name: String) {
    if let Ok(client) = Client::with_uri_str(server).await {
        let database = client.database(&name);
        let _ = tokio::time::timeout(DROP_TIMEOUT, database.drop()).await;
    }
}

/// The server's address with a database of its own.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = address.split_once("://").expect("an address of a server");
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{name}{mark}{options}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_is_another() {
        for (server, expected) in [
            ("postgres://a:b@h:1/postgres", "postgres://a:b@h:1/x"),
            (
                "postgres://h/p?sslmode=disable",
                "postgres://h/x?sslmode=disable",
            ),
            (
                "mongodb://h:1/?replicaSet=rs0",
                "mongodb://h:1/x?replicaSet=rs0",
            ),
            ("mongodb://h:1,i:2", "mongodb://h:1,i:2/x"),
        ] {
            assert_eq!(with_database(server, "x"), expected);
        }
    }
}
