use std::task::Poll;

use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::testing::{self, Database};

fn connections(database: &Database, most: u32) -> Arc<Connections> {
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(Duration::from_secs(20))
        .connect_lazy(&database.url())
        .unwrap();
    Arc::new(Connections::new(pool, Arc::new(Losses::new())))
}

impl Connections {
    async fn process(self: &Arc<Self>) -> Result<i32, sqlx::Error> {
        let look = Look::Alone(self.lend().await?);
        sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(look)
            .await
    }

    fn rest_and_pool(&self) -> (usize, usize) {
        (self.resting().len(), self.pool.num_idle())
    }
}

#[tokio::test]
async fn a_connection_rests_after_its_statement_and_the_next_has_it() {
    let database = Database::empty().await;
    let connections = connections(&database, 2);
    let first = connections.process().await.unwrap();
    assert_eq!(connections.rest_and_pool(), (1, 0));
    for _ in 0..3 {
        assert_eq!(connections.process().await.unwrap(), first);
    }
    let look = Look::Alone(connections.lend().await.unwrap());
    let rows = sqlx::query("SELECT generate_series(1, 3)").fetch_all(look);
    assert_eq!(rows.await.unwrap().len(), 3);
    let look = Look::Alone(connections.lend().await.unwrap());
    sqlx::query("SELECT 1").execute(look).await.unwrap();
    assert_eq!(connections.rest_and_pool(), (1, 0));
}

#[tokio::test]
async fn a_transaction_has_what_rests_and_leaves_it_so() {
    let database = Database::empty().await;
    let connections = connections(&database, 1);
    let first = connections.process().await.unwrap();
    let mut tx = connections.begin("BEGIN").await.unwrap();
    let same: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(same, first);
    tx.commit().await.unwrap();
    assert_eq!(connections.rest_and_pool(), (1, 0));
    drop(connections.begin("BEGIN").await.unwrap());
    assert_eq!(connections.process().await.unwrap(), first);
}

#[tokio::test]
async fn a_transaction_that_is_given_up_as_it_begins_is_in_nobodys_way() {
    let database = Database::empty().await;
    let mut outside = database.outside().await;
    testing::run(&mut outside, "CREATE TABLE kept (n int)".to_owned()).await;
    let connections = connections(&database, 1);
    for begin in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"] {
        connections.process().await.unwrap();
        // mostly the answer is not there at once
        loop {
            let mut beginning = Box::pin(connections.begin(begin));
            let once = std::future::poll_fn(|cx| Poll::Ready(beginning.as_mut().poll(cx)));
            if once.await.is_pending() {
                break;
            }
        }
        let look = Look::Alone(connections.lend().await.unwrap());
        sqlx::query("INSERT INTO kept VALUES (1)")
            .execute(look)
            .await
            .unwrap();
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut outside)
        .await
        .unwrap();
    assert_eq!(seen, 2, "what was answered is committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_vanishes_without_a_word_costs_its_connections_and_no_more() {
    let database = Database::empty().await;
    let relay = Relay::to(&database).await;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_millis(500))
        .connect_lazy(&relay.url);
    let losses = Arc::new(Losses::new());
    let connections = Arc::new(Connections::new(pool.unwrap(), losses));
    let (resting, lent) = (
        connections.lend().await.unwrap(),
        connections.begin("BEGIN"),
    );
    let lent = lent.await.unwrap();
    resting.rest();
    relay.silence();
    connections.losses().note();
    drop(lent);
    let by = Instant::now() + PATIENCE * 3;
    while connections.process().await.is_err() {
        assert!(Instant::now() < by, "all that there were are waited for");
        connections.losses().note();
    }
}

/// Passes on what comes, until connections that there are fall silent. Later ones do not.
struct Relay {
    url: String,
    silence: tokio::sync::watch::Sender<usize>,
}

impl Relay {
    async fn to(database: &Database) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut url = url::Url::parse(&database.url()).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        url.set_port(Some(address.port())).unwrap();
        let (silence, silenced) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = tokio::net::TcpStream::connect(&server).await.unwrap();
                let mut silenced = silenced.clone();
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = silenced.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            url: url.into(),
            silence,
        }
    }

    fn silence(&self) {
        self.silence.send_modify(|times| *times += 1);
    }
}

#[tokio::test]
async fn what_failed_rests_and_what_was_given_up_rests_when_it_ends() {
    let database = Database::empty().await;
    let connections = connections(&database, 1);
    let first = connections.process().await.unwrap();
    for sql in [
        "SELECT 1 / 0",
        // fails after it has answered a row
        "SELECT 1 / (2 - n) FROM generate_series(1, 2) n",
    ] {
        let look = Look::Alone(connections.lend().await.unwrap());
        sqlx::query(sql).fetch_optional(look).await.unwrap_err();
        assert_eq!(connections.rest_and_pool(), (1, 0), "{sql}");
    }
    assert_eq!(connections.process().await.unwrap(), first);
    let look = Look::Alone(connections.lend().await.unwrap());
    let sleeping = sqlx::query("SELECT pg_sleep(1)").fetch_all(look);
    let soon = Duration::from_millis(20);
    tokio::time::timeout(soon, sleeping).await.unwrap_err();
    assert_eq!(connections.rest_and_pool(), (0, 0), "it still sleeps");
    assert_eq!(connections.process().await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_share_few() {
    let database = Database::empty().await;
    let connections = connections(&database, 2);
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move {
                if n % 3 == 0 {
                    let tx = connections.begin("BEGIN").await?;
                    tx.rollback().await
                } else {
                    connections.process().await.map(drop)
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(connections.pool.size() <= 2);
}

#[tokio::test]
async fn who_rests_is_asked_whether_it_lives_after_a_loss() {
    let database = Database::empty().await;
    let connections = connections(&database, 2);
    let first = connections.process().await.unwrap();
    let mut outside = database.outside().await;
    testing::run(
        &mut outside,
        format!("SELECT pg_terminate_backend({first}, 10000)"),
    )
    .await;
    connections.losses().note();
    assert_ne!(connections.process().await.unwrap(), first);
}

#[tokio::test]
async fn who_is_not_needed_goes_back_to_the_pool() {
    let database = Database::empty().await;
    let connections = connections(&database, 3);
    let mut loans = Vec::new();
    for _ in 0..3 {
        loans.push(connections.lend().await.unwrap());
    }
    for loan in loans {
        loan.rest();
    }
    assert_eq!(connections.rest_and_pool().0, 3);
    tokio::time::sleep(FRESH + Duration::from_millis(10)).await;
    for _ in 0..2 {
        connections.process().await.unwrap();
    }
    assert_eq!(connections.rest_and_pool().0, 1);
}

#[tokio::test]
async fn closing_ends_those_that_rest() {
    let database = Database::empty().await;
    let connections = connections(&database, 2);
    connections.process().await.unwrap();
    let lent = connections.lend().await.unwrap();
    tokio::join!(connections.close(), async { lent.rest() });
    assert_eq!(connections.rest_and_pool(), (0, 0));
    assert_eq!(connections.pool.size(), 0);
    let late = connections.process().await;
    assert!(matches!(late, Err(sqlx::Error::PoolClosed)), "{late:?}");
}
