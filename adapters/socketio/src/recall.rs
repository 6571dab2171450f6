//! The handshake, kept small for as long as the session lives: a map of headers takes kilobytes, and its
//! values keep the buffer they were read into. A client seldom joins a second namespace.

use std::rc::Rc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::engine::Handshake;

pub struct Recall {
    /// Without headers.
    rest: Handshake,
    headers: Box<[(HeaderName, HeaderValue)]>,
}

impl Recall {
    pub fn new(handshake: &Handshake) -> Self {
        let copy = |value: &HeaderValue| {
            HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
        };
        let headers = handshake.headers.iter();
        Self {
            headers: headers
                .map(|(name, value)| (name.clone(), copy(value)))
                .collect(),
            rest: Handshake {
                headers: HeaderMap::new(),
                query: handshake.query.clone(),
                ..*handshake
            },
        }
    }

    pub fn handshake(&self) -> Rc<Handshake> {
        let mut handshake = self.rest.clone();
        handshake.headers.reserve(self.headers.len());
        for (name, value) in &self.headers {
            handshake.headers.append(name.clone(), value.clone());
        }
        Rc::new(handshake)
    }
}
