//! Query strings: each parameter is looked up by name, and every wrong one is told.

use std::cell::RefCell;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;
use connexus_domain::{Error, FieldError, Limit};
use connexus_wire::cursor::Cursor;

use crate::failure::Failure;

/// The parameters of a request. Those that no handler asks for are ignored.
pub struct Params {
    pairs: Vec<(String, String)>,
    wrong: RefCell<Vec<FieldError>>,
}

impl Params {
    pub fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let pairs = match Query::<Vec<(String, String)>>::from_query(request.query_string()) {
            Ok(pairs) => pairs.into_inner(),
            Err(_) => return Err(Failure::malformed("the query string cannot be read")),
        };
        Ok(Self {
            pairs,
            wrong: RefCell::default(),
        })
    }

    /// A parameter is wrong for a reason of the handler's.
    pub fn refuse(&self, name: &str, reason: impl Into<String>) {
        self.wrong.borrow_mut().push(FieldError {
            field: name.to_owned(),
            reason: reason.into(),
        });
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.pairs.iter().filter(|(key, _)| key == name);
        let value = found.next()?.1.as_str();
        if found.next().is_some() {
            self.refuse(name, "must be there once");
            return None;
        }
        if value.contains('\0') {
            self.refuse(name, "must not have a null character");
            return None;
        }
        Some(value)
    }

    /// A value that is written as text.
    pub fn get<T: FromStr>(&self, name: &str, reason: &str) -> Option<T> {
        let value = self.text(name)?.parse().ok();
        if value.is_none() {
            self.refuse(name, reason);
        }
        value
    }

    /// An id.
    pub fn id<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name, "must be a UUID")
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name, "must be true or false")
    }

    /// A `next_cursor` of the same list.
    pub fn cursor<C: Cursor>(&self, name: &str) -> Option<C> {
        self.with(
            name,
            |text| C::decode(text).ok(),
            "must be a next_cursor of this list",
        )
    }

    /// Something that `read` makes of the text.
    pub fn with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        reason: &str,
    ) -> Option<T> {
        let value = read(self.text(name)?);
        if value.is_none() {
            self.refuse(name, reason);
        }
        value
    }

    /// How many items are asked for.
    pub fn limit(&self, default: u32) -> Limit {
        let wanted = self.text("limit").map(str::parse::<u32>);
        let limit = match wanted {
            None => Limit::new(None, default),
            Some(Ok(n)) => Limit::new(Some(n), default),
            // not a number: as one that is out of range
            Some(Err(_)) => Limit::new(Some(0), default),
        };
        limit.unwrap_or_else(|_| {
            self.refuse("limit", format!("must be from 1 to {}", Limit::MAX));
            Limit::of(default)
        })
    }

    /// A parameter must be there, and is not or is wrong.
    pub fn refuse_absent(&self, name: &str) {
        let told = |error: &FieldError| error.field == name;
        let known = self.wrong.borrow().iter().any(told);
        if !known {
            self.refuse(name, "is required");
        }
    }

    /// Fails if any parameter was wrong.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = self.wrong.take();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(wrong).into())
        }
    }
}
