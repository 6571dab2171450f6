//! Transactions that nobody ends: those of a killed process must not keep a conversation from everybody, those
//! of others are not ours to end.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use connexus_contract::World;
use connexus_domain::ports::Storage;
use connexus_domain::{ConversationId, Error, UserId};
use connexus_mongodb::{MongoOptions, MongoStorage};
use futures_util::TryStreamExt as _;
use mongodb::options::ClientOptions;
use mongodb::{Client, ClientSession, Database};
use tokio::time::Instant;

mod support;

use support::{Place, server};

/// Below it a server would give a transaction up before anybody has to do something about it.
const LIFETIME: i32 = 30;
/// "Within seconds", on a machine that has other things to do as well.
const SOON: Duration = Duration::from_secs(15);

struct Group {
    place: Place,
    storage: Arc<MongoStorage>,
    world: World,
    sender: UserId,
    id: ConversationId,
}

impl Group {
    async fn new() -> Self {
        let place = Place::new();
        let storage = place.open().await;
        storage.migrate().await.unwrap();
        let world = World::over(storage.clone(), 0);
        let [sender, other] = world.people().await;
        let id = world.group(sender, &[other]).await;
        assert_the_server_is_patient(&place).await;
        Self {
            place,
            storage,
            world,
            sender,
            id,
        }
    }

    /// Sends until it works; tells how often it did not.
    async fn send(&self, key: &str) -> usize {
        let new = self.world.keyed(self.id, self.sender, key, "words");
        let started = Instant::now();
        let mut refused = 0;
        loop {
            match self
                .storage
                .messages()
                .append(std::slice::from_ref(&new))
                .await
            {
                Ok(answers) => {
                    answers.into_iter().next().unwrap().unwrap();
                    return refused;
                }
                Err(Error::Unavailable { .. }) if started.elapsed() < SOON => refused += 1,
                Err(error) => panic!("after {:?}: {error:?}", started.elapsed()),
            }
        }
    }

    /// Somebody who calls himself so writes to the conversation, and does not go on.
    async fn hold(&self, app_name: &str) -> ClientSession {
        let mut options = ClientOptions::parse(server()).await.unwrap();
        options.app_name = Some(app_name.to_owned());
        let client = Client::with_options(options).unwrap();
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        client
            .database(self.place.name())
            .collection::<Document>("conversations")
            .update_many(doc! {}, doc! { "$inc": { "rev": 1_i64 } })
            .session(&mut session)
            .await
            .unwrap();
        session
    }
}

async fn assert_the_server_is_patient(place: &Place) {
    let name = "transactionLifetimeLimitSeconds";
    let admin = admin(place).await;
    let ask = doc! { "getParameter": 1, name: 1 };
    let answer = admin.run_command(ask).await.unwrap();
    let seconds = answer.get_i32(name).unwrap();
    assert!(
        seconds >= LIFETIME,
        "{name} is {seconds}: this test needs a server with at least {LIFETIME} (60 is the default)"
    );
}

async fn admin(place: &Place) -> Database {
    place.outside().await.client().database("admin")
}

/// How many idle transactions of a name that starts like this there are.
async fn open(place: &Place, stem: &str) -> usize {
    let pipeline = [
        doc! { "$currentOp": { "allUsers": true, "idleSessions": true } },
        doc! { "$match": { "type": "idleSession", "transaction": { "$exists": true } } },
    ];
    let cursor = admin(place).await.aggregate(pipeline).await.unwrap();
    let idle: Vec<Document> = cursor.try_collect().await.unwrap();
    let name = |entry: &Document| entry.get_str("appName").unwrap_or_default().to_owned();
    idle.iter()
        .filter(|entry| name(entry).starts_with(stem))
        .count()
}

/// Writes as a process of its own would, and ends as one that is killed: nothing of it runs any more, its
/// connections are closed, and nobody was told.
async fn write_and_be_killed(group: &Group, attempt: u32) {
    let url = group.place.url();
    // what was stored before would only be looked up
    let world = World::over(group.storage.clone(), 7 + attempt);
    let (id, sender) = (group.id, group.sender);
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    process.spawn(async move {
        let storage = MongoStorage::connect(&url, MongoOptions::default())
            .await
            .unwrap();
        for n in 0.. {
            let new = world.keyed(id, sender, &format!("doomed-{attempt}-{n}"), "words");
            let _ = storage.messages().append(&[new]).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    process.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_open_is_ended() {
    let group = Group::new().await;
    let name = format!("connexus/{}/", group.place.name());
    // a kill may come between two transactions, or before one has written: then nobody has to wait
    let mut was_in_the_way = false;
    for attempt in 0..20 {
        write_and_be_killed(&group, attempt).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left_open = open(&group.place, &name).await;
        let started = Instant::now();
        group.send(&format!("after-{attempt}")).await;
        let waited = started.elapsed();
        assert!(waited < SOON, "{waited:?}");
        was_in_the_way = waited > Duration::from_secs(1);
        if was_in_the_way {
            assert!(open(&group.place, &name).await < left_open);
            break;
        }
    }
    assert!(was_in_the_way, "no kill was in the middle");
    let history = group.storage.messages();
    let history = history
        .history(
            group.id,
            connexus_domain::ports::HistoryRange::Latest,
            connexus_domain::Limit::of(100_000),
        )
        .await
        .unwrap();
    let mut seqs: Vec<i64> = history.iter().map(|message| message.seq).collect();
    seqs.sort_unstable();
    let dense: Vec<i64> = (1..).take(seqs.len()).collect();
    assert_eq!(seqs, dense);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_still_want_is_left_alone() {
    let group = Group::new().await;
    let database = group.place.name().to_owned();
    for name in [
        // a process that lets its transactions live longer
        format!("connexus/{database}/60000"),
        // another deployment
        format!("connexus/{database}x/1"),
        "somebody".to_owned(),
    ] {
        let mut holder = group.hold(&name).await;
        let new = group.world.keyed(group.id, group.sender, &name, "words");
        let refused = group
            .storage
            .messages()
            .append(std::slice::from_ref(&new))
            .await;
        assert!(
            matches!(refused, Err(Error::Unavailable { .. })),
            "{refused:?}"
        );
        assert_eq!(open(&group.place, &name).await, 1);
        holder
            .commit_transaction()
            .await
            .expect("it was left alone");
        assert_eq!(group.send(&name).await, 0);
    }
    // and this one is over
    let left = group.hold(&format!("connexus/{database}/1")).await;
    group.send("after").await;
    assert_eq!(
        open(&group.place, &format!("connexus/{database}/1")).await,
        0
    );
    drop(left);
}
