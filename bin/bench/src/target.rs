//! What is measured: a server that runs already, or one that is started on an empty database.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::place::Place;
use crate::server::Server;
use crate::storage::plain::Plain;
use crate::storage::{mongodb, postgres, sqlite};

/// A database to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
    Mongodb,
}

/// Where databases are that are not given by a file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A server of its own")]
pub struct Databases {
    /// The program to start.
    #[arg(long, env = "CONNEXUS_BIN", value_name = "FILE")]
    pub bin: Option<PathBuf>,
    /// A PostgreSQL server that keeps its promises about the disk.
    #[arg(
        long,
        env = "CONNEXUS_TEST_POSTGRES_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    postgres_url: Option<String>,
    /// A MongoDB replica set.
    #[arg(
        long,
        env = "CONNEXUS_TEST_MONGODB_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    mongodb_url: Option<String>,
    /// The folder of PostgreSQL's `pgbench`; that on the path when left out.
    #[arg(long, env = "CONNEXUS_TEST_POSTGRES_BIN", value_name = "FOLDER")]
    postgres_bin: Option<PathBuf>,
    /// Where SQLite files go: on a real disk, or the figures say nothing. The current folder when left out.
    #[arg(long, overrides_with = "folder", value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Databases {
    /// Makes a new, empty database.
    pub async fn create(&self, backend: Backend) -> anyhow::Result<Box<dyn Plain>> {
        Ok(match backend {
            Backend::Sqlite => {
                let folder = self.folder.as_deref().unwrap_or(Path::new("."));
                Box::new(sqlite::Rows::new(folder).await?)
            }
            Backend::Postgres => {
                let url = self.postgres_url.as_deref();
                let url = url.context("--postgres-url must name a server")?;
                Box::new(postgres::Rows::new(url, self.postgres_bin.as_deref()).await?)
            }
            Backend::Mongodb => {
                let url = self.mongodb_url.as_deref();
                let url = url.context("--mongodb-url must name a server")?;
                Box::new(mongodb::Documents::new(url).await?)
            }
        })
    }

    /// Starts a server on a database.
    pub async fn serve(&self, database: &dyn Plain) -> anyhow::Result<Server> {
        let bin = self.bin.as_deref();
        let bin = bin.context(
            "--url must name a server, or --bin a program to start (`cargo xtask bench` does it)",
        )?;
        Server::start(bin, &database.url()).await
    }
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// A running server, such as http://127.0.0.1:5000; without it one is started on an empty database.
    #[arg(long, conflicts_with_all = ["backend"])]
    url: Option<String>,
    /// Allow a server that is not on this machine.
    #[arg(long)]
    allow_remote: bool,
    /// The running server's process, to tell what it uses.
    #[arg(long, requires = "url", value_name = "PID")]
    server_pid: Option<u32>,
    /// What the started server stores in.
    #[arg(long, default_value = "sqlite", help_heading = "A server of its own")]
    backend: Backend,
    #[command(flatten)]
    databases: Databases,
}

/// A server to measure.
pub struct Target {
    pub place: Place,
    pub pid: Option<u32>,
    /// Its storage, as far as it is known.
    pub storage: String,
    started: Option<(Server, Box<dyn Plain>)>,
}

impl Args {
    pub async fn target(&self) -> anyhow::Result<Target> {
        if let Some(url) = &self.url {
            return Ok(Target {
                place: Place::find(url, self.allow_remote).await?,
                pid: self.server_pid,
                storage: "as configured".to_owned(),
                started: None,
            });
        }
        let database = self.databases.create(self.backend).await?;
        let server = self.databases.serve(&*database).await?;
        Ok(Target {
            place: Place::find(server.url(), false).await?,
            pid: server.pid(),
            storage: database.name().to_owned(),
            started: Some((server, database)),
        })
    }
}

impl Target {
    /// Stops what was started, and says what is left behind.
    pub async fn leave(self, left: &str) -> anyhow::Result<()> {
        let Some((server, database)) = self.started else {
            println!("\nLeft behind on {}: {left}", self.place.url());
            return Ok(());
        };
        server.stop().await;
        database.remove().await?;
        println!("\nLeft behind: nothing; the server and its database are gone");
        Ok(())
    }
}
