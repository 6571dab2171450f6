//! Durable sends on each backend, next to what one gets from the bare database by writing a row at a time.

pub mod mongodb;
pub mod plain;
pub mod postgres;
pub mod sqlite;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use futures_util::future::try_join_all;

use crate::api::Api;
use crate::figures::Figures;
use crate::place::Place;
use crate::protocol::Protocol;
use crate::run::{self, Pace, Plan, RoomPlan, Until};
use crate::target::{Backend, Databases};
use crate::users;

use plain::Span;
use table::{Row, Table};

/// More conversations than this do not add load: each has a sender that keeps several messages under way.
const ROOMS_MAX: usize = 8;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    databases: Databases,
    /// Measure on this backend only; may be repeated. All of them when left out
    #[arg(long)]
    backend: Vec<Backend>,
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
    let plain = args.databases.create(backend).await?;
    let server = args.databases.serve(&*plain).await?;
    let place = Place::find(server.url(), false).await?;
    let span = Span {
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(args.seconds.max(1)),
    };
    let payload = args.payload.clamp(1, 8_000);
    for &in_flight in &args.in_flight {
        let in_flight = in_flight.max(1);
        eprintln!("{}: {in_flight} in flight …", plain.name());
        // one after the other, so that neither takes the disk from the other
        let sends = rooms(&place, in_flight, payload, span).await?;
        let clients = plain.clients(in_flight).await?;
        let inserts_per_s = plain.insert(clients, payload, span).await?;
        table.add(Row::new(
            plain.name(),
            in_flight,
            sends,
            clients,
            inserts_per_s,
        ));
    }
    server.stop().await;
    plain.remove().await
}

/// Conversations of one member each, in which as many messages are under way together.
async fn rooms(
    place: &Place,
    in_flight: usize,
    payload: usize,
    span: Span,
) -> anyhow::Result<Figures> {
    let api = Api::new(place.url());
    let users = users::prepare(&api, in_flight.min(ROOMS_MAX), None).await?;
    let rooms = try_join_all(users.list.iter().map(|user| async {
        let members = vec![user.clone()];
        Ok::<_, anyhow::Error>(RoomPlan {
            conversation: api.create_group(&members).await?,
            members,
            senders: 1,
            stopped: Vec::new(),
        })
    }));
    let plan = Plan {
        protocol: Protocol::Native,
        rooms: rooms.await?,
        pace: Pace::Closed {
            in_flight,
            until: Until::Acknowledged,
        },
        typing: false,
        read_every: 0,
        payload,
        span: run::Span {
            warm_up: span.warm_up,
            duration: span.duration,
            grace: Duration::from_secs(5),
        },
        server_pid: None,
    };
    let figures = run::measure(place, plan).await?;
    if figures.faults.total() > 0 {
        bail!("{:?}: {:?}", figures.faults, figures.reason);
    }
    Ok(figures)
}
