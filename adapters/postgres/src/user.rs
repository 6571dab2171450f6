use std::collections::BTreeMap;

use async_trait::async_trait;
use connexus_domain::attachment::AvatarOwner;
use connexus_domain::ports::{Credentials, NewUser, PasswordHash, UserRepository};
use connexus_domain::text::fold;
use connexus_domain::{
    Entity, Error, Limit, Page, Result, SessionId, Timestamp, User, UserId, UserPatch,
};
use sqlx::postgres::{PgArguments, PgBindIterExt as _, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};

use crate::attachment::condemn_avatar;
use crate::error::InDomain as _;
use crate::rows::{self, USER_WIDTH, user_columns};
use crate::session;
use crate::sql::{after_prefix, or_least, uuids};
use crate::storage::{PostgresStorage, Tx};

/// Users by a condition, with what follows it.
macro_rules! select_users {
    ($($rest:literal),*) => {
        concat!("SELECT ", user_columns!(), " FROM users u WHERE ", $($rest),*)
    };
}

/// Users by a condition, each with the password's hash.
macro_rules! select_credentials {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", u.password_hash FROM users u WHERE ",
            $condition
        )
    };
}

/// Who may be found by `$1`, after `$2`; conditions of both searches. Blocks are looked up one by one: a join of them
/// all would be sorted before the page is cut.
macro_rules! findable {
    () => {
        "u.id > $2 AND u.id <> $1 AND u.searchable \
         AND (SELECT b.blocker_id FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = $1) IS NULL \
         AND (SELECT b.blocker_id FROM blocks b WHERE b.blocker_id = $1 AND b.blocked_id = u.id) IS NULL \
         ORDER BY u.id LIMIT $3"
    };
}

pub(crate) const SEARCH_ALL: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users u WHERE ",
    findable!()
);

/// `$4` is the prefix and `$5` where it ends.
pub(crate) const SEARCH_PREFIX: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM (\
       SELECT id FROM users WHERE username_key >= $4 AND username_key < $5 AND id > $2 \
       UNION \
       SELECT id FROM users WHERE display_key >= $4 AND display_key < $5 AND id > $2) named \
     JOIN users u ON u.id = named.id WHERE ",
    findable!()
);

pub(crate) const BY_ID: &str = select_users!("u.id = ANY($1)");

const INSERT: &str = "INSERT INTO users \
    (id, username, username_key, email, email_key, display_name, display_key, avatar_url, bio, \
     status, status_text, presence, read_receipts, searchable, last_seen_at, created_at, updated_at, \
     password_hash) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

const UPDATE: &str = "UPDATE users SET \
    username = $2, username_key = $3, email = $4, email_key = $5, display_name = $6, \
    display_key = $7, avatar_url = $8, bio = $9, status = $10, status_text = $11, presence = $12, \
    read_receipts = $13, searchable = $14, last_seen_at = $15, created_at = $16, updated_at = $17 \
    WHERE id = $1";

pub(crate) const TOUCH: &str = "UPDATE users u SET last_seen_at = seen.at \
    FROM unnest($1::uuid[], $2::int8[]) seen(id, at) \
    WHERE u.id = seen.id AND (u.last_seen_at IS NULL OR u.last_seen_at < seen.at)";

#[async_trait]
impl UserRepository for PostgresStorage {
    async fn create(&self, new: &NewUser) -> Result<()> {
        self.writing(move || create(self, new)).await
    }

    async fn get(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.get_many(&[id]).await?.pop())
    }

    async fn get_many(&self, ids: &[UserId]) -> Result<Vec<User>> {
        self.reading(move || get_many(self, ids)).await
    }

    async fn credentials_by_login(&self, key: &str) -> Result<Option<Credentials>> {
        if key.contains('\0') {
            return Ok(None);
        }
        self.reading(move || credentials_by_login(self, key)).await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        self.reading(move || credentials(self, id)).await
    }

    async fn update(&self, id: UserId, patch: &UserPatch, now: Timestamp) -> Result<Option<User>> {
        self.writing(move || update(self, id, patch, now)).await
    }

    async fn change_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        self.writing(move || change_password(self, id, hash, keep, now))
            .await
    }

    async fn touch_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut latest = BTreeMap::new();
        for (user, at) in seen {
            let known = latest.entry(*user).or_insert(*at);
            *known = (*known).max(*at);
        }
        let latest = &latest;
        self.writing(move || touch_last_seen(self, latest)).await
    }

    async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User, UserId>> {
        let prefix = &fold(prefix);
        // PostgreSQL refuses it, and no name has it
        if prefix.contains('\0') {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let users = self
            .reading(move || search(self, viewer, prefix, after, limit))
            .await?;
        Ok(Page::cut(users, limit, |user| user.id))
    }
}

async fn create(storage: &PostgresStorage, new: &NewUser) -> Result<()> {
    let mut tx = storage.write().await?;
    bind(INSERT, &new.user)
        .bind(&new.password_hash.0)
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()
}

async fn get_many(storage: &PostgresStorage, ids: &[UserId]) -> Result<Vec<User>> {
    sqlx::query(BY_ID)
        .bind(uuids(ids.iter().copied()))
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::user)
        .collect()
}

async fn credentials_by_login(storage: &PostgresStorage, key: &str) -> Result<Option<Credentials>> {
    let sql = if key.contains('@') {
        select_credentials!("u.email_key = $1")
    } else {
        select_credentials!("u.username_key = $1")
    };
    sqlx::query(sql)
        .bind(key)
        .fetch_optional(storage.look().await?)
        .await
        .in_domain()?
        .map(|row| read_credentials(&row))
        .transpose()
}

async fn credentials(storage: &PostgresStorage, id: UserId) -> Result<Option<Credentials>> {
    sqlx::query(select_credentials!("u.id = $1"))
        .bind(id.as_uuid())
        .fetch_optional(storage.look().await?)
        .await
        .in_domain()?
        .map(|row| read_credentials(&row))
        .transpose()
}

async fn update(
    storage: &PostgresStorage,
    id: UserId,
    patch: &UserPatch,
    now: Timestamp,
) -> Result<Option<User>> {
    let mut tx = storage.write().await?;
    let user = change(&mut tx, id, patch, now).await?;
    tx.commit().await.in_domain()?;
    Ok(user)
}

pub(crate) async fn change(
    tx: &mut Tx,
    id: UserId,
    patch: &UserPatch,
    now: Timestamp,
) -> Result<Option<User>> {
    let Some(before) = lock(tx, id).await? else {
        return Ok(None);
    };
    let after = patch.apply(before.clone(), now);
    bind(UPDATE, &after).execute(&mut **tx).await.in_domain()?;
    if after.avatar_url != before.avatar_url {
        condemn_avatar(tx, AvatarOwner::User(id)).await?;
    }
    Ok(Some(after))
}

async fn change_password(
    storage: &PostgresStorage,
    id: UserId,
    hash: &PasswordHash,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    let mut tx = storage.write().await?;
    let done = sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(id.as_uuid())
        .bind(&hash.0)
        .execute(&mut *tx)
        .await
        .in_domain()?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound(Entity::User));
    }
    let ended = session::end_all(&mut tx, id, keep, now).await?;
    tx.commit().await.in_domain()?;
    Ok(ended)
}

async fn touch_last_seen(
    storage: &PostgresStorage,
    latest: &BTreeMap<UserId, Timestamp>,
) -> Result<()> {
    let mut tx = storage.write().await?;
    sqlx::query(TOUCH)
        .bind(latest.keys().map(|user| user.as_uuid()).bind_iter())
        .bind(latest.values().map(|at| at.as_millis()).bind_iter())
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()
}

async fn search(
    storage: &PostgresStorage,
    viewer: UserId,
    prefix: &str,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Vec<User>> {
    let query = sqlx::query(if prefix.is_empty() {
        SEARCH_ALL
    } else {
        SEARCH_PREFIX
    })
    .bind(viewer.as_uuid())
    .bind(or_least(after))
    .bind(limit.and_one());
    let query = if prefix.is_empty() {
        query
    } else {
        query.bind(prefix).bind(after_prefix(prefix))
    };
    query
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::user)
        .collect()
}

/// The user, whom nobody else changes until the transaction ends.
async fn lock(connection: &mut PgConnection, id: UserId) -> Result<Option<User>> {
    sqlx::query(select_users!("u.id = $1 FOR NO KEY UPDATE"))
        .bind(id.as_uuid())
        .fetch_optional(connection)
        .await
        .in_domain()?
        .as_ref()
        .map(rows::user)
        .transpose()
}

fn read_credentials(row: &PgRow) -> Result<Credentials> {
    Ok(Credentials {
        user: rows::user(row)?,
        password_hash: PasswordHash(row.try_get(USER_WIDTH).in_domain()?),
    })
}

/// All of a user but the password's hash, in the order of [`INSERT`] and [`UPDATE`].
fn bind<'q>(sql: &'static str, user: &'q User) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql)
        .bind(user.id.as_uuid())
        .bind(user.username.as_str())
        .bind(user.username.key())
        .bind(user.email.as_str())
        .bind(user.email.key())
        .bind(&user.display_name)
        .bind(fold(&user.display_name))
        .bind(&user.avatar_url)
        .bind(&user.bio)
        .bind(user.status.as_str())
        .bind(&user.status_text)
        .bind(user.privacy.presence.as_str())
        .bind(user.privacy.read_receipts)
        .bind(user.privacy.searchable)
        .bind(user.last_seen_at.map(Timestamp::as_millis))
        .bind(user.created_at.as_millis())
        .bind(user.updated_at.as_millis())
}
