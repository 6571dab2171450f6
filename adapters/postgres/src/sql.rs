//! Values on their way into SQL. Lists go as arrays over which `unnest` runs: one statement, whatever the
//! length.

use std::fmt::Write as _;

use connexus_domain::{AttachmentId, ConversationId, MessageId, SessionId, UserId};
use uuid::Uuid;

/// A typed id as the driver knows it.
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

/// A cursor; without one the least id, which names nothing.
pub(crate) fn or_least(id: Option<impl Id>) -> Uuid {
    id.map_or(Uuid::nil(), Id::uuid)
}

/// An array of ids.
pub(crate) fn uuids<I: Id>(ids: impl IntoIterator<Item = I>) -> Vec<Uuid> {
    ids.into_iter().map(Id::uuid).collect()
}

/// Two lower-case digits a byte.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
}

/// The least text that is greater than every text that starts with `prefix`, in the order of code
/// points (which is that of UTF-8 bytes, and of the collation "C"); of a prefix that has no such, one that
/// is greater than every name.
pub(crate) fn after_prefix(prefix: &str) -> String {
    /// Longer than any name.
    const LONG: usize = 1_000;
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return chars.into_iter().collect();
        }
    }
    char::MAX.to_string().repeat(LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        let mut text = String::new();
        push_hex(&mut text, &[0, 10, 255]);
        assert_eq!(text, "000aff");
    }

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(after_prefix("ab"), "ac");
        assert_eq!(after_prefix("a\u{10FFFF}"), "b");
        assert_eq!(after_prefix("\u{D7FF}"), "\u{E000}");
        assert!(after_prefix("\u{10FFFF}").starts_with("\u{10FFFF}\u{10FFFF}"));
    }
}
