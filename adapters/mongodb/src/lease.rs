use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, doc};
use connexus_domain::ports::LeaseRepository;
use connexus_domain::{Result, Timestamp};

use crate::documents::{LeaseDoc, date};
use crate::query::upsert;
use crate::storage::MongoStorage;

#[async_trait]
impl LeaseRepository for MongoStorage {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        self.transact(|tx| {
            Box::pin(async move {
                let change = vec![giving(holder, now.plus(ttl), now)];
                tx.update::<LeaseDoc>(vec![upsert(doc! { "_id": name }, change)])
                    .await?;
                let lease: Option<LeaseDoc> = tx.find_one(doc! { "_id": name }).await?;
                Ok(lease.is_some_and(|lease| lease.holder == holder))
            })
        })
        .await
    }
}

/// Gives a lease that is free, and leaves one that is not: in one step, so that two who ask at once meet at
/// the document.
fn giving(holder: &str, ends: Timestamp, now: Timestamp) -> Document {
    let holder = doc! { "$literal": holder };
    let free = doc! { "$or": [
        { "$eq": [{ "$type": "$ends" }, "missing"] },
        { "$eq": ["$holder", &holder] },
        { "$lte": ["$ends", date(now)] },
    ] };
    doc! { "$set": {
        "holder": { "$cond": [&free, holder, "$holder"] },
        "ends": { "$cond": [free, date(ends), "$ends"] },
    } }
}
