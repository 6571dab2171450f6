//! Values on their way into SQL. Lists go as one JSON text over which `json_each` runs: one statement,
//! whatever the length. Ids in it are hexadecimal, for `unhex`.

use std::fmt::Write as _;

use connexus_domain::{AttachmentId, ConversationId, MessageId, SessionId, UserId};
use uuid::Uuid;

/// A typed id as its 16 bytes.
pub(crate) trait Id: Copy {
    fn uuid(self) -> Uuid;
}

macro_rules! id {
    ($($name:ident),*) => {$(
        impl Id for $name {
            fn uuid(self) -> Uuid {
                self.as_uuid()
            }
        }
    )*};
}
id!(AttachmentId, ConversationId, MessageId, SessionId, UserId);

/// The bytes of a cursor; without one the empty bytes, which sort before every id.
pub(crate) fn bytes_or_least(id: Option<impl Id>) -> Vec<u8> {
    id.map_or_else(Vec::new, |id| id.uuid().as_bytes().to_vec())
}

/// A JSON array that is written as it grows.
pub(crate) struct JsonArray(String);

impl JsonArray {
    pub fn new() -> Self {
        Self(String::from("["))
    }

    /// A string of hexadecimal digits.
    pub fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        self.separate();
        self.0.push('"');
        push_hex(&mut self.0, bytes);
        self.0.push('"');
        self
    }

    pub fn id(&mut self, id: impl Id) -> &mut Self {
        self.hex(id.uuid().as_bytes())
    }

    pub fn number(&mut self, n: i64) -> &mut Self {
        self.separate();
        write!(self.0, "{n}").expect("a String takes everything");
        self
    }

    /// An array in the array: a row.
    pub fn row(&mut self, fill: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push('[');
        fill(self);
        self.0.push(']');
    }

    pub fn finish(mut self) -> String {
        self.0.push(']');
        self.0
    }

    fn separate(&mut self) {
        if !self.0.ends_with('[') {
            self.0.push(',');
        }
    }
}

/// A JSON array of ids.
pub(crate) fn json_ids<I: Id>(ids: impl IntoIterator<Item = I>) -> String {
    let mut array = JsonArray::new();
    for id in ids {
        array.id(id);
    }
    array.finish()
}

/// Two lower-case digits a byte.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The least text that is greater than every text that starts with `prefix`, in the order of code
/// points (which is that of UTF-8 bytes); `None` when there is none.
pub(crate) fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// How many rows one statement takes. A few fixed numbers, so that the statements stay prepared.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// One for each number of rows.
pub(crate) type Statements = [String; SIZES.len()];

/// Statements of a start and as many rows of values.
pub(crate) fn statements(start: &str, row: &str) -> Statements {
    SIZES.map(|rows| format!("{start}{}", vec![row; rows].join(",")))
}

/// Cuts a list into pieces of the sizes for which there are statements.
pub(crate) fn chunks<'r, T>(
    mut rest: &'r [T],
    statements: &'static Statements,
) -> Vec<(&'r [T], &'static str)> {
    let mut chunks = Vec::new();
    for (size, sql) in SIZES.into_iter().zip(statements) {
        while let Some((chunk, later)) = rest.split_at_checked(size) {
            chunks.push((chunk, sql.as_str()));
            rest = later;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_json() {
        let mut array = JsonArray::new();
        array.row(|row| {
            row.hex(&[0, 255]).number(-1);
        });
        array.row(|row| {
            row.number(2);
        });
        assert_eq!(array.finish(), r#"[["00ff",-1],[2]]"#);
        assert_eq!(json_ids::<UserId>([]), "[]");
    }

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }
}
