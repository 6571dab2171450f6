//! Queries as values: what runs is what the tests explain.

use bson::{Bson, Document, doc};

use crate::documents::Record;

/// One `find`.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub collection: &'static str,
    pub filter: Document,
    pub sort: Option<Document>,
    pub limit: Option<i64>,
    pub projection: Option<Document>,
    pub hint: Option<&'static str>,
}

impl Query {
    pub fn of<D: Record>(filter: Document) -> Self {
        Self {
            collection: D::COLLECTION,
            filter,
            sort: None,
            limit: None,
            projection: None,
            hint: None,
        }
    }

    pub fn sort(mut self, sort: Document) -> Self {
        self.sort = Some(sort);
        self
    }

    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Only these fields, or all but these.
    pub fn fields(mut self, projection: Document) -> Self {
        self.projection = Some(projection);
        self
    }

    /// By this index: where the planner cannot know better, or need not think.
    pub fn by(mut self, index: &'static str) -> Self {
        self.hint = Some(index);
        self
    }

    /// As the command that `explain` takes.
    #[cfg(test)]
    pub fn command(&self) -> Document {
        let mut command = doc! { "find": self.collection, "filter": &self.filter };
        for (name, value) in [("sort", &self.sort), ("projection", &self.projection)] {
            if let Some(value) = value {
                command.insert(name, value);
            }
        }
        if let Some(limit) = self.limit {
            command.insert("limit", limit);
        }
        if let Some(hint) = self.hint {
            command.insert("hint", hint);
        }
        command
    }
}

/// One statement of an `update` command, for at most one document.
pub(crate) fn statement(filter: Document, update: impl Into<Bson>) -> Document {
    doc! { "q": filter, "u": update.into() }
}

/// The same, where a document that is not there is made.
pub(crate) fn upsert(filter: Document, update: impl Into<Bson>) -> Document {
    doc! { "q": filter, "u": update.into(), "upsert": true }
}

/// Strings that start with `prefix`, in the order of code points, which is that of MongoDB's bytes. Two
/// bounds, not a regular expression: nothing in the prefix needs escaping.
pub(crate) fn starting_with(prefix: &str) -> Document {
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = after_prefix(prefix) {
        range.insert("$lt", end);
    }
    range
}

/// The least text that is greater than every text that starts with `prefix`; none when there is no such.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn a_prefix_is_never_an_operator() {
        assert_eq!(
            starting_with("$ne.*("),
            doc! { "$gte": "$ne.*(", "$lt": "$ne.*)" }
        );
    }
}
