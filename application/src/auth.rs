//! Registration, logins, tokens, sessions.

use std::sync::Arc;

use connexus_domain::ports::{AccessClaims, NewUser, PasswordHash};
use connexus_domain::session::{DEVICE_MAX, NewSession, Rotation};
use connexus_domain::user::{DISPLAY_NAME_MAX, check_new_password};
use connexus_domain::{
    AuthFailure, Email, Entity, Error, FieldError, Privacy, Result, Session, SessionId, Status,
    Timestamp, User, UserId, Username, text,
};

use crate::Actor;
use crate::context::{Context, to_its_end};

/// An account to make.
#[derive(Debug, Clone)]
pub struct Register {
    /// Wanted username.
    pub username: String,
    /// E-mail address.
    pub email: String,
    /// New password.
    pub password: String,
    /// What people call the user; the username when absent.
    pub display_name: Option<String>,
    /// What the client calls its device.
    pub device: Option<String>,
    /// The dialect that asks, if one does.
    pub dialect: Option<&'static str>,
}

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// Username or e-mail address.
    pub identifier: String,
    /// The password.
    pub password: String,
    /// What the client calls its device.
    pub device: Option<String>,
    /// The dialect that asks, if one does.
    pub dialect: Option<&'static str>,
}

/// What a client gets for proving who it is.
#[derive(Clone)]
pub struct Tokens {
    /// The account.
    pub user: User,
    /// The session.
    pub session_id: SessionId,
    /// For the `Authorization` header.
    pub access_token: String,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// For one refresh.
    pub refresh_token: String,
    /// When the refresh token ends.
    pub refresh_expires_at: Timestamp,
    /// When they were made.
    pub issued_at: Timestamp,
}

/// Registration, logins, tokens, sessions.
pub struct Auth {
    context: Arc<Context>,
}

impl Auth {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Makes an account and its first session.
    pub async fn register(&self, input: &Register) -> Result<Tokens> {
        let context = &self.context;
        let mut wrong = Vec::new();
        let username = collect(&mut wrong, Username::parse(&input.username))?;
        let email = collect(&mut wrong, Email::parse(&input.email))?;
        let min = context.password_min(input.dialect.is_some());
        collect(
            &mut wrong,
            check_new_password("password", &input.password, min),
        )?;
        let display_name = input.display_name.as_deref().unwrap_or(&input.username);
        let display_name = collect(
            &mut wrong,
            text::line("display_name", display_name, DISPLAY_NAME_MAX),
        )?;
        let device = collect(&mut wrong, device(input.device.as_deref()))?;
        let (Some(username), Some(email), Some(display_name), Some(device), true) =
            (username, email, display_name, device, wrong.is_empty())
        else {
            return Err(Error::Invalid(wrong));
        };
        let password_hash = context.passwords.hash(&input.password).await?;
        let now = context.now();
        let user = User {
            id: UserId::from_uuid(context.ids.next()),
            username,
            email,
            display_name,
            avatar_url: None,
            bio: None,
            status: Status::Online,
            status_text: None,
            privacy: Privacy::default(),
            last_seen_at: None,
            created_at: now,
            updated_at: now,
        };
        context
            .storage
            .users()
            .create(&NewUser {
                user: user.clone(),
                password_hash,
            })
            .await?;
        tracing::info!(user_id = %user.id, "registered");
        self.open_session(user, device, input.dialect).await
    }

    /// Opens a session. A wrong password and an unknown user are told alike, after the same work.
    pub async fn login(&self, input: &Login) -> Result<Tokens> {
        let device = device(input.device.as_deref())?;
        // what is longer is nobody's name or address, nor anybody's password
        let plausible = input.identifier.len() <= 1_024 && input.password.len() <= 1_024;
        let key = text::fold(input.identifier.trim());
        let usable = plausible && !key.contains('\0');
        let found = if usable {
            self.context
                .storage
                .users()
                .credentials_by_login(&key)
                .await?
        } else {
            None
        };
        let password = if plausible {
            input.password.as_str()
        } else {
            ""
        };
        let hash = found.as_ref().map(|credentials| &credentials.password_hash);
        let matches = self.context.passwords.verify(password, hash).await?;
        match found {
            Some(credentials) if matches => {
                let (user, hash) = (credentials.user.id, credentials.password_hash);
                let tokens = self
                    .open_session(credentials.user, device, input.dialect)
                    .await?;
                self.check_unchanged(user, &hash, tokens.session_id).await?;
                Ok(tokens)
            }
            _ => Err(Error::Unauthenticated(AuthFailure::Credentials)),
        }
    }

    /// Ends a session that was opened with a password which was changed meanwhile: the change has ended only those that
    /// there were. One that was opened while the change was being committed, [the change](end_late) ends.
    async fn check_unchanged(
        &self,
        user: UserId,
        hash: &PasswordHash,
        session: SessionId,
    ) -> Result<()> {
        let now = self.context.storage.users().credentials(user).await?;
        if now.is_some_and(|now| now.password_hash == *hash) {
            return Ok(());
        }
        // which may have ended it, too
        self.logout(&Actor::new(user, session)).await?;
        Err(Error::Unauthenticated(AuthFailure::Credentials))
    }

    /// Exchanges a refresh token for new tokens. Each works once; a second use ends the session.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        dialect: Option<&'static str>,
    ) -> Result<Tokens> {
        let context = &self.context;
        let now = context.now();
        let presented = context.tokens.hash_refresh(refresh_token);
        let next = context.tokens.issue_refresh()?;
        let expires_at = now.plus(context.settings.auth.refresh_ttl);
        let rotating = {
            let context = Arc::clone(context);
            async move {
                let sessions = context.storage.sessions();
                let rotation = sessions.rotate(presented, next.hash, expires_at, now);
                let rotation = rotation.await?;
                if let Rotation::Reused(session) = &rotation {
                    tracing::warn!(user_id = %session.user_id, session_id = %session.id, "a refresh token was used twice");
                    end(&context, session.user_id, &[session.id]).await;
                }
                Ok(rotation)
            }
        };
        let session = match to_its_end(rotating).await? {
            Rotation::Rotated(session) => session,
            Rotation::Reused(_) => {
                return Err(Error::Unauthenticated(AuthFailure::ReusedRefreshToken));
            }
            Rotation::Ended => return Err(Error::Unauthenticated(AuthFailure::RevokedSession)),
            Rotation::Unknown => return Err(Error::Unauthenticated(AuthFailure::InvalidToken)),
        };
        let user = context.storage.users().get(session.user_id).await?;
        let user = user.ok_or(Error::Unauthenticated(AuthFailure::RevokedSession))?;
        self.tokens(user, session.id, dialect, next.token, expires_at, now)
    }

    /// Who an access token belongs to, if its session still lives.
    pub async fn authenticate(&self, access_token: &str) -> Result<Actor> {
        let context = &self.context;
        let claims = context.tokens.verify_access(access_token, context.now())?;
        let live = context
            .sessions
            .try_get_with(claims.session_id, self.load_session(claims.session_id))
            .await;
        if context.ended_sessions.contains_key(&claims.session_id) {
            // ended while it was looked up
            return Err(Error::Unauthenticated(AuthFailure::RevokedSession));
        }
        match live {
            Ok(user_id) if user_id == claims.user_id => Ok(Actor {
                dialect: claims.dialect,
                ..Actor::new(user_id, claims.session_id)
            }),
            Ok(_) => Err(Error::Unauthenticated(AuthFailure::InvalidToken)),
            Err(error) => Err(Error::clone(&error)),
        }
    }

    /// Whether the actor's session was ended here a moment ago: to be asked once a socket is attached,
    /// since the sockets of a session are closed but once.
    pub fn was_ended(&self, actor: &Actor) -> bool {
        self.context.ended_sessions.contains_key(&actor.session_id)
    }

    async fn load_session(&self, id: SessionId) -> Result<UserId> {
        match self.context.sessions_by_id.get(id).await? {
            Some(session) if session.is_live(self.context.now()) => Ok(session.user_id),
            _ => Err(Error::Unauthenticated(AuthFailure::RevokedSession)),
        }
    }

    /// Ends the asker's own session.
    pub async fn logout(&self, actor: &Actor) -> Result<()> {
        self.revoke(actor, actor.session_id)
            .await
            .or_else(|error| match error {
                Error::NotFound(_) => Ok(()),
                other => Err(other),
            })
    }

    /// Changes the password; all other sessions end.
    pub async fn change_password(&self, actor: &Actor, current: &str, new: &str) -> Result<()> {
        let context = &self.context;
        let min = context.password_min(actor.dialect.is_some());
        check_new_password("new_password", new, min)?;
        let credentials = context.storage.users().credentials(actor.user_id).await?;
        let credentials = credentials.ok_or(Error::NotFound(Entity::User))?;
        let current = if current.len() <= 1_024 { current } else { "" };
        if !context
            .passwords
            .verify(current, Some(&credentials.password_hash))
            .await?
        {
            return Err(Error::Unauthenticated(AuthFailure::Credentials));
        }
        let hash = context.passwords.hash(new).await?;
        let (context, user, kept) = (Arc::clone(context), actor.user_id, actor.session_id);
        to_its_end(async move {
            let users = context.storage.users();
            let ended = users
                .change_password(user, &hash, Some(kept), context.now())
                .await?;
            tracing::info!(user_id = %user, sessions_ended = ended.len(), "password changed");
            end(&context, user, &ended).await;
            end_late(&context, user, kept).await
        })
        .await
    }

    /// The asker's live sessions, the latest used first.
    pub async fn sessions(&self, actor: &Actor) -> Result<Vec<Session>> {
        self.context
            .storage
            .sessions()
            .list(actor.user_id, self.context.now())
            .await
    }

    /// Ends one of the asker's sessions.
    pub async fn revoke(&self, actor: &Actor, id: SessionId) -> Result<()> {
        let (context, user) = (Arc::clone(&self.context), actor.user_id);
        to_its_end(async move {
            let sessions = context.storage.sessions();
            match sessions.revoke(user, id, context.now()).await {
                Ok(true) => {
                    end(&context, user, &[id]).await;
                    Ok(())
                }
                // it may have ended before whoever asked first could be told
                other => {
                    context.sessions.invalidate(&id).await;
                    context.hub.close_sessions(user, &[id]);
                    other.and(Err(Error::NotFound(Entity::Session)))
                }
            }
        })
        .await
    }

    async fn open_session(
        &self,
        user: User,
        device: Option<String>,
        dialect: Option<&'static str>,
    ) -> Result<Tokens> {
        let context = &self.context;
        let now = context.now();
        let refresh = context.tokens.issue_refresh()?;
        let expires_at = now.plus(context.settings.auth.refresh_ttl);
        let session = Session {
            id: SessionId::from_uuid(context.ids.next()),
            user_id: user.id,
            device,
            created_at: now,
            last_used_at: now,
            expires_at,
            revoked_at: None,
        };
        let id = session.id;
        context
            .storage
            .sessions()
            .open(&NewSession {
                session,
                refresh: refresh.hash,
            })
            .await?;
        self.tokens(user, id, dialect, refresh.token, expires_at, now)
    }

    fn tokens(
        &self,
        user: User,
        session_id: SessionId,
        dialect: Option<&'static str>,
        refresh_token: String,
        refresh_expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Tokens> {
        let access_expires_at = now.plus(match dialect {
            Some(_) => self.context.settings.auth.dialect_access_ttl,
            None => self.context.settings.auth.access_ttl,
        });
        let access_token = self.context.tokens.issue_access(&AccessClaims {
            user_id: user.id,
            session_id,
            username: user.username.as_str().to_owned(),
            dialect: dialect.map(Into::into),
            issued_at: now,
            expires_at: access_expires_at,
        })?;
        Ok(Tokens {
            user,
            session_id,
            access_token,
            access_expires_at,
            refresh_token,
            refresh_expires_at,
            issued_at: now,
        })
    }
}

impl Context {
    fn password_min(&self, in_a_dialect: bool) -> usize {
        let auth = &self.settings.auth;
        if in_a_dialect {
            auth.dialect_password_min
        } else {
            auth.password_min
        }
    }
}

fn device(name: Option<&str>) -> Result<Option<String>> {
    name.map_or(Ok(None), |name| {
        text::optional_line("device", name, DEVICE_MAX)
    })
}

/// Gathers the fields that are wrong, so that all are told at once. `None` stands for a wrong one.
pub(crate) fn collect<T>(wrong: &mut Vec<FieldError>, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Invalid(fields)) => {
            wrong.extend(fields);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Forgets that these sessions lived, and closes their sockets.
async fn end(context: &Context, user: UserId, sessions: &[SessionId]) {
    for id in sessions {
        context.ended_sessions.insert(*id, ()).await;
        context.sessions.invalidate(id).await;
    }
    context.hub.close_sessions(user, sessions);
}

/// Ends the sessions that were opened while the password was changed, with the one before.
async fn end_late(context: &Context, user: UserId, kept: SessionId) -> Result<()> {
    let now = context.now();
    let sessions = context.storage.sessions();
    for session in sessions.list(user, now).await? {
        let is_late = session.id != kept && session.created_at <= now;
        if is_late && sessions.revoke(user, session.id, now).await? {
            end(context, user, &[session.id]).await;
        }
    }
    Ok(())
}
