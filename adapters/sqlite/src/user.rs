use async_trait::async_trait;
use connexus_domain::attachment::AvatarOwner;
use connexus_domain::ports::{Credentials, NewUser, PasswordHash, UserRepository};
use connexus_domain::text::fold;
use connexus_domain::{
    Entity, Error, Limit, Page, Result, SessionId, Timestamp, User, UserId, UserPatch,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteExecutor};

use crate::attachment::condemn_avatar;
use crate::error::InDomain as _;
use crate::rows::{self, USER_WIDTH, user_columns};
use crate::session;
use crate::sql::{JsonArray, after_prefix, bytes_or_least, json_ids};
use crate::storage::{SqliteStorage, Tx};

/// Who may be found by `?1`, after `?2`; conditions of both searches.
macro_rules! findable {
    () => {
        "u.id > ?2 AND u.id <> ?1 AND u.searchable \
         AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = ?1) \
         AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = ?1 AND b.blocked_id = u.id) \
         ORDER BY u.id LIMIT +?3"
    };
}

pub(crate) const SEARCH_ALL: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users u WHERE ",
    findable!()
);

/// `?4` is the prefix and `?5` where it ends; a blob is greater than every text.
pub(crate) const SEARCH_PREFIX: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users u WHERE u.id IN (\
       SELECT id FROM users WHERE username_key >= ?4 AND username_key < coalesce(?5, x'') AND id > ?2 \
       UNION \
       SELECT id FROM users WHERE display_key >= ?4 AND display_key < coalesce(?5, x'') AND id > ?2) AND ",
    findable!()
);

const INSERT: &str = "INSERT INTO users \
    (id, username, username_key, email, email_key, display_name, display_key, avatar_url, bio, \
     status, status_text, presence, read_receipts, searchable, last_seen_at, created_at, updated_at, \
     password_hash) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

const UPDATE: &str = "UPDATE users SET \
    username = ?2, username_key = ?3, email = ?4, email_key = ?5, display_name = ?6, \
    display_key = ?7, avatar_url = ?8, bio = ?9, status = ?10, status_text = ?11, presence = ?12, \
    read_receipts = ?13, searchable = ?14, last_seen_at = ?15, created_at = ?16, updated_at = ?17 \
    WHERE id = ?1";

#[async_trait]
impl UserRepository for SqliteStorage {
    async fn create(&self, new: &NewUser) -> Result<()> {
        let mut tx = self.write().await?;
        bind(INSERT, &new.user)
            .bind(&new.password_hash.0)
            .execute(&mut *tx)
            .await
            .in_domain()?;
        tx.commit().await.in_domain()
    }

    async fn get(&self, id: UserId) -> Result<Option<User>> {
        find(&self.readers, id).await
    }

    async fn get_many(&self, ids: &[UserId]) -> Result<Vec<User>> {
        sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users u WHERE u.id IN (SELECT unhex(value) FROM json_each(?1))"
        ))
        .bind(json_ids(ids.iter().copied()))
        .fetch_all(&self.readers)
        .await
        .in_domain()?
        .iter()
        .map(rows::user)
        .collect()
    }

    async fn credentials_by_login(&self, key: &str) -> Result<Option<Credentials>> {
        let sql = if key.contains('@') {
            concat!(
                "SELECT ",
                user_columns!(),
                ", u.password_hash FROM users u WHERE u.email_key = ?1"
            )
        } else {
            concat!(
                "SELECT ",
                user_columns!(),
                ", u.password_hash FROM users u WHERE u.username_key = ?1"
            )
        };
        sqlx::query(sql)
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .in_domain()?
            .map(|row| credentials(&row))
            .transpose()
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", u.password_hash FROM users u WHERE u.id = ?1"
        ))
        .bind(id.as_uuid())
        .fetch_optional(&self.readers)
        .await
        .in_domain()?
        .map(|row| credentials(&row))
        .transpose()
    }

    async fn update(&self, id: UserId, patch: &UserPatch, now: Timestamp) -> Result<Option<User>> {
        let mut tx = self.write().await?;
        let user = change(&mut tx, id, patch, now).await?;
        tx.commit().await.in_domain()?;
        Ok(user)
    }

    async fn change_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        let mut tx = self.write().await?;
        let done = sqlx::query("UPDATE users SET password_hash = ?2 WHERE id = ?1")
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

    async fn touch_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut rows = JsonArray::new();
        for (user, at) in seen {
            rows.row(|row| {
                row.id(*user).number(at.as_millis());
            });
        }
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE users SET last_seen_at = seen.at \
             FROM (SELECT unhex(value ->> 0) AS id, max(value ->> 1) AS at FROM json_each(?1) GROUP BY 1) seen \
             WHERE users.id = seen.id AND coalesce(users.last_seen_at < seen.at, TRUE)",
        )
        .bind(rows.finish())
        .execute(&mut *tx)
        .await
        .in_domain()?;
        tx.commit().await.in_domain()
    }

    async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User, UserId>> {
        let prefix = fold(prefix);
        let query = sqlx::query(if prefix.is_empty() {
            SEARCH_ALL
        } else {
            SEARCH_PREFIX
        })
        .bind(viewer.as_uuid())
        .bind(bytes_or_least(after))
        .bind(limit.and_one());
        let query = if prefix.is_empty() {
            query
        } else {
            let end = after_prefix(&prefix);
            query.bind(prefix).bind(end)
        };
        let users = query
            .fetch_all(&self.readers)
            .await
            .in_domain()?
            .iter()
            .map(rows::user)
            .collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(users, limit, |user| user.id))
    }
}

async fn find(executor: impl SqliteExecutor<'_>, id: UserId) -> Result<Option<User>> {
    sqlx::query(concat!(
        "SELECT ",
        user_columns!(),
        " FROM users u WHERE u.id = ?1"
    ))
    .bind(id.as_uuid())
    .fetch_optional(executor)
    .await
    .in_domain()?
    .as_ref()
    .map(rows::user)
    .transpose()
}

pub(crate) async fn change(
    tx: &mut Tx,
    id: UserId,
    patch: &UserPatch,
    now: Timestamp,
) -> Result<Option<User>> {
    let Some(before) = find(&mut **tx, id).await? else {
        return Ok(None);
    };
    let after = patch.apply(before.clone(), now);
    bind(UPDATE, &after).execute(&mut **tx).await.in_domain()?;
    if after.avatar_url != before.avatar_url {
        condemn_avatar(tx, AvatarOwner::User(id)).await?;
    }
    Ok(Some(after))
}

fn credentials(row: &SqliteRow) -> Result<Credentials> {
    Ok(Credentials {
        user: rows::user(row)?,
        password_hash: PasswordHash(row.try_get(USER_WIDTH).in_domain()?),
    })
}

/// All of a user but the password's hash, in the order of [`INSERT`] and [`UPDATE`].
fn bind<'q>(
    sql: &'static str,
    user: &'q User,
) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
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
