//! Servers in containers, by the repository's compose.yaml.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::state::{How, Owner, State};
use super::{Service, Setup, note, process};

/// How long a container engine may take to say that it is there.
const ENGINE: Duration = Duration::from_secs(3);

/// Whether there is a container engine that answers: a client alone is not enough.
pub fn answers() -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    *ANSWERS.get_or_init(|| {
        process::succeeds(Command::new("docker").arg("info"), ENGINE)
            && process::succeeds(Command::new("docker").args(["compose", "version"]), ENGINE)
    })
}

pub fn start(service: Service, setup: &Setup) -> Result<State> {
    // a project of its own, so that nobody's data is touched
    let project = match setup.owner {
        Owner::Shared => format!("connexus-services-{service}"),
        Owner::Run(pid) => format!("connexus-test-{pid}-{service}"),
    };
    note(
        service,
        "starting a container, which may have to be downloaded",
    );
    let fsync = if setup.durable { "on" } else { "off" };
    let up = process::run(
        compose(&setup.root, &project)
            .args(["--profile", service.name(), "up", "--detach", "--wait"])
            .arg(service.name())
            .env("POSTGRES_FSYNC", fsync)
            .env("POSTGRES_PASSWORD", "connexus"),
    );
    let url = up.and_then(|_| url(service, &setup.root, &project));
    if url.is_err() {
        // the first error is the one to tell
        let _ = stop(&setup.root, &project);
    }
    Ok(State {
        url: url.context("Docker Compose")?,
        how: How::Compose {
            project,
            service: service.name().to_owned(),
        },
        folder: setup.folder.clone(),
        durable: setup.durable || service == Service::Mongodb,
    })
}

fn url(service: Service, root: &Path, project: &str) -> Result<String> {
    let (port, profile) = match service {
        Service::Postgres => ("5432", "postgres"),
        Service::Mongodb => ("27017", "mongodb"),
        Service::S3 => bail!("there is no container of it"),
    };
    let published = process::run(
        compose(root, project)
            .args(["--profile", profile, "port"])
            .args([service.name(), port]),
    )?;
    Ok(match service {
        Service::Postgres => format!("postgres://connexus:connexus@{published}/postgres"),
        // the replica set's own name of it is known to containers only
        _ => format!("mongodb://{published}/?directConnection=true"),
    })
}

/// Whether the service's container runs.
pub fn is_up(root: &Path, project: &str, service: &str) -> bool {
    let shown = process::run(
        compose(root, project)
            .args(["--profile", "*", "ps", "--quiet", "--status", "running"])
            .arg(service),
    );
    shown.is_ok_and(|shown| !shown.is_empty())
}

/// Stops everything of the project and removes its data.
pub fn stop(root: &Path, project: &str) -> Result<()> {
    process::run(
        compose(root, project)
            .args(["--profile", "*", "down", "--volumes", "--timeout", "1"])
            .arg("--remove-orphans"),
    )?;
    Ok(())
}

fn compose(root: &Path, project: &str) -> Command {
    let mut command = Command::new("docker");
    command.args(["compose", "--project-name", project, "--file"]);
    command.arg(root.join("compose.yaml"));
    command
}
