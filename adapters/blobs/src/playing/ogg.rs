//! Ogg (RFC 3533) with Opus (RFC 7845) or Vorbis: the first page tells the rate, the last one the position of
//! its end.

use std::io::{Read, Seek, SeekFrom};

use super::{Playing, Unplayable, bytes, millis};
use crate::detect::UNKNOWN;

const MAGIC: &[u8] = b"OggS";
/// A page is at most this long, so the last one begins within as much of the end.
const PAGE_MAX: u64 = 65_307;

pub fn read(source: &mut (impl Read + Seek)) -> Result<Playing, Unplayable> {
    let size = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(0))?;
    let header: [u8; 27] = bytes(source)?;
    let serial = serial(&header).ok_or(Unplayable::Damaged)?;
    let segments = i64::from(header[26]);
    source.seek(SeekFrom::Current(segments))?;
    let first: [u8; 19] = bytes(source)?;
    let (rate, skipped) = if first.starts_with(b"OpusHead") {
        // positions count at 48 kHz whatever the source had
        (
            48_000,
            u64::from(u16::from_le_bytes([first[10], first[11]])),
        )
    } else if first.starts_with(b"\x01vorbis") {
        let rate = u32::from_le_bytes([first[12], first[13], first[14], first[15]]);
        (u64::from(rate), 0)
    } else if first.starts_with(b"\x80theora") {
        return Err(Unplayable::Other("video/ogg"));
    } else {
        return Err(Unplayable::Other(UNKNOWN));
    };
    let end = last_position(source, size, serial)?;
    Ok(Playing {
        duration_ms: end.and_then(|end| millis(end.saturating_sub(skipped), rate)),
        ..Playing::default()
    })
}

fn serial(header: &[u8]) -> Option<[u8; 4]> {
    header
        .strip_prefix(MAGIC)?
        .get(10..)?
        .first_chunk()
        .copied()
}

fn last_position(
    source: &mut (impl Read + Seek),
    size: u64,
    wanted: [u8; 4],
) -> Result<Option<u64>, Unplayable> {
    let tail_size = size.min(PAGE_MAX);
    source.seek(SeekFrom::Start(size - tail_size))?;
    let mut tail = Vec::new();
    source.take(tail_size).read_to_end(&mut tail)?;
    let pages = tail
        .windows(MAGIC.len())
        .enumerate()
        .rev()
        .filter(|(_, window)| *window == MAGIC)
        .map(|(at, _)| &tail[at..]);
    for page in pages {
        if serial(page) != Some(wanted) {
            continue;
        }
        let position = page.get(6..).and_then(|rest| rest.first_chunk());
        // all ones: no packet ends on this page
        match position.map(|bytes| u64::from_le_bytes(*bytes)) {
            None | Some(u64::MAX) => {}
            Some(position) => return Ok(Some(position)),
        }
    }
    Ok(None)
}
