//! One user with one socket.

use anyhow::{Context as _, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct User {
    pub id: String,
    pub token: String,
}

/// Registers a user with a name that no earlier run has used.
pub async fn register(http: &reqwest::Client, url: &str, name: &str) -> anyhow::Result<User> {
    let body = json!({"username": name, "email": format!("{name}@bench.example"), "password": "bench-password"});
    let answer = post(http, &format!("{url}/v1/auth/register"), None, &body).await?;
    Ok(User {
        id: text(&answer, "/user/id")?,
        token: text(&answer, "/access_token")?,
    })
}

/// Makes a group of the first user with all others; answers its id.
pub async fn create_group(
    http: &reqwest::Client,
    url: &str,
    users: &[User],
) -> anyhow::Result<String> {
    let others: Vec<&str> = users.iter().skip(1).map(|user| user.id.as_str()).collect();
    let body = json!({"kind": "group", "name": "bench", "member_ids": others});
    let owner = users.first().context("a group has members")?;
    let answer = post(
        http,
        &format!("{url}/v1/conversations"),
        Some(&owner.token),
        &body,
    )
    .await?;
    text(&answer, "/id")
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    body: &Value,
) -> anyhow::Result<Value> {
    let mut request = http.post(url).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request
        .send()
        .await
        .with_context(|| format!("POST {url}"))?;
    let status = answer.status();
    let body: Value = answer
        .json()
        .await
        .with_context(|| format!("the answer to POST {url}"))?;
    if !status.is_success() {
        bail!("POST {url}: {status} {body}");
    }
    Ok(body)
}

fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no {pointer} in {answer}"))
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Writer(SplitSink<Stream, Message>);
pub struct Reader(SplitStream<Stream>);

/// Opens the user's socket.
pub async fn connect(url: &str, user: &User) -> anyhow::Result<(Writer, Reader)> {
    let address = format!("{}/v1/ws", url.replacen("http", "ws", 1));
    let mut request = address.into_client_request()?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", user.token))?;
    request.headers_mut().insert("authorization", bearer);
    let (stream, _) = connect_async(request).await.context("opening a socket")?;
    let (writer, reader) = stream.split();
    Ok((Writer(writer), Reader(reader)))
}

impl Writer {
    pub async fn send(&mut self, frame: String) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(frame)).await?)
    }
}

impl Reader {
    /// The next text frame.
    pub async fn next(&mut self) -> anyhow::Result<Utf8Bytes> {
        loop {
            match self
                .0
                .next()
                .await
                .context("the server closed the socket")??
            {
                Message::Text(text) => return Ok(text),
                Message::Close(frame) => bail!("the server closed the socket: {frame:?}"),
                _ => {}
            }
        }
    }
}
