//! REST over keep-alive connections: sending, pages of the history, pages of the conversation list.

mod ask;
mod fill;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::{Api, Conversation};
use crate::figures::{Times, cost_of_each, float, note, rate, times};
use crate::process::{self, Usage};
use crate::report::{self, count_of, latencies, quantiles, table};
use crate::tag::TAG_MAX;
use crate::talk::{positive, seconds};
use crate::target::{self, Target};
use crate::users::{self, Users};

use ask::{Asker, Mix};

/// Conversations that are made at the same time.
const OPENING: usize = 8;

/// Messages that are stored with the same tokens, which must not expire meanwhile.
const FILLING: u64 = 250_000;

/// Requests over keep-alive connections, on each of them one after the other.
///
/// One user has a direct conversation with each of the others, `--rooms` of them: the conversation list is its own.
/// Every answer is checked: what was sent is stored once, pages of the history are of the right
/// conversation and lack nothing, those of the list are in order.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// What is asked; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "post,history,list")]
    mix: Vec<Mix>,
    /// Conversations.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    rooms: u32,
    /// Messages that all conversations together have before anything is measured: what is missing is sent
    /// first. Several are measured one after the other, smallest first.
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    stored: Vec<u64>,
    /// Length of each message, in bytes.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Seconds before what is measured.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    warm_up: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    duration: f64,
    /// Users to log in as; who is missing is registered, and noted in the file.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Write the results to a file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    target: target::Args,
}

/// What came of one mix.
struct Outcome {
    mix: Mix,
    /// Messages that all conversations had together, when it began.
    stored: u64,
    /// Answered in the time that is measured.
    requests: u64,
    /// How long each took.
    times: Times,
    errors: u64,
    /// The first of them.
    reason: Option<String>,
    /// Messages that it sent, the warm-up's too.
    sent: u64,
    /// What the server used, at the beginning and at the end of the time that is measured.
    server: Option<(Usage, Usage)>,
}

pub async fn run(args: &Args) -> anyhow::Result<()> {
    let target = args.target.target().await?;
    match measure(args, &target).await {
        Ok((outcomes, left)) => {
            print(args, &target.storage, &outcomes);
            if let Some(path) = &args.json {
                report::write(path, &json(args, &target.storage, &outcomes))?;
            }
            target.leave(&left).await?;
            check(&outcomes)
        }
        Err(error) => {
            target.leave("what had been made by then").await?;
            Err(error)
        }
    }
}

/// On the way to `size`, after how many messages the tokens are renewed.
fn steps(size: u64) -> impl Iterator<Item = u64> {
    (1..size.div_ceil(FILLING))
        .map(|step| step * FILLING)
        .chain([size])
}

/// Measures everything; answers what is left behind, too.
async fn measure(args: &Args, target: &Target) -> anyhow::Result<(Vec<Outcome>, String)> {
    let api = Api::new(target.place.url());
    let people = args.rooms as usize + 1;
    let mut users = users::prepare(&api, people, args.users.as_deref()).await?;
    let mut sizes = args.stored.clone();
    sizes.sort_unstable();
    let mut outcomes = Vec::new();
    let mut sent = 0;
    for size in sizes {
        let length = args.size.max(TAG_MAX);
        for size in steps(size) {
            let there = conversations(&api, &users).await?;
            let people = &users.list[1..];
            sent += fill::up_to(&target.place, people, &there, size, length).await?;
            users.renew(&api).await?;
        }
        for &mix in &args.mix {
            let conversations = conversations(&api, &users).await?;
            let outcome = ask_all(args, target, mix, &users, conversations).await?;
            sent += outcome.sent;
            outcomes.push(outcome);
        }
    }
    let left = format!(
        "{} new users (bench…), {} conversations, {sent} messages",
        users.registered, args.rooms
    );
    Ok((outcomes, left))
}

/// The first user's with each of the others, as they are now.
async fn conversations(api: &Api, users: &Users) -> anyhow::Result<Vec<Conversation>> {
    let (first, others) = users.list.split_first().context("there are users")?;
    stream::iter(others)
        .map(|other| api.direct(first, other))
        .buffered(OPENING)
        .try_collect()
        .await
}

/// One mix, on all connections.
async fn ask_all(
    args: &Args,
    target: &Target,
    mix: Mix,
    users: &Users,
    conversations: Vec<Conversation>,
) -> anyhow::Result<Outcome> {
    let stored = conversations.iter().map(|found| found.last_seq).sum();
    eprintln!("{} with {stored} messages stored", mix.name());
    let conversations: Arc<[Conversation]> = conversations.into();
    let people: Arc<[_]> = users.list.as_slice().into();
    let begin = Instant::now() + Duration::from_secs_f64(args.warm_up);
    let end = begin + Duration::from_secs_f64(args.duration);
    let mut tasks = JoinSet::new();
    for _ in 0..args.connections {
        let asker = Asker::new(
            Api::alone(target.place.url())?,
            Arc::clone(&people),
            Arc::clone(&conversations),
            args.size,
        );
        tasks.spawn(asker.ask(mix, begin, end));
    }
    let usage = || target.pid.and_then(process::usage);
    tokio::time::sleep_until(begin.into()).await;
    let before = usage();
    tokio::time::sleep_until(end.into()).await;
    let server = before.zip(usage());
    let mut outcome = Outcome {
        mix,
        stored,
        requests: 0,
        times: times(),
        errors: 0,
        reason: None,
        sent: 0,
        server,
    };
    while let Some(task) = tasks.join_next().await {
        let asked = task.context("a connection's task failed")?;
        outcome.errors += u64::from(asked.error.is_some());
        outcome.reason = outcome.reason.or(asked.error);
        outcome.sent += asked.sent;
        for micros in asked.times {
            outcome.requests += 1;
            note(&mut outcome.times, micros);
        }
    }
    Ok(outcome)
}

impl Outcome {
    /// Processor time of the server for each request, in microseconds.
    fn server_cost(&self) -> Option<f64> {
        cost_of_each(self.server, self.requests)
    }
}

fn print(args: &Args, storage: &str, outcomes: &[Outcome]) {
    println!(
        "\nrest: storage {storage}, {} connections, {} conversations\n",
        args.connections, args.rooms
    );
    let head = [
        "mix",
        "stored",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "server µs each",
        "errors",
    ];
    let rows = outcomes.iter().map(|outcome| {
        vec![
            outcome.mix.name().to_owned(),
            count_of(float(outcome.stored)),
            count_of(rate(outcome.requests, args.duration)),
            format!("{:.2}", crate::figures::millis(&outcome.times, 0.5)),
            format!("{:.2}", crate::figures::millis(&outcome.times, 0.99)),
            outcome
                .server_cost()
                .map_or_else(|| "–".to_owned(), |cost| format!("{cost:.1}")),
            outcome.errors.to_string(),
        ]
    });
    table(&head, rows);
    for outcome in outcomes {
        let (mix, stored) = (outcome.mix.name(), count_of(float(outcome.stored)));
        latencies(&format!("{mix}, {stored} stored"), &outcome.times);
    }
}

fn json(args: &Args, storage: &str, outcomes: &[Outcome]) -> Value {
    let results: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "mix": outcome.mix.name(),
                "stored": outcome.stored,
                "seconds": args.duration,
                "requests_per_s": rate(outcome.requests, args.duration),
                "latency_ms": quantiles(&outcome.times),
                "server_cpu_us_each": outcome.server_cost(),
                "server_resident_kib": outcome.server.map(|(_, after)| after.resident_kib),
                "errors": outcome.errors,
                "reason": outcome.reason,
            })
        })
        .collect();
    json!({
        "workload": "rest",
        "about": {
            "storage": storage,
            "connections": args.connections,
            "rooms": args.rooms,
            "payload_bytes": args.size,
        },
        "results": results,
    })
}

fn check(outcomes: &[Outcome]) -> anyhow::Result<()> {
    for outcome in outcomes {
        let mix = outcome.mix.name();
        if let Some(reason) = &outcome.reason {
            bail!(
                "{mix}: {} connections ended early; the first: {reason}",
                outcome.errors
            );
        }
        if outcome.requests == 0 {
            bail!("{mix}: nothing was answered in the time that is measured");
        }
    }
    Ok(())
}
