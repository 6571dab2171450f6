//! The scanner, against a daemon that is made here.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use connexus_blobs::{Clamd, ClamdAddress, ClamdSettings};
use connexus_domain::Error;
use connexus_domain::ports::{ByteStream, Content, MalwareScanner, Verdict};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes, in pieces of ten.
struct Bits(Vec<u8>);

impl Content for Bits {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn sha256(&self) -> [u8; 32] {
        [0; 32]
    }

    fn open(&self) -> ByteStream {
        let pieces: Vec<_> = self.0.chunks(10).map(Bytes::copy_from_slice).collect();
        stream::iter(pieces.into_iter().map(Ok)).boxed()
    }
}

enum Behaviour {
    /// Takes all of it, and answers this.
    Answer(&'static str),
    /// Answers this after the first piece, and ends.
    Refuse(&'static str),
    /// Takes all of it, and says nothing.
    Silence,
    /// Ends at once.
    End,
}

/// One connection of a daemon; gives what it was sent.
async fn daemon(behaviour: Behaviour) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        serve(&mut client, behaviour).await
    });
    (address, serving)
}

async fn serve(client: &mut TcpStream, behaviour: Behaviour) -> Vec<u8> {
    let mut taken = Vec::new();
    if matches!(behaviour, Behaviour::End) {
        return taken;
    }
    let mut command = [0; 10];
    client.read_exact(&mut command).await.unwrap();
    assert_eq!(&command, b"zINSTREAM\0");
    loop {
        let length = client.read_u32().await.unwrap();
        if length == 0 {
            break;
        }
        let mut piece = vec![0; length as usize];
        client.read_exact(&mut piece).await.unwrap();
        taken.extend(piece);
        if let Behaviour::Refuse(answer) = behaviour {
            client.write_all(answer.as_bytes()).await.unwrap();
            // takes the rest, or the answer would be lost with the connection
            let _ = client.read_to_end(&mut Vec::new()).await;
            return taken;
        }
    }
    match behaviour {
        Behaviour::Answer(answer) => client.write_all(answer.as_bytes()).await.unwrap(),
        _ => {
            let _ = client.read(&mut [0]).await;
        }
    }
    taken
}

fn scanner(address: SocketAddr) -> Clamd {
    Clamd::new(ClamdSettings {
        timeout: Duration::from_millis(500),
        max_size: 1000,
        ..ClamdSettings::new(ClamdAddress::Tcp(address.to_string()))
    })
}

fn unavailable<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable { .. }))
}

fn internal<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Internal { .. }))
}

#[tokio::test]
async fn all_of_it_is_scanned() {
    let (address, serving) = daemon(Behaviour::Answer("stream: OK\0")).await;
    let content = Bits((0..105).collect());
    let verdict = scanner(address).scan(&content).await.unwrap();
    assert_eq!(verdict, Verdict::Clean);
    assert_eq!(serving.await.unwrap(), content.0);
}

#[tokio::test]
async fn a_finding_is_named() {
    let (address, _) = daemon(Behaviour::Answer("stream: Win.Test.EICAR_HDB-1 FOUND\0")).await;
    assert_eq!(
        scanner(address).scan(&Bits(vec![1; 20])).await.unwrap(),
        Verdict::Infected {
            signature: "Win.Test.EICAR_HDB-1".to_owned()
        }
    );
}

#[tokio::test]
async fn what_is_not_called_clean_is_not() {
    for answer in [
        "INSTREAM size limit exceeded. ERROR\0",
        "stream: Can't allocate memory ERROR\0",
        "stream: \0",
    ] {
        let (address, _) = daemon(Behaviour::Answer(answer)).await;
        assert!(
            internal(&scanner(address).scan(&Bits(vec![1; 20])).await),
            "{answer}"
        );
    }
    // an answer that was cut may be the beginning of another one
    let (address, _) = daemon(Behaviour::Answer("stream: OK")).await;
    assert!(unavailable(
        &scanner(address).scan(&Bits(vec![1; 20])).await
    ));
}

#[tokio::test]
async fn who_takes_no_more_is_heard() {
    let (address, _) = daemon(Behaviour::Refuse("INSTREAM size limit exceeded. ERROR\0")).await;
    assert!(!matches!(
        scanner(address).scan(&Bits(vec![1; 900])).await,
        Ok(Verdict::Clean)
    ));
}

#[tokio::test]
async fn who_does_not_answer_is_unavailable() {
    for behaviour in [Behaviour::Silence, Behaviour::End] {
        let (address, _) = daemon(behaviour).await;
        assert!(unavailable(
            &scanner(address).scan(&Bits(vec![1; 20])).await
        ));
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(unavailable(
        &scanner(address).scan(&Bits(vec![1; 20])).await
    ));
    assert!(unavailable(&scanner(address).ping().await));
}

#[tokio::test]
async fn what_is_too_large_to_be_scanned_is_refused() {
    // nobody is asked
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let scanner = scanner(listener.local_addr().unwrap());
    assert!(internal(&scanner.scan(&Bits(vec![1; 1001])).await));
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_file_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clamd.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut command = [0; 6];
        client.read_exact(&mut command).await.unwrap();
        assert_eq!(&command, b"zPING\0");
        client.write_all(b"PONG\0").await.unwrap();
    });
    let scanner = Clamd::new(ClamdSettings::new(ClamdAddress::Unix(path)));
    scanner.ping().await.unwrap();
}
