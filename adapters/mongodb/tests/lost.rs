//! A database that is lost without a word: nothing comes back, and no connection is closed.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use connexus_contract::World;
use connexus_domain::Error;
use connexus_domain::ports::Storage;
use connexus_mongodb::{MongoOptions, MongoStorage};
use mongodb::options::ClientOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

mod support;

use support::{Place, server};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Passes all on to the server, until it is told to be silent.
async fn line(silent: watch::Receiver<bool>) -> u16 {
    let options = ClientOptions::parse(server()).await.unwrap();
    let upstream = options.hosts[0].to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&upstream).await.unwrap();
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::spawn(pass(near_in, far_out, silent.clone()));
            tokio::spawn(pass(far_in, near_out, silent.clone()));
        }
    });
    port
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = [0; 16_384];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        // as a network does: what is sent meanwhile comes later, or never
        let spoken = silent.wait_for(|silent| !silent).await.is_ok();
        if !spoken || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_unavailable_in_time() {
    let place = Place::new();
    let (tell, silent) = watch::channel(false);
    let port = line(silent).await;
    let name = place.name();
    // straight to this address: else the driver would go to the one that the set gives
    let url = format!("mongodb://127.0.0.1:{port}/{name}?directConnection=true");
    let options = MongoOptions {
        operation_timeout: TIMEOUT,
        ..MongoOptions::default()
    };
    let storage = MongoStorage::connect(&url, options).await.unwrap();
    let storage: Arc<dyn Storage> = Arc::new(storage);
    storage.migrate().await.unwrap();
    let world = World::over(storage.clone(), 0);
    let [a, b] = world.people().await;
    let id = world.group(a, &[b]).await;
    world.say(id, a, "words").await;
    tell.send(true).unwrap();
    let new = world.keyed(id, a, "key", "words");
    let started = Instant::now();
    let (wrote, read, ping) = tokio::join!(
        storage.messages().append(std::slice::from_ref(&new)),
        storage.conversations().find(id),
        storage.ping(),
    );
    assert!(
        started.elapsed() < TIMEOUT * 2,
        "it took {:?}",
        started.elapsed()
    );
    for error in [wrote.unwrap_err(), read.unwrap_err(), ping.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    tell.send(false).unwrap();
    let back = async {
        while let Err(error) = storage.messages().append(std::slice::from_ref(&new)).await {
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .expect("it is not found again");
    assert_eq!(world.conversation(id).await.last_seq, 2);
}
