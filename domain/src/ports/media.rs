//! Receiving files: what they are is measured from what is in them, never from a name or a header.

use async_trait::async_trait;
use bytes::Bytes;

use super::blob::{Content, Variant};
use crate::attachment::{ContentHash, Measured};
use crate::error::Error;

pub use crate::attachment::MediaKind;

/// A type of file that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaFormat {
    /// JPEG.
    Jpeg,
    /// PNG, also animated.
    Png,
    /// GIF, also animated.
    Gif,
    /// WebP, also animated.
    Webp,
    /// PDF.
    Pdf,
    /// Word up to 2003.
    Doc,
    /// Word since 2007.
    Docx,
    /// Text that is not markup.
    Text,
    /// MPEG-4 with a picture.
    Mp4,
    /// QuickTime with a picture.
    QuickTime,
    /// WebM with a picture.
    Webm,
    /// WebM with sound alone: voice messages of browsers.
    WebmAudio,
    /// MPEG layer 3.
    Mp3,
    /// MPEG-4 with sound alone: voice messages of phones.
    M4a,
    /// Ogg with Opus or Vorbis.
    Ogg,
    /// WAV.
    Wav,
    /// HTML; not allowed unless an operator says so.
    Html,
    /// SVG; not allowed unless an operator says so.
    Svg,
    /// A zip archive; not allowed unless an operator says so.
    Zip,
}

impl MediaFormat {
    /// Every format, in the order in which it is documented.
    pub const ALL: [Self; 19] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Webp,
        Self::Pdf,
        Self::Doc,
        Self::Docx,
        Self::Text,
        Self::Mp4,
        Self::QuickTime,
        Self::Webm,
        Self::WebmAudio,
        Self::Mp3,
        Self::M4a,
        Self::Ogg,
        Self::Wav,
        Self::Html,
        Self::Svg,
        Self::Zip,
    ];

    /// What is allowed when nothing else is said: all but what a browser would run, and archives.
    pub const DEFAULT: &'static [Self] = Self::ALL.split_at(16).0;

    /// The media type, as stored and served.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Text => "text/plain",
            Self::Mp4 => "video/mp4",
            Self::QuickTime => "video/quicktime",
            Self::Webm => "video/webm",
            Self::WebmAudio => "audio/webm",
            Self::Mp3 => "audio/mpeg",
            Self::M4a => "audio/mp4",
            Self::Ogg => "audio/ogg",
            Self::Wav => "audio/wav",
            Self::Html => "text/html",
            Self::Svg => "image/svg+xml",
            Self::Zip => "application/zip",
        }
    }

    /// From the media type.
    pub fn parse(media_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.media_type() == media_type)
    }

    /// What it is for people.
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::Webp => MediaKind::Image,
            Self::Mp4 | Self::QuickTime | Self::Webm => MediaKind::Video,
            Self::WebmAudio | Self::Mp3 | Self::M4a | Self::Ogg | Self::Wav => MediaKind::Audio,
            Self::Pdf
            | Self::Doc
            | Self::Docx
            | Self::Text
            | Self::Html
            | Self::Svg
            | Self::Zip => MediaKind::File,
        }
    }

    /// Whether a browser may show it in place: only what it decodes, never what it interprets. All else is
    /// served as `attachment`.
    pub const fn inline(self) -> bool {
        !matches!(self.kind(), MediaKind::File)
    }

    /// How names of such files end, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Pdf => "pdf",
            Self::Doc => "doc",
            Self::Docx => "docx",
            Self::Text => "txt",
            Self::Mp4 => "mp4",
            Self::QuickTime => "mov",
            Self::Webm | Self::WebmAudio => "webm",
            Self::Mp3 => "mp3",
            Self::M4a => "m4a",
            Self::Ogg => "ogg",
            Self::Wav => "wav",
            Self::Html => "html",
            Self::Svg => "svg",
            Self::Zip => "zip",
        }
    }
}

/// Largest sizes in bytes, by what a file turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// Of pictures.
    pub image: u64,
    /// Of films.
    pub video: u64,
    /// Of sound.
    pub audio: u64,
    /// Of anything else.
    pub file: u64,
}

impl SizeLimits {
    /// The same for every kind.
    pub const fn all(bytes: u64) -> Self {
        Self {
            image: bytes,
            video: bytes,
            audio: bytes,
            file: bytes,
        }
    }

    /// That of a kind.
    pub const fn of(&self, kind: MediaKind) -> u64 {
        match kind {
            MediaKind::Image => self.image,
            MediaKind::Video => self.video,
            MediaKind::Audio => self.audio,
            MediaKind::File => self.file,
        }
    }
}

/// What may be received this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeRules {
    /// How much.
    pub max_size: SizeLimits,
    /// This kind alone: avatars are images.
    pub only: Option<MediaKind>,
}

/// Why a file was not taken. Its text may be shown to who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It has too many bytes.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// How many would be allowed.
        limit: u64,
    },
    /// It is not of an allowed type, whatever it is called.
    #[error("files of type {found} are not accepted here")]
    TypeNotAllowed {
        /// What it is; `application/octet-stream` when that is not known.
        found: &'static str,
    },
    /// Decoding it would take too much.
    #[error("the picture is too large: {width} × {height} pixels, {frames} frames")]
    TooManyPixels {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// How many pictures it holds; as far as they were counted.
        frames: u32,
    },
    /// It begins as something that it does not go on to be, or it ends too soon.
    #[error("the file is damaged")]
    Damaged,
    /// A scanner has found something in it.
    #[error("the file was refused by the malware scanner")]
    Malware {
        /// What, for the log.
        signature: String,
    },
}

/// Why nothing was received.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// The file is at fault.
    #[error("{0}")]
    Refused(Refusal),
    /// Something else is.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<Refusal> for IntakeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A file that was received, checked and measured. What is to be kept of it waits in `contents`.
pub struct Received {
    /// What it is.
    pub format: MediaFormat,
    /// Size of the original in bytes, as it is to be kept.
    pub size: u64,
    /// SHA-256 of the original, as it is to be kept.
    pub sha256: [u8; 32],
    /// In pixels, upright; of pictures, and of films that tell.
    pub width: Option<u32>,
    /// In pixels, upright; of pictures, and of films that tell.
    pub height: Option<u32>,
    /// Of sound and films that tell.
    pub duration_ms: Option<u64>,
    /// What to store under which name: the original first, then its thumbnails if it has any.
    pub contents: Vec<ReceivedContent>,
}

impl Received {
    /// What is remembered of it.
    pub fn measured(&self) -> Measured {
        Measured {
            kind: self.format.kind(),
            media_type: self.format.media_type().to_owned(),
            size: self.size,
            sha256: ContentHash(self.sha256),
            width: self.width,
            height: self.height,
            duration_ms: self.duration_ms,
            thumbnails: self.has_thumbnails(),
        }
    }

    /// Whether it has thumbnails.
    pub fn has_thumbnails(&self) -> bool {
        self.contents.len() > 1
    }
}

/// One blob to store.
pub struct ReceivedContent {
    /// Which.
    pub variant: Variant,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub content: Box<dyn Content>,
}

/// Receives files.
///
/// - Bytes wait on a disk, not in memory; a file that is given up at any point, also by a killed process,
///   MUST leave nothing there.
/// - What a type is, is found from its content. Sizes of pictures are read from their headers before
///   anything is decoded; work on pictures is bounded in number and memory.
/// - Where a picture was taken, by whom and with what MUST NOT be in what is kept; it is turned upright.
/// - With a scanner, nothing is received that it did not call clean.
#[async_trait]
pub trait MediaIntake: Send + Sync {
    /// Begins to receive a file.
    async fn begin(&self, rules: IntakeRules) -> Result<Box<dyn Upload>, IntakeError>;
}

/// A file on its way in. Dropping it gives it up.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next bytes. Refuses as soon as they are too many, or show what the file is not allowed to
    /// be; it takes none after that.
    async fn write(&mut self, chunk: Bytes) -> Result<(), IntakeError>;

    /// All bytes have come: checks and measures them.
    async fn finish(self: Box<Self>) -> Result<Received, IntakeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_would_interpret_is_never_shown_in_place() {
        for format in [
            MediaFormat::Html,
            MediaFormat::Svg,
            MediaFormat::Pdf,
            MediaFormat::Text,
            MediaFormat::Zip,
        ] {
            assert!(!format.inline(), "{format:?}");
        }
        assert!(MediaFormat::Jpeg.inline());
    }

    #[test]
    fn a_format_is_found_by_its_media_type() {
        for format in MediaFormat::ALL {
            assert_eq!(MediaFormat::parse(format.media_type()), Some(format));
        }
        assert_eq!(MediaFormat::parse("image/tiff"), None);
    }

    #[test]
    fn by_default_nothing_that_runs_is_allowed() {
        assert_eq!(MediaFormat::DEFAULT.len(), 16);
        for format in [MediaFormat::Html, MediaFormat::Svg, MediaFormat::Zip] {
            assert!(!MediaFormat::DEFAULT.contains(&format));
        }
    }
}
