//! What comes between the reading and the writing of a step.

use std::sync::Arc;

use connexus_contract::World;
use connexus_contract::world::{EVER, body, search};
use connexus_domain::ports::Storage as _;
use connexus_domain::{Message, UserId};
use tempfile::TempDir;

use super::*;
use crate::SqliteOptions;

struct Place {
    _folder: TempDir,
    storage: Arc<SqliteStorage>,
    world: World,
    reader: UserId,
    said: Vec<Message>,
}

impl Place {
    async fn with_words() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/a.db", folder.path().display());
        let storage = SqliteStorage::connect(&url, SqliteOptions::default()).await;
        let storage = Arc::new(storage.unwrap());
        storage.migrate().await.unwrap();
        let world = World::over(storage.clone(), 0);
        let [reader, other] = world.people().await;
        let id = world.group(reader, &[other]).await;
        let mut said = Vec::new();
        for text in ["apple one", "apple two", "apple three"] {
            said.push(world.say(id, reader, text).await);
        }
        Self {
            _folder: folder,
            storage,
            world,
            reader,
            said,
        }
    }

    async fn prepare(&self) -> Step {
        let mut tx = self.storage.read().await.unwrap();
        Step::prepare(&mut tx, EVER, 100).await.unwrap()
    }

    async fn write(&self, step: &Step) -> u64 {
        write::write(&self.storage, step).await.unwrap()
    }

    async fn edit(&self, n: usize, text: &str) {
        let edited = (self.storage.messages())
            .edit(self.said[n].id, self.reader, &body(text), self.world.now())
            .await;
        assert!(edited.unwrap().changed);
    }

    async fn found(&self, text: &str) -> Vec<Seq> {
        let search = search(self.reader, text);
        let page = self.storage.messages().search(&search).await.unwrap();
        page.items.iter().map(|message| message.seq).collect()
    }

    async fn rows(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.storage.readers)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn of_two_steps_from_the_same_state_one_counts() {
    let place = Place::with_words().await;
    let (one, other) = (place.prepare().await, place.prepare().await);
    assert_eq!(place.write(&one).await, 3);
    assert_eq!(place.write(&other).await, 0);
    assert_eq!(place.found("apple").await, [3, 2, 1]);
    place.edit(0, "pear one").await;
    let (one, other) = (place.prepare().await, place.prepare().await);
    assert_eq!(place.write(&one).await, 1);
    assert_eq!(place.write(&other).await, 0);
    assert_eq!(place.found("apple").await, [3, 2]);
    assert_eq!(place.found("pear").await, [1]);
}

#[tokio::test]
async fn what_is_changed_meanwhile_is_left_to_the_next_step() {
    let place = Place::with_words().await;
    let first = place.prepare().await;
    place.edit(0, "pear one").await;
    assert_eq!(place.write(&first).await, 3);
    assert_eq!(place.found("apple").await, [3, 2]);
    assert_eq!(place.found("pear").await, [1]);
    let second = place.prepare().await;
    assert_eq!(second.count, 1);
    // in the place of the amendment that the step is about
    place.edit(0, "plum one").await;
    assert_eq!(place.write(&second).await, 1);
    assert!(place.found("pear").await.is_empty());
    assert_eq!(place.found("plum").await, [1]);
    let third = place.prepare().await;
    assert_eq!(place.write(&third).await, 1);
    assert_eq!(place.found("apple").await, [3, 2]);
    assert_eq!(place.found("plum").await, [1]);
    assert_eq!(place.rows("SELECT count(*) FROM search_segments").await, 1);
    assert_eq!(place.prepare().await.count, 0);
}

#[tokio::test]
async fn what_is_purged_meanwhile_does_not_come_back() {
    for after in [0, 1, 2, 3] {
        let place = Place::with_words().await;
        let step = place.prepare().await;
        let id = place.said[0].conversation_id;
        let conversations = place.storage.conversations();
        let now = place.world.now();
        conversations.delete(id, place.reader, now).await.unwrap();
        // in several steps, of which some come before
        for n in 0..4 {
            if n == after {
                assert_eq!(place.write(&step).await, 3);
            }
            conversations.purge_deleted(Limit::of(2)).await.unwrap();
        }
        for sql in [
            "SELECT count(*) FROM search_segments",
            "SELECT count(*) FROM search_heads",
            "SELECT count(*) FROM segment_terms_docsize",
        ] {
            assert_eq!(place.rows(sql).await, 0, "{after}: {sql}");
        }
    }
}
