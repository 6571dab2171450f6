//! What the subcommands write.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::config::{Config, is_secret};

/// Every key with its effective value, as TOML; secrets and passwords in addresses are masked.
pub fn config(effective: &crate::config::Effective, config: &Config) -> String {
    let mut text = String::new();
    let mut section = "";
    let (top, nested): (Vec<_>, Vec<_>) = effective.iter().partition(|(key, _)| !key.contains('.'));
    for (key, value) in top.into_iter().chain(nested) {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", key));
        if of != section {
            let _ = write!(text, "\n[{of}]\n");
            section = of;
        }
        let _ = writeln!(text, "{name} = {}", shown(key, value, config));
    }
    text
}

/// Writes to standard output; a reader that has seen enough and went is no fault.
pub fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.trim_end()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn shown(key: &str, value: &::config::Value, config: &Config) -> String {
    use ::config::ValueKind;
    match &value.kind {
        _ if key == "server.bind" => format!("{:?}", config.server.bind),
        ValueKind::String(text) if is_secret(key) => {
            format!("{:?}", if text.is_empty() { "" } else { "********" })
        }
        ValueKind::String(text) => format!("{:?}", without_password(text)),
        ValueKind::Array(items) if is_secret(key) => {
            format!("[{}]", vec!["\"********\""; items.len()].join(", "))
        }
        ValueKind::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| format!("{:?}", item.to_string()))
                .collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// `scheme://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let Some((login, host)) = rest.rsplit_once('@') else {
        return text.to_owned();
    };
    let user = login.split_once(':').map_or(login, |(user, _)| user);
    format!("{scheme}://{user}:********@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_masked() {
        assert_eq!(
            without_password("postgres://me:p@ss@db/x"),
            "postgres://me:********@db/x"
        );
        assert_eq!(without_password("sqlite:./data/x.db"), "sqlite:./data/x.db");
    }
}
