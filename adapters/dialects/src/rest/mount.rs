//! Routing: every path once, with the dialects that have it; at the root together, under a dialect's name
//! that one alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, Scope};
use connexus_domain::ports::Subject;
use connexus_domain::{AuthFailure, Error};
use connexus_wire::fields;
use serde_json::{Map, Value};

use super::{Answer, Call, refusal};
use crate::dialect::Dialect;
use crate::refused::{Refused, Result};
use crate::voice::{Access, Body, Route, Voice};
use crate::world::World;

/// A route and whose it is.
struct Owned {
    voice: &'static dyn Voice,
    route: Route,
}

/// All routes of one path, in the order in which the dialects are asked.
type Resource = Vec<Owned>;

type Resources = BTreeMap<Key, Resource>;

/// What all paths of the dialects start with.
const API: &str = "/api";

/// Registers the routes of all enabled dialects: in a scope each, so that nothing else is compared with them.
pub fn mount(world: &Arc<World>, config: &mut ServiceConfig) {
    let mut root = Resources::new();
    let mut named: Vec<(String, Resources)> = Vec::new();
    for voice in world.voices() {
        let mut own = Resources::new();
        for resources in [&mut root, &mut own] {
            for route in voice.routes() {
                let path = route.pattern.strip_prefix(API).unwrap_or(route.pattern);
                let owned = Owned { voice, route };
                resources.entry(Key::of(path)).or_default().push(owned);
            }
        }
        named.push((format!("/{}{API}", voice.dialect().as_str()), own));
    }
    let unknown = {
        let world = Arc::clone(world);
        web::to(move || {
            let world = Arc::clone(&world);
            async move {
                let first = world.voices().next();
                let voice = first.unwrap_or(crate::voice(Dialect::Connexus));
                refusal(&world, voice, &Refused::said(404, "Route not found"))
            }
        })
    };
    let root_scope = web::scope(API).default_service(unknown);
    config.service(filled(root_scope, world, root));
    for (path, resources) in named {
        config.service(filled(web::scope(&path), world, resources));
    }
}

/// Adds the routes to a scope. What has fewer variable parts comes first: /users/search before /users/{id}.
fn filled(scope: Scope, world: &Arc<World>, resources: Resources) -> Scope {
    resources.into_iter().fold(scope, |scope, (key, resource)| {
        let (world, resource) = (Arc::clone(world), Arc::new(resource));
        let patterns = [key.pattern.clone(), format!("{}/", key.pattern)];
        scope.service(
            web::resource(patterns).to(move |request: HttpRequest, payload: Payload| {
                let (world, resource) = (Arc::clone(&world), Arc::clone(&resource));
                async move { serve(world, &resource, request, payload).await }
            }),
        )
    })
}

/// Orders paths so that the first that matches is the right one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// For each part, whether it varies.
    varies: Vec<bool>,
    pattern: String,
}

impl Key {
    fn of(pattern: &str) -> Self {
        let parts = pattern.split('/');
        Self {
            varies: parts.map(|part| part.starts_with('{')).collect(),
            pattern: pattern.to_owned(),
        }
    }
}

async fn serve(
    world: Arc<World>,
    resource: &Resource,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let fitting: Vec<&Owned> = resource
        .iter()
        .filter(|owned| owned.route.method == *request.method())
        .collect();
    let Some(first) = fitting.first() else {
        let first = resource.first().map(|owned| owned.voice);
        let voice = first.unwrap_or(crate::voice(Dialect::Connexus));
        return no_such_method(&world, voice, resource);
    };
    let mut voice = first.voice;
    let streamed = first.route.body == Body::Streamed;
    let patience = world.settings.request_timeout;
    let work = answer(&world, &fitting, request, payload, &mut voice);
    let answered = if streamed {
        // it may take its time, as long as it keeps coming
        work.await
    } else {
        tokio::time::timeout(patience, work)
            .await
            .unwrap_or_else(|_| Err(Refused::said(503, "The request took too long")))
    };
    answered.unwrap_or_else(|refused| refusal(&world, voice, &refused))
}

fn no_such_method(world: &World, voice: &dyn Voice, resource: &Resource) -> HttpResponse {
    let refused = Refused::said(405, "Method not allowed");
    let mut answer = refusal(world, voice, &refused);
    let methods: Vec<&str> = resource
        .iter()
        .map(|owned| owned.route.method.as_str())
        .collect();
    if let Ok(methods) = header::HeaderValue::try_from(methods.join(", ")) {
        answer.headers_mut().insert(header::ALLOW, methods);
    }
    answer
}

async fn answer(
    world: &Arc<World>,
    fitting: &[&Owned],
    request: HttpRequest,
    payload: Payload,
    voice: &mut &'static dyn Voice,
) -> Answer {
    let Some(first) = fitting.first() else {
        return Err(Refused::said(404, "Not found"));
    };
    let address = world.address(request.peer_addr(), request.headers());
    world.count(first.route.class, Subject::Address(address))?;
    let token = token(&request);
    let actor = match token {
        Some(token) => world.app.auth.authenticate(token).await,
        None => Err(Error::Unauthenticated(AuthFailure::Missing)),
    };
    // a stranger's body is read only where strangers may send one
    let claimed = actor
        .as_ref()
        .ok()
        .and_then(|actor| Dialect::parse(actor.dialect.as_deref()?));
    let of = |dialect| {
        fitting
            .iter()
            .find(|owned| owned.voice.dialect() == dialect)
    };
    let by_token = claimed.and_then(of);
    let owned = by_token.unwrap_or(first);
    *voice = owned.voice;
    if fitting
        .iter()
        .all(|owned| owned.route.access == Access::Signed)
        && actor.is_err()
    {
        return Err(actor
            .err()
            .map_or(Refused::said(401, "No token"), Refused::Domain));
    }
    let (body, payload) = match first.route.body {
        Body::Streamed => (Value::Null, Some(payload)),
        Body::Whole => {
            let most = world.settings.body_limit;
            (body(&request, payload, most).await?, None)
        }
    };
    let hinted = || {
        let hints = |owned: &&&Owned| owned.route.hint.is_some_and(|hint| hint(&body));
        fitting.iter().find(hints)
    };
    let decided = by_token.or_else(hinted);
    let owned = decided.unwrap_or(first);
    *voice = owned.voice;
    let dialect = owned.voice.dialect();
    let actor = match (owned.route.access, actor) {
        (Access::Signed, Err(error)) => return Err(error.into()),
        (_, actor) => actor.ok(),
    };
    if let Some(actor) = &actor {
        world.count(owned.route.class, Subject::User(actor.user_id))?;
    }
    (owned.route.handler)(Call {
        world: Arc::clone(world),
        // a route that several have says nothing about who asks, unless its path or body does
        claim: (decided.is_some() || fitting.len() == 1).then_some(dialect),
        actor,
        links: world.links_for(&request),
        request,
        body,
        payload,
    })
    .await
}

/// The token of the `Authorization` header, with `Bearer` before it or without.
fn token(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let token = crate::bare_token(value.to_str().ok()?);
    (!token.is_empty()).then_some(token)
}

/// A body's fields: of JSON, of a form, or none.
async fn body(request: &HttpRequest, payload: Payload, most: usize) -> Result<Value> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(Value::Object(Map::new()));
    }
    let mut payload = payload.into_inner();
    let bytes = Bytes::from_request(request, &mut payload)
        .await
        .map_err(|error| match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => {
                Refused::said(413, format!("The body must have at most {most} bytes"))
            }
            _ => Refused::said(400, "The body ended before it was complete"),
        })?;
    // some clients write `null` where they have nothing to say
    if bytes.is_empty() || bytes.as_ref() == b"null" {
        return Ok(Value::Object(Map::new()));
    }
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let text = std::str::from_utf8(&bytes);
        let form = text.map(web::Query::<Map<String, Value>>::from_query);
        return match form {
            Ok(Ok(form)) => Ok(Value::Object(form.into_inner())),
            _ => Err(Refused::said(400, "The body is not a form")),
        };
    }
    Ok(fields::object(&bytes)?)
}
