//! Opening connections and holding them: how fast, and what an idle one costs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::{Api, User};
use crate::figures::{Times, float, note, rate, times};
use crate::process::{self, Usage};
use crate::progress::Progress;
use crate::protocol::Protocol;
use crate::report::{self, count_of, latencies, quantiles, table};
use crate::target::{self, Target};
use crate::users;

/// Opens authenticated connections and holds them idle.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many are opened at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// Connections of each user.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    per_user: u32,
    /// Seconds that they are held.
    #[arg(long, default_value_t = 10.0, value_parser = crate::talk::seconds)]
    hold: f64,
    /// What the client speaks.
    #[arg(long, default_value = "native")]
    protocol: Protocol,
    /// Users to log in as; who is missing is registered, and noted in the file.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Write the results to a file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    target: target::Args,
}

/// What came of it.
struct Outcome {
    open: usize,
    /// How long opening all of them took.
    seconds: f64,
    /// How long each took.
    opening: Times,
    refused: Vec<String>,
    closed: Vec<String>,
    /// What the server used before, when all were open, and when they had been held.
    usage: [Option<Usage>; 3],
}

pub async fn run(args: &Args) -> anyhow::Result<()> {
    let target = args.target.target().await?;
    let api = Api::new(target.place.url());
    let people = args.connections.div_ceil(args.per_user) as usize;
    let users = match users::prepare(&api, people, args.users.as_deref()).await {
        Ok(users) => users,
        Err(error) => {
            target.leave("what had been made by then").await?;
            return Err(error);
        }
    };
    let outcome = measure(args, &target, &users.list).await;
    outcome.print(args, &target.storage);
    if let Some(path) = &args.json {
        report::write(path, &outcome.json(args, &target.storage))?;
    }
    let left = format!("{} new users (bench…)", users.registered);
    target.leave(&left).await?;
    outcome.check()
}

async fn measure(args: &Args, target: &Target, users: &[User]) -> Outcome {
    let usage = || target.pid.and_then(process::usage);
    let before = usage();
    let all = args.connections as usize;
    let progress = Progress::new("connections");
    let mut opening = times();
    let mut refused: Vec<String> = Vec::new();
    let mut held = JoinSet::new();
    let begun = Instant::now();
    let mut sockets = stream::iter((0..all).zip(users.iter().cycle()))
        .map(|(nth, user)| async move {
            let begun = Instant::now();
            let socket = target.place.open(args.protocol, &user.token, nth).await;
            (begun.elapsed(), socket)
        })
        .buffer_unordered(args.concurrency as usize);
    while let Some((took, socket)) = sockets.next().await {
        progress.step(all);
        match socket {
            Ok(mut socket) => {
                note(
                    &mut opening,
                    u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                );
                held.spawn(async move { socket.idle().await });
            }
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    drop(sockets);
    let seconds = begun.elapsed().as_secs_f64();
    let open = held.len();
    progress.done(&format!("{open} of {all} open"));
    let opened = usage();
    eprintln!("holding them for {} s …", args.hold);
    tokio::time::sleep(Duration::from_secs_f64(args.hold)).await;
    let after = usage();
    let mut closed = Vec::new();
    while let Some(ended) = held.try_join_next() {
        closed.push(ended.map_or_else(|error| error.to_string(), |why| format!("{why:#}")));
    }
    held.shutdown().await;
    Outcome {
        open,
        seconds,
        opening,
        refused,
        closed,
        usage: [before, opened, after],
    }
}

impl Outcome {
    fn print(&self, args: &Args, storage: &str) {
        let or_dash = |number: Option<f64>, digits: usize| {
            number.map_or_else(|| "–".to_owned(), |number| format!("{number:.digits$}"))
        };
        println!(
            "\nconnect: protocol {}, storage {storage}, {} at the same time\n",
            args.protocol.name(),
            args.concurrency
        );
        let head = [
            "connections",
            "connections/s",
            "server KiB each",
            "server cores while idle",
            "refused",
            "closed while idle",
        ];
        let cells = vec![
            self.open.to_string(),
            count_of(rate(self.open as u64, self.seconds)),
            or_dash(self.memory(), 2),
            or_dash(self.idle_cores(args.hold), 3),
            self.refused.len().to_string(),
            self.closed.len().to_string(),
        ];
        table(&head, std::iter::once(cells));
        latencies("until the server has said whose it is", &self.opening);
    }

    fn json(&self, args: &Args, storage: &str) -> Value {
        let resident = self
            .usage
            .map(|usage| usage.map(|usage| usage.resident_kib));
        json!({
            "workload": "connect",
            "about": {
                "protocol": args.protocol.name(),
                "storage": storage,
                "concurrency": args.concurrency,
                "per_user": args.per_user,
                "hold_s": args.hold,
            },
            "results": [{
                "connections": self.open,
                "connections_per_s": rate(self.open as u64, self.seconds),
                "open_ms": quantiles(&self.opening),
                "server_resident_kib": {"before": resident[0], "open": resident[1], "held": resident[2]},
                "server_kib_per_connection": self.memory(),
                "server_cores_idle": self.idle_cores(args.hold),
                "refused": self.refused.len(),
                "closed_while_idle": self.closed.len(),
            }],
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        let (refused, closed) = (&self.refused, &self.closed);
        match refused.first().or(closed.first()) {
            Some(why) => bail!(
                "{} connections were refused and {} closed; the first: {why}",
                refused.len(),
                closed.len()
            ),
            None => Ok(()),
        }
    }

    /// What the server has grown by, in KiB for each connection.
    fn memory(&self) -> Option<f64> {
        let [before, _, after] = self.usage;
        let grown = after?.resident_kib.saturating_sub(before?.resident_kib);
        (self.open > 0).then(|| rate(grown, float(self.open as u64)))
    }

    fn idle_cores(&self, seconds: f64) -> Option<f64> {
        let [_, opened, after] = self.usage;
        let spent = after?.cpu_centis.saturating_sub(opened?.cpu_centis);
        (seconds > 0.0).then(|| rate(spent, seconds * 100.0))
    }
}
