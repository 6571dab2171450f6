//! The program: reads the configuration, picks the adapters, wires them, serves. The only place that
//! knows all of them.

mod backends;
mod config;
mod files;
mod health;
mod logging;
mod serve;
mod show;
mod wiring;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A chat server on any database.
#[derive(Parser)]
#[command(name = "connexus", version, about)]
struct Cli {
    /// A TOML file with what differs from the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "CONNEXUS_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Bring the database to this version's schema, and end.
    Migrate,
    /// Show the effective configuration, secrets masked.
    Config,
    /// Ask a running server whether it is ready; for container health checks.
    Health,
    /// Print the OpenAPI document.
    Openapi,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // one line, also when the cause is several levels deep
            eprintln!("connexus: {}", format!("{error:#}").replace('\n', "; "));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Openapi) = cli.command {
        let document = connexus_http::openapi().to_pretty_json();
        show::out(&document.context("the OpenAPI document")?)?;
        return Ok(());
    }
    let (config, effective, notes) = config::load(cli.config.as_deref(), &environment()?)?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            logging::init(&config.log)?;
            for note in notes {
                tracing::warn!("{note}");
            }
            use_small_pages();
            block_on(&config, serve::serve(&config))
        }
        Command::Migrate => {
            logging::init(&config.log)?;
            block_on(&config, wiring::migrate(&config))
        }
        Command::Config => Ok(show::out(&show::config(&effective, &config))?),
        Command::Health => health::check(&config),
        Command::Openapi => Ok(()),
    }
}

/// The process's environment, above what an `.env` file in the working directory says.
fn environment() -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    match dotenvy::dotenv_iter() {
        Ok(lines) => {
            for line in lines {
                let (name, value) = line.context(".env")?;
                all.insert(name, value);
            }
        }
        Err(error) if error.not_found() => {}
        Err(error) => return Err(error).context(".env"),
    }
    all.extend(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    );
    Ok(all)
}

/// Memory comes in small pages. A server's memory is many small things: whole large ones cost it a third more than
/// it uses, and each new connection the time to empty them.
#[cfg(target_os = "linux")]
fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory may come in large pages");
    }
}

#[cfg(not(target_os = "linux"))]
fn use_small_pages() {}

fn block_on(config: &Config, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.server.workers > 0 {
        runtime.worker_threads(config.server.workers);
    }
    runtime
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(work)
}
