//! `cargo xtask bench`: builds the server and the load client optimised, and measures.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{Workspace, cargo};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Handed to the load client: `cargo xtask bench -- --help` shows what there is
    #[arg(last = true)]
    client: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let built = cargo()
        .args(["build", "--release", "--workspace", "--locked"])
        .status()
        .context("cargo build")?;
    ensure!(built.success(), "the release build failed");
    let programs = workspace.target_directory.join("release");
    let measured = Command::new(programs.join("connexus-bench"))
        .env("CONNEXUS_BIN", programs.join("connexus"))
        .args(&args.client)
        .status()
        .context("connexus-bench")?;
    ensure!(measured.success(), "the measurement failed");
    Ok(())
}
