//! The contract, case by case.

use std::ops::Range;
use std::time::Duration;

use connexus_blobs::{Spool, probe};
use connexus_domain::ports::{BlobKey, BlobStore, Content as _, Variant};
use connexus_domain::{AttachmentId, Timestamp};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use crate::content::{Broken, Counted, Then, Whole};
use crate::places::rand;

const TYPE: &str = "application/pdf";

pub fn new_key() -> BlobKey {
    let id = AttachmentId::from_uuid(Uuid::from_u128(rand()));
    BlobKey::new(id, Variant::Original)
}

/// What is there, or its part.
pub async fn read(
    store: &dyn BlobStore,
    key: BlobKey,
    range: Option<Range<u64>>,
) -> Option<Vec<u8>> {
    let found = store.read(key, range).await.unwrap()?;
    let pieces: Vec<_> = found.body.try_collect().await.unwrap();
    Some(pieces.concat())
}

pub async fn what_is_put_is_read(store: &dyn BlobStore) {
    for size in [1, 1000, 64 * 1024, 64 * 1024 + 1, 6 * 1024 * 1024 + 7] {
        let (key, content) = (new_key(), Whole::of(size));
        store.put(key, &content, TYPE).await.unwrap();
        assert!(read(store, key, None).await.unwrap() == content.0, "{size}");
        assert_eq!(store.size(key).await.unwrap(), Some(size as u64));
    }
}

pub async fn parts_are_read(store: &dyn BlobStore) {
    let (key, content) = (new_key(), Whole::of(300_000));
    store.put(key, &content, TYPE).await.unwrap();
    for range in [0..1, 0..300_000, 299_999..300_000, 70_000..200_001] {
        let size = store
            .read(key, Some(range.clone()))
            .await
            .unwrap()
            .unwrap()
            .size;
        assert_eq!(size, 300_000);
        let part = read(store, key, Some(range.clone())).await.unwrap();
        let bytes = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(part == content.0[bytes], "{range:?}");
    }
    assert!(store.read(key, Some(5..5)).await.is_err());
}

pub async fn what_is_absent_is_no_error(store: &dyn BlobStore) {
    let key = new_key();
    assert!(store.read(key, None).await.unwrap().is_none());
    assert!(store.read(key, Some(0..10)).await.unwrap().is_none());
    assert_eq!(store.size(key).await.unwrap(), None);
    store.delete(key.attachment_id).await.unwrap();
}

pub async fn the_last_put_stays(store: &dyn BlobStore) {
    let key = new_key();
    store.put(key, &Whole::of(100_000), TYPE).await.unwrap();
    store.put(key, &Whole(b"new".to_vec()), TYPE).await.unwrap();
    assert_eq!(read(store, key, None).await.unwrap(), b"new");
}

pub async fn all_variants_are_deleted(store: &dyn BlobStore) {
    let (key, other) = (new_key(), new_key());
    let content = Whole::of(10);
    store.put(other, &content, TYPE).await.unwrap();
    for variant in Variant::ALL {
        let key = BlobKey::new(key.attachment_id, variant);
        store.put(key, &content, TYPE).await.unwrap();
    }
    for _ in 0..2 {
        store.delete(key.attachment_id).await.unwrap();
        for variant in Variant::ALL {
            let key = BlobKey::new(key.attachment_id, variant);
            assert_eq!(store.size(key).await.unwrap(), None);
        }
    }
    assert_eq!(store.size(other).await.unwrap(), Some(10));
}

pub async fn a_put_that_fails_leaves_nothing(store: &dyn BlobStore) {
    let key = new_key();
    let content = Broken {
        good: Whole::of(500_000),
        then: Then::Error,
    };
    assert!(store.put(key, &content, TYPE).await.is_err());
    assert_eq!(store.size(key).await.unwrap(), None);
}

pub async fn a_put_that_is_dropped_leaves_nothing(store: &dyn BlobStore) {
    let key = new_key();
    let content = Broken {
        good: Whole::of(500_000),
        then: Then::Silence,
    };
    let put = store.put(key, &content, TYPE);
    let given_up = tokio::time::timeout(Duration::from_millis(300), put).await;
    assert!(given_up.is_err());
    assert_eq!(store.size(key).await.unwrap(), None);
    // its temporary file is removed in the background
    until_tidy(store).await;
    assert_eq!(store.size(key).await.unwrap(), None);
}

/// Waits until nothing is left to sweep, and does not sweep itself.
async fn until_tidy(store: &dyn BlobStore) {
    assert_eq!(store.sweep(Timestamp::from_millis(0)).await.unwrap(), 0);
    tokio::task::yield_now().await;
    // blocking tasks run in order of their start, as long as there is a free thread
    for _ in 0..100 {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

pub async fn a_put_that_fails_spares_what_was_there(store: &dyn BlobStore) {
    let key = new_key();
    store.put(key, &Whole(b"old".to_vec()), TYPE).await.unwrap();
    let content = Broken {
        good: Whole::of(200_000),
        then: Then::Error,
    };
    assert!(store.put(key, &content, TYPE).await.is_err());
    assert_eq!(read(store, key, None).await.unwrap(), b"old");
}

pub async fn memory_stays_small(store: &dyn BlobStore) {
    let (key, content) = (new_key(), Counted::of(200));
    store.put(key, &content, TYPE).await.unwrap();
    assert_eq!(store.size(key).await.unwrap(), Some(content.size()));
    let peak = content.peak();
    assert!(peak < 1024 * 1024, "{peak} bytes were held at once");
    let mut body = store.read(key, None).await.unwrap().unwrap().body;
    while let Some(piece) = body.try_next().await.unwrap() {
        assert!(
            piece.len() <= 512 * 1024,
            "a piece of {} bytes",
            piece.len()
        );
    }
}

pub async fn many_write_at_once(store: &dyn BlobStore) {
    let key = new_key();
    let contents: Vec<_> = (1..=8).map(|n| Whole(vec![n; 100_000])).collect();
    let puts = contents.iter().map(|content| store.put(key, content, TYPE));
    futures_util::future::try_join_all(puts).await.unwrap();
    let found = read(store, key, None).await.unwrap();
    assert!(contents.iter().any(|content| content.0 == found));
}

pub async fn trying_it_out_leaves_nothing(store: &dyn BlobStore) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let id = new_key().attachment_id;
    probe(store, &spool, id).await.unwrap();
    for variant in Variant::ALL {
        assert_eq!(store.size(BlobKey::new(id, variant)).await.unwrap(), None);
    }
}

pub async fn it_answers(store: &dyn BlobStore) {
    store.ping().await.unwrap();
}
