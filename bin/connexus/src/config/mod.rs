//! Configuration: the built-in defaults, then a file, then `CONNEXUS__SECTION__KEY`, then the names that
//! the Node backends use, so that their `.env` works here.

mod check;
mod familiar;
mod load;
mod model;

pub use check::{bind_address, dialects, proxies};
pub use load::{Effective, load};
pub use model::{Config, Environment, Log, LogFormat, Profile};

#[cfg(test)]
mod tests;

/// A configuration that cannot be used: one line that names key, value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    pub fn new(key: &str, value: &str, allowed: &str) -> Self {
        let value = if is_secret(key) { "(hidden)" } else { value };
        Self(format!("{key} = {value:?}: {allowed}"))
    }
}

/// Keys whose values are never shown.
pub fn is_secret(key: &str) -> bool {
    ["secret", "token", "password"]
        .iter()
        .any(|word| key.ends_with(word) || key.ends_with(&format!("{word}s")))
}
