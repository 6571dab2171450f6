//! What the server keeps beside the database: the secret that it made itself.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Config, Environment};

const SECRET_FILE: &str = "jwt_secret";

/// Makes the data folder, for this user alone, if there is none.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("data.dir: cannot make {}", folder.display()))
}

/// The configured secret; outside production, if none is configured, one that the first start makes and
/// keeps.
pub fn jwt_secret(config: &Config) -> anyhow::Result<SecretString> {
    if !config.auth.jwt_secret.expose_secret().is_empty()
        || config.environment == Environment::Production
    {
        return Ok(config.auth.jwt_secret.clone());
    }
    make_folder(&config.data.dir)?;
    let path = config.data.dir.join(SECRET_FILE);
    kept_secret(&path).with_context(|| format!("the secret in {}", path.display()))
}

fn kept_secret(path: &Path) -> anyhow::Result<SecretString> {
    let made = connexus_crypto::random_secret().map_err(anyhow::Error::from)?;
    // written whole under another name first: two that start at once agree, and a crash leaves no half
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(made.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                tracing::info!(file = %path.display(), "made a secret for access tokens");
                Ok(())
            }
        }
    };
    if !path.exists() {
        let written = write();
        drop(fs::remove_file(&draft));
        written?;
    }
    let secret = fs::read_to_string(path)?.trim().to_owned();
    anyhow::ensure!(
        secret.len() >= 32,
        "is too short: remove the file to have another made"
    );
    Ok(secret.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let dir = std::env::temp_dir().join(format!("connexus-secret-{}", std::process::id()));
        make_folder(&dir).unwrap();
        let path = dir.join(SECRET_FILE);
        let first = kept_secret(&path).unwrap();
        assert_eq!(
            kept_secret(&path).unwrap().expose_secret(),
            first.expose_secret()
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, "short").unwrap();
        assert!(kept_secret(&path).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
