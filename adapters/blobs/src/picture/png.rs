//! PNG (third edition): a list of chunks.

use std::io::{BufRead, Write};

use super::strip::{bytes, copy, skip};
use super::{Outline, PictureLimits, Unshown};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Longest chunk that the standard allows.
const LONGEST: u32 = 0x7fff_ffff;

pub fn strip(
    source: &mut impl BufRead,
    out: &mut impl Write,
    limits: &PictureLimits,
) -> Result<Outline, Unshown> {
    if bytes(source)? != SIGNATURE {
        return Err(Unshown::Damaged);
    }
    out.write_all(&SIGNATURE)?;
    let mut outline = None;
    loop {
        let length = u32::from_be_bytes(bytes(source)?);
        let name: [u8; 4] = bytes(source)?;
        if length > LONGEST {
            return Err(Unshown::Damaged);
        }
        // with its check sum
        let mut rest = u64::from(length) + 4;
        let mut begin = [length.to_be_bytes(), name].concat();
        match (&name, &mut outline) {
            (b"IHDR", None) if length == 13 => {
                let width: [u8; 4] = bytes(source)?;
                let height: [u8; 4] = bytes(source)?;
                let found = Outline {
                    width: u32::from_be_bytes(width),
                    height: u32::from_be_bytes(height),
                    frames: 1,
                };
                limits.check(found)?;
                outline = Some(found);
                begin.extend(width);
                begin.extend(height);
                rest -= 8;
            }
            (b"IHDR", _) | (_, None) => return Err(Unshown::Damaged),
            (b"fcTL", Some(outline)) => {
                outline.frames = outline.frames.saturating_add(1);
                limits.check(*outline)?;
            }
            _ => {}
        }
        if is_needed(name) {
            out.write_all(&begin)?;
            copy(source, out, rest)?;
        } else {
            skip(source, rest)?;
        }
        if &name == b"IEND" {
            return outline.ok_or(Unshown::Damaged);
        }
    }
}

/// Critical ones, colours, transparency, and the frames of animations.
fn is_needed(name: [u8; 4]) -> bool {
    matches!(
        &name,
        b"IHDR"
            | b"PLTE"
            | b"IDAT"
            | b"IEND"
            | b"tRNS"
            | b"gAMA"
            | b"cHRM"
            | b"sRGB"
            | b"iCCP"
            | b"cICP"
            | b"mDCV"
            | b"cLLI"
            | b"sBIT"
            | b"pHYs"
            | b"bKGD"
            | b"acTL"
            | b"fcTL"
            | b"fdAT"
    )
}
