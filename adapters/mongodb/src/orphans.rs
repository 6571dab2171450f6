//! Transactions of a process that was killed in the middle: the server keeps them, and with each of them its
//! conversation locked, for as long as it lets transactions live, which is a minute.
//!
//! Who meets such a lock looks for its holder, and ends it when it cannot be anybody's any more. What makes
//! that safe is a bound: no process waits for an attempt for longer than its [`Lifetime`], which is in the
//! name that it gives the server, beside the database's. So what is idle, bears the name of this database, and
//! is older than its own name allows is wanted by nobody. Should it be wanted after all (a process that was
//! asleep), then its next statement is refused, it is rolled back as a whole, and done again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{Document, doc};
use futures_util::TryStreamExt as _;
use mongodb::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::is_forbidden;

/// How long others must have been in the way before their transactions are looked at.
pub(crate) const SUSPICIOUS: Duration = Duration::from_millis(300);
/// Pause between two looks of one process.
const LOOK: Duration = Duration::from_millis(200);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Who gave up a transaction at the last moment is given this long to end it himself.
const GRACE: Duration = Duration::from_millis(500);

const NAME: &str = "connexus";

/// The longest that a process lets one attempt, and so a transaction, go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime(pub Duration);

impl Lifetime {
    /// Less than a call may take, so that who finds a lock that was left behind outlasts it.
    pub fn of(operation_timeout: Duration) -> Self {
        Self(operation_timeout * 3 / 5)
    }

    /// What a process calls itself: `connexus/DATABASE/MILLISECONDS`. No database has a slash in its name.
    pub fn app_name(self, database: &str) -> String {
        format!("{NAME}/{database}/{}", self.0.as_millis())
    }

    /// That of the process with this name; `None` when it is not one of this database.
    fn read(app_name: &str, database: &str) -> Option<Self> {
        let rest = app_name.strip_prefix(NAME)?.strip_prefix('/')?;
        let (theirs, millis) = rest.split_once('/')?;
        let millis = millis.parse().ok()?;
        (theirs == database).then_some(Self(Duration::from_millis(millis)))
    }
}

/// Looks for them, one look at a time.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    last: Mutex<Option<Instant>>,
    refused: AtomicBool,
}

impl Orphans {
    /// Ends those that there are. What fails is tried again by whoever looks next.
    pub async fn end(&self, client: &Client, database: &str) {
        let Ok(mut last) = self.last.try_lock() else {
            return;
        };
        if last.is_some_and(|last| last.elapsed() < LOOK) {
            return;
        }
        let ended = tokio::time::timeout(LOOK_TIMEOUT, end(client, database)).await;
        *last = Some(Instant::now());
        match ended {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => {
                tracing::warn!(
                    count,
                    "ended transactions that a killed process had left open"
                );
            }
            Ok(Err(error)) if is_forbidden(&error) => self.say_refused(&error),
            Ok(Err(error)) => tracing::debug!(%error, "looking for transactions left open"),
            Err(late) => tracing::debug!(%late, "looking for transactions left open"),
        }
    }

    fn say_refused(&self, error: &mongodb::error::Error) {
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %error,
                "the MongoDB user may not look for its own transactions or end them: after a kill a \
                 conversation can be locked for the server's transactionLifetimeLimitSeconds"
            );
        }
    }
}

async fn end(client: &Client, database: &str) -> Result<usize, mongodb::error::Error> {
    let admin = client.database("admin");
    // the user's own, which takes no privilege: all processes of a deployment log in as the same one
    let pipeline = [
        doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
        doc! { "$match": { "type": "idleSession", "transaction": { "$exists": true } } },
        doc! { "$project": { "appName": 1, "lsid": 1, "transaction.timeOpenMicros": 1 } },
    ];
    let idle: Vec<Document> = admin.aggregate(pipeline).await?.try_collect().await?;
    let sessions: Vec<Document> = idle
        .iter()
        .filter(|entry| is_orphan(entry, database))
        .filter_map(|entry| entry.get_document("lsid").ok()?.get("id"))
        .map(|id| doc! { "id": id.clone() })
        .collect();
    // an empty list would mean all of them
    if !sessions.is_empty() {
        admin
            .run_command(doc! { "killSessions": &sessions })
            .await?;
    }
    Ok(sessions.len())
}

/// Whether an idle session's open transaction is one of this database that nobody waits for any more.
fn is_orphan(entry: &Document, database: &str) -> bool {
    let lifetime = entry
        .get_str("appName")
        .ok()
        .and_then(|name| Lifetime::read(name, database));
    let open = entry
        .get_document("transaction")
        .and_then(|transaction| transaction.get_i64("timeOpenMicros"))
        .ok()
        .and_then(|micros| u64::try_from(micros).ok())
        .map(Duration::from_micros);
    matches!((lifetime, open), (Some(Lifetime(lifetime)), Some(open)) if open > lifetime + GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, seconds: i64) -> Document {
        doc! { "appName": name, "transaction": { "timeOpenMicros": seconds * 1_000_000 } }
    }

    #[test]
    fn only_what_is_ours_and_older_than_it_can_be_is_an_orphan() {
        let name = Lifetime::of(Duration::from_secs(5)).app_name("chat");
        assert_eq!(name, "connexus/chat/3000");
        assert!(is_orphan(&entry(&name, 4), "chat"));
        assert!(!is_orphan(&entry(&name, 3), "chat"), "still running");
        assert!(!is_orphan(&entry(&name, 4), "cha"), "another deployment's");
        assert!(
            !is_orphan(&entry("connexus/chat/60000", 30), "chat"),
            "a patient one's"
        );
        for other in [
            "connexus",
            "connexus/chat",
            "connexus/chat/x",
            "mongosh",
            "Xconnexus/chat/1",
        ] {
            assert!(!is_orphan(&entry(other, 99), "chat"), "{other}");
        }
        assert!(
            !is_orphan(&doc! { "appName": name }, "chat"),
            "no transaction"
        );
    }
}
