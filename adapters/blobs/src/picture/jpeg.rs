//! JPEG (ITU-T T.81): a list of segments, with the picture's data between them.

use std::io::{BufRead, Write};

use super::strip::bytes;
use super::{Outline, PictureLimits, Unshown};

pub fn strip(
    source: &mut impl BufRead,
    out: &mut impl Write,
    limits: &PictureLimits,
) -> Result<Outline, Unshown> {
    if bytes(source)? != [0xff, 0xd8] {
        return Err(Unshown::Damaged);
    }
    out.write_all(&[0xff, 0xd8])?;
    let mut outline = Outline::default();
    let mut has_data = false;
    let mut marker = next_marker(source)?;
    loop {
        marker = match marker {
            // end of image: what follows is no part of it
            0xd9 if has_data && outline.frames > 0 => {
                out.write_all(&[0xff, 0xd9])?;
                return Ok(outline);
            }
            // two that stand alone, or none at all
            0x00 | 0x01 | 0xd0..=0xd9 => return Err(Unshown::Damaged),
            _ => {
                let segment = segment(source)?;
                if is_frame(marker) {
                    outline = frame(&segment)?;
                    limits.check(outline)?;
                }
                keep(marker, segment, out)?;
                if marker == 0xda {
                    has_data = true;
                    copy_data(source, out)?
                } else {
                    next_marker(source)?
                }
            }
        };
    }
}

fn next_marker(source: &mut impl BufRead) -> Result<u8, Unshown> {
    let [prefix] = bytes(source)?;
    if prefix != 0xff {
        return Err(Unshown::Damaged);
    }
    after_fill(source)
}

/// Any number of `ff` may stand before a marker's code.
fn after_fill(source: &mut impl BufRead) -> Result<u8, Unshown> {
    loop {
        let [code] = bytes(source)?;
        if code != 0xff {
            return Ok(code);
        }
    }
}

/// What is in a segment, without its length.
fn segment(source: &mut impl BufRead) -> Result<Vec<u8>, Unshown> {
    let length = u16::from_be_bytes(bytes(source)?)
        .checked_sub(2)
        .ok_or(Unshown::Damaged)?;
    let mut segment = vec![0; length.into()];
    source.read_exact(&mut segment)?;
    Ok(segment)
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

fn frame(segment: &[u8]) -> Result<Outline, Unshown> {
    let &[_precision, a, b, c, d, ..] = segment else {
        return Err(Unshown::Damaged);
    };
    Ok(Outline {
        height: u16::from_be_bytes([a, b]).into(),
        width: u16::from_be_bytes([c, d]).into(),
        frames: 1,
    })
}

/// Writes a segment, if it is needed to show the picture.
fn keep(marker: u8, mut segment: Vec<u8>, out: &mut impl Write) -> Result<(), Unshown> {
    let needed = match marker {
        0xe0 if segment.starts_with(b"JFIF\0") && segment.len() >= 14 => {
            // without the preview that may be in it
            segment.truncate(14);
            segment[12..].fill(0);
            true
        }
        0xe2 => segment.starts_with(b"ICC_PROFILE\0"),
        // how colours are coded
        0xee => segment.starts_with(b"Adobe"),
        0xe0..=0xef | 0xfe => false,
        _ => true,
    };
    if needed {
        // it was read with this length
        let length = u16::try_from(segment.len() + 2).or(Err(Unshown::Damaged))?;
        out.write_all(&[0xff, marker])?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&segment)?;
    }
    Ok(())
}

/// Copies the data behind a start of scan; returns the marker that ends it.
fn copy_data(source: &mut impl BufRead, out: &mut impl Write) -> Result<u8, Unshown> {
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Err(Unshown::Damaged);
        }
        let Some(at) = buffer.iter().position(|&byte| byte == 0xff) else {
            let all = buffer.len();
            out.write_all(buffer)?;
            source.consume(all);
            continue;
        };
        out.write_all(&buffer[..at])?;
        source.consume(at + 1);
        match after_fill(source)? {
            // a byte that is no marker, or a restart
            code @ (0x00 | 0xd0..=0xd7) => out.write_all(&[0xff, code])?,
            marker => return Ok(marker),
        }
    }
}
