//! WebM: EBML (RFC 8794) with elements of Matroska (RFC 9559). What precedes the first cluster is read.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::{Playing, Unplayable, bytes};
use crate::detect::UNKNOWN;

/// How many elements are looked at.
const ELEMENTS_MAX: u32 = 2_000;

const EBML: u32 = 0x1a45_dfa3;
const DOC_TYPE: u32 = 0x4282;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;
const CLUSTER: u32 = 0x1f43_b675;

pub fn read(source: &mut (impl Read + Seek)) -> Result<Playing, Unplayable> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut reader = Reader {
        source,
        left: ELEMENTS_MAX,
        playing: Playing::default(),
        tracks: 0,
        nanoseconds: 1_000_000,
        duration: None,
    };
    let header = reader.element(0, size)?.ok_or(Unplayable::Damaged)?;
    if header.id != EBML {
        return Err(Unplayable::Damaged);
    }
    reader.header(header.inside.clone())?;
    let mut at = header.inside.end;
    loop {
        let element = reader.element(at, size)?.ok_or(Unplayable::Damaged)?;
        if element.id == SEGMENT {
            reader.segment(element.inside)?;
            return reader.finish();
        }
        at = element.inside.end;
    }
}

struct Element {
    id: u32,
    inside: Range<u64>,
}

struct Reader<'a, S> {
    source: &'a mut S,
    left: u32,
    playing: Playing,
    tracks: u32,
    /// In one unit of a timestamp.
    nanoseconds: u64,
    /// In those units.
    duration: Option<f64>,
}

impl<S: Read + Seek> Reader<'_, S> {
    /// The element at a position; `None` at the end.
    fn element(&mut self, at: u64, end: u64) -> Result<Option<Element>, Unplayable> {
        if at >= end {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Unplayable::Damaged)?;
        self.source.seek(SeekFrom::Start(at))?;
        let [first] = bytes(self.source)?;
        let more = first.leading_zeros();
        if more > 3 {
            return Err(Unplayable::Damaged);
        }
        let id = self.number(u64::from(first), more)?;
        let [first] = bytes(self.source)?;
        let more = first.leading_zeros();
        if more > 7 {
            return Err(Unplayable::Damaged);
        }
        let mask = 0x7f_u8 >> more;
        let size = self.number(u64::from(first & mask), more)?;
        // all ones: unknown, up to the end of what it is in
        let unknown = size == (1 << (7 * (more + 1))) - 1;
        let start = self.source.stream_position()?;
        let stop = if unknown {
            end
        } else {
            start.checked_add(size).ok_or(Unplayable::Damaged)?
        };
        // of clusters and the like, only the beginning is looked at
        Ok(Some(Element {
            id: u32::try_from(id).unwrap_or_default(),
            inside: start..stop,
        }))
    }

    fn number(&mut self, first: u64, more: u32) -> Result<u64, Unplayable> {
        let mut number = first;
        for _ in 0..more {
            let [byte] = bytes(self.source)?;
            number = number << 8 | u64::from(byte);
        }
        Ok(number)
    }

    fn header(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            if element.id == DOC_TYPE {
                let mut name = [0; 4];
                let count = self.source.take(4).read(&mut name)?;
                let is_webm =
                    element.inside.end - element.inside.start == 4 && name[..count] == *b"webm";
                return if is_webm {
                    Ok(())
                } else {
                    Err(Unplayable::Other("video/x-matroska"))
                };
            }
            at = element.inside.end;
        }
        Err(Unplayable::Other(UNKNOWN))
    }

    fn segment(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            match element.id {
                INFO => self.info(element.inside.clone())?,
                TRACKS => self.tracks(element.inside.clone())?,
                CLUSTER => break,
                _ => {}
            }
            at = element.inside.end;
        }
        Ok(())
    }

    fn info(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            match element.id {
                TIMESTAMP_SCALE => self.nanoseconds = self.unsigned(&element)?,
                DURATION => self.duration = self.float(&element)?,
                _ => {}
            }
            at = element.inside.end;
        }
        Ok(())
    }

    fn tracks(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            if element.id == TRACK {
                self.tracks += 1;
                self.track(element.inside.clone())?;
            }
            at = element.inside.end;
        }
        Ok(())
    }

    fn track(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        const IS_VIDEO: u64 = 1;
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            match element.id {
                TRACK_TYPE => {
                    self.playing.has_picture |= self.unsigned(&element)? == IS_VIDEO;
                }
                VIDEO => self.video(element.inside.clone())?,
                _ => {}
            }
            at = element.inside.end;
        }
        Ok(())
    }

    fn video(&mut self, inside: Range<u64>) -> Result<(), Unplayable> {
        let (mut width, mut height) = (0, 0);
        let mut at = inside.start;
        while let Some(element) = self.element(at, inside.end)? {
            match element.id {
                PIXEL_WIDTH => width = self.unsigned(&element)?,
                PIXEL_HEIGHT => height = self.unsigned(&element)?,
                _ => {}
            }
            at = element.inside.end;
        }
        let size = (u32::try_from(width).ok(), u32::try_from(height).ok());
        if let ((Some(width @ 1..), Some(height @ 1..)), None) = (size, self.playing.picture) {
            self.playing.picture = Some((width, height));
        }
        Ok(())
    }

    fn unsigned(&mut self, element: &Element) -> Result<u64, Unplayable> {
        match u32::try_from(element.inside.end - element.inside.start) {
            Ok(size @ 0..=8) => self.number(0, size),
            _ => Err(Unplayable::Damaged),
        }
    }

    fn float(&mut self, element: &Element) -> Result<Option<f64>, Unplayable> {
        Ok(match element.inside.end - element.inside.start {
            4 => Some(f64::from(f32::from_be_bytes(bytes(self.source)?))),
            8 => Some(f64::from_be_bytes(bytes(self.source)?)),
            _ => None,
        })
    }

    fn finish(mut self) -> Result<Playing, Unplayable> {
        if self.tracks == 0 {
            return Err(Unplayable::Damaged);
        }
        #[expect(clippy::cast_precision_loss, reason = "of a number of nanoseconds")]
        let unit = self.nanoseconds as f64;
        self.playing.duration_ms = self.duration.and_then(|units| {
            std::time::Duration::try_from_secs_f64(units * unit / 1e9)
                .ok()
                .and_then(|duration| u64::try_from(duration.as_millis()).ok())
                .and_then(|duration| super::millis(duration, 1000))
                .filter(|&duration| duration > 0)
        });
        Ok(self.playing)
    }
}
