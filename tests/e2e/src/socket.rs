//! WebSocket: calls and their answers, events in the order in which they came.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::guarded;

/// A text frame of the server.
#[derive(Debug, Clone)]
pub struct Frame {
    /// As it came.
    pub raw: String,
    /// What it says.
    pub value: Value,
}

/// An open socket. Events and answers that nobody has asked for yet are kept in order.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    events: VecDeque<Frame>,
    answers: VecDeque<Frame>,
    calls: u64,
    /// The sub-protocol that the server chose.
    pub protocol: Option<String>,
}

/// What came instead of a text frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed(u16),
    Lost,
}

impl End {
    const fn code(self) -> Option<u16> {
        match self {
            Self::Closed(code) => Some(code),
            Self::Lost => None,
        }
    }
}

/// Opens a socket with these headers; the server's answer when it refuses.
pub async fn connect(
    address: &str,
    headers: &[(&str, &str)],
) -> Result<Socket, http::Response<Option<Vec<u8>>>> {
    let tcp = TcpStream::connect(address).await.unwrap();
    handshake(tcp, address, headers).await
}

/// Opens a socket at a full address, without any header.
pub async fn connect_to(url: &str) -> Socket {
    let request = url.into_client_request().unwrap();
    let host = request.uri().authority().unwrap().as_str();
    let tcp = TcpStream::connect(host).await.unwrap();
    open(tcp, request).await.unwrap()
}

async fn handshake(
    tcp: TcpStream,
    address: &str,
    headers: &[(&str, &str)],
) -> Result<Socket, http::Response<Option<Vec<u8>>>> {
    let mut request = format!("ws://{address}/v1/ws")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    open(tcp, request).await
}

async fn open(
    tcp: TcpStream,
    request: http::Request<()>,
) -> Result<Socket, http::Response<Option<Vec<u8>>>> {
    tcp.set_nodelay(true).unwrap();
    let config = WebSocketConfig::default()
        .max_frame_size(None)
        .max_message_size(None);
    let opening = client_async_with_config(request, tcp, Some(config));
    match guarded("the socket to open", opening).await {
        Ok((stream, response)) => {
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            let protocol = response
                .headers()
                .get("sec-websocket-protocol")
                .map(|value| value.to_str().unwrap().to_owned());
            Ok(Socket {
                stream,
                events: VecDeque::new(),
                answers: VecDeque::new(),
                calls: 0,
                protocol,
            })
        }
        Err(Error::Http(response)) => Err(*response),
        Err(error) => panic!("no socket: {error:?}"),
    }
}

impl Socket {
    /// A socket that can take very little before somebody reads from it.
    pub async fn with_small_buffer(address: &str, token: &str) -> Self {
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.set_recv_buffer_size(4 * 1024).unwrap();
        let tcp = tcp.connect(address.parse().unwrap()).await.unwrap();
        let bearer = format!("Bearer {token}");
        handshake(tcp, address, &[("authorization", &bearer)])
            .await
            .unwrap()
    }

    /// Calls `op` with the fields of `body`: the whole answer.
    pub async fn call(&mut self, op: &str, body: Value) -> Value {
        let id = self.start(op, body).await;
        self.answer(&id).await.value
    }

    /// As [`call`](Self::call); nothing when the connection ends before the answer.
    pub async fn try_call(&mut self, op: &str, body: Value) -> Option<Value> {
        let frame = self.frame(op, body);
        if !self.try_send_text(&frame.to_string()).await {
            return None;
        }
        guarded(op, async {
            loop {
                let answer = self.read().await.ok()?;
                if answer.value["id"] == frame["id"] {
                    return Some(answer.value);
                }
            }
        })
        .await
    }

    /// Calls `op`, which must succeed: its data.
    pub async fn ok(&mut self, op: &str, body: Value) -> Value {
        let answer = self.call(op, body).await;
        assert_eq!(answer["ok"], true, "{op}: {answer}");
        answer["data"].clone()
    }

    /// Calls `op`, which must fail: its error.
    pub async fn refused(&mut self, op: &str, body: Value) -> Value {
        let answer = self.call(op, body).await;
        assert_eq!(answer["ok"], false, "{op}: {answer}");
        let error = answer["error"].clone();
        assert!(
            error["code"].is_string() && error["detail"].is_string(),
            "{error}"
        );
        error
    }

    /// Sends a call without waiting: the id of its answer.
    pub async fn start(&mut self, op: &str, body: Value) -> String {
        let frame = self.frame(op, body);
        self.send_text(&frame.to_string()).await;
        frame["id"].as_str().unwrap().to_owned()
    }

    fn frame(&mut self, op: &str, body: Value) -> Value {
        self.calls += 1;
        let mut frame = json!({"id": self.calls.to_string(), "op": op});
        if let Value::Object(fields) = body {
            frame.as_object_mut().unwrap().extend(fields);
        }
        frame
    }

    /// The answer to the call of this id.
    pub async fn answer(&mut self, id: &str) -> Frame {
        if let Some(at) = self
            .answers
            .iter()
            .position(|frame| frame.value["id"] == id)
        {
            return self.answers.remove(at).unwrap();
        }
        guarded(&format!("the answer to {id}"), async {
            loop {
                let frame = self.read_answer().await;
                if frame.value["id"] == id {
                    return frame;
                }
                self.answers.push_back(frame);
            }
        })
        .await
    }

    /// Sends text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends bytes in a binary frame.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    async fn send(&mut self, message: Message) {
        guarded("a frame to be sent", self.stream.send(message))
            .await
            .unwrap();
    }

    /// Sends text, whether or not the server still listens.
    pub async fn try_send_text(&mut self, text: &str) -> bool {
        let sending = self.stream.send(Message::text(text));
        guarded("a frame to be sent", sending).await.is_ok()
    }

    /// The next answer: one to something malformed has no id to wait for.
    pub async fn next_answer(&mut self) -> Frame {
        match self.answers.pop_front() {
            Some(frame) => frame,
            None => guarded("an answer", self.read_answer()).await,
        }
    }

    async fn read_answer(&mut self) -> Frame {
        loop {
            let frame = self.read_or_panic().await;
            if frame.value.get("event").is_none() {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// Drops the events that have come so far.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// The next event, whatever it is.
    pub async fn next_event(&mut self) -> Frame {
        if let Some(frame) = self.events.pop_front() {
            return frame;
        }
        guarded("an event", async {
            loop {
                let frame = self.read_or_panic().await;
                if frame.value.get("event").is_some() {
                    return frame;
                }
                self.answers.push_back(frame);
            }
        })
        .await
    }

    /// The next event of this name; others before it stay for later.
    pub async fn expect_event(&mut self, name: &str) -> Value {
        self.expect_event_where(name, |_| true).await
    }

    /// The next event of this name that is as wanted; others before it stay for later.
    pub async fn expect_event_where(
        &mut self,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let fits = |frame: &Frame| frame.value["event"] == name && wanted(&frame.value);
        if let Some(at) = self.events.iter().position(fits) {
            return self.events.remove(at).unwrap().value;
        }
        let waiting = async {
            loop {
                let frame = self.read_or_panic().await;
                if fits(&frame) {
                    return frame.value;
                }
                if frame.value.get("event").is_some() {
                    self.events.push_back(frame);
                } else {
                    self.answers.push_back(frame);
                }
            }
        };
        guarded(&format!("the event {name}"), waiting).await
    }

    /// Every event up to and with the first that is as wanted. Nothing that comes later can have been
    /// told before it, so what is not in here was not told.
    pub async fn events_until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let event = self.next_event().await.value;
            let done = last(&event);
            seen.push(event);
            if done {
                return seen;
            }
        }
    }

    /// Reads on to the close frame: its code.
    pub async fn closed_with(&mut self) -> u16 {
        match guarded("the socket to be closed", self.drain()).await {
            End::Closed(code) => code,
            End::Lost => panic!("the connection was lost without a close frame"),
        }
    }

    /// Reads on to the end, or to the event that is as wanted: the events that came, and the close code
    /// if one came.
    pub async fn into_rest_until(
        mut self,
        last: impl Fn(&Value) -> bool,
    ) -> (Vec<Frame>, Option<u16>) {
        let reading = async {
            loop {
                match self.read().await {
                    Ok(frame) => {
                        let done = last(&frame.value);
                        self.events.push_back(frame);
                        if done {
                            return None;
                        }
                    }
                    Err(end) => return end.code(),
                }
            }
        };
        let code = guarded("the socket to end", reading).await;
        (self.events.into(), code)
    }

    /// Reads on to the end: the answers that came, and the close code if one came.
    pub async fn into_answers(mut self) -> (Vec<Frame>, Option<u16>) {
        let reading = async {
            let mut answers = Vec::from(std::mem::take(&mut self.answers));
            loop {
                match self.read().await {
                    Ok(frame) if frame.value.get("event").is_none() => answers.push(frame),
                    Ok(_) => {}
                    Err(end) => return (answers, end.code()),
                }
            }
        };
        guarded("the socket to end", reading).await
    }

    /// Says goodbye and waits for the server to do so.
    pub async fn close(mut self) {
        guarded("a close frame to be sent", self.stream.close(None))
            .await
            .unwrap();
        guarded("the socket to be closed", self.drain()).await;
    }

    /// Sends a ping frame of the protocol and waits for its pong.
    pub async fn protocol_ping(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send(Message::Ping(payload.to_vec().into())).await;
        guarded("a pong", async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Pong(payload))) => return payload.to_vec(),
                    Some(Ok(Message::Text(text))) => self.events.push_back(frame(&text)),
                    Some(Ok(_)) => {}
                    other => panic!("expected a pong, got {other:?}"),
                }
            }
        })
        .await
    }

    /// Waits for a ping frame of the server; reading on answers it.
    pub async fn pinged(&mut self) {
        guarded("a ping", async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Ping(_))) => return,
                    Some(Ok(Message::Text(text))) => self.events.push_back(frame(&text)),
                    Some(Ok(_)) => {}
                    other => panic!("expected a ping, got {other:?}"),
                }
            }
        })
        .await;
    }

    async fn drain(&mut self) -> End {
        loop {
            match self.read().await {
                Ok(frame) if frame.value.get("event").is_some() => self.events.push_back(frame),
                Ok(_) => {}
                Err(end) => return end,
            }
        }
    }

    async fn read_or_panic(&mut self) -> Frame {
        match self.read().await {
            Ok(frame) => frame,
            Err(end) => panic!("the socket ended: {end:?}"),
        }
    }

    async fn read(&mut self) -> Result<Frame, End> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(frame(&text)),
                Some(Ok(Message::Close(close))) => {
                    // 1005: a close frame without a code (RFC 6455, 7.1.5)
                    return Err(End::Closed(close.map_or(1005, |close| close.code.into())));
                }
                Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(End::Lost),
            }
        }
    }
}

fn frame(text: &str) -> Frame {
    Frame {
        raw: text.to_owned(),
        value: serde_json::from_str(text).expect("a frame of the server is JSON"),
    }
}
