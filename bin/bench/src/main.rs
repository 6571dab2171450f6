//! The load client: measures durable sends and deliveries of a running Connexus, and checks that nothing
//! was lost, doubled or out of order while it did.

mod client;
mod report;
mod room;
mod server;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::room::Load;
use crate::server::Server;

/// Measures durable sends and deliveries per second.
#[derive(Parser)]
#[command(name = "connexus-bench", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A running server, such as http://127.0.0.1:5000; without it one is started on an empty database.
    #[arg(long)]
    url: Option<String>,
    /// Allow a server that is not on this machine.
    #[arg(long)]
    remote: bool,
    /// The program to start.
    #[arg(long, env = "CONNEXUS_BIN")]
    bin: Option<PathBuf>,
    /// Where the started server stores; an empty SQLite file when absent.
    #[arg(long)]
    storage_url: Option<String>,
    /// Members of the group, all of them connected; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,10,1000")]
    members: Vec<usize>,
    /// Messages under way at the same time, over all senders.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    in_flight: Vec<usize>,
    /// How long each is measured, in seconds; a second of warming up comes before.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Length of each message, in bytes.
    #[arg(long, default_value_t = 128)]
    payload: usize,
    /// Write the results to a file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Compare durable sends on each backend with plain writes to it.
    Storage(storage::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Command::Storage(args)) = &args.command {
        return storage::run(args).await;
    }
    let server = match &args.url {
        Some(url) => {
            if !args.remote
                && !["127.0.0.1", "localhost", "[::1]"]
                    .iter()
                    .any(|own| host_of(url) == *own)
            {
                bail!("{url} is not this machine: --remote says that you mean it");
            }
            Server::running(url)
        }
        None => Server::start(args.bin.as_deref(), args.storage_url.as_deref()).await?,
    };
    let mut report = Report::new(server.storage());
    for members in &args.members {
        for in_flight in &args.in_flight {
            let load = Load {
                members: (*members).max(1),
                in_flight: (*in_flight).max(1),
                warm_up: Duration::from_secs(1),
                duration: Duration::from_secs(args.seconds.max(1)),
                payload: args.payload.clamp(1, 8_000),
            };
            eprintln!("{} members, {} in flight …", load.members, load.in_flight);
            report.add(&load, room::measure(server.url(), &load).await?);
        }
    }
    server.stop().await;
    report.print();
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    report.check()
}

fn host_of(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn hosts() {
        assert_eq!(host_of("http://127.0.0.1:5000/x"), "127.0.0.1");
        assert_eq!(host_of("http://[::1]:5000"), "[::1]");
        assert_eq!(host_of("http://chat.example.org"), "chat.example.org");
    }
}
