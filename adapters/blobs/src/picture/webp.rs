//! WebP (RFC 9649): RIFF chunks.

use std::io::{BufRead, Seek, SeekFrom, Write};

use super::strip::{bytes, copy, skip};
use super::{Outline, PictureLimits, Unshown};

/// Bits of the extended header: there is EXIF, there is XMP.
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;

pub fn strip(
    source: &mut impl BufRead,
    out: &mut (impl Write + Seek),
    limits: &PictureLimits,
) -> Result<Outline, Unshown> {
    let header: [u8; 12] = bytes(source)?;
    let [b'R', b'I', b'F', b'F', a, b, c, d, b'W', b'E', b'B', b'P'] = header else {
        return Err(Unshown::Damaged);
    };
    // of what follows the size
    let mut left = u64::from(u32::from_le_bytes([a, b, c, d]))
        .checked_sub(4)
        .ok_or(Unshown::Damaged)?;
    out.write_all(&header)?;
    let mut outline: Option<Outline> = None;
    let mut has_data = false;
    let mut written: u64 = 4;
    while left >= 8 {
        let name: [u8; 4] = bytes(source)?;
        let length = u64::from(u32::from_le_bytes(bytes(source)?));
        // chunks end at even places, but for the last one of careless writers
        let padded = (length + length % 2).min(left - 8);
        if padded < length {
            return Err(Unshown::Damaged);
        }
        left -= 8 + padded;
        let mut begin = Vec::new();
        match (&name, &mut outline) {
            (b"VP8X", None) => {
                let mut extended: [u8; 10] = bytes(source)?;
                extended[0] &= !(EXIF | XMP);
                outline = Some(canvas(extended));
                begin.extend(extended);
            }
            (b"VP8 " | b"VP8L", known) => {
                has_data = true;
                if known.is_none() {
                    let head: [u8; 10] = bytes(source)?;
                    begin.extend(head);
                    *known = Some(if name[3] == b'L' {
                        lossless(head)?
                    } else {
                        lossy(head)?
                    });
                }
            }
            (b"ANMF", Some(outline)) => {
                // the still picture counts for none when it moves
                outline.frames = outline.frames.saturating_add(u32::from(has_data));
                has_data = true;
            }
            (_, None) => return Err(Unshown::Damaged),
            _ => {}
        }
        if let Some(outline) = outline {
            limits.check(outline)?;
        }
        let rest = padded
            .checked_sub(begin.len() as u64)
            .ok_or(Unshown::Damaged)?;
        if is_needed(name) {
            out.write_all(&name)?;
            out.write_all(
                &u32::try_from(length)
                    .or(Err(Unshown::Damaged))?
                    .to_le_bytes(),
            )?;
            out.write_all(&begin)?;
            copy(source, out, rest)?;
            written += 8 + padded;
        } else {
            skip(source, rest)?;
        }
    }
    out.seek(SeekFrom::Start(4))?;
    out.write_all(
        &u32::try_from(written)
            .or(Err(Unshown::Damaged))?
            .to_le_bytes(),
    )?;
    outline.filter(|_| has_data).ok_or(Unshown::Damaged)
}

fn is_needed(name: [u8; 4]) -> bool {
    matches!(
        &name,
        b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP"
    )
}

fn canvas(extended: [u8; 10]) -> Outline {
    let side =
        |at: usize| u32::from_le_bytes([extended[at], extended[at + 1], extended[at + 2], 0]) + 1;
    Outline {
        width: side(4),
        height: side(7),
        frames: 1,
    }
}

fn lossy(head: [u8; 10]) -> Result<Outline, Unshown> {
    let [_, _, _, 0x9d, 0x01, 0x2a, a, b, c, d] = head else {
        return Err(Unshown::Damaged);
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(Outline {
        width: side(a, b),
        height: side(c, d),
        frames: 1,
    })
}

fn lossless(head: [u8; 10]) -> Result<Outline, Unshown> {
    let [0x2f, a, b, c, d, ..] = head else {
        return Err(Unshown::Damaged);
    };
    let bits = u32::from_le_bytes([a, b, c, d]);
    Ok(Outline {
        width: (bits & 0x3fff) + 1,
        height: (bits >> 14 & 0x3fff) + 1,
        frames: 1,
    })
}
