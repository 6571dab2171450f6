//! A server on a port of its own, whose main namespace does what the event's name says, and the clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::App;
use actix_web::dev::ServerHandle;
use async_trait::async_trait;
use bytes::Bytes;
use connexus_socketio::{
    DisconnectReason, Event, Handler, Handshake, Importance, Later, Namespace, Packet, Refusal,
    Server, Settings, Socket,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// What the namespaces have noted.
pub type Notes = Arc<Mutex<Vec<String>>>;

pub struct Running {
    pub address: String,
    pub server: Arc<Server>,
    pub notes: Notes,
    pub http: reqwest::Client,
    handle: ServerHandle,
}

struct Tester {
    notes: Notes,
}

struct Joined {
    socket: Socket,
    notes: Notes,
    guest: bool,
}

#[async_trait(?Send)]
impl Namespace for Tester {
    async fn connect(
        &self,
        socket: Socket,
        handshake: Rc<Handshake>,
        auth: Value,
    ) -> Result<Box<dyn Handler>, Refusal> {
        if auth["refuse"] == true {
            let mut refusal = Refusal::new("no");
            refusal.data = Some(json!({ "label": handshake.label }));
            return Err(refusal);
        }
        socket.join("all");
        if auth["early"] == true {
            socket.emit("early", &());
        }
        let notes = Arc::clone(&self.notes);
        Ok(Box::new(Joined {
            socket,
            notes,
            guest: auth["guest"] == true,
        }))
    }
}

#[async_trait(?Send)]
impl Handler for Joined {
    fn is_guest(&self) -> bool {
        self.guest
    }

    async fn event(&mut self, event: Event) -> Later {
        match event.name.as_str() {
            "echo" => {
                self.socket
                    .emit_binary("echo", &event.args, event.attachments);
            }
            "ack" => event
                .ack
                .expect("an id")
                .send_binary(&event.args, event.attachments),
            "flood" => {
                let text = "x".repeat(10_000);
                while self.socket.emit("flood", &(&text,)) {}
            }
            "big" => {
                self.socket.emit("big", &("x".repeat(200_000),));
                for number in 0..5 {
                    self.socket.emit("small", &(number,));
                }
            }
            "offers" => {
                let packet = Packet::event("/", "offer", &());
                let mut offered = [0; 3];
                let all = [
                    Importance::Fleeting,
                    Importance::Refreshable,
                    Importance::Essential,
                ];
                for (count, importance) in offered.iter_mut().zip(all) {
                    // nothing is written meanwhile, and the last one ends the session
                    while self.socket.offer(&packet, importance) {
                        *count += 1;
                    }
                }
                self.notes
                    .lock()
                    .expect("notes")
                    .push(format!("{offered:?}"));
            }
            "settle" => self.socket.settle(),
            "leave" => self.socket.disconnect(),
            "close" => self.socket.close(),
            "panic" => panic!("as asked"),
            "ask" => {
                let socket = self.socket.clone();
                return Some(Box::pin(async move {
                    let reply = socket
                        .emit_with_ack("question", &(1,), Duration::from_secs(5))
                        .await;
                    socket.emit("asked", &(format!("{:?}", reply.map(|reply| reply.args)),));
                }));
            }
            _ => {}
        }
        None
    }

    async fn disconnected(self: Box<Self>, reason: DisconnectReason) {
        let note = format!("{} {}", self.socket.namespace(), reason.as_str());
        self.notes.lock().expect("notes").push(note);
    }
}

pub fn quick() -> Settings {
    Settings {
        ping_interval: Duration::from_secs(20),
        ..Settings::default()
    }
}

/// Starts a server with two worker threads, mounted at two paths.
pub fn start(settings: Settings) -> Running {
    let notes = Notes::default();
    let namespace = Arc::new(Tester {
        notes: Arc::clone(&notes),
    });
    let server = Server::builder(settings)
        .namespace("/", namespace.clone())
        .namespace("/custom", namespace)
        .address(address_of)
        .build();
    let (sender, receiver) = std::sync::mpsc::channel();
    let mounted = Arc::clone(&server);
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let here = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = connexus_upgrade::listen(here, 1_024).expect("a port");
            let address = listener.local_addr().expect("an address").to_string();
            let serving = connexus_upgrade::Settings {
                workers: 2,
                ..Default::default()
            };
            let running = connexus_upgrade::serve(listener, &serving, move || {
                App::new().configure(|config| {
                    mounted.mount(config, "/socket.io", "main");
                    mounted.mount(config, "/other/socket.io/", "other");
                })
            });
            let running = running.expect("it serves");
            sender
                .send((address, running.handle()))
                .expect("the test waits");
            running.await.expect("it runs");
        });
    });
    let (address, handle) = receiver.recv().expect("it starts");
    Running {
        address,
        server,
        notes,
        http: reqwest::Client::new(),
        handle,
    }
}

/// The client's address, as a proxy in front would tell it.
fn address_of(handshake: &Handshake) -> IpAddr {
    let told = handshake.headers.get("x-forwarded-for");
    let told = told.and_then(|told| told.to_str().ok()?.parse().ok());
    told.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

impl Drop for Running {
    fn drop(&mut self) {
        // the order is sent at once; its end needs not be awaited
        drop(self.handle.stop(false));
    }
}

impl Running {
    pub fn url(&self, query: &str) -> String {
        format!("http://{}/socket.io/?{query}", self.address)
    }

    pub async fn get(&self, query: &str) -> (u16, String) {
        let answer = self
            .http
            .get(self.url(query))
            .send()
            .await
            .expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    }

    pub async fn post(&self, query: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self.http.post(self.url(query)).body(body);
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    }

    /// Opens a session over polling: the query of its requests.
    pub async fn polling(&self) -> String {
        let (status, body) = self.get("EIO=4&transport=polling").await;
        assert_eq!(status, 200, "{body}");
        let open: Value = serde_json::from_str(&body[1..]).expect("JSON");
        format!(
            "EIO=4&transport=polling&sid={}",
            open["sid"].as_str().expect("an id")
        )
    }

    pub async fn websocket(&self, query: &str) -> Client {
        let url = self.url(query).replacen("http", "ws", 1);
        let (stream, _) = tokio_tungstenite::connect_async(url)
            .await
            .expect("a WebSocket");
        Client(stream)
    }

    /// A WebSocket that has joined the main namespace.
    pub async fn joined(&self) -> Client {
        let mut client = self.websocket("EIO=4&transport=websocket").await;
        assert!(client.text().await.starts_with('0'));
        client.send("40").await;
        assert!(client.text().await.starts_with("40{"));
        client
    }

    /// Waits until there are so many notes.
    pub async fn noted(&self, count: usize) -> Vec<String> {
        for _ in 0..1000 {
            let notes = self.notes.lock().expect("notes").clone();
            if notes.len() >= count {
                return notes;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("too few notes: {:?}", self.notes);
    }

    pub async fn emptied(&self) {
        let drained = tokio::time::timeout(Duration::from_secs(20), self.server.drained());
        drained.await.expect("no session is left");
    }
}

pub struct Client(
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
);

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    pub async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.0
            .send(Message::binary(Bytes::from_static(bytes)))
            .await
            .expect("sent");
    }

    pub async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.next());
        next.await.expect("something comes").and_then(Result::ok)
    }

    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    pub async fn binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("not binary: {other:?}"),
        }
    }

    /// The close code, leaving out what comes before.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Some(_) => {}
                None => return None,
            }
        }
    }
}
