//! What each message says about itself, so that a receiver knows what it has in hand without asking
//! anybody, in any protocol: `run.room.sender.number.due ` in hexadecimal, filled up to its length.

use std::fmt::Write as _;

/// A message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Which run: users and conversations may be older than it.
    pub run: u64,
    /// In which room of the run.
    pub room: usize,
    /// By which of the room's senders.
    pub sender: usize,
    /// Its number among that sender's messages, from 0.
    pub number: u64,
    /// When it was to be sent, in microseconds of the run.
    pub due: u64,
}

/// Room for the longest tag that a run makes, in bytes.
pub const TAG_MAX: usize = 64;

impl Tag {
    /// A text of `length` bytes; longer when the tag is.
    pub fn text(&self, length: usize) -> String {
        let mut text = String::with_capacity(length.max(TAG_MAX));
        let Self {
            run,
            room,
            sender,
            number,
            due,
        } = self;
        // writing to memory does not fail
        let _ = write!(text, "{run:x}.{room:x}.{sender:x}.{number:x}.{due:x} ");
        while text.len() < length {
            text.push('x');
        }
        text
    }

    /// `None` for a text of somebody else.
    pub fn read(text: &str) -> Option<Self> {
        let (tag, _) = text.split_once(' ')?;
        let mut parts = tag.split('.').map(|part| u64::from_str_radix(part, 16));
        let mut next = || parts.next()?.ok();
        Some(Self {
            run: next()?,
            room: usize::try_from(next()?).ok()?,
            sender: usize::try_from(next()?).ok()?,
            number: next()?,
            due: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back() {
        let tag = Tag {
            run: u64::from(u32::MAX),
            room: 99,
            sender: 7,
            number: 1_000_000,
            due: 60_000_000,
        };
        let text = tag.text(128);
        assert_eq!(text.len(), 128);
        assert_eq!(Tag::read(&text), Some(tag));
        assert!(tag.text(1).len() <= TAG_MAX);
        assert_eq!(Tag::read("hello world"), None);
        assert_eq!(Tag::read("1.2.3 x"), None);
    }
}
