//! From an address to a pool.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connexus_domain::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::runtime::{Handle, Id};

use crate::connections::Connections;
use crate::error::{InDomain as _, OpenError, from_sqlx};

/// How to use a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many connections this process opens at most; at least one.
    pub max_connections: u32,
    /// How long one statement may take, waiting for locks included; in whole milliseconds.
    pub statement_timeout: Duration,
    /// How long to wait for a free connection, or for a new one.
    pub acquire_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 16,
            statement_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

/// Oldest version that is tested: `server_version_num`.
const OLDEST: i32 = 140_000;
/// A connection that was used this lately is not asked whether it still lives.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// When connections died.
#[derive(Debug)]
pub(crate) struct Losses {
    since: Instant,
    /// When one was last found dead, in microseconds after `since`; 0 when none was. Those that lie idle since before
    /// that may be dead as well.
    last: AtomicU64,
    /// When a runtime last ended in which some were opened, likewise. Those are dead, even if one of them still
    /// answers once more. Which they are is not known, so it is whatever was opened before. Or when a server was found
    /// that takes no writes: others may have been opened to it.
    orphaning: AtomicU64,
    homes: Mutex<HashSet<Id>>,
}

impl Losses {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            last: AtomicU64::new(0),
            orphaning: AtomicU64::new(0),
            homes: Mutex::default(),
        }
    }

    pub fn note(&self) {
        self.last.store(self.micros(), Ordering::Relaxed);
    }

    /// A connection was opened in this runtime.
    fn watch(self: Arc<Self>) {
        let home = Handle::current();
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.insert(home.id()) {
            drop(homes);
            let end = RuntimeEnd {
                home: home.id(),
                losses: self,
            };
            home.spawn(async move {
                let _at_the_end = end;
                std::future::pending::<()>().await;
            });
        }
    }

    /// What has been opened until now is not to be used any more.
    pub fn orphan_all(&self) {
        self.orphaning.store(self.micros(), Ordering::Relaxed);
    }

    /// Whether a connection that is that old has perhaps lost the runtime in which it was opened.
    pub fn is_orphan(&self, age: Duration) -> bool {
        self.before(age, &self.orphaning)
    }

    /// Whether to ask a connection that lay idle that long if it still lives.
    pub fn cast_doubt(&self, idle: Duration) -> bool {
        self.before(idle, &self.last)
    }

    fn before(&self, ago: Duration, event: &AtomicU64) -> bool {
        let ago = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
        self.micros().saturating_sub(ago) < event.load(Ordering::Relaxed)
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Held by a task of the runtime, which drops it when it ends, before its connections are dead.
struct RuntimeEnd {
    home: Id,
    losses: Arc<Losses>,
}

impl Drop for RuntimeEnd {
    fn drop(&mut self) {
        let losses = &self.losses;
        losses.orphan_all();
        let mut homes = losses.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.remove(&self.home);
    }
}

/// Connections, and what is to know about them.
pub(crate) struct Opened {
    pub connections: Arc<Connections>,
    /// Whether two statements outside a transaction may meet different connections.
    pub pooled_by_transaction: bool,
}

pub(crate) async fn open(url: &str, options: &PostgresOptions) -> Result<Opened> {
    let address = parse(url, options).map_err(Error::internal)?;
    tokio::time::timeout(options.acquire_timeout, check(&address))
        .await
        .map_err(Error::unavailable)??;
    let losses = Arc::new(Losses::new());
    let (homes, doubts) = (losses.clone(), losses.clone());
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        // a ping before each use would double the round trips of a single query
        .test_before_acquire(false)
        .after_connect(move |_, _| {
            homes.clone().watch();
            Box::pin(std::future::ready(Ok(())))
        })
        .before_acquire(move |connection, used| {
            let orphan = doubts.is_orphan(used.age);
            let ask = used.idle_for > FRESH || doubts.cast_doubt(used.idle_for);
            Box::pin(async move {
                if ask && !orphan {
                    connection.ping().await?;
                }
                Ok(!orphan)
            })
        })
        .connect_lazy_with(address);
    Ok(Opened {
        connections: Arc::new(Connections::new(pool, losses)),
        pooled_by_transaction: url.contains("statement-cache-capacity=0"),
    })
}

fn parse(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Address);
    }
    let address =
        PgConnectOptions::from_str(url).map_err(|source| OpenError::Parameters { source })?;
    let timeout = options.statement_timeout.as_millis().max(1).to_string();
    let address = address
        .options([
            ("synchronous_commit", "on"),
            ("statement_timeout", &timeout),
            ("idle_in_transaction_session_timeout", &timeout),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_material", "off"),
            ("max_parallel_workers_per_gather", "0"),
            ("jit", "off"),
            // or a batch of a few messages is planned anew each time, which costs more than storing it
            ("plan_cache_mode", "force_generic_plan"),
        ])
        .disable_statement_logging();
    Ok(match address.get_application_name() {
        Some(_) => address,
        None => address.application_name("connexus"),
    })
}

/// Connects once, so that what is wrong is said by the server and not by a pool that waited in vain.
async fn check(address: &PgConnectOptions) -> Result<()> {
    let mut connection = address
        .connect()
        .await
        .map_err(|source| refusal(address, source))?;
    check_server(&mut connection).await?;
    connection.close().await.in_domain()
}

async fn check_server(connection: &mut PgConnection) -> Result<()> {
    // a simple query, since a pooler may have others' prepared statements on this connection
    let row = sqlx::raw_sql(
        "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
         current_setting('synchronous_commit')",
    )
    .fetch_one(connection)
    .await
    .in_domain()?;
    let version: i32 = row.try_get(0).in_domain()?;
    let synchronous_commit: &str = row.try_get(2).in_domain()?;
    if version < OLDEST {
        let found = row.try_get(1).in_domain()?;
        return Err(Error::internal(OpenError::Version { found }));
    }
    // a pooler may have dropped what the startup packet asked for
    if synchronous_commit == "off" {
        return Err(Error::internal(OpenError::NotDurable));
    }
    Ok(())
}

fn refusal(address: &PgConnectOptions, source: sqlx::Error) -> Error {
    let server = match address.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", address.get_host(), address.get_port()),
    };
    match source {
        sqlx::Error::Tls(_) => Error::internal(OpenError::Tls { server, source }),
        // a certificate that is not trusted comes as what was read from the connection
        sqlx::Error::Io(ref io) if io.kind() == ErrorKind::InvalidData => {
            Error::internal(OpenError::Tls { server, source })
        }
        sqlx::Error::Database(_) => match from_sqlx(source) {
            Error::Internal { source } => Error::internal(OpenError::Refused {
                server,
                database: address
                    .get_database()
                    .unwrap_or_else(|| address.get_username())
                    .to_owned(),
                user: address.get_username().to_owned(),
                source,
            }),
            passing => passing,
        },
        source => from_sqlx(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let options = PostgresOptions::default();
        for good in [
            "postgres://a:b@localhost:5433/c",
            "postgresql://a@h/c?sslmode=require&statement-cache-capacity=0",
        ] {
            let address = parse(good, &options).unwrap();
            assert_eq!(address.get_application_name(), Some("connexus"));
            let given = address.get_options().unwrap();
            assert!(given.contains("-c synchronous_commit=on"), "{given}");
            assert!(given.contains("-c statement_timeout=10000"), "{given}");
        }
        let named = parse("postgres://h/c?application_name=x", &options).unwrap();
        assert_eq!(named.get_application_name(), Some("x"));
        for (bad, parameters) in [
            ("mysql://a", false),
            ("a.db", false),
            ("postgres://h/c?sslmode=perhaps", true),
        ] {
            let error = parse(bad, &options).unwrap_err();
            assert_eq!(
                matches!(error, OpenError::Parameters { .. }),
                parameters,
                "{bad}"
            );
        }
    }
}
