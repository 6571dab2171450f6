//! PostgreSQL's own load client, with a script that inserts one row.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};
use tempfile::TempDir;
use tokio::process::Command;

use super::plain::{Plain, Span};

pub struct Rows {
    server: PgConnectOptions,
    /// The address up to the database, and what comes after it.
    around: (String, String),
    database: String,
    pgbench: PathBuf,
    name: String,
    folder: TempDir,
}

impl Rows {
    pub async fn new(url: &str, bin: Option<&Path>) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let mut connection: PgConnection = server.connect().await?;
        let setting: String = sqlx::query_scalar(
            "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings \
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
        )
        .fetch_one(&mut connection)
        .await?;
        ensure!(
            setting == "on on on",
            "the server does not wait for the disk: `cargo xtask services up --durable` starts one that does"
        );
        let version: String = sqlx::query_scalar("SELECT current_setting('server_version')")
            .fetch_one(&mut connection)
            .await?;
        let database = format!("connexus_bench_{}", std::process::id());
        let create = format!("CREATE DATABASE {database} TEMPLATE template0");
        connection.execute(AssertSqlSafe(create)).await?;
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (host, _) = address
            .rsplit_once('/')
            .context("a database in the address")?;
        let rows = Self {
            around: (host.to_owned(), parameters.to_owned()),
            server,
            database,
            pgbench: bin.map_or_else(|| "pgbench".into(), |bin| bin.join("pgbench")),
            name: format!("PostgreSQL {}", number(&version)),
            folder: tempfile::tempdir()?,
        };
        let mut connection: PgConnection = rows.options().connect().await?;
        connection
            .execute(
                "CREATE TABLE plain (id uuid PRIMARY KEY, conversation_id uuid NOT NULL, \
                 sender_id uuid NOT NULL, client_id text NOT NULL, body text NOT NULL, \
                 created_at bigint NOT NULL)",
            )
            .await?;
        Ok(rows)
    }

    fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.database)
    }

    async fn pgbench(&self, script: &Path, clients: usize, seconds: u64) -> anyhow::Result<f64> {
        let output = Command::new(&self.pgbench)
            // a statement is parsed once, as Connexus' are
            .args(["--no-vacuum", "--protocol=prepared", "--file"])
            .arg(script)
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(2)))
            .arg(format!("--time={seconds}"))
            .arg(self.url())
            .output()
            .await
            .with_context(|| self.pgbench.display().to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("pgbench: {} {}", output.status, why.trim());
        }
        rate(&said).with_context(|| format!("no figure in what pgbench wrote: {said}"))
    }
}

#[async_trait]
impl Plain for Rows {
    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> String {
        let (host, parameters) = &self.around;
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("{host}/{}{mark}{parameters}", self.database)
    }

    /// A client has a connection to itself, of which the server has only so many.
    async fn clients(&self, in_flight: usize) -> anyhow::Result<usize> {
        let mut connection: PgConnection = self.options().connect().await?;
        let free: i64 = sqlx::query_scalar(
            "SELECT current_setting('max_connections')::int8 \
             - current_setting('superuser_reserved_connections')::int8 - count(*) \
             FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender')",
        )
        .fetch_one(&mut connection)
        .await?;
        // those of the server may not all be open yet
        let free = usize::try_from(free - 16).unwrap_or_default();
        Ok(in_flight.min(free.max(1)))
    }

    async fn insert(&self, clients: usize, payload: usize, span: Span) -> anyhow::Result<f64> {
        let script = self.folder.path().join("insert.sql");
        let body = "x".repeat(payload);
        let insert = format!(
            "\\set key random(1, 1000000000)\n\
             INSERT INTO plain VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), \
             :key::text, '{body}', :key);\n"
        );
        tokio::fs::write(&script, insert).await?;
        self.pgbench(&script, clients, span.warm_up.as_secs().max(1))
            .await?;
        self.pgbench(&script, clients, span.duration.as_secs().max(1))
            .await
    }

    async fn remove(&self) -> anyhow::Result<()> {
        let mut connection: PgConnection = self.server.connect().await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.database);
        connection.execute(AssertSqlSafe(drop)).await?;
        Ok(())
    }
}

/// `15.18 (Debian 15.18-0+deb12u1)` without what the packager adds.
fn number(version: &str) -> &str {
    version.split(' ').next().unwrap_or(version)
}

/// Reads the `tps = 123.4 (without initial connection time)` of pgbench.
fn rate(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.starts_with("tps = "))?;
    line.split(' ').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_pgbench_is_read() {
        let said = "number of clients: 1\ntps = 1234.500000 (without initial connection time)\n";
        assert_eq!(rate(said), Some(1234.5));
        assert_eq!(rate("pgbench: error"), None);
        assert_eq!(number("15.18 (Debian 15.18-0+deb12u1)"), "15.18");
    }
}
