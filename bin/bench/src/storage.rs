//! Durable sends on each backend, next to what one gets from the bare database by writing a row at a time.

mod mongodb;
mod plain;
mod postgres;
mod sqlite;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use futures_util::future::try_join_all;

use crate::room::{self, Figures, Load};
use crate::server::Server;

use plain::{Plain, Span};
use table::{Row, Table};

/// More conversations than this do not add load: each has a sender that keeps several messages under way.
const ROOMS_MAX: usize = 8;

/// A database to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
    Mongodb,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program to start.
    #[arg(long, env = "CONNEXUS_BIN")]
    bin: PathBuf,
    /// Measure on this backend only; may be repeated. All of them when left out
    #[arg(long)]
    backend: Vec<Backend>,
    /// A PostgreSQL server that keeps its promises about the disk.
    #[arg(long, env = "CONNEXUS_TEST_POSTGRES_URL")]
    postgres_url: Option<String>,
    /// A MongoDB replica set.
    #[arg(long, env = "CONNEXUS_TEST_MONGODB_URL")]
    mongodb_url: Option<String>,
    /// The folder of PostgreSQL's `pgbench`; that on the path when left out.
    #[arg(long, env = "CONNEXUS_TEST_POSTGRES_BIN")]
    postgres_bin: Option<PathBuf>,
    /// Where SQLite files go: on a real disk, or the figures say nothing. The current folder when left out.
    #[arg(long, overrides_with = "folder")]
    folder: Option<PathBuf>,
    /// Messages, and rows, under way at the same time.
    #[arg(long, value_delimiter = ',', default_value = "1,64,512")]
    in_flight: Vec<usize>,
    /// How long each is measured, in seconds; a second of warming up comes before.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Length of each message's and each row's text, in bytes.
    #[arg(long, default_value_t = 128)]
    payload: usize,
    /// Write the results to a file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub async fn run(args: &Args) -> anyhow::Result<()> {
    let mut table = Table::default();
    for &backend in Backend::value_variants() {
        if args.backend.is_empty() || args.backend.contains(&backend) {
            measure(args, backend, &mut table)
                .await
                .with_context(|| format!("backend {backend:?}"))?;
        }
    }
    table.print();
    if let Some(path) = &args.json {
        table.write(path)?;
    }
    table.check()
}

async fn measure(args: &Args, backend: Backend, table: &mut Table) -> anyhow::Result<()> {
    let plain: Box<dyn Plain> = match backend {
        Backend::Sqlite => {
            let folder = args.folder.as_deref().unwrap_or(Path::new("."));
            Box::new(sqlite::Rows::new(folder).await?)
        }
        Backend::Postgres => {
            let url = args.postgres_url.as_deref();
            let url = url.context("--postgres-url must name a server")?;
            Box::new(postgres::Rows::new(url, args.postgres_bin.as_deref()).await?)
        }
        Backend::Mongodb => {
            let url = args.mongodb_url.as_deref();
            let url = url.context("--mongodb-url must name a server")?;
            Box::new(mongodb::Documents::new(url).await?)
        }
    };
    let server = Server::start(Some(&args.bin), Some(&plain.url())).await?;
    let span = Span {
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(args.seconds.max(1)),
    };
    let payload = args.payload.clamp(1, 8_000);
    for &in_flight in &args.in_flight {
        let in_flight = in_flight.max(1);
        eprintln!("{}: {in_flight} in flight …", plain.name());
        // one after the other, so that neither takes the disk from the other
        let sends = rooms(server.url(), in_flight, payload, span).await?;
        let clients = plain.clients(in_flight).await?;
        let inserts_per_s = plain.insert(clients, payload, span).await?;
        table.add(Row::new(
            plain.name(),
            in_flight,
            &sends,
            clients,
            inserts_per_s,
        )?);
    }
    server.stop().await;
    plain.remove().await
}

/// Conversations of one member each, in which as many messages are under way together.
async fn rooms(
    url: &str,
    in_flight: usize,
    payload: usize,
    span: Span,
) -> anyhow::Result<Vec<Figures>> {
    let rooms = in_flight.min(ROOMS_MAX);
    let loads = (0..rooms).map(|room| Load {
        members: 1,
        in_flight: in_flight / rooms + usize::from(room < in_flight % rooms),
        warm_up: span.warm_up,
        duration: span.duration,
        payload,
    });
    let loads: Vec<Load> = loads.collect();
    let figures = try_join_all(loads.iter().map(|load| room::measure(url, load))).await?;
    let faulty = |figures: &Figures| figures.lost + figures.doubled + figures.disordered > 0;
    if figures.iter().any(faulty) {
        bail!("messages were lost, doubled or disordered");
    }
    Ok(figures)
}
