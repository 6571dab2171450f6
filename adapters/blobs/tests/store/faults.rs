//! Stores that are away or set wrongly, what only one of them has, and what a killed process leaves.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use connexus_blobs::{BlobSettings, S3Keys, Spool, open, probe};
use connexus_domain::ports::{BlobKey, BlobRead, BlobStore, Content, Presign};
use connexus_domain::{AttachmentId, Error, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::cases::new_key;
use crate::content::Whole;
use crate::places::{self, files};

const LONG_AGO: Timestamp = Timestamp::from_millis(0);
const FAR_AHEAD: Timestamp = Timestamp::from_millis(32_000_000_000_000);

fn unavailable<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable { .. }))
}

#[tokio::test]
async fn what_a_killed_write_left_is_swept() {
    let place = places::file();
    let folder = place.folder.as_ref().unwrap().path().join("files");
    let key = new_key();
    place
        .store
        .put(key, &Whole::of(10), "text/plain")
        .await
        .unwrap();
    let [blob] = files(&folder).try_into().unwrap();
    let shard = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    std::fs::write(shard.path().join(format!("{blob}#1")), "half").unwrap();
    std::fs::write(shard.path().join("other.original#12"), "half").unwrap();

    // those are new, so they may be under way
    assert_eq!(place.store.sweep(LONG_AGO).await.unwrap(), 0);
    assert_eq!(files(&folder).len(), 3);
    assert_eq!(place.store.sweep(FAR_AHEAD).await.unwrap(), 2);
    assert_eq!(files(&folder), [blob]);
    assert_eq!(place.store.size(key).await.unwrap(), Some(10));
}

#[tokio::test]
async fn a_lost_folder_is_told() {
    let place = places::file();
    std::fs::remove_dir_all(place.folder.as_ref().unwrap().path().join("files")).unwrap();
    assert!(unavailable(&place.store.ping().await));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("file:{}/files", file.path().display());
    let error = open(&BlobSettings::new(url)).err().unwrap();
    assert!(error.to_string().contains("cannot use the folder"));
}

#[tokio::test]
async fn a_folder_has_no_addresses_for_clients() {
    let place = places::file();
    let how = Presign {
        ttl: Duration::from_mins(1),
        media_type: "text/plain",
        disposition: "attachment",
    };
    assert_eq!(place.store.presign(new_key(), &how).await.unwrap(), None);
}

#[tokio::test]
async fn a_signed_address_gives_the_blob_and_its_headers() {
    let place = places::s3();
    let (key, content) = (new_key(), Whole::of(1000));
    place.store.put(key, &content, "image/png").await.unwrap();
    let how = Presign {
        ttl: Duration::from_mins(1),
        media_type: "image/png",
        disposition: "attachment; filename*=UTF-8''a%20b.png",
    };
    let url = place.store.presign(key, &how).await.unwrap().unwrap();
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], how.media_type);
    assert_eq!(answer.headers()["content-disposition"], how.disposition);
    assert!(answer.bytes().await.unwrap() == content.0);

    let altered = url.replace("attachment", "inline");
    assert_eq!(reqwest::get(altered).await.unwrap().status(), 403);
}

/// Announces another hash than it has.
struct Altered(Whole);

impl Content for Altered {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn sha256(&self) -> [u8; 32] {
        [7; 32]
    }

    fn open(&self) -> connexus_domain::ports::ByteStream {
        self.0.open()
    }
}

#[tokio::test]
async fn what_was_altered_on_its_way_is_told() {
    let place = places::s3();
    let key = new_key();
    let content = Altered(Whole::of(1000));
    assert!(place.store.put(key, &content, "text/plain").await.is_err());
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    // a port that was free a moment ago
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let store = open(&BlobSettings {
        timeout: Duration::from_secs(1),
        keys: Some(S3Keys {
            access_key_id: "nobody".to_owned(),
            secret_access_key: "nothing".into(),
        }),
        ..BlobSettings::new(format!("s3://b?endpoint=http://{address}&allow_http=true"))
    })
    .unwrap();
    let key = new_key();
    assert!(unavailable(&store.ping().await));
    assert!(unavailable(&store.size(key).await));
    assert!(unavailable(&store.read(key, None).await));
    assert!(unavailable(&store.delete(key.attachment_id).await));
    assert!(unavailable(
        &store.put(key, &Whole::of(10), "text/plain").await
    ));
    assert!(unavailable(&tried(&*store).await));
}

#[tokio::test]
async fn wrong_keys_are_a_fault_of_ours() {
    let store = open(&BlobSettings {
        keys: Some(S3Keys {
            access_key_id: "connexus".to_owned(),
            secret_access_key: "guessed".into(),
        }),
        ..places::s3_settings()
    })
    .unwrap();
    let internal = |error: Option<Error>| matches!(error, Some(Error::Internal { .. }));
    let key = new_key();
    assert!(internal(store.ping().await.err()));
    assert!(internal(store.size(key).await.err()));
    assert!(internal(
        store.put(key, &Whole::of(10), "text/plain").await.err()
    ));
    assert!(internal(tried(&*store).await.err()));
}

#[tokio::test]
async fn who_hangs_up_on_wrong_keys_is_asked_why() {
    let store = open(&BlobSettings {
        timeout: Duration::from_secs(1),
        keys: Some(S3Keys {
            access_key_id: "connexus".to_owned(),
            secret_access_key: "guessed".into(),
        }),
        ..BlobSettings::new(format!(
            "s3://b?endpoint=http://{}&allow_http=true",
            rude().await
        ))
    })
    .unwrap();
    assert!(unavailable(
        &store.put(new_key(), &Whole::of(10), "text/plain").await
    ));
    let answer = tried(&*store).await;
    assert!(matches!(answer, Err(Error::Internal { .. })), "{answer:?}");
}

/// Refuses everything, and does not wait for what comes after the head of a `PUT`: the connection breaks.
async fn rude() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match socket.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            if !head.starts_with(b"PUT") {
                let refusal =
                    "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = socket.write_all(refusal.as_bytes()).await;
            }
        }
    });
    address
}

/// Tries the store out.
async fn tried(store: &dyn BlobStore) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    probe(store, &spool, new_key().attachment_id).await
}

/// Stores nothing, and says that it did.
struct Sink;

#[async_trait]
impl BlobStore for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    async fn put(&self, _: BlobKey, _: &dyn Content, _: &str) -> Result<(), Error> {
        Ok(())
    }

    async fn read(&self, _: BlobKey, _: Option<Range<u64>>) -> Result<Option<BlobRead>, Error> {
        Ok(None)
    }

    async fn size(&self, _: BlobKey) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    async fn delete(&self, _: AttachmentId) -> Result<(), Error> {
        Ok(())
    }

    async fn presign(&self, _: BlobKey, _: &Presign<'_>) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_store_that_keeps_nothing_is_told() {
    let error = tried(&Sink).await.unwrap_err();
    assert!(matches!(error, Error::Internal { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_bucket_is_told() {
    let settings = places::s3_settings();
    let (_, query) = settings.url.split_once('?').unwrap();
    let url = format!("s3://there-is-none?{query}");
    let store = open(&BlobSettings { url, ..settings }).unwrap();
    assert!(store.ping().await.is_err());
}
