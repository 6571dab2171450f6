//! The native REST gateway: turns requests into use-cases, and what these say into JSON or problems
//! (RFC 9457).
//!
//! [`app`] makes the whole actix application. From the outside in, a request meets: its id, span, numbers
//! and the security headers; compression; CORS; the limits by address; routing; the time limit; the token
//! and the limits by user; its handler. A gateway for another protocol registers its routes through `more`
//! and gets all but the last three.

mod docs;
mod download;
mod dto;
mod edge;
mod extract;
mod failure;
mod gateway;
mod handlers;
mod limits;
mod query;
mod routes;
pub mod schema;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{self, Data, PayloadConfig, ServiceConfig};
use actix_web::{App, Error, HttpResponse};
use connexus_wire::ErrorCode;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use docs::openapi;
pub use gateway::{Gateway, HttpSettings};

use failure::Failure;

/// The application of one worker thread. `more` registers further routes, which come first.
pub fn app<F: FnOnce(&mut ServiceConfig)>(
    gateway: &Arc<Gateway>,
    more: F,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<F>>,
        Error = Error,
        InitError = (),
    > + use<F>,
> {
    App::new()
        .configure(more)
        .configure(|cfg| configure(gateway, cfg))
        .default_service(web::to(no_such_route))
        .wrap(from_fn(edge::limit))
        .wrap(edge::cors(&gateway.settings.cors_origins))
        .wrap(Compress::default())
        .wrap(from_fn(edge::observe))
}

/// Registers all routes of this gateway. [`app`] does it, with all that belongs around them.
pub fn configure(gateway: &Arc<Gateway>, cfg: &mut ServiceConfig) {
    cfg.app_data(Data::from(Arc::clone(gateway)))
        .app_data(PayloadConfig::new(gateway.settings.body_limit));
    if gateway.settings.rest {
        cfg.service(web::scope(routes::API).configure(routes::rest));
    }
    routes::operator(cfg);
    cfg.route("/docs", web::get().to(handlers::ops::docs_page));
    cfg.service(SwaggerUi::new("/docs/{_:.*}").config(Config::new(["/openapi.json"])));
}

async fn no_such_route() -> Result<HttpResponse, Failure> {
    Err(Failure::Request(
        ErrorCode::NotFound,
        "there is no such route".to_owned(),
    ))
}
