//! `cargo xtask test`: everything that must hold before a change is merged.

mod count;
mod run;

use std::fmt;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::clients;
use crate::services::{Service, Session};
use crate::tidy;
use crate::workspace::Workspace;

use count::Counts;
use run::{Runner, SERVER, Scope, Suite, build, doctests, step};

/// The package of the black-box tests.
const BLACK_BOX: &str = "connexus-e2e";

/// The test target, in a storage adapter's package, that runs the storage contract.
const CONTRACT: &str = "contract";

/// A database to test on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
    Mongodb,
}

impl Backend {
    /// The package of its adapter.
    fn package(self) -> &'static str {
        match self {
            Self::Sqlite => "connexus-sqlite",
            Self::Postgres => "connexus-postgres",
            Self::Mongodb => "connexus-mongodb",
        }
    }

    /// Where the black-box tests' servers keep files in its run: they run with both stores, in no more runs.
    fn files(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Mongodb => "folder",
            Self::Postgres => "s3",
        }
    }

    /// The server that it needs.
    fn service(self) -> Option<Service> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Service::Postgres),
            Self::Mongodb => Some(Service::Mongodb),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mongodb => "mongodb",
        })
    }
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Test on this backend only; may be repeated. All of them when left out
    #[arg(long)]
    backend: Vec<Backend>,
}

pub fn run(args: &Args) -> Result<()> {
    let all = Backend::value_variants();
    let (chosen, left_out): (Vec<Backend>, Vec<Backend>) = all
        .iter()
        .partition(|backend| args.backend.is_empty() || args.backend.contains(backend));
    let workspace = Workspace::load()?;
    for backend in &chosen {
        ensure!(
            workspace.has(backend.package()),
            "backend {backend}: failed: there is no package {}",
            backend.package()
        );
    }

    step(&["fmt", "--all", "--check"])?;
    step(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?;
    for backend in all {
        alone(*backend)?;
    }
    header("cargo xtask tidy");
    tidy::check(&workspace)?;

    let server = build(&workspace)?;
    header("cargo xtask services up");
    let mut needed: Vec<Service> = chosen.iter().filter_map(|b| b.service()).collect();
    // where files are kept does not depend on the database
    needed.push(Service::S3);
    // what it starts is stopped when it is dropped, so also when a test fails
    let session = Session::begin(&workspace, &needed, false)?;
    header("cargo xtask clients");
    let mut environment = session.variables.clone();
    environment.push((clients::VARIABLE, clients::install(&workspace)?));
    let suite = Suite {
        runner: Runner::installed(),
        server,
        left_out,
        workspace,
        environment,
    };
    let mut passed = Vec::new();
    let mut contracts = Counts::default();
    for (nth, &backend) in chosen.iter().enumerate() {
        // the first run is of everything; what a backend changes is only what the server does
        let scope = if nth == 0 {
            Scope::All
        } else {
            Scope::BlackBox
        };
        let counts = suite.run(scope, backend)?;
        if nth == 0 {
            contracts = counts.clone();
        }
        passed.push((
            backend,
            contracts.of(backend.package(), CONTRACT),
            counts.of_targets(BLACK_BOX),
        ));
    }
    if suite.runner == Runner::Nextest {
        doctests()?;
    }

    println!();
    for &(backend, cases, tests) in &passed {
        println!("{}", verdict(backend, cases, tests)?);
    }
    if !args.backend.is_empty() {
        println!("{}", subset(&chosen, &suite.left_out));
    }
    Ok(())
}

/// Checks a server that has one backend: what it needs must not come from another one.
fn alone(backend: Backend) -> Result<()> {
    println!("\nthe server with the backend {backend} alone:");
    step(&[
        "clippy",
        "--package",
        SERVER,
        "--locked",
        "--no-default-features",
        "--features",
        &backend.to_string(),
        "--",
        "-D",
        "warnings",
    ])
}

/// What ran on a backend. Nothing having run is a failure: a test command that passes by skipping says
/// nothing.
fn verdict(backend: Backend, cases: usize, tests: usize) -> Result<String> {
    ensure!(
        cases > 0,
        "backend {backend}: failed: its storage contract did not run ({} of {} ran 0 tests)",
        CONTRACT,
        backend.package()
    );
    ensure!(
        tests > 0,
        "backend {backend}: failed: no black-box test ran ({BLACK_BOX} ran 0 tests)"
    );
    Ok(format!(
        "backend {backend}: passed ({cases} contract cases, {tests} black-box tests, files in {})",
        match backend.files() {
            "s3" => "S3",
            _ => "a folder",
        }
    ))
}

fn subset(chosen: &[Backend], left_out: &[Backend]) -> String {
    let names = |backends: &[Backend]| {
        if backends.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<String> = backends.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    format!(
        "only the backends chosen by --backend ran: {} (left out: {})",
        names(chosen),
        names(left_out)
    )
}

fn header(title: &str) {
    println!("\n==> {title}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_did_not_run_has_not_passed() {
        assert_eq!(
            verdict(Backend::Sqlite, 12, 34).unwrap(),
            "backend sqlite: passed (12 contract cases, 34 black-box tests, files in a folder)"
        );
        assert!(verdict(Backend::Sqlite, 0, 34).is_err());
        assert!(verdict(Backend::Sqlite, 12, 0).is_err());
    }

    #[test]
    fn a_subset_is_said() {
        assert_eq!(
            subset(&[Backend::Sqlite], &[]),
            "only the backends chosen by --backend ran: sqlite (left out: none)"
        );
        assert_eq!(
            subset(&[Backend::Sqlite], &[Backend::Postgres, Backend::Mongodb]),
            "only the backends chosen by --backend ran: sqlite (left out: postgres, mongodb)"
        );
    }
}
