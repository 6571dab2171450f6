//! Pictures: what must not be told on is cut out of them, they are turned upright, and made small.

mod decode;
mod gif;
mod jpeg;
mod png;
mod strip;
mod webp;
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};

use connexus_domain::ports::MediaFormat;

use crate::spool::{Spool, Spooled};

/// What a picture may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// Longest side, in pixels.
    pub max_side: u32,
    /// Width by height.
    pub max_pixels: u64,
    /// Pictures in an animation.
    pub max_frames: u32,
    /// Memory that decoding one may take, in bytes.
    pub max_memory: u64,
}

impl Default for PictureLimits {
    /// The pictures of today's cameras, at four bytes a pixel.
    fn default() -> Self {
        Self {
            max_side: 12_000,
            max_pixels: 50_000_000,
            max_frames: 1_000,
            max_memory: 256 * 1024 * 1024,
        }
    }
}

impl PictureLimits {
    fn check(&self, outline: Outline) -> Result<(), Unshown> {
        let Outline {
            width,
            height,
            frames,
        } = outline;
        if width == 0 || height == 0 {
            return Err(Unshown::Damaged);
        }
        let fits = width.max(height) <= self.max_side
            && u64::from(width) * u64::from(height) <= self.max_pixels
            && frames <= self.max_frames;
        if fits {
            Ok(())
        } else {
            Err(Unshown::TooLarge(outline))
        }
    }
}

/// What a picture's headers say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    pub width: u32,
    pub height: u32,
    pub frames: u32,
}

/// Why a picture is not taken.
#[derive(Debug)]
pub enum Unshown {
    Damaged,
    TooLarge(Outline),
    Io(io::Error),
}

impl From<io::Error> for Unshown {
    fn from(error: io::Error) -> Self {
        // it ends before what it announces
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged
        } else {
            Self::Io(error)
        }
    }
}

/// A picture as it is to be kept.
pub struct Picture {
    pub original: Spooled,
    pub width: u32,
    pub height: u32,
    /// WebP, the small one and the large one.
    pub thumbnails: [Spooled; 2],
}

/// Cuts, checks, turns and makes small. Takes long: for a blocking thread.
pub fn process(
    format: MediaFormat,
    received: &Spooled,
    spool: &Spool,
    limits: &PictureLimits,
    sides: [u32; 2],
) -> Result<Picture, Unshown> {
    let mut out = BufWriter::new(spool.file()?);
    let mut source = BufReader::new(received.reader());
    // the limits are checked in there, as soon as a header has been read and before anything is decoded
    let outline = strip::strip(format, &mut source, &mut out, limits)?;
    out.flush()?;
    source.seek(SeekFrom::Start(0))?;
    let decoded = decode::decode(format, source, limits)?;
    let original = match decoded.upright(format, outline)? {
        Some(turned) => spool.hold(&turned)?,
        None => Spooled::measure(out.into_inner().map_err(io::IntoInnerError::into_error)?)?,
    };
    let (width, height) = decoded.size();
    let [small, large] = sides;
    let large = decoded.within(large)?;
    let small = large.within(small)?;
    Ok(Picture {
        original,
        width,
        height,
        thumbnails: [
            spool.hold(&small.to_webp()?)?,
            spool.hold(&large.to_webp()?)?,
        ],
    })
}
