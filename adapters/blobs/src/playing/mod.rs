//! Sound and films: how long, how large, and whether there is a picture. Only headers are read, and of each
//! file a bounded number.

mod ebml;
mod mp3;
mod mp4;
mod ogg;
mod wav;

use std::io::{self, Read, Seek};

use connexus_domain::ports::MediaFormat;

pub use mp4::Blanks;

/// What a file tells of itself.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Playing {
    /// Width and height in pixels, upright, when there is a picture and its size is told.
    pub picture: Option<(u32, u32)>,
    /// Whether there is a picture.
    pub has_picture: bool,
    /// In milliseconds.
    pub duration_ms: Option<u64>,
}

/// Why a file cannot be measured.
#[derive(Debug)]
pub enum Unplayable {
    /// It is not what it began as.
    Damaged,
    /// It is something else after all.
    Other(&'static str),
    /// It could not be read.
    Io(io::Error),
}

impl From<io::Error> for Unplayable {
    fn from(error: io::Error) -> Self {
        // it ends before what it announces
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged
        } else {
            Self::Io(error)
        }
    }
}

/// Measures a file that began like `format`, and says which format it is, and which parts of it are to be
/// blanked.
pub fn measure(
    format: MediaFormat,
    source: &mut (impl Read + Seek),
) -> Result<(MediaFormat, Playing, Blanks), Unplayable> {
    let (format, playing, blanks) = match format {
        MediaFormat::Mp4 | MediaFormat::M4a | MediaFormat::QuickTime => {
            let (playing, blanks) = mp4::read(source)?;
            let format = match (format, playing.has_picture) {
                (MediaFormat::QuickTime, _) => format,
                // covers are no tracks, so sound has none
                (_, true) => MediaFormat::Mp4,
                (_, false) => MediaFormat::M4a,
            };
            (format, playing, blanks)
        }
        MediaFormat::Webm | MediaFormat::WebmAudio => {
            let playing = ebml::read(source)?;
            let format = if playing.has_picture {
                MediaFormat::Webm
            } else {
                MediaFormat::WebmAudio
            };
            (format, playing, Blanks::default())
        }
        MediaFormat::Ogg => (format, ogg::read(source)?, Blanks::default()),
        MediaFormat::Wav => (format, wav::read(source)?, Blanks::default()),
        _ => (MediaFormat::Mp3, mp3::read(source)?, Blanks::default()),
    };
    Ok((format, playing, blanks))
}

/// Units at a rate, in milliseconds. More than a year is a broken header rather than a long recording.
fn millis(units: u64, per_second: u64) -> Option<u64> {
    const YEAR: u128 = 366 * 24 * 3600 * 1000;
    let millis = u128::from(units)
        .checked_mul(1000)?
        .checked_div(u128::from(per_second))?;
    u64::try_from(millis)
        .ok()
        .filter(|&millis| u128::from(millis) < YEAR)
}

/// Reads exactly so many bytes.
fn bytes<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
