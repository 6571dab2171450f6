//! The REST calls that prepare a measurement, and those that are measured.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// A user with an access token.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub token: String,
}

/// A conversation, as far as a measurement wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: String,
    /// Number of its newest message; 0 when there is none.
    pub last_seq: u64,
    /// How often it has changed.
    pub rev: u64,
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

    /// With a connection of its own, which it keeps: as long as requests go one after the other.
    pub fn alone(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().pool_max_idle_per_host(1);
        Ok(Self {
            http: http.build().context("an HTTP client")?,
            url: url.to_owned(),
        })
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
        Ok(self.direct(one, other).await?.id)
    }

    /// The direct conversation of two users, which may have been there before.
    pub async fn direct(&self, one: &User, other: &User) -> anyhow::Result<Conversation> {
        let body = json!({"kind": "direct", "user_id": other.id});
        let token = Some(one.token.as_str());
        Conversation::of(&self.post("/v1/conversations", token, &body).await?)
    }

    /// A conversation of the user's, as it is now.
    pub async fn conversation(&self, user: &User, id: &str) -> anyhow::Result<Conversation> {
        Conversation::of(&self.get(&format!("/v1/conversations/{id}"), user).await?)
    }

    pub async fn get(&self, path: &str, user: &User) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = request.bearer_auth(&user.token);
        answer(&format!("GET {path}"), request).await
    }

    pub async fn post(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        answer(&format!("POST {path}"), request).await
    }
}

impl Conversation {
    fn of(answer: &Value) -> anyhow::Result<Self> {
        Ok(Self {
            id: text(answer, "/id")?,
            last_seq: number(answer, "/last_seq")?,
            rev: number(answer, "/rev")?,
        })
    }
}

async fn answer(what: &str, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.with_context(|| what.to_owned())?;
    let status = answer.status();
    if !status.is_success() {
        bail!("{what}: {status} {}", answer.text().await?);
    }
    let body = answer.json().await;
    body.with_context(|| format!("the answer to {what}"))
}

fn user(answer: &Value) -> anyhow::Result<User> {
    Ok(User {
        id: text(answer, "/user/id")?,
        token: text(answer, "/access_token")?,
    })
}

fn number(answer: &Value, pointer: &str) -> anyhow::Result<u64> {
    let found = answer.pointer(pointer).and_then(Value::as_u64);
    found.with_context(|| format!("no {pointer} in {answer}"))
}

fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no {pointer} in {answer}"))
}
