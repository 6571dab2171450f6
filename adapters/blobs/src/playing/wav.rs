//! WAV: RIFF with a `fmt ` chunk that tells the rate and a `data` chunk that tells the size.

use std::io::{Read, Seek, SeekFrom};

use super::{Playing, Unplayable, bytes, millis};

/// How many chunks are looked at.
const CHUNKS_MAX: usize = 64;

pub fn read(source: &mut (impl Read + Seek)) -> Result<Playing, Unplayable> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut at = 12;
    let mut rate = None;
    for _ in 0..CHUNKS_MAX {
        source.seek(SeekFrom::Start(at))?;
        let name: [u8; 4] = bytes(source)?;
        let length = u64::from(u32::from_le_bytes(bytes(source)?));
        at += 8;
        match &name {
            b"fmt " => {
                let format: [u8; 16] = bytes(source)?;
                let [.., a, b, c, d, _, _, _, _] = format;
                rate = Some(u32::from_le_bytes([a, b, c, d]));
            }
            b"data" => {
                let rate = rate.filter(|&rate| rate > 0).ok_or(Unplayable::Damaged)?;
                // who streams does not know the length beforehand, and writes the largest
                let rest = size.saturating_sub(at);
                let length = match length {
                    0 | 0xffff_ffff => rest,
                    length if length > rest => return Err(Unplayable::Damaged),
                    length => length,
                };
                return Ok(Playing {
                    duration_ms: millis(length, rate.into()),
                    ..Playing::default()
                });
            }
            _ => {}
        }
        // chunks begin at even places
        at += length + length % 2;
    }
    Err(Unplayable::Damaged)
}
