//! Where servers keep their data and we what we know about them.
//!
//! Below `<target>/services`: `<service>.json` and `<service>/` for what everybody shares, the same under
//! `run-<pid>/` for what one run of the tests has for itself, and `cache/` for downloads.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum as _;

use crate::workspace::Workspace;

use super::state::{Owner, State};
use super::{Service, Setup, process};

const RUN: &str = "run-";

pub struct Place {
    /// The repository.
    root: PathBuf,
    services: PathBuf,
}

impl Place {
    pub fn of(workspace: &Workspace) -> Self {
        Self {
            root: workspace.root.clone(),
            services: workspace.target_directory.join("services"),
        }
    }

    /// One at a time may start and stop servers.
    pub fn lock(&self) -> Result<File> {
        make(&self.services)?;
        let path = self.services.join("lock");
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        file.lock().with_context(|| path.display().to_string())?;
        Ok(file)
    }

    /// Stops what runs that were killed have left behind.
    pub fn sweep(&self) -> Result<()> {
        let context = || self.services.display().to_string();
        for entry in fs::read_dir(&self.services).with_context(context)? {
            let name = entry.with_context(context)?.file_name();
            let name = name.to_string_lossy();
            let Some(pid) = name.strip_prefix(RUN).and_then(|pid| pid.parse().ok()) else {
                continue;
            };
            if process::is(pid, "xtask") {
                continue;
            }
            for &service in Service::value_variants() {
                self.stop(service, Owner::Run(pid))?;
            }
            remove(&self.home(Owner::Run(pid)))?;
        }
        Ok(())
    }

    /// What is known of a server that runs.
    pub fn living(&self, service: Service, owner: Owner) -> Result<Option<State>> {
        let state = State::read(&self.file(service, owner))?;
        Ok(state.filter(|state| state.is_alive(&self.root)))
    }

    /// Starts a server on new data.
    pub fn start(&self, service: Service, durable: bool, owner: Owner) -> Result<State> {
        self.stop(service, owner)?;
        let folder = self.home(owner).join(service.name());
        make(&folder)?;
        let started = service.start(&Setup {
            root: self.root.clone(),
            folder,
            cache: self.services.join("cache"),
            durable,
            owner,
        });
        match started {
            Ok(state) => {
                state.write(&self.file(service, owner))?;
                super::note(service, &format!("ready ({})", state.how));
                Ok(state)
            }
            Err(error) => {
                // the first error is the one to tell
                let _ = self.stop(service, owner);
                Err(error)
            }
        }
    }

    /// Stops a server and removes its data; tells whether it was up.
    pub fn stop(&self, service: Service, owner: Owner) -> Result<bool> {
        let file = self.file(service, owner);
        let state = State::read(&file)?;
        let mut was_up = false;
        if let Some(state) = state {
            was_up = state.stop(&self.root)?;
            remove(&state.folder)?;
        }
        remove(&self.home(owner).join(service.name()))?;
        remove(&file)?;
        if let Owner::Run(_) = owner {
            // fails while another server is in it
            let _ = fs::remove_dir(self.home(owner));
        }
        Ok(was_up)
    }

    fn home(&self, owner: Owner) -> PathBuf {
        match owner {
            Owner::Shared => self.services.clone(),
            Owner::Run(pid) => self.services.join(format!("{RUN}{pid}")),
        }
    }

    fn file(&self, service: Service, owner: Owner) -> PathBuf {
        self.home(owner).join(format!("{service}.json"))
    }
}

pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::state::How;
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let services = folder.path().join("services");
        let root = folder.path().to_owned();
        (folder, Place { root, services })
    }

    #[test]
    fn what_a_killed_run_left_is_swept() {
        let (_folder, place) = place();
        let _lock = place.lock().unwrap();
        // no process has this number
        let owner = Owner::Run(u32::MAX);
        let data = place.home(owner).join("postgres");
        make(&data).unwrap();
        let mut left = Command::new("sh")
            .args(["-c", "while :; do sleep 1; done", &data.to_string_lossy()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        process::until_it_is(&mut left, &data.to_string_lossy());
        State {
            url: "postgres://x".to_owned(),
            how: How::Process {
                pid: left.id(),
                port: 1,
                program: "sh".to_owned(),
                signal: "KILL".to_owned(),
            },
            folder: data,
            durable: false,
        }
        .write(&place.file(Service::Postgres, owner))
        .unwrap();
        assert!(place.living(Service::Postgres, owner).unwrap().is_some());
        place.sweep().unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(!place.home(owner).exists());
    }

    #[test]
    fn a_stranger_with_the_same_number_is_left_alone() {
        let (_folder, place) = place();
        let _lock = place.lock().unwrap();
        // this test, which serves no such data
        let state = State {
            url: "postgres://x".to_owned(),
            how: How::Process {
                pid: std::process::id(),
                port: 1,
                program: "postgres".to_owned(),
                signal: "KILL".to_owned(),
            },
            folder: place.services.join("postgres"),
            durable: false,
        };
        let file = place.file(Service::Postgres, Owner::Shared);
        state.write(&file).unwrap();
        let living = place.living(Service::Postgres, Owner::Shared).unwrap();
        assert!(living.is_none());
        assert!(!place.stop(Service::Postgres, Owner::Shared).unwrap());
        assert!(!file.exists());
    }

    #[test]
    fn nothing_is_there_to_stop() {
        let (_folder, place) = place();
        let _lock = place.lock().unwrap();
        place.sweep().unwrap();
        assert!(!place.stop(Service::Mongodb, Owner::Shared).unwrap());
    }
}
