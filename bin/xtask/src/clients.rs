//! `cargo xtask clients`: the clients that front ends use, from npm and PyPI, where the black-box tests find
//! them. Their versions are pinned, and no script of a package is run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::services::{debian, place, process};
use crate::workspace::Workspace;

/// Tells the tests where the clients are.
pub const VARIABLE: &str = "CONNEXUS_TEST_CLIENTS";
/// Their sources, from the workspace's root.
const SOURCES: &str = "tests/clients";
/// Where packages go, within the target directory.
const FOLDER: &str = "clients";

pub fn run() -> Result<()> {
    let folder = install(&Workspace::load()?)?;
    println!("export {VARIABLE}='{folder}'");
    Ok(())
}

/// Installs what is not there yet; returns the folder.
pub fn install(workspace: &Workspace) -> Result<String> {
    let folder = workspace.target_directory.join(FOLDER);
    place::make(&folder)?;
    let sources = workspace.root.join(SOURCES);
    for entry in fs::read_dir(&sources).with_context(|| sources.display().to_string())? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, folder.join(name)).with_context(|| file.display().to_string())?;
    }
    let lists = ["package.json", "package-lock.json", "requirements.txt"];
    let mut wanted = String::new();
    for list in lists {
        wanted += &fs::read_to_string(folder.join(list)).context(list)?;
    }
    // what was installed for these lists is not installed again
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        eprintln!("JavaScript and Python clients are installed");
        return Ok(folder.display().to_string());
    }
    javascript(&folder)?;
    python(&folder)?;
    fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(folder.display().to_string())
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    process::succeeds(command.args(arguments), Duration::from_secs(20))
}

fn javascript(folder: &Path) -> Result<()> {
    if !works("node", &["--version"]) || !works("npm", &["--version"]) {
        debian::install(
            &["nodejs", "npm"],
            "no node or npm on the path",
            "install Node 18 or newer",
        )?;
    }
    eprintln!("installing socket.io-client and axios");
    process::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )
    .context("socket.io-client and axios")?;
    Ok(())
}

fn python(folder: &Path) -> Result<()> {
    if !works("python3", &["-m", "pip", "--version"]) {
        debian::install(
            &["python3", "python3-pip"],
            "no python3 with pip on the path",
            "install Python 3.9 or newer with pip",
        )?;
    }
    eprintln!("installing python-socketio");
    let packages = folder.join("python");
    place::remove(&packages)?;
    process::run(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"])
            .arg("--target")
            .arg(&packages)
            .arg("--requirement")
            .arg(folder.join("requirements.txt")),
    )
    .context("python-socketio")?;
    ensure!(packages.is_dir(), "pip has installed nothing");
    Ok(())
}
