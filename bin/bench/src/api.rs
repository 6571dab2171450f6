//! The REST calls that prepare a measurement.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// A user with an access token.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub token: String,
}

/// The server's native REST API.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
}

/// Most members that one request may name.
const MEMBERS_AT_ONCE: usize = 1_000;

impl Api {
    pub fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
        }
    }

    pub async fn register(&self, name: &str, password: &str) -> anyhow::Result<User> {
        let email = format!("{name}@bench.example");
        let body = json!({"username": name, "email": email, "password": password});
        user(&self.post("/v1/auth/register", None, &body).await?)
    }

    pub async fn login(&self, name: &str, password: &str) -> anyhow::Result<User> {
        let body = json!({"identifier": name, "password": password});
        user(&self.post("/v1/auth/login", None, &body).await?)
    }

    /// Makes a group of the first user with all others; answers its id.
    pub async fn create_group(&self, users: &[User]) -> anyhow::Result<String> {
        let owner = users.first().context("a group has members")?;
        let others: Vec<&str> = users.iter().skip(1).map(|user| user.id.as_str()).collect();
        let (first, rest) = others.split_at(others.len().min(MEMBERS_AT_ONCE));
        let body = json!({"kind": "group", "name": "bench", "member_ids": first});
        let token = Some(owner.token.as_str());
        let id = text(&self.post("/v1/conversations", token, &body).await?, "/id")?;
        for more in rest.chunks(MEMBERS_AT_ONCE) {
            let path = format!("/v1/conversations/{id}/members");
            self.post(&path, token, &json!({ "user_ids": more }))
                .await?;
        }
        Ok(id)
    }

    /// The direct conversation of two users; answers its id.
    pub async fn open_direct(&self, one: &User, other: &User) -> anyhow::Result<String> {
        let body = json!({"kind": "direct", "user_id": other.id});
        let token = Some(one.token.as_str());
        text(&self.post("/v1/conversations", token, &body).await?, "/id")
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.post(&url).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("POST {url}"))?;
        let status = answer.status();
        if !status.is_success() {
            bail!("POST {url}: {status} {}", answer.text().await?);
        }
        let body = answer.json().await;
        body.with_context(|| format!("the answer to POST {url}"))
    }
}

fn user(answer: &Value) -> anyhow::Result<User> {
    Ok(User {
        id: text(answer, "/user/id")?,
        token: text(answer, "/access_token")?,
    })
}

fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no {pointer} in {answer}"))
}
