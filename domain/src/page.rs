//! Keyset paging: a page says where the next one starts, never how many to skip.

use crate::error::{Error, Result};
use crate::id::ConversationId;
use crate::time::Timestamp;

/// How many items of a list are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The most items that one page may have.
    pub const MAX: u32 = 100;

    /// `asked`, or `default` when nothing was asked; from 1 to [`Self::MAX`].
    pub fn new(asked: Option<u32>, default: u32) -> Result<Self> {
        match asked.unwrap_or(default) {
            n @ 1..=Self::MAX => Ok(Self(n)),
            _ => Err(Error::invalid(
                "limit",
                format!("must be from 1 to {}", Self::MAX),
            )),
        }
    }

    /// A limit set by ourselves, of at least one.
    pub const fn of(n: u32) -> Self {
        Self(if n == 0 { 1 } else { n })
    }

    /// As a number of rows.
    pub const fn rows(self) -> usize {
        self.0 as usize
    }

    /// One more, to learn whether there is a next page.
    pub const fn and_one(self) -> i64 {
        self.0 as i64 + 1
    }
}

/// Part of a list, and where the next part starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// From up to `limit + 1` items: cuts the extra one, and takes the cursor from the last that stays.
    pub fn cut(mut items: Vec<T>, limit: Limit, cursor: impl FnOnce(&T) -> C) -> Self {
        let more = items.len() > limit.rows();
        items.truncate(limit.rows());
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }

    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U, C> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next: self.next,
        }
    }
}

/// Position in a list of conversations by latest activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityCursor {
    /// Activity of the last conversation of the page before.
    pub last_activity_at: Timestamp,
    /// Its id, among conversations of the same millisecond.
    pub id: ConversationId,
}
