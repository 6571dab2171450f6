//! MP3: frames after an optional ID3 tag. The first frame of a file with a variable rate counts them all.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Playing, Unplayable, bytes, millis};

/// How much is read of the first frame: enough for its header, side information and counts.
const FRAME_HEAD: u64 = 64;

pub fn read(source: &mut (impl Read + Seek)) -> Result<Playing, Unplayable> {
    source.seek(SeekFrom::Start(0))?;
    let start: [u8; 10] = bytes(source)?;
    let at = match start {
        // 28 bits in four bytes, for they must not look like a frame
        [b'I', b'D', b'3', _, _, flags, a, b, c, d] => {
            let size = [a, b, c, d]
                .iter()
                .fold(0, |size, &byte| size << 7 | u64::from(byte & 0x7f));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            10 + size + footer
        }
        _ => 0,
    };
    source.seek(SeekFrom::Start(at))?;
    let mut head = Vec::new();
    source.take(FRAME_HEAD).read_to_end(&mut head)?;
    let frame = Frame::parse(&head).ok_or(Unplayable::Damaged)?;
    // a second frame right behind it: four bytes alone could be chance
    source.seek(SeekFrom::Start(at + frame.size))?;
    let follows = match bytes::<4>(source) {
        Ok(header) => Frame::parse(&header).is_some(),
        // one frame alone is a file, if a short one
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
        Err(error) => return Err(error.into()),
    };
    if !follows {
        return Err(Unplayable::Damaged);
    }
    let frames = frame.count(&head);
    Ok(Playing {
        duration_ms: frames.and_then(|frames| millis(frames * frame.samples, frame.rate)),
        ..Playing::default()
    })
}

/// The header of a frame of layer 3 (ISO/IEC 11172-3, 13818-3).
struct Frame {
    /// Whether it is of MPEG 1, not 2 or 2.5.
    first: bool,
    mono: bool,
    /// Samples a second.
    rate: u64,
    /// Samples in it.
    samples: u64,
    /// In bytes.
    size: u64,
}

impl Frame {
    fn parse(bytes: &[u8]) -> Option<Self> {
        const FIRST: [u64; 15] = [
            0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const SECOND: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        const RATES: [u64; 3] = [44_100, 48_000, 32_000];

        let &[0xff, second, third, fourth, ..] = bytes else {
            return None;
        };
        if second & 0xe6 != 0xe2 {
            return None;
        }
        let divisor = match second >> 3 & 3 {
            3 => 1,
            2 => 2,
            0 => 4,
            _ => return None,
        };
        let first = divisor == 1;
        let table = if first { FIRST } else { SECOND };
        let kilobits = *table.get(usize::from(third >> 4))?;
        let rate = RATES.get(usize::from(third >> 2 & 3))? / divisor;
        let samples = if first { 1152 } else { 576 };
        let size = samples / 8 * kilobits * 1000 / rate + u64::from(third >> 1 & 1);
        (kilobits > 0).then_some(Self {
            first,
            mono: fourth >> 6 == 3,
            rate,
            samples,
            size,
        })
    }

    /// What the `Xing` or `Info` header in the first frame counts.
    fn count(&self, head: &[u8]) -> Option<u64> {
        const HAS_FRAMES: u32 = 1;
        let side = match (self.first, self.mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let header = head.get(4 + side..)?;
        if !header.starts_with(b"Xing") && !header.starts_with(b"Info") {
            return None;
        }
        let word = |at: usize| header.get(at..)?.first_chunk().copied();
        let flags = u32::from_be_bytes(word(4)?);
        (flags & HAS_FRAMES != 0)
            .then(|| word(8).map(u32::from_be_bytes))
            .flatten()
            .map(u64::from)
    }
}
