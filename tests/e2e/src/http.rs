//! REST: requests in one line, answers that are easy to judge.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::guarded;
use crate::server::Server;

/// A client, with or without a token.
pub struct Http {
    pub(crate) server: Arc<Server>,
    client: reqwest::Client,
    token: Option<String>,
}

impl Http {
    pub(crate) fn new(server: Arc<Server>, token: Option<String>) -> Self {
        Self {
            server,
            client: reqwest::Client::new(),
            token,
        }
    }

    /// A request to be shaped further, then sent with [`send`](Self::send).
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.server.address());
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends, and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        self.try_send(request)
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends, and reads the whole answer, if there is one.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Reply> {
        let request = request.build()?;
        let what = format!("{} {}", request.method(), request.url().path());
        let answer = guarded(&what, self.client.execute(request)).await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let text = guarded(&what, answer.text()).await?;
        Ok(Reply {
            what,
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// `PATCH` with JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::PATCH, path).json(&body))
            .await
    }

    /// `PUT` of JSON; without a body for `null`.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        let request = self.request(Method::PUT, path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        self.send(request).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Method and path of the request.
    pub what: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, `null` when it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Reply {
    /// The body of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text);
        self.body
    }

    /// The problem (RFC 9457) of an answer with this status.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text);
        let (what, body) = (&self.what, &self.body);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        assert_eq!(body["status"], status, "{what}: {body}");
        for key in ["type", "title", "detail", "code"] {
            let text = body[key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{what}: no {key} in {body}");
        }
        // a status that has one code
        let only = match status {
            404 => "not_found",
            405 => "method_not_allowed",
            413 => "payload_too_large",
            415 => "unsupported_media_type",
            429 => "rate_limited",
            _ => return self.body,
        };
        assert_eq!(body["code"], only, "{what}: {body}");
        self.body
    }

    /// The problem with this status and code.
    #[track_caller]
    pub fn problem_code(self, status: u16, code: &str) -> Value {
        let what = self.what.clone();
        let problem = self.problem(status);
        assert_eq!(problem["code"], code, "{what}: {problem}");
        problem
    }

    /// Checks that exactly these fields were refused.
    #[track_caller]
    pub fn refuses(self, fields: &[&str]) {
        let what = self.what.clone();
        let problem = self.problem_code(400, "validation_failed");
        let expected: BTreeSet<String> = fields.iter().map(|&field| field.to_owned()).collect();
        assert_eq!(failing_fields(&problem), expected, "{what}: {problem}");
    }

    /// A header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// The fields that a problem (or a socket's error) names.
pub fn failing_fields(problem: &Value) -> BTreeSet<String> {
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            assert!(
                error["reason"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "no reason in {error}"
            );
            error["field"].as_str().unwrap().to_owned()
        })
        .collect()
}
