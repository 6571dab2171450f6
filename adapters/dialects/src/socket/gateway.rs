//! New sockets: which dialect, and whose.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header;
use async_trait::async_trait;
use connexus_application::Actor;
use connexus_domain::ports::{LimitClass, Subject};
use connexus_domain::{AuthFailure, Error};
use connexus_socketio::{Handler, Handshake, Namespace, Refusal, Socket};
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::dialect::Dialect;
use crate::refused::Refused;
use crate::voice::{Greeting, Voice};
use crate::world::World;

/// The namespace `/` of all dialects.
pub struct Gateway {
    world: Arc<World>,
}

impl Gateway {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The dialect that the path or the handshake names.
    fn named(&self, handshake: &Handshake, auth: &Value) -> Option<&'static dyn Voice> {
        let by_path = Dialect::parse(handshake.label);
        let by_auth = || Dialect::parse(auth.get("dialect")?.as_str()?);
        let dialect = by_path.or_else(by_auth)?;
        let enabled = self.world.settings.enabled.contains(&dialect);
        enabled.then(|| crate::voice(dialect))
    }
}

#[async_trait(?Send)]
impl Namespace for Gateway {
    async fn connect(
        &self,
        socket: Socket,
        handshake: Rc<Handshake>,
        auth: Value,
    ) -> Result<Box<dyn Handler>, Refusal> {
        let world = Arc::clone(&self.world);
        let address = world.address(handshake.peer, &handshake.headers);
        let named = self.named(&handshake, &auth);
        let first = world.voices().next();
        let fallback = named
            .or(first)
            .unwrap_or_else(|| crate::voice(Dialect::Connexus));
        if let Err(error) = world.count(LimitClass::General, Subject::Address(address)) {
            return Err(refusal(fallback, &error.into()));
        }
        let Some(token) = token(&handshake, &auth) else {
            if named.is_some_and(|voice| voice.greeting() == Greeting::Handshake) {
                let missing = Error::Unauthenticated(AuthFailure::Missing);
                return Err(refusal(fallback, &missing.into()));
            }
            return Ok(Visitor::unknown(world, socket, address, named));
        };
        let actor = match world.app.auth.authenticate(&token).await {
            Ok(actor) => actor,
            // who can still say who it is may try
            Err(_) if named.is_some_and(|voice| voice.greeting() == Greeting::FirstEvent) => {
                return Ok(Visitor::unknown(world, socket, address, named));
            }
            Err(error) => return Err(refusal(fallback, &error.into())),
        };
        let voice = named.or_else(|| claimed(&world, &actor));
        Ok(Visitor::known(world, socket, address, actor, voice))
    }
}

/// The dialect that a token was issued in.
fn claimed(world: &World, actor: &Actor) -> Option<&'static dyn Voice> {
    let dialect = Dialect::parse(actor.dialect.as_deref()?)?;
    let enabled = world.settings.enabled.contains(&dialect);
    enabled.then(|| crate::voice(dialect))
}

/// The token of a handshake: in `auth`, in the header, or in the query.
fn token(handshake: &Handshake, auth: &Value) -> Option<String> {
    let in_auth = auth.get("token").and_then(Value::as_str);
    let in_header = || handshake.headers.get(header::AUTHORIZATION)?.to_str().ok();
    let in_query = || {
        let mut query = handshake.query.iter();
        query
            .find(|(name, _)| name == "token")
            .map(|(_, value)| value.as_str())
    };
    let usable = |text: &&str| !crate::bare_token(text).is_empty();
    let text = in_auth
        .filter(usable)
        .or_else(|| in_header().filter(usable))
        .or_else(|| in_query().filter(usable))?;
    Some(crate::bare_token(text).to_owned())
}

fn refusal(voice: &dyn Voice, refused: &Refused) -> Refusal {
    refused.log();
    let plain = crate::words(voice, refused);
    Refusal {
        message: format!("Authentication error: {}", plain.message),
        data: Some(json!({"code": plain.code, "message": plain.message})),
    }
}
