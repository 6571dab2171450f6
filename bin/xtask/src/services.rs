//! `cargo xtask services`: real servers for tests and for developers.
//!
//! A server is taken from the first of these that there is: the address in the environment, a container
//! engine, a process of our own on a random port of loopback, with its data in the target directory. Progress
//! goes to standard error, so that a shell can evaluate what `up` prints.

mod compose;
pub mod debian;
mod mongodb;
pub mod place;
mod postgres;
pub mod process;
mod s3;
mod state;
mod wire;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Subcommand, ValueEnum};

use crate::workspace::Workspace;

use place::Place;
use state::{Owner, State};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start servers, or find those that run, and print their addresses for a shell
    Up {
        #[command(flatten)]
        selection: Selection,
        /// Keep every promise about what is on disk: for benches, not for tests
        #[arg(long)]
        durable: bool,
    },
    /// Stop what `up` has started, and remove its data
    Down(Selection),
    /// Tell what runs
    Status(Selection),
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// This one only; may be repeated. All of them when left out
    #[arg(long = "backend", value_name = "BACKEND")]
    backends: Vec<Service>,
}

impl Selection {
    fn services(&self) -> &[Service] {
        if self.backends.is_empty() {
            Service::value_variants()
        } else {
            &self.backends
        }
    }
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    Postgres,
    Mongodb,
    S3,
}

impl Service {
    /// The name of its address in the environment.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "CONNEXUS_TEST_POSTGRES_URL",
            Self::Mongodb => "CONNEXUS_TEST_MONGODB_URL",
            Self::S3 => "CONNEXUS_TEST_S3_URL",
        }
    }

    /// Its name in compose.yaml, and of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mongodb => "mongodb",
            Self::S3 => "s3",
        }
    }

    /// The address that was set from outside.
    fn given(self) -> Option<String> {
        std::env::var(self.variable())
            .ok()
            .filter(|url| !url.is_empty())
    }

    /// Where its programs are, with the name of this in the environment: some tests start a server of
    /// their own, since nobody may stop the one that all share.
    fn programs(self) -> Option<(&'static str, String)> {
        match self {
            Self::Postgres => {
                let bin = postgres::programs()?;
                Some((postgres::PROGRAMS, bin.to_string_lossy().into_owned()))
            }
            Self::Mongodb | Self::S3 => None,
        }
    }

    fn start(self, setup: &Setup) -> Result<State> {
        // compose.yaml is for those who run the server, and has databases alone
        if self != Self::S3 && compose::answers() {
            return compose::start(self, setup);
        }
        match self {
            Self::Postgres => postgres::start(setup),
            Self::Mongodb => mongodb::start(setup),
            Self::S3 => s3::start(setup),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How to start a server.
struct Setup {
    /// The repository.
    root: PathBuf,
    /// Where its data belongs, empty.
    folder: PathBuf,
    /// Where downloads are kept.
    cache: PathBuf,
    durable: bool,
    owner: Owner,
}

pub fn run(args: &Args) -> Result<()> {
    let place = Place::of(&Workspace::load()?);
    match &args.command {
        Command::Up { selection, durable } => {
            for &service in selection.services() {
                let url = match service.given() {
                    Some(url) => url,
                    None => up(&place, service, *durable)?.url,
                };
                println!("export {}='{url}'", service.variable());
                if let Some((name, value)) = service.programs() {
                    println!("export {name}='{value}'");
                }
            }
        }
        Command::Down(selection) => {
            let _lock = place.lock()?;
            place.sweep()?;
            for &service in selection.services() {
                let stopped = place.stop(service, Owner::Shared)?;
                let what = if stopped { "stopped" } else { "was not up" };
                println!("{service}: {what}");
            }
        }
        Command::Status(selection) => {
            for &service in selection.services() {
                println!("{service}: {}", status(&place, service)?);
            }
        }
    }
    Ok(())
}

fn up(place: &Place, service: Service, durable: bool) -> Result<State> {
    let _lock = place.lock()?;
    place.sweep()?;
    if let Some(state) = place.living(service, Owner::Shared)? {
        must_be_durable(service, &state, durable)?;
        note(service, &format!("runs already ({})", state.how));
        return Ok(state);
    }
    place.start(service, durable, Owner::Shared)
}

fn must_be_durable(service: Service, state: &State, durable: bool) -> Result<()> {
    ensure!(
        state.durable || !durable,
        "{service} is up, but not durable: stop it first with `cargo xtask services down --backend {service}`"
    );
    Ok(())
}

fn status(place: &Place, service: Service) -> Result<String> {
    if service.given().is_some() {
        return Ok(format!("as {} says", service.variable()));
    }
    Ok(match place.living(service, Owner::Shared)? {
        Some(state) => state.to_string(),
        None => "down".to_owned(),
    })
}

/// Says what is being done.
fn note(service: Service, what: &str) {
    eprintln!("{service}: {what}");
}

/// Servers for one run of the tests, or of a bench. What was started for it is stopped with it, however it ends.
pub struct Session {
    place: Place,
    started: Vec<Service>,
    /// Names of variables, each with an address, or with where programs are.
    pub variables: Vec<(&'static str, String)>,
}

impl Session {
    /// Finds or starts the servers; durable ones keep every promise about what is on disk.
    pub fn begin(workspace: &Workspace, services: &[Service], durable: bool) -> Result<Self> {
        let mut session = Self {
            place: Place::of(workspace),
            started: vec![],
            variables: vec![],
        };
        for &service in services {
            let url = session
                .url(service, durable)
                .with_context(|| format!("backend {service}: failed"))?;
            session.variables.push((service.variable(), url));
            session.variables.extend(service.programs());
        }
        Ok(session)
    }

    fn url(&mut self, service: Service, durable: bool) -> Result<String> {
        if let Some(url) = service.given() {
            return Ok(url);
        }
        let _lock = self.place.lock()?;
        self.place.sweep()?;
        if let Some(state) = self.place.living(service, Owner::Shared)? {
            must_be_durable(service, &state, durable)?;
            note(service, &format!("runs already ({})", state.how));
            return Ok(state.url);
        }
        // from now on there may be something to tidy up
        self.started.push(service);
        let state = self.place.start(service, durable, Owner::this_run())?;
        Ok(state.url)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for &service in &self.started {
            if let Err(error) = self.place.stop(service, Owner::this_run()) {
                eprintln!("error: {service}: {error:#}");
            }
        }
    }
}
