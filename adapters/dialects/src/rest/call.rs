//! One request, as a handler sees it.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Payload, Query};
use connexus_application::{Actor, Connexus};
use connexus_domain::{AuthFailure, Entity, Error};
use connexus_wire::fields;
use garde::Validate;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::ids;
use crate::links::Links;
use crate::refused::{Refused, Result};
use crate::world::World;

/// In a token: some dialect, but which one is not known.
const UNDECIDED: &str = "any";

/// One request. Whoever it says asks has been proven.
pub struct Call {
    pub(super) world: Arc<World>,
    pub(super) claim: Option<Dialect>,
    pub(super) actor: Option<Actor>,
    pub(super) request: HttpRequest,
    pub(super) body: Value,
    /// What still comes, where the route takes it so.
    pub(super) payload: Option<Payload>,
    pub(super) links: Links,
}

impl Call {
    /// The use-cases.
    pub fn app(&self) -> &Arc<Connexus> {
        &self.world.app
    }

    /// What the dialects share.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Addresses of files for whoever asks.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// What a token that is issued now says about its bearer's dialect. Nothing, when the request might
    /// have been another's; the socket will tell then.
    pub fn claim(&self) -> &'static str {
        self.claim.map_or(UNDECIDED, Dialect::as_str)
    }

    /// Who asks.
    pub fn actor(&self) -> Result<&Actor> {
        self.actor
            .as_ref()
            .ok_or(Refused::Domain(Error::Unauthenticated(
                AuthFailure::Missing,
            )))
    }

    /// Who asks, when its own sockets are not to be told what it does: it takes the answer for it.
    pub fn quiet_actor(&self) -> Result<Actor> {
        let mut actor = self.actor()?.clone();
        actor.session_knows = true;
        Ok(actor)
    }

    /// The body's fields.
    pub fn fields<T: DeserializeOwned + Validate<Context = ()>>(&self) -> Result<T> {
        Ok(fields::of_value(self.body.clone())?)
    }

    /// The query's fields.
    pub fn query<T: DeserializeOwned + Validate<Context = ()>>(&self) -> Result<T> {
        let query = Query::<T>::from_query(self.request.query_string());
        let query = query.map_err(|error| Refused::said(400, format!("Invalid query: {error}")))?;
        let query = query.into_inner();
        match query.validate() {
            Ok(()) => Ok(query),
            Err(report) => Err(Refused::Domain(Error::Invalid(
                report
                    .iter()
                    .map(|(path, error)| connexus_domain::FieldError {
                        field: path.to_string(),
                        reason: error.to_string(),
                    })
                    .collect(),
            ))),
        }
    }

    /// A text in the path.
    pub fn segment(&self, name: &str) -> String {
        let text = self.request.match_info().get(name).unwrap_or_default();
        percent_decode_str(text).decode_utf8_lossy().into_owned()
    }

    /// An id in the path. What is no id names nothing.
    pub fn id<T: std::str::FromStr>(&self, name: &str, entity: Entity) -> Result<T> {
        Ok(ids::parse(&self.segment(name), entity)?)
    }
}
