//! `cargo xtask bench`: builds the server and the load client optimised, and measures.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;

use crate::services::{Service, Session};
use crate::workspace::{Workspace, cargo};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Handed to the load client: `cargo xtask bench -- --help` shows what there is
    #[arg(last = true)]
    client: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare durable sends on each backend with plain writes to it, on servers that wait for the disk
    Storage {
        /// Handed to the load client: `cargo xtask bench storage -- --help` shows what there is
        #[arg(last = true)]
        client: Vec<String>,
    },
}

pub fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let built = cargo()
        .args(["build", "--release", "--workspace", "--locked"])
        .status()
        .context("cargo build")?;
    ensure!(built.success(), "the release build failed");
    let programs = workspace.target_directory.join("release");
    let mut command = Command::new(programs.join("connexus-bench"));
    command.env("CONNEXUS_BIN", programs.join("connexus"));
    // what it starts is stopped when it is dropped, so also when the measurement fails
    let mut _session = None;
    match &args.what {
        None => {
            command.args(&args.client);
        }
        Some(What::Storage { client }) => {
            let services = [Service::Postgres, Service::Mongodb];
            let session = Session::begin(&workspace, &services, true)?;
            command
                .envs(session.variables.iter().map(|(name, value)| (name, value)))
                .arg("storage")
                // beside the servers' data, so that all write to the same disk
                .arg("--folder")
                .arg(workspace.target_directory.join("services/bench"))
                .args(client);
            _session = Some(session);
        }
    }
    let measured = command.status().context("connexus-bench")?;
    ensure!(measured.success(), "the measurement failed");
    Ok(())
}
