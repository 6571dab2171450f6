//! Databases of their own for tests, on the server that `CONNEXUS_TEST_POSTGRES_URL` names.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod private;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use connexus_domain::ports::Storage as _;
use connexus_postgres::{PostgresOptions, PostgresStorage};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

const VARIABLE: &str = "CONNEXUS_TEST_POSTGRES_URL";
/// What every database starts from, made once by whoever comes first.
const SCHEMA: &str = concat!(
    include_str!("../../migrations/0001_schema.sql"),
    include_str!("../../migrations/0002_attachments.sql"),
    include_str!("../../migrations/0003_shorter_terms.sql"),
    include_str!("../../migrations/0004_search_segments.sql"),
    include_str!("../../migrations/0005_changed_messages.sql"),
);
/// Names the lock of those who make it.
const LOCK: i64 = 7_041_776;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A superuser's address of a database that is only used to make others. A test that finds none must fail.
pub fn server() -> String {
    let given = std::env::var(VARIABLE).unwrap_or_default();
    assert!(
        !given.is_empty(),
        "set {VARIABLE} to a superuser's address, for example postgres://postgres@127.0.0.1:5432/postgres"
    );
    given
}

/// A database that is dropped in the end.
pub struct Database {
    name: String,
}

impl Database {
    /// One without any table.
    pub async fn empty() -> Self {
        Self::from_template("template0").await
    }

    /// One with the schema.
    pub async fn migrated() -> Self {
        Self::from_template(&template().await).await
    }

    async fn from_template(template: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("connexus_test_{}_{number}", std::process::id());
        let mut server = connect(&server()).await;
        run(
            &mut server,
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
        run(
            &mut server,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        server.close().await.unwrap();
        Self { name }
    }

    pub fn url(&self) -> String {
        url(&self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn open(&self) -> Arc<PostgresStorage> {
        Arc::new(open(&self.url()).await)
    }

    /// Another program on the same database.
    pub async fn outside(&self) -> PgConnection {
        connect(&self.url()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // a thread of its own, since nothing can be awaited here
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let mut server = connect(&server()).await;
                    run(&mut server, drop).await;
                });
        });
        let dropped = dropping.join().is_ok() || std::thread::panicking();
        assert!(dropped, "cannot drop {}", self.name);
    }
}

pub async fn open(url: &str) -> PostgresStorage {
    let options = PostgresOptions {
        max_connections: 5,
        acquire_timeout: Duration::from_secs(20),
        ..PostgresOptions::default()
    };
    PostgresStorage::connect(url, options).await.unwrap()
}

pub async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options.disable_statement_logging().connect().await.unwrap()
}

pub async fn run(connection: &mut PgConnection, sql: String) {
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// The server's address with another database.
fn url(database: &str) -> String {
    let server = server();
    let (address, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address.rsplit_once('/').expect("a database in the address");
    format!("{host}/{database}?{parameters}")
}

async fn template() -> String {
    let name = format!("connexus_template_{:08x}", checksum(SCHEMA));
    let mut server = connect(&server()).await;
    run(&mut server, format!("SELECT pg_advisory_lock({LOCK})")).await;
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut server)
            .await
            .unwrap();
    if !there {
        // under another name until it is whole
        run(
            &mut server,
            format!("DROP DATABASE IF EXISTS {name}_new WITH (FORCE)"),
        )
        .await;
        run(
            &mut server,
            format!("CREATE DATABASE {name}_new TEMPLATE template0"),
        )
        .await;
        let storage = open(&url(&format!("{name}_new"))).await;
        storage.migrate().await.unwrap();
        storage.close().await;
        run(
            &mut server,
            format!("ALTER DATABASE {name}_new RENAME TO {name}"),
        )
        .await;
    }
    server.close().await.unwrap();
    name
}

/// FNV-1a.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
