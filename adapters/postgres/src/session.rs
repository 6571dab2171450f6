use async_trait::async_trait;
use connexus_domain::ports::SessionRepository;
use connexus_domain::session::{NewSession, Rotation, TokenHash};
use connexus_domain::{Entity, Limit, Result, Session, SessionId, Timestamp, UserId};
use sqlx::{PgConnection, Row as _};

use crate::error::InDomain as _;
use crate::rows::{self, SESSION_WIDTH, session_columns};
use crate::sql::{or_least, uuids};
use crate::storage::{PostgresStorage, Tx};

/// Both rows are locked, so that both are read again after waiting for somebody who rotates.
pub(crate) const BY_TOKEN: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", t.is_current FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id \
     WHERE t.hash = $1 FOR UPDATE OF s, t"
);

pub(crate) const BY_IDS: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions s WHERE s.id = ANY($1::uuid[])"
);

pub(crate) const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions s WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 \
     ORDER BY s.last_used_at DESC, s.id DESC"
);

pub(crate) const END_ALL: &str = "UPDATE sessions SET revoked_at = $3 \
    WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL AND expires_at > $3 RETURNING id";

pub(crate) const PURGE: &str = "DELETE FROM sessions WHERE id = ANY(ARRAY(\
    SELECT id FROM sessions WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

#[async_trait]
impl SessionRepository for PostgresStorage {
    async fn open(&self, new: &NewSession) -> Result<()> {
        self.writing(move || open(self, new)).await
    }

    async fn rotate(
        &self,
        presented: TokenHash,
        next: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation> {
        self.writing(move || rotate(self, presented, next, expires_at, now))
            .await
    }

    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Session>> {
        self.reading(move || get_many(self, ids)).await
    }

    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
        self.reading(move || list(self, user, now)).await
    }

    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool> {
        self.writing(move || revoke(self, user, id, now)).await
    }

    async fn revoke_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>> {
        self.writing(move || revoke_all(self, user, keep, now))
            .await
    }

    async fn purge_ended(&self, before: Timestamp, limit: Limit) -> Result<u64> {
        self.writing(move || purge_ended(self, before, limit)).await
    }
}

async fn open(storage: &PostgresStorage, new: &NewSession) -> Result<()> {
    let session = &new.session;
    let mut tx = storage.write().await?;
    sqlx::query(
        "INSERT INTO sessions \
         (id, user_id, device, created_at, last_used_at, expires_at, revoked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(session.id.as_uuid())
    .bind(session.user_id.as_uuid())
    .bind(&session.device)
    .bind(session.created_at.as_millis())
    .bind(session.last_used_at.as_millis())
    .bind(session.expires_at.as_millis())
    .bind(session.revoked_at.map(Timestamp::as_millis))
    .execute(&mut *tx)
    .await
    .in_domain_or_missing(Entity::User)?;
    insert_token(&mut tx, session.id, new.refresh).await?;
    tx.commit().await.in_domain()
}

async fn rotate(
    storage: &PostgresStorage,
    presented: TokenHash,
    next: TokenHash,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<Rotation> {
    let mut tx = storage.write().await?;
    let Some((session, is_current)) = find_by_token(&mut tx, presented).await? else {
        return Ok(Rotation::Unknown);
    };
    if !session.is_live(now) {
        return Ok(Rotation::Ended);
    }
    let rotation = if is_current {
        let session = Session {
            last_used_at: now,
            expires_at,
            ..session
        };
        replace_token(&mut tx, &session, presented, next).await?;
        Rotation::Rotated(session)
    } else {
        let session = Session {
            revoked_at: Some(now),
            ..session
        };
        sqlx::query("UPDATE sessions SET revoked_at = $2 WHERE id = $1")
            .bind(session.id.as_uuid())
            .bind(now.as_millis())
            .execute(&mut *tx)
            .await
            .in_domain()?;
        Rotation::Reused(session)
    };
    tx.commit().await.in_domain()?;
    Ok(rotation)
}

async fn get_many(storage: &PostgresStorage, ids: &[SessionId]) -> Result<Vec<Session>> {
    sqlx::query(BY_IDS)
        .bind(uuids(ids.iter().copied()))
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::session)
        .collect()
}

async fn list(storage: &PostgresStorage, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
    sqlx::query(LIST)
        .bind(user.as_uuid())
        .bind(now.as_millis())
        .fetch_all(storage.look().await?)
        .await
        .in_domain()?
        .iter()
        .map(rows::session)
        .collect()
}

async fn revoke(
    storage: &PostgresStorage,
    user: UserId,
    id: SessionId,
    now: Timestamp,
) -> Result<bool> {
    let mut tx = storage.write().await?;
    let done = sqlx::query(
        "UPDATE sessions SET revoked_at = $3 \
         WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3",
    )
    .bind(id.as_uuid())
    .bind(user.as_uuid())
    .bind(now.as_millis())
    .execute(&mut *tx)
    .await
    .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected() > 0)
}

async fn revoke_all(
    storage: &PostgresStorage,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    let mut tx = storage.write().await?;
    let ended = end_all(&mut tx, user, keep, now).await?;
    tx.commit().await.in_domain()?;
    Ok(ended)
}

async fn purge_ended(storage: &PostgresStorage, before: Timestamp, limit: Limit) -> Result<u64> {
    let mut tx = storage.write().await?;
    // their tokens go with them
    let done = sqlx::query(PURGE)
        .bind(before.as_millis())
        .bind(limit.and_one() - 1)
        .execute(&mut *tx)
        .await
        .in_domain()?;
    tx.commit().await.in_domain()?;
    Ok(done.rows_affected())
}

/// Ends all live sessions of `user` but `keep`.
pub(crate) async fn end_all(
    connection: &mut PgConnection,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    sqlx::query(END_ALL)
        .bind(user.as_uuid())
        .bind(or_least(keep))
        .bind(now.as_millis())
        .fetch_all(connection)
        .await
        .in_domain()?
        .iter()
        .map(|row| rows::id(row, 0).map(SessionId::from_uuid))
        .collect()
}

async fn find_by_token(tx: &mut Tx, hash: TokenHash) -> Result<Option<(Session, bool)>> {
    let row = sqlx::query(BY_TOKEN)
        .bind(hash.0.to_vec())
        .fetch_optional(&mut **tx)
        .await
        .in_domain()?;
    row.map(|row| {
        let is_current = row.try_get(SESSION_WIDTH).in_domain()?;
        Ok((rows::session(&row)?, is_current))
    })
    .transpose()
}

async fn replace_token(
    tx: &mut Tx,
    session: &Session,
    presented: TokenHash,
    next: TokenHash,
) -> Result<()> {
    sqlx::query("UPDATE refresh_tokens SET is_current = FALSE WHERE hash = $1")
        .bind(presented.0.to_vec())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    insert_token(tx, session.id, next).await?;
    sqlx::query("UPDATE sessions SET last_used_at = $2, expires_at = $3 WHERE id = $1")
        .bind(session.id.as_uuid())
        .bind(session.last_used_at.as_millis())
        .bind(session.expires_at.as_millis())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}

async fn insert_token(tx: &mut Tx, session: SessionId, hash: TokenHash) -> Result<()> {
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, is_current) VALUES ($1, $2, TRUE)")
        .bind(hash.0.to_vec())
        .bind(session.as_uuid())
        .execute(&mut **tx)
        .await
        .in_domain()?;
    Ok(())
}
