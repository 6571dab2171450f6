//! GIF: blocks up to a trailer.

use std::io::{BufRead, Write};

use super::strip::{bytes, copy, skip};
use super::{Outline, PictureLimits, Unshown};

pub fn strip(
    source: &mut impl BufRead,
    out: &mut impl Write,
    limits: &PictureLimits,
) -> Result<Outline, Unshown> {
    let header: [u8; 13] = bytes(source)?;
    let side = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let mut outline = Outline {
        width: side(6),
        height: side(8),
        frames: 0,
    };
    limits.check(outline)?;
    out.write_all(&header)?;
    copy(source, out, palette(header[10]))?;
    loop {
        match bytes(source)? {
            [b','] => {
                let frame: [u8; 9] = bytes(source)?;
                let side = |at: usize| u32::from(u16::from_le_bytes([frame[at], frame[at + 1]]));
                outline.frames = outline.frames.saturating_add(1);
                limits.check(Outline {
                    width: outline.width.max(side(4)),
                    height: outline.height.max(side(6)),
                    ..outline
                })?;
                out.write_all(b",")?;
                out.write_all(&frame)?;
                copy(source, out, palette(frame[8]))?;
                // how codes are packed
                copy(source, out, 1)?;
                blocks(source, Some(out))?;
            }
            [b'!'] => extension(source, out)?,
            // what follows the trailer is no part of it
            [b';'] if outline.frames > 0 => {
                out.write_all(b";")?;
                return Ok(outline);
            }
            _ => return Err(Unshown::Damaged),
        }
    }
}

/// The size of the palette that the flags tell of.
fn palette(flags: u8) -> u64 {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// Times and transparency are kept, and how often an animation runs; comments and XMP are not.
fn extension(source: &mut impl BufRead, out: &mut impl Write) -> Result<(), Unshown> {
    match bytes(source)? {
        [label @ 0xf9] => {
            out.write_all(&[b'!', label])?;
            blocks(source, Some(out))
        }
        [label @ 0xff] => {
            let [length] = bytes(source)?;
            if length != 11 {
                skip(source, length.into())?;
                return skip_rest(source, length);
            }
            let name: [u8; 11] = bytes(source)?;
            if matches!(&name, b"NETSCAPE2.0" | b"ANIMEXTS1.0") {
                out.write_all(&[b'!', label, length])?;
                out.write_all(&name)?;
                blocks(source, Some(out))
            } else {
                blocks::<Vec<u8>>(source, None)
            }
        }
        [_] => blocks::<Vec<u8>>(source, None),
    }
}

/// Passes over what follows the first block, unless that was the last.
fn skip_rest(source: &mut impl BufRead, first: u8) -> Result<(), Unshown> {
    if first == 0 {
        Ok(())
    } else {
        blocks::<Vec<u8>>(source, None)
    }
}

/// Copies or passes over blocks up to an empty one.
fn blocks<W: Write>(source: &mut impl BufRead, mut out: Option<&mut W>) -> Result<(), Unshown> {
    loop {
        let [length] = bytes(source)?;
        if let Some(out) = &mut out {
            out.write_all(&[length])?;
            copy(source, *out, length.into())?;
        } else {
            skip(source, length.into())?;
        }
        if length == 0 {
            return Ok(());
        }
    }
}
