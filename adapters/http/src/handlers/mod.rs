//! One module per resource. A handler takes what the request has, calls one use-case, and writes the
//! answer.

pub mod attachments;
pub mod auth;
pub mod conversations;
pub mod members;
pub mod messages;
pub mod ops;
pub mod users;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use connexus_domain::Page;
use connexus_wire::cursor::Cursor;
use connexus_wire::shapes::List;
use serde::Serialize;

use crate::failure::Failure;

/// How many items a page has when nothing is asked.
pub const PAGE_DEFAULT: u32 = 50;

/// What handlers answer.
pub type Answer = Result<HttpResponse, Failure>;

/// JSON with a status.
pub fn json(status: StatusCode, shape: impl Serialize) -> Answer {
    match serde_json::to_vec(&shape) {
        Ok(body) => Ok(HttpResponse::build(status)
            .content_type("application/json")
            .body(body)),
        Err(error) => Err(connexus_domain::Error::internal(error).into()),
    }
}

/// 200 with JSON.
pub fn ok(shape: impl Serialize) -> Answer {
    json(StatusCode::OK, shape)
}

/// 204.
pub fn done() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// 200 with a page of a list.
pub fn page<'a, T, S: Serialize>(
    page: &'a Page<T, impl Cursor>,
    shape: impl Fn(&'a T) -> S,
) -> Answer {
    ok(List {
        items: page.items.iter().map(shape).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    })
}

/// 200 with a list that has one page.
pub fn whole<'a, T: 'a, S: Serialize>(
    items: impl IntoIterator<Item = &'a T>,
    shape: impl Fn(&'a T) -> S,
) -> Answer {
    ok(List {
        items: items.into_iter().map(shape).collect(),
        next_cursor: None,
    })
}
