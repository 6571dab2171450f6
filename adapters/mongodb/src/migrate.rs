//! Brings collections, rules and indexes to this program's version. Every step is safe to repeat, so a
//! migration that dies halfway is just run again; a lock that ends by itself keeps two from working at once.

use std::convert::Infallible;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use connexus_domain::{Error, Result};
use mongodb::error::{Error as Driver, ErrorKind, WriteFailure};
use mongodb::options::{ReadConcern, ValidationAction, ValidationLevel};
use mongodb::{Collection, Database};
use tokio::time::Instant;

use crate::documents::{Record as _, StateDoc};
use crate::error::{InDomain as _, Late, OpenError};
use crate::indexes::{FORMER, Shape, shapes};

/// Of the schema that this program knows. A change of `indexes.rs` that needs a migration takes the next.
const VERSION: i32 = 4;
/// Where the version and the lock are.
const COLLECTION: &str = "schema";
/// In seconds: a lock that was not renewed for so long was left by a process that died.
const LOCK_SECONDS: i32 = 60;
/// How often it is renewed: an index of many messages takes minutes.
const RENEWAL: Duration = Duration::from_secs(20);
/// How long to wait for another process that migrates.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn migrate(database: &Database) -> Result<()> {
    if is_current(database).await? {
        return Ok(());
    }
    let lock = Lock::take(database).await?;
    let outcome = tokio::select! {
        outcome = run(database) => outcome,
        never = lock.keep() => match never {},
    };
    lock.release().await?;
    outcome
}

async fn run(database: &Database) -> Result<()> {
    // the other one, for which we may have waited, has done it
    if is_current(database).await? {
        return Ok(());
    }
    for shape in shapes() {
        build(database, shape).await.in_domain()?;
    }
    for (collection, index) in FORMER {
        drop_index(database, collection, index).await.in_domain()?;
    }
    // what is stored is not indexed here: that may take long, and whoever searches reads it until it is
    database
        .collection::<Document>(StateDoc::COLLECTION)
        .update_one(
            doc! { "_id": StateDoc::ID },
            doc! { "$setOnInsert": { "turn": 0_i64 } },
        )
        .upsert(true)
        .await
        .in_domain()?;
    database
        .collection::<Document>(COLLECTION)
        .update_one(
            doc! { "_id": "version" },
            doc! { "$set": { "version": VERSION } },
        )
        .upsert(true)
        .await
        .in_domain()?;
    Ok(())
}

async fn is_current(database: &Database) -> Result<bool> {
    let found = database
        .collection::<Document>(COLLECTION)
        .find_one(doc! { "_id": "version" })
        .read_concern(ReadConcern::majority())
        .await
        .in_domain()?;
    let Some(found) = found else {
        return Ok(false);
    };
    let version = found
        .get_i32("version")
        .ok()
        .ok_or_else(|| Error::corrupt(COLLECTION, "version", "version"))?;
    if version > VERSION {
        return Err(Error::internal(OpenError::Newer { version }));
    }
    Ok(version == VERSION)
}

async fn build(database: &Database, shape: Shape) -> Result<(), Driver> {
    let created = database
        .create_collection(shape.name)
        .validator(shape.validator.clone())
        .validation_level(ValidationLevel::Strict)
        .validation_action(ValidationAction::Error)
        .await;
    match created {
        Err(error) if code(&error) == Some(NAMESPACE_EXISTS) => {
            let command = doc! {
                "collMod": shape.name, "validator": shape.validator,
                "validationLevel": "strict", "validationAction": "error",
            };
            database.run_command(command).await?;
        }
        created => created?,
    }
    if !shape.indexes.is_empty() {
        database
            .collection::<Document>(shape.name)
            .create_indexes(shape.indexes)
            .await?;
    }
    Ok(())
}

async fn drop_index(database: &Database, collection: &str, index: &str) -> Result<(), Driver> {
    let collection = database.collection::<Document>(collection);
    match collection.drop_index(index).await {
        Err(error) if code(&error) == Some(INDEX_NOT_FOUND) => Ok(()),
        dropped => dropped,
    }
}

const INDEX_NOT_FOUND: i32 = 27;
const NAMESPACE_EXISTS: i32 = 48;
const DUPLICATE_KEY: i32 = 11_000;

fn code(error: &Driver) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// The right to migrate, by the server's clock.
struct Lock {
    collection: Collection<Document>,
    owner: ObjectId,
}

impl Lock {
    async fn take(database: &Database) -> Result<Self> {
        let lock = Self {
            collection: database.collection(COLLECTION),
            owner: ObjectId::new(),
        };
        let ended = doc! { "_id": "lock", "until": DateTime::from_millis(0) };
        match lock.collection.insert_one(ended).await {
            Err(error) if code(&error) != Some(DUPLICATE_KEY) => Err(error).in_domain()?,
            _ => {}
        }
        let deadline = Instant::now() + PATIENCE;
        while !lock.try_take().await.in_domain()? {
            if Instant::now() >= deadline {
                return Err(Error::unavailable(Late::Migrating));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(lock)
    }

    async fn try_take(&self) -> Result<bool, Driver> {
        self.extend(doc! { "_id": "lock", "$expr": { "$lt": ["$until", "$$NOW"] } })
            .await
    }

    /// Renews it, as long as this is asked for.
    async fn keep(&self) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let mine = doc! { "_id": "lock", "owner": self.owner };
            if let Err(error) = self.extend(mine).await {
                tracing::warn!(%error, "the right to migrate could not be renewed");
            }
        }
    }

    async fn extend(&self, lock: Document) -> Result<bool, Driver> {
        let until = doc! { "$dateAdd": {
            "startDate": "$$NOW", "unit": "second", "amount": LOCK_SECONDS,
        } };
        let change = vec![doc! { "$set": { "until": until, "owner": self.owner } }];
        let done = self.collection.update_one(lock, change).await?;
        Ok(done.matched_count > 0)
    }

    async fn release(self) -> Result<()> {
        self.collection
            .update_one(
                doc! { "_id": "lock", "owner": self.owner },
                doc! { "$set": { "until": DateTime::from_millis(0) } },
            )
            .await
            .in_domain()?;
        Ok(())
    }
}
