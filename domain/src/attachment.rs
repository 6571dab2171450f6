//! Uploaded files: what is known of them, and the rules on them. Their bytes are elsewhere, under the
//! attachment's own id, and are never shared between two.

use std::collections::HashMap;

use crate::error::{Entity, Error, Result};
use crate::id::{AttachmentId, ConversationId, MessageId, UserId};
use crate::message::NewMessage;
use crate::time::Timestamp;

/// Longest name, in bytes: what file systems take.
pub const NAME_MAX: usize = 255;
/// Longest extension, in bytes with its dot, that a name which is cut keeps.
const EXTENSION_MAX: usize = 32;
/// What a file is called of whose name nothing is left.
pub const NAMELESS: &str = "file";
/// What is said of a file before it was looked at.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What a file is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Anything else.
    File,
}

impl MediaKind {
    /// Every kind, in the order in which it is documented.
    pub const ALL: [Self; 4] = [Self::Image, Self::Video, Self::Audio, Self::File];

    /// The word in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a file was uploaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be sent with a message of this conversation.
    Message(ConversationId),
    /// To be the picture of a user, a group or a room.
    Avatar,
}

impl Purpose {
    /// The conversation whose members may see it; none of an avatar, which any user may.
    pub const fn conversation_id(self) -> Option<ConversationId> {
        match self {
            Self::Message(id) => Some(id),
            Self::Avatar => None,
        }
    }

    /// From the conversation, if there is one.
    pub fn of(conversation_id: Option<ConversationId>) -> Self {
        conversation_id.map_or(Self::Avatar, Self::Message)
    }
}

/// Where in its life a file is. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachmentState {
    /// Its bytes are on their way. Written before the first of them, so that a broken upload is found.
    Pending,
    /// Stored, checked and measured, and used by nothing yet.
    Ready,
    /// Part of one message, or the picture of one user, group or room.
    Attached,
    /// Used by nothing any more: its bytes are to go, then it.
    Condemned,
}

impl AttachmentState {
    /// Every state, in order.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Ready, Self::Attached, Self::Condemned];

    /// The word in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Attached => "attached",
            Self::Condemned => "condemned",
        }
    }

    /// From the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// SHA-256 of a file's bytes, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Names the file, and its bytes.
    pub id: AttachmentId,
    /// Who uploaded it.
    pub uploader_id: UserId,
    /// What for.
    pub purpose: Purpose,
    /// Where in its life it is.
    pub state: AttachmentState,
    /// The message that it is, or was, part of.
    pub message_id: Option<MessageId>,
    /// What it is shown as; `File` while pending.
    pub kind: MediaKind,
    /// What it is called, [cleaned](clean_name).
    pub name: String,
    /// Its media type by its content (RFC 6838); that of unknown bytes while pending.
    pub media_type: String,
    /// How many bytes; 0 while pending.
    pub size: u64,
    /// Of its bytes; zeros while pending.
    pub sha256: ContentHash,
    /// Of a picture or film, in pixels, as it is shown.
    pub width: Option<u32>,
    /// Of a picture or film, in pixels, as it is shown.
    pub height: Option<u32>,
    /// Of sound or a film, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether there are thumbnails of it.
    pub thumbnails: bool,
    /// When its upload began.
    pub created_at: Timestamp,
}

/// A file of which the first byte is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// Names the file, and its bytes.
    pub id: AttachmentId,
    /// Who uploads it.
    pub uploader_id: UserId,
    /// What for.
    pub purpose: Purpose,
    /// What it is called, [cleaned](clean_name).
    pub name: String,
    /// Now.
    pub at: Timestamp,
}

impl NewAttachment {
    /// The pending attachment.
    pub fn into_attachment(self) -> Attachment {
        Attachment {
            id: self.id,
            uploader_id: self.uploader_id,
            purpose: self.purpose,
            state: AttachmentState::Pending,
            message_id: None,
            kind: MediaKind::File,
            name: self.name,
            media_type: UNKNOWN_TYPE.to_owned(),
            size: 0,
            sha256: ContentHash([0; 32]),
            width: None,
            height: None,
            duration_ms: None,
            thumbnails: false,
            created_at: self.at,
        }
    }
}

/// What is known of a file once all of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// What it is shown as.
    pub kind: MediaKind,
    /// Its media type by its content.
    pub media_type: String,
    /// How many bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha256: ContentHash,
    /// In pixels, as it is shown.
    pub width: Option<u32>,
    /// In pixels, as it is shown.
    pub height: Option<u32>,
    /// In milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether there are thumbnails of it.
    pub thumbnails: bool,
}

impl Attachment {
    /// The file after its upload. An upload that was given up meanwhile cannot be finished.
    pub fn completed(self, measured: &Measured) -> Result<Self> {
        if self.state != AttachmentState::Pending {
            return Err(Error::NotFound(Entity::Attachment));
        }
        Ok(Self {
            state: AttachmentState::Ready,
            kind: measured.kind,
            media_type: measured.media_type.clone(),
            size: measured.size,
            sha256: measured.sha256,
            width: measured.width,
            height: measured.height,
            duration_ms: measured.duration_ms,
            thumbnails: measured.thumbnails,
            ..self
        })
    }

    /// Whether `by` may send it to `to`: its uploader, to the conversation that it was uploaded for,
    /// once.
    pub fn is_sendable(&self, by: UserId, to: ConversationId) -> bool {
        self.state == AttachmentState::Ready
            && self.uploader_id == by
            && self.purpose == Purpose::Message(to)
    }

    /// Whether `by` may make it a picture: its uploader, once, if it is a picture that was uploaded for
    /// that. Everybody else learns nothing of it.
    pub fn check_avatar(&self, by: UserId) -> Result<()> {
        let fits = self.state == AttachmentState::Ready
            && self.uploader_id == by
            && self.purpose == Purpose::Avatar
            && self.kind == MediaKind::Image;
        if fits {
            Ok(())
        } else {
            Err(Error::NotFound(Entity::Attachment))
        }
    }

    /// The file as part of a message.
    #[must_use]
    pub fn attached_to(self, message: MessageId) -> Self {
        Self {
            state: AttachmentState::Attached,
            message_id: Some(message),
            ..self
        }
    }
}

/// The stored attachments that a batch of messages names, while it is decided which message gets which.
#[derive(Debug, Default)]
pub struct Claims(HashMap<AttachmentId, Attachment>);

impl Claims {
    /// Among these.
    pub fn among(stored: impl IntoIterator<Item = Attachment>) -> Self {
        Self(stored.into_iter().map(|file| (file.id, file)).collect())
    }

    /// Gives a message its attachments, all or none, so that no later one gets them.
    pub fn claim(&mut self, new: &NewMessage) -> Result<Vec<Attachment>> {
        let free = |id: &AttachmentId| {
            self.0
                .get(id)
                .is_some_and(|file| file.is_sendable(new.sender_id, new.conversation_id))
        };
        let ids = &new.attachments;
        let repeated = (1..ids.len()).any(|n| ids[..n].contains(&ids[n]));
        if repeated || !ids.iter().all(free) {
            return Err(Error::invalid(
                "attachment_ids",
                "there is no such attachment to send here",
            ));
        }
        let claimed = ids.iter().filter_map(|id| self.0.remove(id));
        Ok(claimed.map(|file| file.attached_to(new.id)).collect())
    }
}

/// Whose picture an attachment becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AvatarOwner {
    /// A user's.
    User(UserId),
    /// A group's or room's.
    Group(ConversationId),
}

/// How much there is of one kind in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaStats {
    /// Which kind.
    pub kind: MediaKind,
    /// How many files.
    pub count: u64,
    /// How many bytes all of them have.
    pub total_size: u64,
}

/// What addresses of attachments begin with.
pub const LINK_START: &str = "/v1/attachments/";

/// Where on this server an attachment is.
pub fn link(id: AttachmentId) -> String {
    format!("{LINK_START}{id}")
}

/// The attachment that is [there](link).
pub fn of_link(link: &str) -> Option<AttachmentId> {
    link.strip_prefix(LINK_START)?.parse().ok()
}

/// A name for a file, from what a client called it: its last part without what could deceive a reader or
/// break a header, a path or a terminal, at most [`NAME_MAX`] bytes, with the extension kept.
pub fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !deceives(*c)).collect();
    // a name of dots alone is a folder, and some systems drop dots and spaces at the end
    let clean = clean.trim().trim_end_matches(['.', ' ']);
    if clean.is_empty() {
        return NAMELESS.to_owned();
    }
    if clean.len() <= NAME_MAX {
        return clean.to_owned();
    }
    let extension = match clean.rfind('.') {
        Some(dot) if dot > 0 && clean.len() - dot <= EXTENSION_MAX => &clean[dot..],
        _ => "",
    };
    let mut end = NAME_MAX - extension.len();
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &clean[..end])
}

/// Control characters, line separators, and those that change the direction of what follows or are not seen
/// (Unicode TR 36, 2.7).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61C}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_name_is_its_last_part_without_tricks() {
        for (given, clean) in [
            ("photo.jpg", "photo.jpg"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\me\a.txt", "a.txt"),
            ("<script>.png", "<script>.png"),
            ("a\r\nb\0c.txt", "abc.txt"),
            ("cod\u{202E}gpj.exe", "codgpj.exe"),
            ("\u{2066}a\u{2069}.txt\u{FEFF}", "a.txt"),
            ("фото 1 👩🏽‍💻.png", "фото 1 👩🏽‍💻.png"),
            (" a.txt. . ", "a.txt"),
            (".profile", ".profile"),
            ("", NAMELESS),
            ("..", NAMELESS),
            ("a/", NAMELESS),
            ("\u{200B}\u{7}", NAMELESS),
        ] {
            assert_eq!(clean_name(given), clean, "{given:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let clean = clean_name(&format!("{}.tar.gz", "ä".repeat(300)));
        assert!(clean.len() <= NAME_MAX && clean.len() > NAME_MAX - 4);
        assert!(clean.ends_with("ä.gz"), "{clean}");
        let no_extension = clean_name(&"長".repeat(300));
        assert_eq!(no_extension, "長".repeat(85));
        assert_eq!(
            clean_name(&format!("a.{}", "x".repeat(400))).len(),
            NAME_MAX
        );
    }

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn pending(purpose: Purpose) -> Attachment {
        let new = NewAttachment {
            id: AttachmentId::from_uuid(uuid(1)),
            uploader_id: UserId::from_uuid(uuid(2)),
            purpose,
            name: "a.png".to_owned(),
            at: Timestamp::from_millis(0),
        };
        new.into_attachment()
    }

    fn measured() -> Measured {
        Measured {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            size: 9,
            sha256: ContentHash([1; 32]),
            width: Some(1),
            height: Some(1),
            duration_ms: None,
            thumbnails: true,
        }
    }

    #[test]
    fn only_its_uploader_sends_it_once_to_where_it_was_uploaded() {
        let (here, by) = (
            ConversationId::from_uuid(uuid(3)),
            UserId::from_uuid(uuid(2)),
        );
        let pending = pending(Purpose::Message(here));
        assert!(!pending.is_sendable(by, here));
        let ready = pending.completed(&measured()).unwrap();
        assert!(ready.is_sendable(by, here));
        assert!(!ready.is_sendable(UserId::from_uuid(uuid(9)), here));
        assert!(!ready.is_sendable(by, ConversationId::from_uuid(uuid(9))));
        assert!(ready.check_avatar(by).is_err());
        assert!(ready.clone().completed(&measured()).is_err());
        let attached = ready.attached_to(MessageId::from_uuid(uuid(4)));
        assert!(!attached.is_sendable(by, here));
    }

    #[test]
    fn only_a_picture_becomes_an_avatar() {
        let by = UserId::from_uuid(uuid(2));
        let sound = Measured {
            kind: MediaKind::Audio,
            ..measured()
        };
        let check = |measured: &Measured, by| {
            let ready = pending(Purpose::Avatar).completed(measured).unwrap();
            ready.check_avatar(by).is_ok()
        };
        assert!(check(&measured(), by));
        assert!(!check(&sound, by));
        assert!(!check(&measured(), UserId::from_uuid(uuid(9))));
    }
}
