//! An S3-compatible store as a process of our own: s3s-fs, which checks signatures and keeps objects as files.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::state::{How, State};
use super::{Service, Setup, note, place, process};

/// A newer one needs a newer compiler.
const VERSION: &str = "0.14.1";
const PROGRAM: &str = "s3s-fs";
const BUCKET: &str = "connexus-test";
/// Tests use these keys, unless those of another store are in the environment.
const ACCESS_KEY: &str = "connexus";
const SECRET_KEY: &str = "connexus-test-secret";

pub fn start(setup: &Setup) -> Result<State> {
    let program = installed(&setup.cache)?;
    let data = setup.folder.join("data");
    let log = setup.folder.join("server.log");
    // a bucket is a folder
    place::make(&data.join(BUCKET))?;

    let version = format!("{PROGRAM} {VERSION}");
    note(Service::S3, &format!("starting {version}"));
    let port = process::free_port()?;
    let mut server = Command::new(program);
    server
        .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(&data);
    let mut child = process::spawn(server, &log, setup.owner)?;
    process::wait(&mut child, &log, || {
        Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())
    })?;
    Ok(State {
        url: format!(
            "s3://{BUCKET}?endpoint=http://127.0.0.1:{port}&region=us-east-1&allow_http=true"
        ),
        how: How::Process {
            pid: child.id(),
            port,
            program: version,
            signal: "KILL".to_owned(),
        },
        folder: setup.folder.clone(),
        // nobody measures it
        durable: setup.durable,
    })
}

/// The server, which Cargo builds once.
fn installed(cache: &Path) -> Result<PathBuf> {
    let root = cache.join(format!("{PROGRAM}-{VERSION}"));
    let program = root.join("bin").join(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    note(Service::S3, "building a server, which takes some minutes");
    process::run(
        Command::new("cargo")
            .args(["install", PROGRAM, "--version", VERSION, "--locked"])
            .args(["--features", "binary", "--root"])
            .arg(&root)
            .arg("--target-dir")
            .arg(root.join("build")),
    )
    .with_context(|| {
        format!(
            "cannot build {PROGRAM}: set {} to a bucket for tests",
            Service::S3.variable()
        )
    })?;
    place::remove(&root.join("build"))?;
    Ok(program)
}
