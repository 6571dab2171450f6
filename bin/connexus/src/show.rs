//! `connexus config`.

use crate::config::{Config, is_secret};

/// Prints every key with its effective value, as TOML; secrets and passwords in addresses are masked.
pub fn config(effective: &crate::config::Effective, config: &Config) {
    let mut section = "";
    let (top, nested): (Vec<_>, Vec<_>) = effective.iter().partition(|(key, _)| !key.contains('.'));
    for (key, value) in top.into_iter().chain(nested) {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", key));
        if of != section {
            println!("\n[{of}]");
            section = of;
        }
        println!("{name} = {}", shown(key, value, config));
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
