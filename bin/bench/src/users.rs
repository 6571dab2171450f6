//! Users to measure with: registered for the run, or those of an earlier one.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::api::{Api, User};
use crate::progress::Progress;

/// Requests at the same time: hashing passwords keeps a server's cores busy.
const AT_ONCE: usize = 16;

/// Users, and how many of them are new.
pub struct Users {
    pub list: Vec<User>,
    pub registered: usize,
    /// Theirs, in the same order.
    accounts: Vec<Account>,
}

#[derive(Debug, Clone)]
struct Account {
    name: String,
    password: String,
}

/// A number that no other run has.
pub fn nonce() -> u64 {
    // what a hash map is seeded with is random
    RandomState::new().build_hasher().finish() >> 32
}

/// Logs in those of the file, if there is one, registers who is missing, and notes all in the file.
pub async fn prepare(api: &Api, count: usize, file: Option<&Path>) -> anyhow::Result<Users> {
    let mut accounts = match file {
        Some(path) if path.exists() => read(path)?,
        _ => Vec::new(),
    };
    let progress = Progress::new("users");
    let known = accounts.get(..count).unwrap_or(&accounts);
    let mut list = login(api, known, &progress, count).await?;
    let run = nonce();
    let fresh: Vec<Account> = (list.len()..count)
        .map(|number| Account {
            name: format!("bench{run:08x}n{number}"),
            password: format!("bench-{:016x}", nonce() << 32 | nonce()),
        })
        .collect();
    let registered = fresh.len();
    accounts.extend(fresh.iter().cloned());
    let more: Vec<User> = stream::iter(fresh)
        .map(|account| async move { api.register(&account.name, &account.password).await })
        .buffered(AT_ONCE)
        .inspect(|_| progress.step(count))
        .try_collect()
        .await?;
    list.extend(more);
    if let Some(path) = file.filter(|_| registered > 0) {
        write(path, &accounts)?;
    }
    progress.done(&format!("{count} users, {registered} of them new"));
    accounts.truncate(count);
    Ok(Users {
        list,
        registered,
        accounts,
    })
}

impl Users {
    /// Logs all in once more: tokens expire, and a measurement may begin long after its users were made.
    pub async fn renew(&mut self, api: &Api) -> anyhow::Result<()> {
        let count = self.accounts.len();
        let progress = Progress::new("new tokens");
        self.list = login(api, &self.accounts, &progress, count).await?;
        progress.done(&format!("{count} users"));
        Ok(())
    }
}

async fn login(
    api: &Api,
    accounts: &[Account],
    progress: &Progress,
    all: usize,
) -> anyhow::Result<Vec<User>> {
    stream::iter(accounts.to_vec())
        .map(|account| async move { api.login(&account.name, &account.password).await })
        .buffered(AT_ONCE)
        .inspect(|_| progress.step(all))
        .try_collect()
        .await
}

fn read(path: &Path) -> anyhow::Result<Vec<Account>> {
    let named = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(named)?;
    let value: Value = serde_json::from_str(&text).with_context(named)?;
    let users = value.get("users").and_then(Value::as_array);
    users
        .with_context(|| format!("{}: no `users`", named()))?
        .iter()
        .map(|user| {
            let field = |name: &str| {
                let text = user.get(name).and_then(Value::as_str);
                text.map(str::to_owned)
                    .with_context(|| format!("{}: a user without {name}", named()))
            };
            Ok(Account {
                name: field("username")?,
                password: field("password")?,
            })
        })
        .collect()
}

fn write(path: &Path, accounts: &[Account]) -> anyhow::Result<()> {
    let users: Vec<Value> = accounts
        .iter()
        .map(|account| json!({"username": account.name, "password": account.password}))
        .collect();
    let text = serde_json::to_string_pretty(&json!({ "users": users }))?;
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_users_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.json");
        let account = Account {
            name: "a".into(),
            password: "b".into(),
        };
        write(&path, &[account]).unwrap();
        let read_back = read(&path).unwrap();
        assert_eq!(read_back.len(), 1);
        assert_eq!((&*read_back[0].name, &*read_back[0].password), ("a", "b"));
        std::fs::write(&path, r#"{"users":[{"username":"a"}]}"#).unwrap();
        assert!(read(&path).is_err());
    }
}
