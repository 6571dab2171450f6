//! What is known of a server that was started, kept in a file for the next command.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{compose, process};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Everybody's, until it is stopped.
    Shared,
    /// That of the run of the tests which has this process id.
    Run(u32),
}

impl Owner {
    pub fn this_run() -> Self {
        Self::Run(std::process::id())
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    pub url: String,
    pub how: How,
    /// Its data, removed with it.
    pub folder: PathBuf,
    pub durable: bool,
}

/// What runs it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Process {
        pid: u32,
        port: u16,
        program: String,
        /// What ends it, such as `TERM`.
        signal: String,
    },
    Compose {
        project: String,
        service: String,
    },
}

impl State {
    /// `None` when nothing was started.
    pub fn read(file: &Path) -> Result<Option<Self>> {
        let context = || file.display().to_string();
        match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(context),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(context),
        }
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let context = || file.display().to_string();
        if let Some(folder) = file.parent() {
            super::place::make(folder)?;
        }
        let text = serde_json::to_vec_pretty(self).with_context(context)?;
        fs::write(file, text).with_context(context)
    }

    pub fn is_alive(&self, root: &Path) -> bool {
        match &self.how {
            How::Process { pid, .. } => process::is(*pid, &self.folder.to_string_lossy()),
            How::Compose { project, service } => compose::is_up(root, project, service),
        }
    }

    /// Tells whether it was alive.
    pub fn stop(&self, root: &Path) -> Result<bool> {
        match &self.how {
            How::Process { pid, signal, .. } => {
                process::stop(*pid, &self.folder.to_string_lossy(), signal)
            }
            How::Compose { project, service } => {
                let was_up = compose::is_up(root, project, service);
                compose::stop(root, project)?;
                Ok(was_up)
            }
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.durable { ", durable" } else { "" };
        write!(f, "up ({}{durable}) {}", self.how, self.url)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process {
                pid, port, program, ..
            } => write!(f, "{program}, process {pid}, port {port}"),
            Self::Compose { project, .. } => write!(f, "Docker Compose, project {project}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run-1/postgres.json");
        assert!(State::read(&file).unwrap().is_none());
        let state = State {
            url: "postgres://postgres@127.0.0.1:4242/postgres".to_owned(),
            how: How::Process {
                pid: 77,
                port: 4242,
                program: "PostgreSQL 15".to_owned(),
                signal: "QUIT".to_owned(),
            },
            folder: "/data".into(),
            durable: true,
        };
        state.write(&file).unwrap();
        let read = State::read(&file).unwrap().unwrap();
        assert_eq!(
            read.to_string(),
            "up (PostgreSQL 15, process 77, port 4242, durable) postgres://postgres@127.0.0.1:4242/postgres"
        );
        fs::write(&file, "{").unwrap();
        assert!(State::read(&file).is_err());
    }
}
