//! The use-cases of Connexus: one module per capability, one method per use-case.
//!
//! A use-case checks, calls ports, and hands events to the delivery hub. It knows no database, no HTTP
//! and no dialect; every inbound adapter calls the same methods of [`Connexus`].

mod access;
mod client_address;
mod context;
mod doubts;
mod gather;
mod housekeeping;
mod indexing;
mod lanes;
mod metered;
mod missed;
mod roster;
mod telling;
#[cfg(test)]
mod testing;

pub mod auth;
pub mod blocks;
pub mod conversations;
pub mod files;
pub mod hub;
pub mod members;
pub mod messages;
pub mod presence;
pub mod receipts;
mod recent;
pub mod scene;
pub mod settings;
pub mod sync;
pub mod typing;
pub mod users;

use std::sync::Arc;

use connexus_domain::ports::{
    BlobStore, Clock, IdSource, MediaIntake, PasswordHasher, Storage, TokenIssuer,
};
use connexus_domain::{ConnectionId, Result, SessionId, UserId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use client_address::{TrustedProxies, client_address};
pub use metered::Metered;
pub use missed::{Missed, MissedMessages};
pub use settings::Settings;

use context::Context;

/// Who asks, as proven by an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user_id: UserId,
    /// The session that the token belongs to.
    pub session_id: SessionId,
    /// The socket it came over; it gets its answer, and not the event as well.
    pub connection_id: Option<ConnectionId>,
    /// Whether no socket of the session is told either: for clients that take an answer over REST for the
    /// event.
    pub session_knows: bool,
    /// The dialect that the token was issued in.
    pub dialect: Option<Box<str>>,
}

impl Actor {
    /// One that acts for itself and over no socket.
    pub const fn new(user_id: UserId, session_id: SessionId) -> Self {
        Self {
            user_id,
            session_id,
            connection_id: None,
            session_knows: false,
            dialect: None,
        }
    }

    /// Who is not told what this one does.
    pub(crate) fn origin(&self) -> Option<hub::Exclusion> {
        match self.connection_id {
            _ if self.session_knows => Some(hub::Exclusion::Session(self.session_id)),
            Some(id) => Some(hub::Exclusion::Connection(id)),
            None => None,
        }
    }
}

/// What the application is built on.
pub struct Ports {
    /// The database.
    pub storage: Arc<dyn Storage>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// Password hashing.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Tokens.
    pub tokens: Arc<dyn TokenIssuer>,
    /// The bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Receives files.
    pub intake: Arc<dyn MediaIntake>,
}

/// All use-cases, and the tasks behind them.
pub struct Connexus {
    /// Registration, logins, sessions.
    pub auth: auth::Auth,
    /// Profiles and search of users.
    pub users: users::Users,
    /// Who does not want to hear from whom.
    pub blocks: blocks::Blocks,
    /// Conversations of all three kinds.
    pub conversations: conversations::Conversations,
    /// Members and their roles.
    pub members: members::Members,
    /// Messages and reactions.
    pub messages: messages::Messages,
    /// Delivered and read.
    pub receipts: receipts::Receipts,
    /// Who writes.
    pub typing: typing::Typing,
    /// Who is here.
    pub presence: presence::PresenceService,
    /// Files.
    pub files: files::Files,
    /// What changed since.
    pub sync: sync::Sync,
    /// Who and where.
    pub scenes: scene::SceneService,
    /// What was not handed over yet.
    pub missed: MissedMessages,
    context: Arc<Context>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Connexus {
    /// Wires the use-cases and starts their tasks on the current tokio runtime.
    pub fn start(ports: Ports, settings: Settings) -> Arc<Self> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let context = Context::new(ports, settings, &tasks);
        tasks.spawn(receipts::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(typing::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(presence::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(housekeeping::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(indexing::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(files::run(Arc::clone(&context), stop.clone()));
        tasks.spawn(doubts::run(Arc::clone(&context), stop.clone()));
        let share = || Arc::clone(&context);
        Arc::new(Self {
            auth: auth::Auth::new(share()),
            users: users::Users::new(share()),
            blocks: blocks::Blocks::new(share()),
            conversations: conversations::Conversations::new(share()),
            members: members::Members::new(share()),
            messages: messages::Messages::new(share()),
            receipts: receipts::Receipts::new(share()),
            typing: typing::Typing::new(share()),
            presence: presence::PresenceService::new(share()),
            files: files::Files::new(share()),
            sync: sync::Sync::new(share()),
            scenes: scene::SceneService::new(share()),
            missed: MissedMessages::new(share()),
            context,
            tasks,
            stop,
        })
    }

    /// Where connections attach to be told events.
    pub fn hub(&self) -> &Arc<hub::Hub> {
        &self.context.hub
    }

    /// The time as the application sees it.
    pub fn now(&self) -> connexus_domain::Timestamp {
        self.context.now()
    }

    /// A new id for a socket.
    pub fn new_connection_id(&self) -> ConnectionId {
        ConnectionId::from_uuid(self.context.ids.next())
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// Whether storage answers and takes writes; and the backend's name.
    pub async fn check_storage(&self) -> (&'static str, Result<()>) {
        (
            self.context.storage.name(),
            self.context.storage.ping().await,
        )
    }

    /// Finishes what was begun: pending writes, receipts, last-seen times. Call after all inbound
    /// adapters have stopped.
    pub async fn shutdown(&self) {
        self.context.lanes.close();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.context.storage.close().await;
    }
}
