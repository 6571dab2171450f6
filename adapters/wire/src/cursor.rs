//! Cursors: where the next page of a list starts, opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connexus_domain::{
    ActivityCursor, AttachmentId, ConversationId, Error, MessageId, Result, Seq, Timestamp, UserId,
};

/// A position in some list.
pub trait Cursor: Sized {
    /// What a client gets.
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_plain())
    }

    /// What a client gives back. A text that is none of ours is `Invalid(cursor)`.
    fn decode(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("cursor", "must be a next_cursor of this list");
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().ok_or_else(wrong)?;
        let plain = String::from_utf8(bytes).ok().ok_or_else(wrong)?;
        Self::from_plain(&plain).ok_or_else(wrong)
    }

    /// The position as a plain text.
    fn to_plain(&self) -> String;

    /// The position of a plain text.
    fn from_plain(plain: &str) -> Option<Self>;
}

impl Cursor for UserId {
    fn to_plain(&self) -> String {
        format!("u{self}")
    }

    fn from_plain(plain: &str) -> Option<Self> {
        plain.strip_prefix('u')?.parse().ok()
    }
}

impl Cursor for MessageId {
    fn to_plain(&self) -> String {
        format!("m{self}")
    }

    fn from_plain(plain: &str) -> Option<Self> {
        plain.strip_prefix('m')?.parse().ok()
    }
}

impl Cursor for AttachmentId {
    fn to_plain(&self) -> String {
        format!("f{self}")
    }

    fn from_plain(plain: &str) -> Option<Self> {
        plain.strip_prefix('f')?.parse().ok()
    }
}

impl Cursor for Seq {
    fn to_plain(&self) -> String {
        format!("s{self}")
    }

    fn from_plain(plain: &str) -> Option<Self> {
        plain
            .strip_prefix('s')?
            .parse()
            .ok()
            .filter(|seq| *seq >= 0)
    }
}

impl Cursor for ActivityCursor {
    fn to_plain(&self) -> String {
        format!("a{}_{}", self.last_activity_at.as_millis(), self.id)
    }

    fn from_plain(plain: &str) -> Option<Self> {
        let (millis, id) = plain.strip_prefix('a')?.split_once('_')?;
        let id: ConversationId = id.parse().ok()?;
        Some(Self {
            last_activity_at: Timestamp::from_millis(millis.parse().ok()?),
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_cursor_comes_back() {
        let cursor = ActivityCursor {
            last_activity_at: Timestamp::from_millis(1_234),
            id: ConversationId::from_uuid(Uuid::from_u128(7)),
        };
        assert_eq!(ActivityCursor::decode(&cursor.encode()).unwrap(), cursor);
        assert_eq!(Seq::decode(&42_i64.encode()).unwrap(), 42);
    }

    #[test]
    fn another_lists_cursor_is_refused() {
        let user = UserId::from_uuid(Uuid::from_u128(7)).encode();
        assert!(MessageId::decode(&user).is_err());
        for bad in ["", "x", "!!", "////", "\u{0}", "YTFfeA"] {
            assert!(ActivityCursor::decode(bad).is_err(), "{bad:?}");
        }
    }
}
