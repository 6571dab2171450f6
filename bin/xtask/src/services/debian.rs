//! Debian's packages.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::process;

/// Installs packages; `missing` says what is not there, `elsewhere` what a user can do instead.
pub fn install(packages: &[&str], missing: &str, elsewhere: &str) -> Result<()> {
    let has_apt = process::succeeds(
        Command::new("apt-get").arg("--version"),
        Duration::from_secs(10),
    );
    ensure!(
        has_apt,
        "{missing}, and no apt-get to install it: {elsewhere}"
    );
    ensure!(
        process::is_root()?,
        "{missing}, and only root can install it: {elsewhere}"
    );
    let attempt = || {
        process::run(
            Command::new("apt-get")
                .args(["install", "-y", "-q", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    eprintln!("installing Debian's {}", packages.join(", "));
    if attempt().is_err() {
        eprintln!("updating the list of packages");
        process::run(Command::new("apt-get").args(["update", "-q"]))?;
        attempt()?;
    }
    Ok(())
}
