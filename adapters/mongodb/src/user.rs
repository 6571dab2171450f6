use std::collections::HashSet;

use async_trait::async_trait;
use bson::{Document, doc};
use connexus_domain::attachment::AvatarOwner;
use connexus_domain::ports::{Credentials, NewUser, PasswordHash, UserRepository};
use connexus_domain::text::fold;
use connexus_domain::{
    Entity, Error, Limit, Page, Result, SessionId, Timestamp, User, UserId, UserPatch,
};
use serde::Deserialize;

use crate::attachment::condemn_avatar;
use crate::block::Blocked;
use crate::documents::{BlockDoc, BlockKey, Id as _, UserDoc, date, ids, user_id};
use crate::error::{Failure, Tried};
use crate::query::{Query, starting_with, statement};
use crate::session;
use crate::storage::MongoStorage;
use crate::tx::Tx;

/// How many users are said to have been seen in one transaction.
const SEEN_AT_ONCE: usize = 1_000;
/// How many candidates of a search are looked at together, at most.
const CANDIDATES_MAX: i64 = 1_000;

#[async_trait]
impl UserRepository for MongoStorage {
    async fn create(&self, new: &NewUser) -> Result<()> {
        let user = &UserDoc {
            password_hash: Some(new.password_hash.0.clone()),
            ..UserDoc::from(&new.user)
        };
        self.transact(|tx| Box::pin(tx.insert(std::slice::from_ref(user))))
            .await
    }

    async fn get(&self, id: UserId) -> Result<Option<User>> {
        let found: Option<UserDoc> = self.find_one(doc! { "_id": id.bson() }).await?;
        found.map(UserDoc::into_user).transpose()
    }

    async fn get_many(&self, list: &[UserId]) -> Result<Vec<User>> {
        let filter = &doc! { "_id": { "$in": ids(list.iter().copied()) } };
        let found = self.read(|tx| Box::pin(tx.find(Query::of::<UserDoc>(filter.clone()))));
        let found: Vec<UserDoc> = found.await?;
        found.into_iter().map(UserDoc::into_user).collect()
    }

    async fn credentials_by_login(&self, key: &str) -> Result<Option<Credentials>> {
        let found: Option<UserDoc> = self.find_one(by_login(key)).await?;
        found.map(UserDoc::into_credentials).transpose()
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        let found: Option<UserDoc> = self.find_one(doc! { "_id": id.bson() }).await?;
        found.map(UserDoc::into_credentials).transpose()
    }

    async fn update(&self, id: UserId, patch: &UserPatch, now: Timestamp) -> Result<Option<User>> {
        self.transact(|tx| Box::pin(update(tx, id, patch, now)))
            .await
    }

    async fn change_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        self.transact(|tx| {
            Box::pin(async move {
                let filter = doc! { "_id": id.bson() };
                let new = doc! { "$set": { "password_hash": &hash.0 } };
                if tx.update_many::<UserDoc>(filter, new).await? == 0 {
                    return Err(Error::NotFound(Entity::User).into());
                }
                session::end_all(tx, id, keep, now).await
            })
        })
        .await
    }

    async fn touch_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<()> {
        for some in seen.chunks(SEEN_AT_ONCE) {
            // null is less than every date
            let statements: &Vec<Document> = &some
                .iter()
                .map(|(user, at)| {
                    let later = doc! { "$max": { "last_seen_at": date(*at) } };
                    statement(doc! { "_id": user.bson() }, later)
                })
                .collect();
            self.transact(|tx| Box::pin(tx.update::<UserDoc>(statements.clone())))
                .await?;
        }
        Ok(())
    }

    async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User, UserId>> {
        let prefix = &fold(prefix);
        let users = self
            .read(|tx| Box::pin(search(tx, viewer, prefix, after, limit)))
            .await?;
        Ok(Page::cut(users, limit, |user| user.id))
    }
}

pub(crate) fn by_login(key: &str) -> Document {
    if key.contains('@') {
        doc! { "email_key": key }
    } else {
        doc! { "username_key": key }
    }
}

pub(crate) async fn update(
    tx: &mut Tx<'_>,
    id: UserId,
    patch: &UserPatch,
    now: Timestamp,
) -> Tried<Option<User>> {
    let filter = doc! { "_id": id.bson() };
    let Some(found) = tx.find_one::<UserDoc>(filter.clone()).await? else {
        return Ok(None);
    };
    let before = found.into_user()?;
    let user = patch.apply(before.clone(), now);
    let fields = bson::serialize_to_document(&UserDoc::from(&user)).map_err(Error::internal)?;
    tx.update_many::<UserDoc>(filter, doc! { "$set": fields })
        .await?;
    if user.avatar_url != before.avatar_url {
        condemn_avatar(tx, AvatarOwner::User(id)).await?;
    }
    Ok(Some(user))
}

/// Names that start alike are sorted by id, since no index has both orders.
pub(crate) fn candidates(viewer: UserId, prefix: &str, after: Option<UserId>, limit: i64) -> Query {
    let mut id = doc! { "$ne": viewer.bson() };
    if let Some(after) = after {
        id.insert("$gt", after.bson());
    }
    let mut filter = doc! { "_id": id, "privacy.searchable": true };
    if !prefix.is_empty() {
        let range = starting_with(prefix);
        filter.insert(
            "$or",
            [
                doc! { "username_key": &range },
                doc! { "display_key": range },
            ]
            .to_vec(),
        );
    }
    Query::of::<UserDoc>(filter)
        .sort(doc! { "_id": 1 })
        .limit(limit)
}

/// Up to one more than `limit`. Who is blocked is left out afterwards, and replaced by those who follow:
/// nobody can make another's search slow but by filling it with people who block.
async fn search(
    tx: &mut Tx<'_>,
    viewer: UserId,
    prefix: &str,
    mut after: Option<UserId>,
    limit: Limit,
) -> Tried<Vec<User>> {
    let mut users = Vec::new();
    let mut step = limit.and_one();
    loop {
        let found: Vec<UserDoc> = tx.find(candidates(viewer, prefix, after, step)).await?;
        let is_last = found.len() < usize::try_from(step).map_err(Error::internal)?;
        let blocked = blocked_with(tx, viewer, &found).await?;
        after = found.last().map(|last| user_id(last.id));
        for candidate in found {
            let user = candidate.into_user()?;
            if !blocked.contains(&user.id) {
                users.push(user);
            }
        }
        if is_last || users.len() > limit.rows() {
            return Ok(users);
        }
        step = (step * 2).min(CANDIDATES_MAX.max(step));
    }
}

/// Those who block `viewer` or are blocked by it.
async fn blocked_with(
    tx: &mut Tx<'_>,
    viewer: UserId,
    candidates: &[UserDoc],
) -> Tried<HashSet<UserId>> {
    if candidates.is_empty() {
        return Ok(HashSet::new());
    }
    let keys: Vec<BlockKey> = candidates
        .iter()
        .flat_map(|candidate| {
            let other = user_id(candidate.id);
            [BlockKey::new(viewer, other), BlockKey::new(other, viewer)]
        })
        .collect();
    let query = Query::of::<BlockDoc>(doc! { "_id": { "$in": keys } }).fields(doc! { "_id": 1 });
    let found: Vec<Blocked> = tx.find_parts(query).await?;
    let both = |block: Blocked| [user_id(block.key.by), user_id(block.key.whom)];
    Ok(found.into_iter().flat_map(both).collect())
}

/// Whether there are accounts of all these ids.
pub(crate) async fn all_exist(tx: &mut Tx<'_>, users: &[UserId]) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Existing {
        #[serde(rename = "_id")]
        _id: bson::Uuid,
    }
    let asked: HashSet<UserId> = users.iter().copied().collect();
    let filter = doc! { "_id": { "$in": ids(asked.iter().copied()) } };
    let query = Query::of::<UserDoc>(filter).fields(doc! { "_id": 1 });
    let found: Vec<Existing> = tx.find_parts(query).await?;
    Ok(found.len() == asked.len())
}
