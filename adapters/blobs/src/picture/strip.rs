//! Copies a picture without what is not needed to show it: EXIF, XMP, IPTC, comments, embedded previews, and
//! whatever follows its end. Nothing is decoded, so nothing is lost. Colour profiles stay.

use std::io::{self, BufRead, Read, Seek, Write};

use connexus_domain::ports::MediaFormat;

use super::{Outline, PictureLimits, Unshown, gif, jpeg, png, webp};

/// Copies the picture; reads its outline and checks that on the way.
pub fn strip(
    format: MediaFormat,
    source: &mut impl BufRead,
    out: &mut (impl Write + Seek),
    limits: &PictureLimits,
) -> Result<Outline, Unshown> {
    match format {
        MediaFormat::Jpeg => jpeg::strip(source, out, limits),
        MediaFormat::Png => png::strip(source, out, limits),
        MediaFormat::Gif => gif::strip(source, out, limits),
        _ => webp::strip(source, out, limits),
    }
}

/// Copies exactly so many bytes.
pub fn copy(
    source: &mut impl Read,
    out: &mut (impl Write + ?Sized),
    count: u64,
) -> Result<(), Unshown> {
    if io::copy(&mut source.take(count), out)? == count {
        Ok(())
    } else {
        Err(Unshown::Damaged)
    }
}

/// Passes over exactly so many bytes.
pub fn skip(source: &mut impl Read, count: u64) -> Result<(), Unshown> {
    copy(source, &mut io::sink(), count)
}

/// Reads exactly so many bytes.
pub fn bytes<const N: usize>(source: &mut impl Read) -> Result<[u8; N], Unshown> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}
