use async_trait::async_trait;
use bson::doc;
use connexus_domain::ports::BlockRepository;
use connexus_domain::{Entity, Error, Limit, Page, Result, Timestamp, UserId};
use serde::Deserialize;

use crate::documents::{BlockDoc, BlockKey, Id as _, date, user_id};
use crate::query::{Query, upsert};
use crate::storage::MongoStorage;
use crate::user;

#[derive(Deserialize)]
pub(crate) struct Blocked {
    #[serde(rename = "_id")]
    pub key: BlockKey,
}

#[async_trait]
impl BlockRepository for MongoStorage {
    async fn block(&self, by: UserId, whom: UserId, now: Timestamp) -> Result<()> {
        let key = BlockKey::new(by, whom);
        self.transact(|tx| {
            Box::pin(async move {
                if !user::all_exist(tx, &[by, whom]).await? {
                    return Err(Error::NotFound(Entity::User).into());
                }
                let new = doc! { "$setOnInsert": { "created_at": date(now) } };
                tx.update::<BlockDoc>(vec![upsert(doc! { "_id": key }, new)])
                    .await
            })
        })
        .await
    }

    async fn unblock(&self, by: UserId, whom: UserId) -> Result<()> {
        let key = BlockKey::new(by, whom);
        self.transact(|tx| {
            Box::pin(async move {
                tx.delete::<BlockDoc>(doc! { "_id": key }).await?;
                Ok(())
            })
        })
        .await
    }

    async fn list(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserId, UserId>> {
        let query = &list(by, after, limit);
        let found: Vec<Blocked> = self
            .read(|tx| Box::pin(tx.find_parts(query.clone())))
            .await?;
        let ids = found.iter().map(|block| user_id(block.key.whom)).collect();
        Ok(Page::cut(ids, limit, |id| *id))
    }

    async fn either_blocks(&self, a: UserId, b: UserId) -> Result<bool> {
        let keys = [BlockKey::new(a, b), BlockKey::new(b, a)];
        let found: Option<BlockDoc> = self
            .find_one(doc! { "_id": { "$in": keys.to_vec() } })
            .await?;
        Ok(found.is_some())
    }

    async fn apart_from(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        let query = &between(user, others);
        let found: Vec<Blocked> = self
            .read(|tx| Box::pin(tx.find_parts(query.clone())))
            .await?;
        let mut apart: Vec<UserId> = found
            .iter()
            .flat_map(|block| [user_id(block.key.by), user_id(block.key.whom)])
            .filter(|one| *one != user)
            .collect();
        apart.sort_unstable();
        apart.dedup();
        Ok(apart)
    }
}

pub(crate) fn list(by: UserId, after: Option<UserId>, limit: Limit) -> Query {
    let mut filter = doc! { "_id.by": by.bson() };
    if let Some(after) = after {
        filter.insert("_id.whom", doc! { "$gt": after.bson() });
    }
    Query::of::<BlockDoc>(filter)
        .sort(doc! { "_id.whom": 1 })
        .limit(limit.and_one())
        .fields(doc! { "_id": 1 })
}

/// The blocks between a user and others.
pub(crate) fn between(user: UserId, others: &[UserId]) -> Query {
    let keys: Vec<BlockKey> = others
        .iter()
        .flat_map(|other| [BlockKey::new(user, *other), BlockKey::new(*other, user)])
        .collect();
    Query::of::<BlockDoc>(doc! { "_id": { "$in": keys } }).fields(doc! { "_id": 1 })
}
