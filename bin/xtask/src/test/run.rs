//! Runs cargo and its test runners.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::count::{Counts, Libtest, Nextest, Reader, without_colours};
use super::{BLACK_BOX, Backend, CONTRACT, header};
use crate::workspace::{Workspace, cargo};

/// The server's package and executable.
pub const SERVER: &str = "connexus";

/// Runs `cargo` with the arguments; fails when it does.
pub fn step(args: &[&str]) -> Result<()> {
    let title = title(args);
    header(&title);
    let status = cargo().args(args).status().with_context(|| title.clone())?;
    ensure!(status.success(), "step `{title}` failed ({status})");
    Ok(())
}

/// The tests in documentation, of which nextest runs none.
pub fn doctests() -> Result<()> {
    step(&["test", "--doc", "--workspace", "--locked"])
}

/// Builds everything; returns the server's executable, as Cargo names it, wherever the target directory is.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let artifacts = artifacts(&["build", "--workspace", "--locked"])?;
    artifacts
        .into_iter()
        .find(|artifact| {
            artifact.target.name == SERVER && artifact.package(workspace) == Some(SERVER)
        })
        .and_then(|artifact| artifact.executable)
        .with_context(|| format!("cargo build made no executable `{SERVER}`"))
}

/// What runs the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    Nextest,
    Libtest,
}

impl Runner {
    /// cargo-nextest where it is installed, which runs more at once; else what comes with Cargo.
    pub fn installed() -> Self {
        let found = cargo()
            .args(["nextest", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if found { Self::Nextest } else { Self::Libtest }
    }
}

/// Which tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every test, but those that need a backend which was left out.
    All,
    /// Those of the running server.
    BlackBox,
}

/// All that the runs have in common.
pub struct Suite {
    pub runner: Runner,
    /// The server's executable.
    pub server: PathBuf,
    /// Backends that were not chosen.
    pub left_out: Vec<Backend>,
    pub workspace: Workspace,
    /// Names of variables, each with its value: where the backends' servers and their programs are.
    pub environment: Vec<(&'static str, String)>,
}

impl Suite {
    /// Runs tests with the server on `backend`; returns how many passed.
    pub fn run(&self, scope: Scope, backend: Backend) -> Result<Counts> {
        let selection = self.selection(scope);
        let (mut args, reader): (Vec<&str>, Box<dyn Reader>) = match self.runner {
            Runner::Nextest => (
                // its lines are counted, so they are asked for whatever a configuration says
                // one failure hides no other
                vec![
                    "nextest",
                    "run",
                    "--locked",
                    "--no-fail-fast",
                    "--status-level",
                    "pass",
                ],
                Box::<Nextest>::default(),
            ),
            Runner::Libtest => {
                let mut build = vec!["test", "--locked", "--no-run"];
                build.extend(selection.iter().map(String::as_str));
                let binaries = binaries(&self.workspace, artifacts(&build)?);
                (
                    vec!["test", "--locked", "--no-fail-fast"],
                    Box::new(Libtest::new(binaries)),
                )
            }
        };
        args.extend(selection.iter().map(String::as_str));
        let title = format!("{} (backend {backend})", title(&args));
        header(&title);
        let mut command = cargo();
        command
            .args(args)
            .env("CONNEXUS_TEST_BACKEND", backend.to_string())
            .env("CONNEXUS_TEST_FILES", backend.files())
            .env("CONNEXUS_BIN", &self.server)
            .envs(self.environment.iter().map(|(name, url)| (name, url)));
        count(command, reader, &title)
    }

    fn selection(&self, scope: Scope) -> Vec<String> {
        let words: Vec<String> = match (self.runner, scope) {
            (Runner::Nextest, Scope::All) => {
                // several -E are joined by "or", so there is one with "and"
                let filters: Vec<String> = self
                    .excluded()
                    .map(|backend| match (backend.package(), backend.service()) {
                        (package, None) => {
                            format!("not (package(={package}) & binary(={CONTRACT}))")
                        }
                        // any of its tests may ask the server
                        (package, Some(_)) => format!("not package(={package})"),
                    })
                    .collect();
                if filters.is_empty() {
                    vec![]
                } else {
                    vec!["-E".to_owned(), filters.join(" & ")]
                }
            }
            (Runner::Nextest, Scope::BlackBox) => {
                vec!["-E".to_owned(), format!("package(={BLACK_BOX})")]
            }
            (Runner::Libtest, Scope::All) => self
                .excluded()
                .flat_map(|backend| ["--exclude".to_owned(), backend.package().to_owned()])
                .collect(),
            (Runner::Libtest, Scope::BlackBox) => {
                return vec!["--package".to_owned(), BLACK_BOX.to_owned()];
            }
        };
        [vec!["--workspace".to_owned()], words].concat()
    }

    /// Backends that were left out: only of those that there are, since nextest refuses unknown names.
    fn excluded(&self) -> impl Iterator<Item = Backend> {
        let left_out = self.left_out.iter().copied();
        left_out.filter(|backend| self.workspace.has(backend.package()))
    }
}

/// Shows what the command writes, and counts it.
fn count(mut command: Command, mut reader: Box<dyn Reader>, title: &str) -> Result<Counts> {
    // one pipe for both, so that Cargo's "Running" stays in front of what the test writes
    let (output, input) = std::io::pipe().context("a pipe for the test runner")?;
    let mut child = command
        .stdout(input.try_clone().context("a pipe for the test runner")?)
        .stderr(input)
        .spawn()
        .with_context(|| title.to_owned())?;
    // it holds our ends of the pipe, which would never end with them
    drop(command);
    let mut shown = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.with_context(|| title.to_owned())?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        writeln!(shown, "{line}").context("standard output")?;
        reader.line(&without_colours(line));
    }
    let status = child.wait().with_context(|| title.to_owned())?;
    ensure!(status.success(), "step `{title}` failed ({status})");
    Ok(reader.counts())
}

/// What is read of Cargo's `compiler-artifact` messages.
#[derive(Debug, Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Artifact {
    fn package<'w>(&self, workspace: &'w Workspace) -> Option<&'w str> {
        workspace
            .packages
            .iter()
            .find(|package| package.manifest_path == self.manifest_path)
            .map(|package| package.name.as_str())
    }
}

/// Runs a step that builds, and returns what it built.
fn artifacts(args: &[&str]) -> Result<Vec<Artifact>> {
    let title = title(args);
    header(&title);
    let output = cargo()
        .args(args)
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| title.clone())?;
    ensure!(
        output.status.success(),
        "step `{title}` failed ({})",
        output.status
    );
    output
        .stdout
        .lines()
        .filter_map(|line| {
            line.context("what cargo wrote")
                .and_then(|line| artifact(&line))
                .transpose()
        })
        .collect()
}

/// `None` when the message is about something else.
fn artifact(message: &str) -> Result<Option<Artifact>> {
    #[derive(Deserialize)]
    struct Reason {
        reason: String,
    }
    let reason: Reason = serde_json::from_str(message).context("a message of cargo")?;
    if reason.reason != "compiler-artifact" {
        return Ok(None);
    }
    serde_json::from_str(message)
        .map(Some)
        .context("a message of cargo")
}

/// The test executables' file names, each with its binary as in [`Counts`].
fn binaries(workspace: &Workspace, artifacts: Vec<Artifact>) -> HashMap<String, String> {
    let named = artifacts.into_iter().filter_map(|artifact| {
        let package = artifact.package(workspace)?;
        let unit = artifact.target.kind.iter().any(|kind| kind == "lib");
        let binary = if unit {
            package.to_owned()
        } else {
            format!("{package}::{}", artifact.target.name)
        };
        let file = artifact.executable.as_deref().and_then(Path::file_name)?;
        Some((file.to_string_lossy().into_owned(), binary))
    });
    named.collect()
}

fn title(args: &[&str]) -> String {
    format!("cargo {}", args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    fn suite(runner: Runner, left_out: Vec<Backend>) -> Suite {
        let package = |name: &str| Package {
            name: name.to_owned(),
            manifest_path: PathBuf::new(),
            dependencies: vec![],
        };
        Suite {
            runner,
            server: PathBuf::new(),
            left_out,
            workspace: Workspace {
                packages: vec![package("connexus-sqlite"), package("connexus-postgres")],
                target_directory: PathBuf::new(),
                root: PathBuf::new(),
            },
            environment: vec![],
        }
    }

    #[test]
    fn all_is_all_but_what_was_left_out() {
        for runner in [Runner::Nextest, Runner::Libtest] {
            assert_eq!(
                suite(runner, vec![]).selection(Scope::All),
                ["--workspace"],
                "{runner:?}"
            );
            // of the packages, there is none of MongoDB's
            assert_eq!(
                suite(runner, vec![Backend::Mongodb]).selection(Scope::All),
                ["--workspace"],
                "{runner:?}"
            );
        }
        let left_out = vec![Backend::Sqlite, Backend::Postgres];
        assert_eq!(
            suite(Runner::Nextest, left_out.clone()).selection(Scope::All),
            [
                "--workspace",
                "-E",
                "not (package(=connexus-sqlite) & binary(=contract)) & not package(=connexus-postgres)"
            ]
        );
        assert_eq!(
            suite(Runner::Libtest, left_out).selection(Scope::All),
            [
                "--workspace",
                "--exclude",
                "connexus-sqlite",
                "--exclude",
                "connexus-postgres"
            ]
        );
    }

    #[test]
    fn an_executable_is_known_by_its_package() {
        let workspace = serde_json::from_str(
            r#"{"workspace_root": "/w", "packages": [
                {"name": "connexus-e2e", "manifest_path": "/w/tests/e2e/Cargo.toml", "dependencies": []}]}"#,
        )
        .unwrap();
        let messages = [
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/w/tests/e2e/Cargo.toml","target":{"name":"e2e","kind":["test"]},"executable":"/t/deps/e2e-02"}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/w/tests/e2e/Cargo.toml","target":{"name":"connexus_e2e","kind":["lib"]},"executable":"/t/deps/connexus_e2e-01"}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/elsewhere/Cargo.toml","target":{"name":"other","kind":["lib"]},"executable":null}"#,
        ];
        let artifacts = messages
            .iter()
            .filter_map(|message| artifact(message).unwrap())
            .collect();
        let binaries = binaries(&workspace, artifacts);
        assert_eq!(binaries.len(), 2);
        assert_eq!(binaries["e2e-02"], "connexus-e2e::e2e");
        assert_eq!(binaries["connexus_e2e-01"], "connexus-e2e");
    }
}
