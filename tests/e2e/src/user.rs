//! Users that are ready to act.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::http::Http;
use crate::server::Server;
use crate::socket::{self, Socket};
use crate::unique;

/// A registered user with one session. Its REST requests carry that session's token.
pub struct User {
    http: Http,
    /// Names the user.
    pub id: String,
    /// Unique.
    pub username: String,
    /// Unique.
    pub email: String,
    /// Known to tests only.
    pub password: String,
    /// This session.
    pub session_id: String,
    /// This session's access token.
    pub access_token: String,
    /// This session's refresh token.
    pub refresh_token: String,
}

impl Deref for User {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.http
    }
}

impl User {
    pub(crate) async fn register(server: Arc<Server>, stem: &str) -> Self {
        let username = unique(stem);
        let email = format!("{username}@example.org");
        let password = format!("the password of {username}");
        let tokens = Http::new(Arc::clone(&server), None)
            .post(
                "/v1/auth/register",
                json!({"username": username, "email": email, "password": password}),
            )
            .await
            .expect(201);
        Self::with_tokens(server, username, email, password, &tokens)
    }

    fn with_tokens(
        server: Arc<Server>,
        username: String,
        email: String,
        password: String,
        tokens: &Value,
    ) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let access_token = text(&tokens["access_token"]);
        Self {
            http: Http::new(server, Some(access_token.clone())),
            id: text(&tokens["user"]["id"]),
            username,
            email,
            password,
            session_id: text(&tokens["session_id"]),
            access_token,
            refresh_token: text(&tokens["refresh_token"]),
        }
    }

    /// The same user on another device.
    pub async fn on_another_device(&self, device: &str) -> Self {
        let server = Arc::clone(&self.http.server);
        let tokens = Http::new(Arc::clone(&server), None)
            .post(
                "/v1/auth/login",
                json!({"identifier": self.username, "password": self.password, "device": device}),
            )
            .await
            .expect(200);
        Self::with_tokens(
            server,
            self.username.clone(),
            self.email.clone(),
            self.password.clone(),
            &tokens,
        )
    }

    /// An open socket that is told everything from now on: it has been answered.
    pub async fn ws(&self) -> Socket {
        let mut socket = self.fresh_ws().await;
        socket.ok("ping", json!({})).await;
        socket
    }

    /// An open socket that has said nothing yet, and may still begin with a `sync`.
    pub async fn fresh_ws(&self) -> Socket {
        let bearer = format!("Bearer {}", self.access_token);
        socket::connect(&self.http.server.address(), &[("authorization", &bearer)])
            .await
            .unwrap_or_else(|refusal| panic!("no socket: {refusal:?}"))
    }

    /// The direct conversation with `other`: its id.
    pub async fn direct(&self, other: &Self) -> String {
        let reply = self
            .post(
                "/v1/conversations",
                json!({"kind": "direct", "user_id": other.id}),
            )
            .await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        reply.body["id"].as_str().unwrap().to_owned()
    }

    /// A new group of this user (its owner) and `others`: its id.
    pub async fn group<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> String {
        let ids: Vec<&str> = others.into_iter().map(|user| user.id.as_str()).collect();
        let made = self
            .post(
                "/v1/conversations",
                json!({"kind": "group", "name": "a group", "member_ids": ids}),
            )
            .await
            .expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Sends a text: the message.
    pub async fn say(&self, conversation: &str, body: &str) -> Value {
        self.post(
            &format!("/v1/conversations/{conversation}/messages"),
            json!({"body": body}),
        )
        .await
        .expect(201)
    }

    /// The conversation as this user sees it.
    pub async fn conversation(&self, id: &str) -> Value {
        self.get(&format!("/v1/conversations/{id}"))
            .await
            .expect(200)
    }

    /// The newest messages, newest first (up to 100).
    pub async fn history(&self, conversation: &str) -> Vec<Value> {
        let page = self
            .get(&format!(
                "/v1/conversations/{conversation}/messages?limit=100"
            ))
            .await
            .expect(200);
        page["items"].as_array().unwrap().clone()
    }
}
