//! What a developer types: `cargo xtask <command>`. One module per command.

mod bench;
mod clients;
mod services;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Connexus' developer commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check format, lints and tidiness, then run every test on every backend
    Test(test::Args),
    /// Start and stop database servers for tests
    Services(services::Args),
    /// Install the JavaScript and Python clients that tests use, and print where, for a shell
    Clients,
    /// Check the direction of dependencies and what compilers do not look at
    Tidy,
    /// Measure an optimised build: a whole server under load, or small parts of it
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Services(args) => services::run(&args),
        Command::Clients => clients::run(),
        Command::Tidy => tidy::run(),
        Command::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
