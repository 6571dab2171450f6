//! PostgreSQL as a process of our own, from Debian's package.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::state::{How, State};
use super::{Service, Setup, debian, note, place, process};

/// Where Debian keeps its versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whom the server runs as when we are root, as which it refuses to run.
const USER: &str = "postgres";
/// Names the folder of the programs in the environment.
pub const PROGRAMS: &str = "CONNEXUS_TEST_POSTGRES_BIN";

pub fn start(setup: &Setup) -> Result<State> {
    let bin = installed()?;
    let version = version(&bin);
    let account = Account::ours()?;
    let folder = account.folder(setup)?;
    let data = folder.join("data");
    let log = folder.join("server.log");

    note(Service::Postgres, &format!("starting {version}"));
    process::run(
        account
            .command(&bin.join("initdb"))
            .args(["-A", "trust", "-U", USER, "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data),
    )?;
    let port = process::free_port()?;
    let mut server = account.command(&bin.join("postgres"));
    server.arg("-D").arg(&data);
    for option in options(port, setup.durable) {
        server.arg("-c").arg(option);
    }
    let mut child = process::spawn(server, &log, setup.owner)?;
    let port_text = port.to_string();
    process::wait(&mut child, &log, || {
        let mut ask = Command::new(bin.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port_text]);
        Ok(process::succeeds(&mut ask, Duration::from_secs(5)))
    })?;
    Ok(State {
        url: format!("postgres://{USER}@127.0.0.1:{port}/postgres"),
        how: How::Process {
            pid: child.id(),
            port,
            program: version,
            // at once: its data is going to be removed
            signal: "QUIT".to_owned(),
        },
        folder,
        durable: setup.durable,
    })
}

fn options(port: u16, durable: bool) -> Vec<String> {
    let mut options = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
    ];
    if !durable {
        options.push("fsync=off".to_owned());
        options.push("full_page_writes=off".to_owned());
    }
    options
}

/// The folder of a server's programs: the one that was set from outside, else the newest.
pub fn programs() -> Option<PathBuf> {
    std::env::var_os(PROGRAMS)
        .filter(|bin| !bin.is_empty())
        .map(PathBuf::from)
        .or_else(|| newest(Path::new(VERSIONS)))
}

/// The folder of the newest server's programs; installs one when there is none.
fn installed() -> Result<PathBuf> {
    if let Some(bin) = newest(Path::new(VERSIONS)) {
        return Ok(bin);
    }
    install()?;
    newest(Path::new(VERSIONS))
        .with_context(|| format!("the package has brought no server to {VERSIONS}"))
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let newest = fs::read_dir(versions)
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            bin.join("postgres").is_file().then_some((number, bin))
        })
        .max()?;
    Some(newest.1)
}

fn version(bin: &Path) -> String {
    let number = bin.parent().and_then(Path::file_name).unwrap_or_default();
    format!("PostgreSQL {}", number.to_string_lossy())
}

fn install() -> Result<()> {
    let elsewhere = format!(
        "install PostgreSQL, or set {} to a server for tests",
        Service::Postgres.variable()
    );
    no_cluster()?;
    let missing = format!("no server in {VERSIONS}");
    debian::install(&["postgresql"], &missing, &elsewhere)
}

/// Debian's package would make a cluster of its own, and start it on the well-known port.
fn no_cluster() -> Result<()> {
    let folder = Path::new("/etc/postgresql-common");
    let file = folder.join("createcluster.conf");
    if file.exists() {
        return Ok(());
    }
    place::make(folder)?;
    fs::write(&file, "create_main_cluster = false\n").with_context(|| file.display().to_string())
}

/// Who runs the server.
enum Account {
    Ourselves,
    /// Root hands it to somebody who is nobody else.
    Postgres {
        uid: u32,
        gid: u32,
    },
}

impl Account {
    fn ours() -> Result<Self> {
        if !process::is_root()? {
            return Ok(Self::Ourselves);
        }
        let number = |flag: &str| -> Result<u32> {
            let number = process::run(Command::new("id").args([flag, USER]))
                .with_context(|| format!("there is no user {USER}"))?;
            number.parse().with_context(|| number.clone())
        };
        Ok(Self::Postgres {
            uid: number("-u")?,
            gid: number("-g")?,
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => Command::new(program),
            Self::Postgres { .. } => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={USER}"));
                command.arg(format!("--regid={USER}"));
                command.arg("--init-groups").arg(program);
                command
            }
        };
        // the current folder may be closed to them
        command.current_dir("/");
        command
    }

    /// The folder for the data: another one when a folder above it is closed to who runs the server.
    fn folder(&self, setup: &Setup) -> Result<PathBuf> {
        let Self::Postgres { uid, gid } = *self else {
            return Ok(setup.folder.clone());
        };
        let give = |folder: &Path| {
            chown(folder, Some(uid), Some(gid)).with_context(|| folder.display().to_string())
        };
        give(&setup.folder)?;
        let mut can_write = self.command(Path::new("test"));
        can_write.arg("-w").arg(&setup.folder);
        if process::succeeds(&mut can_write, Duration::from_secs(5)) {
            return Ok(setup.folder.clone());
        }
        let folder = tempfile::Builder::new()
            .prefix("connexus-postgres-")
            .tempdir()
            .context("a folder for temporary files")?
            .keep();
        note(
            Service::Postgres,
            &format!(
                "user {USER} cannot enter {}, so the data goes to {}",
                setup.folder.display(),
                folder.display()
            ),
        );
        give(&folder)?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_server_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path()), None);
        for version in ["9", "15", "16", "17", "notes"] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            // 17 has clients alone
            if version != "17" {
                fs::write(bin.join("postgres"), "").unwrap();
            }
        }
        let bin = newest(folder.path()).unwrap();
        assert_eq!(bin, folder.path().join("16/bin"));
        assert_eq!(version(&bin), "PostgreSQL 16");
    }

    #[test]
    fn durable_is_as_shipped() {
        let shortcut = "fsync=off".to_owned();
        assert!(options(1, false).contains(&shortcut));
        assert!(!options(1, true).contains(&shortcut));
        assert!(options(4242, true).contains(&"port=4242".to_owned()));
    }
}
