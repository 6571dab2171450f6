//! A small Socket.IO client over WebSocket: events in the order in which they came, acknowledgements.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::guarded;

/// One event: its name and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct SioEvent {
    /// The name.
    pub name: String,
    /// The arguments.
    pub args: Vec<Value>,
}

/// An open Socket.IO connection of the default namespace. Events that nobody has asked for yet are kept.
pub struct SioSocket {
    stream: WebSocketStream<TcpStream>,
    events: VecDeque<SioEvent>,
    acks: VecDeque<(u64, Vec<Value>)>,
    calls: u64,
    over: Option<String>,
}

/// Connects to `path` (such as `/socket.io/`) with this handshake; what `connect_error` says when refused.
pub async fn connect_socketio(address: &str, path: &str, auth: Value) -> Result<SioSocket, Value> {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let url = format!("ws://{address}{path}?EIO=4&transport=websocket");
    let request = url.into_client_request().unwrap();
    let (stream, _) = guarded("the WebSocket", client_async(request, tcp))
        .await
        .unwrap();
    let mut socket = SioSocket {
        stream,
        events: VecDeque::new(),
        acks: VecDeque::new(),
        calls: 0,
        over: None,
    };
    let open = socket.packet().await.expect("an open packet");
    assert!(open.starts_with('0'), "{open}");
    let connect = if auth.is_null() {
        "40".to_owned()
    } else {
        format!("40{auth}")
    };
    socket.send(&connect).await;
    let answer = socket.packet().await.expect("an answer to CONNECT");
    if let Some(error) = answer.strip_prefix("44") {
        return Err(serde_json::from_str(error).unwrap());
    }
    assert!(answer.starts_with("40"), "{answer}");
    Ok(socket)
}

impl SioSocket {
    async fn send(&mut self, packet: &str) {
        drop(self.stream.send(Message::text(packet)).await);
    }

    /// The next packet that is no ping; nothing when the connection has ended.
    async fn packet(&mut self) -> Option<String> {
        loop {
            let message = guarded("a packet", self.stream.next()).await;
            match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.send("3").await,
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    self.over = Some("transport".to_owned());
                    return None;
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads one packet and keeps what it says; `false` when there will be no more.
    async fn read(&mut self) -> bool {
        let Some(packet) = self.packet().await else {
            return false;
        };
        if let Some(event) = packet.strip_prefix("42") {
            let at = event.find('[').unwrap();
            let mut args: Vec<Value> = serde_json::from_str(&event[at..]).unwrap();
            let name = args.remove(0).as_str().unwrap().to_owned();
            self.events.push_back(SioEvent { name, args });
        } else if let Some(ack) = packet.strip_prefix("43") {
            let at = ack.find('[').unwrap();
            let id = ack[..at].parse().unwrap();
            let args = serde_json::from_str(&ack[at..]).unwrap();
            self.acks.push_back((id, args));
        } else if packet.starts_with("41") {
            self.over = Some("disconnect".to_owned());
            return false;
        }
        true
    }

    /// Sends an event.
    pub async fn emit(&mut self, name: &str, payload: Value) {
        let args = if payload.is_null() {
            json!([name])
        } else {
            json!([name, payload])
        };
        self.send(&format!("42{args}")).await;
    }

    /// Sends an event and waits for its acknowledgement: its arguments.
    pub async fn call(&mut self, name: &str, payload: Value) -> Vec<Value> {
        self.calls += 1;
        let id = self.calls;
        self.send(&format!("42{id}{}", json!([name, payload])))
            .await;
        loop {
            if let Some(at) = self.acks.iter().position(|(known, _)| *known == id) {
                return self.acks.remove(at).unwrap().1;
            }
            assert!(self.read().await, "no acknowledgement of {name}");
        }
    }

    /// The first argument of the next event of this name; others that came before it are kept.
    pub async fn expect(&mut self, name: &str) -> Value {
        let mut seen = 0;
        loop {
            if let Some(at) = self.events.iter().skip(seen).position(|e| e.name == name) {
                let event = self.events.remove(seen + at).unwrap();
                return event.args.into_iter().next().unwrap_or(Value::Null);
            }
            seen = self.events.len();
            assert!(
                self.read().await,
                "the connection ended before {name}; there were {:?}",
                self.events
            );
        }
    }

    /// Everything up to and including the first event that fits.
    pub async fn until(&mut self, fits: impl Fn(&SioEvent) -> bool) -> Vec<SioEvent> {
        let mut seen = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                let last = fits(&event);
                seen.push(event);
                if last {
                    return seen;
                }
            }
            assert!(self.read().await, "the connection ended after {seen:?}");
        }
    }

    /// How the connection ends: `disconnect` by a Socket.IO packet, or `transport`.
    pub async fn ended(&mut self) -> String {
        loop {
            if let Some(how) = &self.over {
                return how.clone();
            }
            self.read().await;
        }
    }

    /// Says goodbye.
    pub async fn disconnect(mut self) {
        self.send("41").await;
        drop(self.stream.close(None).await);
        // the server has heard it when it closes its side
        guarded("the server to close", async {
            while let Some(Ok(_)) = self.stream.next().await {}
        })
        .await;
    }
}
