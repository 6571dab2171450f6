//! Names that dialects take where Connexus wants a username.

use connexus_application::Connexus;
use connexus_application::auth::{Register, Tokens};
use connexus_domain::{Error, Result};
use rand::Rng as _;

/// How often another username is tried when one is taken.
const TRIES: usize = 8;

/// A username made from a person's name: letters a–z, digits, and `_` for what stands between them.
pub fn username_of(name: &str) -> String {
    let mut username = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            username.push(c);
        } else if !username.is_empty() && !username.ends_with('_') {
            username.push('_');
        }
        if username.len() >= 24 {
            break;
        }
    }
    let username = username.trim_end_matches('_').to_owned();
    match username.len() {
        0 => "user".to_owned(),
        1 | 2 => format!("user_{username}"),
        _ => username,
    }
}

/// Registers somebody who gave a name and no username. The username is made from the name; when it is
/// taken, with a number behind it.
pub async fn register_by_name(
    app: &Connexus,
    name: &str,
    email: &str,
    password: &str,
    dialect: &'static str,
) -> Result<Tokens> {
    let stem = username_of(name);
    let mut username = stem.clone();
    for attempt in 0..TRIES {
        let input = Register {
            username,
            email: email.to_owned(),
            password: password.to_owned(),
            display_name: Some(name.to_owned()),
            device: None,
            dialect: Some(dialect),
        };
        match app.auth.register(&input).await {
            Err(Error::Conflict { field: "username" }) => {}
            other => return other,
        }
        let most = if attempt < 2 { 1_000 } else { 100_000 };
        username = format!("{stem}{}", rand::rng().random_range(1..most));
    }
    Err(Error::Conflict { field: "username" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_username() {
        for (name, expected) in [
            ("John Doe", "john_doe"),
            ("  Ann  ", "ann"),
            ("Zoë O'Hara", "zo_o_hara"),
            ("李小龙", "user"),
            ("Al", "user_al"),
            ("a b", "a_b"),
        ] {
            assert_eq!(username_of(name), expected, "{name}");
        }
        assert!(username_of(&"long name ".repeat(9)).len() <= 25);
    }
}
