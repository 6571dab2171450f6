//! One socket: reads frames, starts what they ask for, answers, and keeps the time.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connexus_application::Actor;
use connexus_application::hub::{Connection, GuestRegistration, Registration, Worker};
use connexus_domain::ports::{LimitClass, Subject};
use connexus_domain::{Error, Result, UserId};
use connexus_upgrade::{Message, ProtocolError, Reader, Upgraded};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Gateway;
use crate::budget::Budget;
use crate::close::Close;
use crate::frame;
use crate::operations::{self, Step};
use crate::outbox::Outbox;
use crate::request;

/// How long a closed socket is listened to for the other side's close frame, and how long work that was
/// begun may go on while the server goes away.
const CLOSING: Duration = Duration::from_secs(5);
/// By then no event can be on its way any more that a sync has told.
const TOLD_FOR: Duration = Duration::from_mins(1);
/// How long events are kept back for a client that is in the middle of catching up.
const CATCHING_UP: Duration = Duration::from_secs(10);

pub struct Socket {
    pub gateway: Arc<Gateway>,
    pub outbox: Rc<Outbox>,
    pub address: IpAddr,
    reader: Reader,
    identity: Option<Identity>,
    guest: Option<GuestRegistration>,
    in_flight: FuturesUnordered<LocalBoxFuture<'static, Bytes>>,
    budget: Budget,
    heard_at: Instant,
    opened_at: Instant,
    /// Until when events are kept back.
    held_until: Option<Instant>,
    /// A sync has begun and not all is told: what comes must not be told before that is.
    behind: bool,
    told_until: Option<Instant>,
    pinged: bool,
}

struct Identity {
    actor: Actor,
    _registration: Registration,
}

impl Socket {
    pub fn new(gateway: Arc<Gateway>, outbox: Rc<Outbox>, address: IpAddr, reader: Reader) -> Self {
        let now = Instant::now();
        let settings = &gateway.settings;
        let budget = Budget::new(settings.frames_per_second, settings.bytes_per_second, now);
        Self {
            gateway,
            outbox,
            address,
            reader,
            identity: None,
            guest: None,
            in_flight: FuturesUnordered::new(),
            budget,
            heard_at: now,
            opened_at: now,
            held_until: None,
            behind: false,
            told_until: None,
            pinged: false,
        }
    }

    /// Proves who this is before the upgrade is answered, so that nothing that happens after that is
    /// missed.
    pub async fn enter(&mut self, token: Option<String>) {
        if let Some(token) = token
            && self.outbox.closed().is_none()
            && let Err(error) = self.authenticate(&token).await
        {
            tracing::debug!(%error, "a socket could not be authenticated");
            self.outbox
                .close(if matches!(error, Error::Unavailable { .. }) {
                    Close::Restart
                } else {
                    Close::Unauthenticated
                });
        }
        if self.identity.is_none() {
            let outlet = Rc::clone(&self.outbox) as Rc<_>;
            self.guest = Some(Worker::here(self.gateway.app.hub()).welcome(outlet));
        }
    }

    pub async fn run(mut self: Box<Self>, upgraded: Upgraded) {
        self.outbox.start(upgraded);
        let mut timer = Box::pin(sleep_until(self.deadline()));
        while self.outbox.closed().is_none() {
            let room = self.in_flight.len() < self.gateway.settings.max_in_flight;
            tokio::select! {
                biased;
                () = self.outbox.closing() => {}
                Some(answer) = self.in_flight.next(), if !self.in_flight.is_empty() => self.outbox.push(answer),
                () = &mut timer => self.on_time(),
                message = self.reader.next(), if room => match message {
                    // apart, since all that it may do would have room in every idle socket
                    Some(message) => Box::pin(self.on_message(message)).await,
                    None => return,
                },
                // the last: what waits is written when there is nothing else to do
                error = self.outbox.broken() => {
                    tracing::debug!(%error, "a socket broke");
                    return;
                }
            }
            self.reset(&mut timer);
            if self.outbox.is_restarting() {
                Box::pin(self.finish()).await;
            }
        }
        // the connection goes when the other side has closed, or does not
        let drain = async {
            self.outbox.finish().await;
            while self.reader.next().await.is_some() {}
        };
        drop(tokio::time::timeout(CLOSING, drain).await);
    }

    /// The server goes away: what was begun is answered first.
    async fn finish(&mut self) {
        let rest = async {
            while let Some(answer) = self.in_flight.next().await {
                self.outbox.push(answer);
            }
        };
        drop(tokio::time::timeout(CLOSING, rest).await);
        self.outbox.close(Close::Restart);
    }

    async fn on_message(&mut self, message: std::result::Result<Message, ProtocolError>) {
        let now = Instant::now();
        self.heard_at = now;
        self.pinged = false;
        match message {
            Ok(Message::Text(text)) => {
                if self.budget.take(text.len(), now) {
                    self.on_text(&text).await;
                } else {
                    self.outbox.close(Close::TooFast);
                }
            }
            Ok(Message::Ping(payload)) => {
                if self.budget.take(payload.len(), now) {
                    self.outbox.push(frame::pong(&payload));
                } else {
                    self.outbox.close(Close::TooFast);
                }
            }
            Ok(Message::Pong) => {
                if !self.budget.take(0, now) {
                    self.outbox.close(Close::TooFast);
                }
            }
            Ok(Message::Binary(_)) => self.outbox.close(Close::Unsupported),
            Ok(Message::Close) => self.outbox.close(Close::Done),
            Err(error) => self.outbox.close(close_of(&error)),
        }
    }

    async fn on_text(&mut self, text: &str) {
        let request = match request::parse(text) {
            Ok(request) => request,
            Err(refused) => {
                self.go_live();
                self.outbox.push(frame::text(&refused));
                return;
            }
        };
        if !request.op.is_sync() && !request.op.is_auth() {
            self.go_live();
        }
        match operations::start(self, request).await {
            Step::Answer(answer) => self.outbox.push(frame::text(&answer)),
            Step::Later(work) => self.in_flight.push(work),
            Step::Done => {}
            Step::Close(answer, reason) => {
                self.outbox.push(frame::text(&answer));
                self.outbox.close(reason);
            }
        }
    }

    /// Proves who this is and attaches the socket to the hub.
    pub async fn authenticate(&mut self, token: &str) -> Result<Actor> {
        let app = Arc::clone(&self.gateway.app);
        let mut actor = app.auth.authenticate(token).await?;
        if let Some(known) = &self.identity {
            if known.actor.session_id == actor.session_id {
                return Ok(known.actor.clone());
            }
            return Err(Error::invalid(
                "token",
                "must be of the session that this socket belongs to",
            ));
        }
        let id = app.new_connection_id();
        actor.connection_id = Some(id);
        self.outbox.attach(id);
        self.hold(self.gateway.settings.sync_grace);
        let connection = Connection {
            id,
            user_id: actor.user_id,
            session_id: actor.session_id,
        };
        let registration =
            Worker::here(app.hub()).connect(connection, Rc::clone(&self.outbox) as Rc<_>);
        if app.auth.was_ended(&actor) {
            return Err(Error::Unauthenticated(
                connexus_domain::AuthFailure::RevokedSession,
            ));
        }
        self.guest = None;
        self.identity = Some(Identity {
            actor: actor.clone(),
            _registration: registration,
        });
        Ok(actor)
    }

    pub fn actor(&self) -> Option<&Actor> {
        self.identity.as_ref().map(|identity| &identity.actor)
    }

    /// Counts a request of this user; an error when it is one too many.
    pub fn check_rate(&self, class: LimitClass, user: UserId) -> Result<()> {
        self.check_subject(class, Subject::User(user))
    }

    /// Counts a request of this address; an error when it is one too many.
    pub fn check_address(&self, class: LimitClass) -> Result<()> {
        self.check_subject(class, Subject::Address(self.address))
    }

    fn check_subject(&self, class: LimitClass, subject: Subject) -> Result<()> {
        match self.gateway.limiter.check(class, subject) {
            Some(quota) if !quota.allowed => Err(Error::RateLimited {
                retry_after: quota.retry_after,
            }),
            _ => Ok(()),
        }
    }

    /// Keeps events back, for a `sync` that may come first or is under way.
    fn hold(&mut self, time: Duration) {
        self.outbox.hold();
        self.held_until = Some(Instant::now() + time);
    }

    /// Keeps events back while a sync is under way, and until one has told all.
    pub fn catch_up(&mut self) {
        self.behind = true;
        self.hold(CATCHING_UP);
    }

    /// Events come from now on, but those that a sync has told.
    pub fn caught_up(
        &mut self,
        told: std::collections::HashMap<connexus_domain::ConversationId, connexus_domain::Rev>,
    ) {
        self.held_until = None;
        self.behind = false;
        self.told_until = (!told.is_empty()).then(|| Instant::now() + TOLD_FOR);
        self.outbox.release(told);
    }

    /// The client does not want to catch up first. One that has begun to is not let go in the middle.
    fn go_live(&mut self) {
        if self.held_until.is_some() && !self.behind && self.outbox.is_holding() {
            self.caught_up(std::collections::HashMap::new());
        }
    }

    /// When something is to be done even if nothing comes.
    fn deadline(&self) -> Instant {
        let settings = &self.gateway.settings;
        let silence = self.heard_at + settings.ping_interval * if self.pinged { 2 } else { 1 };
        let auth = self
            .identity
            .is_none()
            .then(|| self.opened_at + settings.auth_timeout);
        [auth, self.held_until, self.told_until]
            .into_iter()
            .flatten()
            .fold(silence, Instant::min)
    }

    fn reset(&self, timer: &mut std::pin::Pin<Box<Sleep>>) {
        let deadline = self.deadline();
        if timer.deadline() != deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        let settings = &self.gateway.settings;
        if self.identity.is_none() && now >= self.opened_at + settings.auth_timeout {
            self.outbox.close(Close::AuthTimeout);
            return;
        }
        let silence = now.saturating_duration_since(self.heard_at);
        if silence >= settings.ping_interval * 2 && self.pinged {
            self.outbox.close(Close::Silent);
            return;
        }
        if silence >= settings.ping_interval && !self.pinged {
            self.pinged = true;
            self.outbox.push(frame::ping());
        }
        if self.held_until.is_some_and(|until| now >= until) {
            if self.behind {
                self.outbox.close(Close::Resume);
                return;
            }
            self.go_live();
            self.held_until = None;
        }
        if self.told_until.is_some_and(|until| now >= until) {
            self.told_until = None;
            self.outbox.forget_told();
        }
    }
}

fn close_of(error: &ProtocolError) -> Close {
    match error {
        ProtocolError::Overflow => Close::TooBig,
        ProtocolError::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => Close::NotUtf8,
        _ => Close::Protocol,
    }
}
