use async_trait::async_trait;
use bson::{Bson, Document, doc};
use connexus_domain::ports::SessionRepository;
use connexus_domain::session::{NewSession, Rotation, TokenHash};
use connexus_domain::{Entity, Error, Limit, Result, Session, SessionId, Timestamp, UserId};
use serde::Deserialize;

use crate::documents::{Id as _, SessionDoc, TokenDoc, date, ids, session_id, token};
use crate::error::Tried;
use crate::query::Query;
use crate::storage::MongoStorage;
use crate::tx::Tx;
use crate::user;

/// A session of which only the id is wanted.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: bson::Uuid,
}

pub(crate) fn with_ids(list: &[SessionId]) -> Query {
    Query::of::<SessionDoc>(doc! { "_id": { "$in": ids(list.iter().copied()) } })
}

#[async_trait]
impl SessionRepository for MongoStorage {
    async fn open(&self, new: &NewSession) -> Result<()> {
        self.transact(|tx| {
            Box::pin(async move {
                if !user::all_exist(tx, &[new.session.user_id]).await? {
                    return Err(Error::NotFound(Entity::User).into());
                }
                tx.insert(&[SessionDoc::new(&new.session, new.refresh)])
                    .await?;
                insert_token(tx, new.session.id, new.refresh).await
            })
        })
        .await
    }

    async fn rotate(
        &self,
        presented: TokenHash,
        next: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation> {
        self.transact(|tx| Box::pin(rotate(tx, presented, next, expires_at, now)))
            .await
    }

    async fn get_many(&self, list: &[SessionId]) -> Result<Vec<Session>> {
        let query = &with_ids(list);
        let found: Vec<SessionDoc> = self.read(|tx| Box::pin(tx.find(query.clone()))).await?;
        Ok(found.into_iter().map(SessionDoc::into_session).collect())
    }

    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
        let query = &list(user, now);
        let found: Vec<SessionDoc> = self.read(|tx| Box::pin(tx.find(query.clone()))).await?;
        Ok(found.into_iter().map(SessionDoc::into_session).collect())
    }

    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool> {
        self.transact(|tx| {
            Box::pin(async move {
                let mut filter = live(user, now);
                filter.insert("_id", id.bson());
                let ended = tx.update_many::<SessionDoc>(filter, ending(now)).await?;
                Ok(ended > 0)
            })
        })
        .await
    }

    async fn revoke_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        self.transact(|tx| Box::pin(end_all(tx, user, keep, now)))
            .await
    }

    async fn purge_ended(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        let ended: Vec<Named> = self
            .read(|tx| Box::pin(tx.find_parts(ended_before(before, limit))))
            .await?;
        let ids: Vec<Bson> = ended.iter().map(|session| session.id.into()).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        // tokens first, of which a session may have had thousands: one that has ended gets no more
        self.purging(async {
            self.delete_many::<TokenDoc>(doc! { "session_id": { "$in": &ids } })
                .await?;
            self.delete_many::<SessionDoc>(doc! { "_id": { "$in": &ids } })
                .await
        })
        .await?;
        Ok(ids.len() as u64)
    }
}

fn live(user: UserId, now: Timestamp) -> Document {
    doc! { "user_id": user.bson(), "revoked_at": null, "expires_at": { "$gt": date(now) } }
}

/// Of a live session, which would have ended later.
fn ending(now: Timestamp) -> Document {
    doc! { "$set": { "revoked_at": date(now), "ended_at": date(now) } }
}

pub(crate) fn list(user: UserId, now: Timestamp) -> Query {
    Query::of::<SessionDoc>(live(user, now)).sort(doc! { "last_used_at": -1, "_id": -1 })
}

pub(crate) fn ended_before(before: Timestamp, limit: Limit) -> Query {
    Query::of::<SessionDoc>(doc! { "ended_at": { "$lt": date(before) } })
        .sort(doc! { "ended_at": 1 })
        .limit(limit.and_one() - 1)
        .fields(doc! { "_id": 1 })
}

/// Ends all live sessions of `user` but `keep`.
pub(crate) async fn end_all(
    tx: &mut Tx<'_>,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Tried<Vec<SessionId>> {
    let mut filter = live(user, now);
    if let Some(keep) = keep {
        filter.insert("_id", doc! { "$ne": keep.bson() });
    }
    let query = Query::of::<SessionDoc>(filter).fields(doc! { "_id": 1 });
    let found: Vec<Named> = tx.find_parts(query).await?;
    let ids: Vec<Bson> = found.iter().map(|session| session.id.into()).collect();
    if !ids.is_empty() {
        tx.update_many::<SessionDoc>(doc! { "_id": { "$in": ids } }, ending(now))
            .await?;
    }
    Ok(found
        .into_iter()
        .map(|session| session_id(session.id))
        .collect())
}

async fn rotate(
    tx: &mut Tx<'_>,
    presented: TokenHash,
    next: TokenHash,
    expires_at: Timestamp,
    now: Timestamp,
) -> Tried<Rotation> {
    let known: Option<TokenDoc> = tx.find_one(doc! { "_id": token(presented) }).await?;
    let Some(known) = known else {
        return Ok(Rotation::Unknown);
    };
    let filter = doc! { "_id": known.session_id };
    let Some(found) = tx.find_one::<SessionDoc>(filter.clone()).await? else {
        return Ok(Rotation::Unknown);
    };
    let is_current = found.token == token(presented);
    let session = found.into_session();
    if !session.is_live(now) {
        return Ok(Rotation::Ended);
    }
    if !is_current {
        tx.update_many::<SessionDoc>(filter, ending(now)).await?;
        let revoked_at = Some(now);
        return Ok(Rotation::Reused(Session {
            revoked_at,
            ..session
        }));
    }
    let rotated = doc! { "$set": {
        "token": token(next), "last_used_at": date(now),
        "expires_at": date(expires_at), "ended_at": date(expires_at),
    } };
    tx.update_many::<SessionDoc>(filter, rotated).await?;
    insert_token(tx, session.id, next).await?;
    Ok(Rotation::Rotated(Session {
        last_used_at: now,
        expires_at,
        ..session
    }))
}

async fn insert_token(tx: &mut Tx<'_>, session: SessionId, hash: TokenHash) -> Tried<()> {
    tx.insert(&[TokenDoc {
        hash: token(hash),
        session_id: session.bson(),
    }])
    .await
}
