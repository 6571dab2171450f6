//! Accounts.

use std::fmt;

use crate::error::{Error, Result};
use crate::id::UserId;
use crate::text;
use crate::time::Timestamp;

/// 3 to 30 of `a–z 0–9 _ . -`, kept as typed, compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Checks the rule above.
    pub fn parse(text: &str) -> Result<Self> {
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !(3..=30).contains(&text.chars().count()) {
            return Err(Error::invalid("username", "must have 3 to 30 characters"));
        }
        if !text.chars().all(ok) {
            return Err(Error::invalid(
                "username",
                "may contain only letters a-z, digits, '_', '.' and '-'",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// As the user typed it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is unique: the lower-case form.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address of the shape `local@domain`; at most 254 octets (RFC 5321, 4.5.3.1.3, erratum 1690).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks the shape; whether mail arrives there is not known.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("email", "must be an e-mail address");
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
        let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let domain_ok = domain.len() <= 253
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            });
        if local.is_empty()
            || local.len() > 64
            || local.contains('@')
            || text.len() > 254
            || !clean
            || !domain_ok
        {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }

    /// As the user typed it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is unique: the case-folded form.
    pub fn key(&self) -> String {
        text::fold(&self.0)
    }
}

/// What a user chose to be shown as while connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Here.
    Online,
    /// Not at the keyboard.
    Away,
    /// Does not want to be disturbed.
    Busy,
}

impl Status {
    /// Every status, in the order in which it is documented.
    pub const ALL: [Self; 3] = [Self::Online, Self::Away, Self::Busy];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// How a user appears to others: the chosen status while connected, else offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// At least one connection is open (or was, a few seconds ago).
    Connected(Status),
    /// No connection is open, or the asker may not know.
    Offline,
}

impl Presence {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected(status) => status.as_str(),
            Self::Offline => "offline",
        }
    }
}

/// Who may see something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Every user.
    Everyone,
    /// Those who share a conversation with the user.
    Contacts,
    /// Nobody else.
    Nobody,
}

impl Visibility {
    /// Every value, in the order in which it is documented.
    pub const ALL: [Self; 3] = [Self::Everyone, Self::Contacts, Self::Nobody];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Contacts => "contacts",
            Self::Nobody => "nobody",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == word)
    }
}

/// What others may learn of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privacy {
    /// Who sees status and `last_seen_at`.
    pub presence: Visibility,
    /// Whether others are told what the user has read.
    pub read_receipts: bool,
    /// Whether the user is found by search.
    pub searchable: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            presence: Visibility::Everyone,
            read_receipts: true,
            searchable: true,
        }
    }
}

/// An account. The password's hash is not part of it, so that it cannot leave by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the user.
    pub id: UserId,
    /// Unique without regard to case.
    pub username: Username,
    /// Unique without regard to case; shown to the user alone.
    pub email: Email,
    /// What people call the user.
    pub display_name: String,
    /// A picture.
    pub avatar_url: Option<String>,
    /// A few lines about the user.
    pub bio: Option<String>,
    /// Chosen status.
    pub status: Status,
    /// A line beside the status.
    pub status_text: Option<String>,
    /// What others may learn.
    pub privacy: Privacy,
    /// When the user's last connection went.
    pub last_seen_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last changed by its owner.
    pub updated_at: Timestamp,
}

/// A user as somebody may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account. Take status and `last_seen_at` from beside it, not from in it.
    pub user: User,
    /// How the user appears to the one who looks.
    pub presence: Presence,
    /// When the user's last connection went, if the one who looks may know.
    pub last_seen_at: Option<Timestamp>,
}

/// Longest display name, in characters.
pub const DISPLAY_NAME_MAX: usize = 50;
/// Longest bio, in characters.
pub const BIO_MAX: usize = 500;
/// Longest status text, in characters.
pub const STATUS_TEXT_MAX: usize = 140;

/// A change of an account; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// Another username.
    pub username: Option<Username>,
    /// Another display name.
    pub display_name: Option<String>,
    /// Another or no picture.
    pub avatar_url: Option<Option<String>>,
    /// Another or no bio.
    pub bio: Option<Option<String>>,
    /// Another chosen status.
    pub status: Option<Status>,
    /// Another or no status text.
    pub status_text: Option<Option<String>>,
    /// Other privacy settings.
    pub privacy: Option<Privacy>,
}

impl UserPatch {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The user as it is after this change. What every storage adapter does, said once.
    #[must_use]
    pub fn apply(&self, mut user: User, now: Timestamp) -> User {
        fn set<T: Clone>(slot: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                slot.clone_from(value);
            }
        }
        set(&mut user.username, self.username.as_ref());
        set(&mut user.display_name, self.display_name.as_ref());
        set(&mut user.avatar_url, self.avatar_url.as_ref());
        set(&mut user.bio, self.bio.as_ref());
        set(&mut user.status, self.status.as_ref());
        set(&mut user.status_text, self.status_text.as_ref());
        set(&mut user.privacy, self.privacy.as_ref());
        user.updated_at = now;
        user
    }
}

/// The rule for new passwords: at least `min` characters, at most 128, since a hash of a megabyte is a
/// way to keep the server busy. (NIST SP 800-63B, 5.1.1.2: no composition rules.)
pub fn check_new_password(field: &str, password: &str, min: usize) -> Result<()> {
    const MAX: usize = 128;
    match password.chars().count() {
        n if n < min => Err(Error::invalid(
            field,
            format!("must have at least {min} characters"),
        )),
        n if n > MAX => Err(Error::invalid(
            field,
            format!("must have at most {MAX} characters"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_keep_their_alphabet_and_length() {
        assert_eq!(Username::parse("Ann_1.x-y").unwrap().key(), "ann_1.x-y");
        for bad in ["ab", "a b c", "änn", "a\0bc", &"x".repeat(31)] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn email_shapes() {
        for good in ["a@b.c", "ann+x@mail.example.org", "jürgen@bücher.example"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "a", "@b.c", "a@", "a@b..c", "a b@c.d", "a@-b.c", "a@b@c.d", "a@b.c\0",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }
}
