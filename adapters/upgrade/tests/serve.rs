//! The server beside actix-web's own: what comes over the wire.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use connexus_upgrade::{Settings, Takeover, WriteQueue, listen, serve};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

/// Sends back what comes, past actix.
async fn taken(request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let Some(takeover) = Takeover::offered(&request) else {
        return HttpResponse::UpgradeRequired().finish();
    };
    takeover.take(async move |upgraded| {
        let mut queue = WriteQueue::from(upgraded);
        write(&mut queue).await;
        while let Some(Ok(bytes)) = payload.next().await {
            queue.push(bytes);
            write(&mut queue).await;
        }
    });
    switched()
}

/// Drops what it had queued before the upgrade was answered.
async fn dropped(request: HttpRequest) -> HttpResponse {
    let takeover = Takeover::offered(&request).unwrap();
    let mut queue = WriteQueue::default();
    queue.push(Bytes::from_static(b"before"));
    takeover.take(async move |upgraded| {
        queue.start(upgraded);
        queue.clear();
        queue.push(Bytes::from_static(b"after"));
        write(&mut queue).await;
    });
    switched()
}

fn switched() -> HttpResponse {
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .finish()
}

async fn write(queue: &mut WriteQueue) {
    poll_fn(|cx| queue.poll_write(cx)).await.unwrap();
}

/// Sends back what comes, as a body.
async fn streamed(payload: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .streaming(payload)
}

async fn refused() -> HttpResponse {
    HttpResponse::Forbidden().body("not you")
}

struct Server {
    address: SocketAddr,
    upgraded: TaskTracker,
}

fn start(max_upgraded: usize) -> Server {
    start_with(Settings {
        max_upgraded,
        ..Settings::default()
    })
}

fn start_with(settings: Settings) -> Server {
    let settings = Settings {
        workers: 1,
        max_connections: 100,
        shutdown_timeout: Duration::from_secs(1),
        ..settings
    };
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16).unwrap();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, &settings, || {
        App::new()
            .route("/taken", web::get().to(taken))
            .route("/dropped", web::get().to(dropped))
            .route("/streamed", web::get().to(streamed))
            .route("/refused", web::get().to(refused))
    });
    actix_rt::spawn(server.unwrap());
    Server {
        address,
        upgraded: settings.upgraded,
    }
}

/// A connection that has asked for `path`, with what stands behind the request.
async fn ask(server: &Server, path: &str, upgrade: bool, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let wish = if upgrade {
        "connection: upgrade\r\nupgrade: websocket\r\n"
    } else {
        "connection: close\r\n"
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{wish}\r\n{more}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let byte = stream.read_u8().await;
        read.push(byte.unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&read))));
    }
    String::from_utf8(read).unwrap()
}

async fn rest(mut stream: TcpStream) -> String {
    let mut read = String::new();
    stream.read_to_string(&mut read).await.unwrap();
    read
}

#[actix_rt::test]
async fn an_upgraded_connection_is_the_handlers_own() {
    let server = start(10);
    for path in ["/taken", "/streamed"] {
        // what is sent along with the request is not lost
        let mut stream = ask(&server, path, true, "early ").await;
        let head = until(&mut stream, "\r\n\r\n").await.to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("upgrade: websocket\r\n"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        until(&mut stream, "early ").await;
        for word in ["one", "two"] {
            stream.write_all(word.as_bytes()).await.unwrap();
            until(&mut stream, word).await;
        }
        // more than is read at once
        let long = "x".repeat(100_000) + "end";
        stream.write_all(long.as_bytes()).await.unwrap();
        assert_eq!(until(&mut stream, "end").await, long);
        stream.shutdown().await.unwrap();
        assert_eq!(rest(stream).await, "");
    }
    server.upgraded.close();
    server.upgraded.wait().await;
}

#[actix_rt::test]
async fn the_answer_comes_first_whatever_is_dropped() {
    let server = start(10);
    let answer = rest(ask(&server, "/dropped", true, "").await).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nafter"), "{answer}");
}

#[actix_rt::test]
async fn who_is_refused_gets_the_answer_and_no_more() {
    let server = start(10);
    let answer = rest(ask(&server, "/refused", true, "").await).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnot you"), "{answer}");
    let answer = rest(ask(&server, "/nothing", true, "").await).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(server.upgraded.len(), 0);
}

#[actix_rt::test]
async fn other_requests_are_served_as_ever() {
    let server = start(10);
    let answer = rest(ask(&server, "/refused", false, "").await).await;
    assert!(answer.ends_with("not you"), "{answer}");
    let answer = rest(ask(&server, "/taken", false, "").await).await;
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
}

#[actix_rt::test]
async fn a_connection_is_kept_for_a_while() {
    let request = "GET /refused HTTP/1.1\r\nhost: x\r\n\r\n";
    for (keep_alive, answers) in [(Duration::ZERO, 1), (Duration::from_millis(100), 2)] {
        let server = start_with(Settings {
            keep_alive,
            ..Settings::default()
        });
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        for _ in 0..answers {
            stream.write_all(request.as_bytes()).await.unwrap();
            let answer = until(&mut stream, "not you").await.to_lowercase();
            assert_eq!(answer.contains("connection: close\r\n"), answers == 1);
        }
        // ended by the server
        assert_eq!(rest(stream).await, "");
    }
}

#[actix_rt::test]
async fn one_connection_more_than_may_be_is_told_so() {
    let server = start(1);
    let mut first = ask(&server, "/taken", true, "").await;
    until(&mut first, "\r\n\r\n").await;
    let answer = rest(ask(&server, "/taken", true, "").await).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(first);
    server.upgraded.close();
    server.upgraded.wait().await;
    let mut next = ask(&server, "/taken", true, "").await;
    until(&mut next, "\r\n\r\n").await;
}
