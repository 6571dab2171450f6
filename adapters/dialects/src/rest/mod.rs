//! The routes of all dialects: which dialect a request is for, who asks, and how the answer is worded.

mod call;
mod mount;
pub mod upload;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde::Serialize;
use serde_json::json;

use crate::refused::Refused;
use crate::voice::Voice;
use crate::world::World;

pub use call::Call;
pub use mount::mount;

/// What a handler answers.
pub type Answer = Result<HttpResponse, Refused>;

/// A JSON answer.
pub fn json(status: u16, body: &impl Serialize) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match serde_json::to_vec(body) {
        Ok(text) => Ok(HttpResponse::build(status)
            .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text)),
        Err(error) => Err(Refused::Domain(connexus_domain::Error::internal(error))),
    }
}

/// `{success, message, data}`, as several dialects answer.
pub fn done(status: u16, message: &str, data: impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Body<'a, T> {
        success: bool,
        message: &'a str,
        data: T,
    }
    let body = Body {
        success: true,
        message,
        data,
    };
    json(status, &body)
}

/// `{success, message}`.
pub fn plainly(message: &str) -> Answer {
    json(200, &json!({"success": true, "message": message}))
}

/// An error in a dialect's words.
pub(crate) fn refusal(world: &World, voice: &dyn Voice, refused: &Refused) -> HttpResponse {
    refused.log();
    let plain = crate::words(voice, refused);
    let stack = world.settings.show_faults && plain.status >= 500;
    let stack = stack.then(|| format!("{refused:?}"));
    let body = voice.error_body(&plain, stack.as_deref());
    let mut answer = json(plain.status, &body)
        .unwrap_or_else(|_| HttpResponse::build(StatusCode::INTERNAL_SERVER_ERROR).finish());
    if let Some(seconds) = plain.retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}
