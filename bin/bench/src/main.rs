//! The load client: measures a running Connexus, and checks that nothing was lost, doubled, misrouted or
//! out of order while it did.

mod api;
mod check;
mod connect;
mod figures;
mod place;
mod process;
mod progress;
mod protocol;
mod report;
mod rest;
mod run;
mod server;
mod storage;
mod tag;
mod talk;
mod target;
mod users;

use clap::{Parser, Subcommand};

/// Measures a Connexus deployment: one that is named with `--url`, or one that is started for it.
///
/// A run in which a message was lost, doubled, misrouted, out of its sender's order, or not seen in the same
/// order by everybody in the room, fails. Client and server share the machine when both are on it: give
/// each its own cores (`taskset`) for figures that mean something.
#[derive(Parser)]
#[command(name = "connexus-bench", version)]
struct Args {
    /// Threads of the client; 0 = one for each core.
    #[arg(long, global = true, default_value_t = 0)]
    threads: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Open authenticated connections and hold them: connections/s, memory of each
    Connect(connect::Args),
    /// One room: deliveries/s, or latency at a given rate
    Fanout(talk::Fanout),
    /// Rooms with typing and read marks
    Chat(talk::Chat),
    /// Durable sends/s over direct conversations
    Sends(talk::Sends),
    /// REST over keep-alive connections: sending, pages of the history, of the conversation list
    Rest(rest::Args),
    /// Compare durable sends on each backend with plain writes to it
    Storage(storage::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if args.threads > 0 {
        runtime.worker_threads(args.threads);
    }
    runtime.enable_all().build()?.block_on(async {
        match &args.command {
            Command::Connect(args) => connect::run(args).await,
            Command::Fanout(args) => talk::fanout(args).await,
            Command::Chat(args) => talk::chat(args).await,
            Command::Sends(args) => talk::sends(args).await,
            Command::Rest(args) => rest::run(args).await,
            Command::Storage(args) => storage::run(args).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Args::command().debug_assert();
    }
}
