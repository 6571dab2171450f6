//! `cargo xtask bench`: builds the server and the load client optimised, and measures.

mod growth;
mod plot;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::{Subcommand, ValueEnum};

use crate::services::{Service, Session};
use crate::workspace::{Workspace, cargo};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Open authenticated connections and hold them: connections/s, memory of each
    Connect(Workload),
    /// One room: deliveries/s, or latency at a given rate
    Fanout(Workload),
    /// Rooms with typing and read marks
    Chat(Workload),
    /// Durable sends/s over direct conversations
    Sends(Workload),
    /// REST: sending, pages of the history, of the conversation list
    Rest(Workload),
    /// Compare durable sends on each backend with plain writes to it
    Storage(Comparison),
    /// How cost grows with members, rooms, connections and stored messages, as plots
    Growth(growth::Args),
    /// The micro-benchmarks of all crates
    Micro {
        /// Only those whose name has this in it
        filter: Option<String>,
        /// Handed to each benchmark: `cargo xtask bench micro -- --help` shows what there is
        #[arg(last = true)]
        divan: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Workload {
    /// What the server stores in, on a disk that it waits for
    #[arg(long, value_enum, default_value = "sqlite")]
    backend: Backend,
    /// Handed to the load client: `cargo xtask bench fanout -- --help` shows what there is
    #[arg(last = true)]
    client: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Comparison {
    /// Handed to the load client: `cargo xtask bench storage -- --help` shows what there is
    #[arg(last = true)]
    client: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
    Mongodb,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mongodb => "mongodb",
        }
    }

    /// The server that it takes.
    fn service(self) -> Option<Service> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Service::Postgres),
            Self::Mongodb => Some(Service::Mongodb),
        }
    }
}

/// Packages with benchmarks of their own.
const MICRO: [&str; 4] = [
    "connexus-domain",
    "connexus-application",
    "connexus-ws",
    "connexus-socketio",
];

pub fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Connect(workload) => measure("connect", workload),
        What::Fanout(workload) => measure("fanout", workload),
        What::Chat(workload) => measure("chat", workload),
        What::Sends(workload) => measure("sends", workload),
        What::Rest(workload) => measure("rest", workload),
        What::Storage(comparison) => {
            let services = [Service::Postgres, Service::Mongodb];
            load("storage", &[], &services, &comparison.client)
        }
        What::Growth(args) => growth::run(args),
        What::Micro { filter, divan } => micro(filter.as_deref(), divan),
    }
}

fn measure(name: &str, workload: &Workload) -> Result<()> {
    let services: Vec<Service> = workload.backend.service().into_iter().collect();
    let backend = ["--backend", workload.backend.name()];
    load(name, &backend, &services, &workload.client)
}

/// Builds server and client, starts the databases, and lets the client do the rest.
fn load(name: &str, options: &[&str], services: &[Service], client: &[String]) -> Result<()> {
    let workspace = Workspace::load()?;
    Load::begin(&workspace, services)?.measure(name, options, client)
}

/// The load client, and what it takes to measure.
struct Load<'a> {
    workspace: &'a Workspace,
    programs: PathBuf,
    /// What it started is stopped when it is dropped, so also when a measurement fails.
    session: Session,
}

impl<'a> Load<'a> {
    fn begin(workspace: &'a Workspace, services: &[Service]) -> Result<Self> {
        let built = cargo()
            .args(["build", "--release", "--locked"])
            .args(["--package", "connexus", "--package", "connexus-bench"])
            .status()
            .context("cargo build")?;
        ensure!(built.success(), "the release build failed");
        Ok(Self {
            workspace,
            programs: workspace.target_directory.join("release"),
            session: Session::begin(workspace, services, true)?,
        })
    }

    fn measure(&self, name: &str, options: &[&str], client: &[String]) -> Result<()> {
        let variables = self.session.variables.iter();
        let measured = Command::new(self.programs.join("connexus-bench"))
            .env("CONNEXUS_BIN", self.programs.join("connexus"))
            .envs(variables.map(|(name, value)| (name, value)))
            .arg(name)
            .args(options)
            // beside the servers' data, so that all write to the same disk
            .arg("--folder")
            .arg(self.workspace.target_directory.join("services/bench"))
            .args(client)
            .status()
            .context("connexus-bench")?;
        ensure!(measured.success(), "the measurement failed");
        Ok(())
    }
}

fn micro(filter: Option<&str>, divan: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["bench", "--locked", "--benches"]);
    for package in MICRO {
        command.args(["--package", package]);
    }
    let measured = command
        .arg("--")
        .args(filter)
        .args(divan)
        .status()
        .context("cargo bench")?;
    ensure!(measured.success(), "the benchmarks failed");
    Ok(())
}
