//! ISO base media (ISO/IEC 14496-12) and QuickTime: boxes in boxes.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::{Playing, Unplayable, bytes, millis};

/// How many boxes are looked at; a film in fragments has two for each.
const BOXES_MAX: u32 = 100_000;

/// Parts of a file that tell more than the film: where it was taken, and with what. Each begins with the name of
/// a box, to be replaced by `free`; what follows is to be zeroed.
pub type Blanks = Vec<Range<u64>>;

pub fn read(source: &mut (impl Read + Seek)) -> Result<(Playing, Blanks), Unplayable> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut film = Film::default();
    let mut found = false;
    let mut left = BOXES_MAX;
    film.each(source, 0..size, &mut left, |film, source, part, left| {
        match &part.name {
            b"moov" => {
                found = true;
                film.moov(source, part, left)?;
            }
            b"meta" | b"uuid" => film.blanks.push(part.blank()),
            _ => {}
        }
        Ok(())
    })?;
    if !found {
        return Err(Unplayable::Damaged);
    }
    Ok((film.playing, film.blanks))
}

struct Part {
    name: [u8; 4],
    /// Where its name is.
    named_at: u64,
    inside: Range<u64>,
}

impl Part {
    fn blank(&self) -> Range<u64> {
        self.named_at..self.inside.end
    }
}

#[derive(Default)]
struct Film {
    playing: Playing,
    timescale: u32,
    blanks: Blanks,
}

impl Film {
    /// Looks at the boxes in a range, one after the other.
    fn each<S: Read + Seek>(
        &mut self,
        source: &mut S,
        range: Range<u64>,
        left: &mut u32,
        mut look: impl FnMut(&mut Self, &mut S, &Part, &mut u32) -> Result<(), Unplayable>,
    ) -> Result<(), Unplayable> {
        let mut at = range.start;
        // QuickTime may end a list with four zeros
        while at + 8 <= range.end {
            *left = left.checked_sub(1).ok_or(Unplayable::Damaged)?;
            source.seek(SeekFrom::Start(at))?;
            let short = u32::from_be_bytes(bytes(source)?);
            let name = bytes(source)?;
            let (header, size) = match short {
                0 => (8, range.end - at),
                1 => (16, u64::from_be_bytes(bytes(source)?)),
                size => (8, u64::from(size)),
            };
            let end = at
                .checked_add(size)
                .filter(|&end| size >= header && end <= range.end)
                .ok_or(Unplayable::Damaged)?;
            let part = Part {
                name,
                named_at: at + 4,
                inside: at + header..end,
            };
            look(self, source, &part, left)?;
            at = end;
        }
        Ok(())
    }

    fn moov<S: Read + Seek>(
        &mut self,
        source: &mut S,
        part: &Part,
        left: &mut u32,
    ) -> Result<(), Unplayable> {
        self.each(
            source,
            part.inside.clone(),
            left,
            |film, source, part, left| {
                match &part.name {
                    b"mvhd" => film.mvhd(source, part)?,
                    b"mvex" => film.mvex(source, part, left)?,
                    b"trak" => film.trak(source, part, left)?,
                    // titles of songs go as well: places have too many names to pick them out
                    b"udta" | b"meta" | b"uuid" => film.blanks.push(part.blank()),
                    _ => {}
                }
                Ok(())
            },
        )
    }

    fn mvhd(&mut self, source: &mut (impl Read + Seek), part: &Part) -> Result<(), Unplayable> {
        source.seek(SeekFrom::Start(part.inside.start))?;
        let [version, ..] = bytes::<4>(source)?;
        let duration = if version == 1 {
            let _times: [u8; 16] = bytes(source)?;
            self.timescale = u32::from_be_bytes(bytes(source)?);
            u64::from_be_bytes(bytes(source)?)
        } else {
            let _times: [u8; 8] = bytes(source)?;
            self.timescale = u32::from_be_bytes(bytes(source)?);
            u64::from(u32::from_be_bytes(bytes(source)?))
        };
        self.lasts(duration);
        Ok(())
    }

    /// Of a film in fragments: its header has no duration, but a later box may.
    fn mvex<S: Read + Seek>(
        &mut self,
        source: &mut S,
        part: &Part,
        left: &mut u32,
    ) -> Result<(), Unplayable> {
        self.each(
            source,
            part.inside.clone(),
            left,
            |film, source, part, _| {
                if &part.name == b"mehd" {
                    source.seek(SeekFrom::Start(part.inside.start))?;
                    let [version, ..] = bytes::<4>(source)?;
                    let duration = if version == 1 {
                        u64::from_be_bytes(bytes(source)?)
                    } else {
                        u64::from(u32::from_be_bytes(bytes(source)?))
                    };
                    film.lasts(duration);
                }
                Ok(())
            },
        )
    }

    fn lasts(&mut self, duration: u64) {
        let told = duration > 0 && duration != u64::from(u32::MAX) && duration != u64::MAX;
        if told && self.playing.duration_ms.is_none() {
            self.playing.duration_ms = millis(duration, self.timescale.into());
        }
    }

    fn trak<S: Read + Seek>(
        &mut self,
        source: &mut S,
        part: &Part,
        left: &mut u32,
    ) -> Result<(), Unplayable> {
        let mut size = None;
        let mut is_picture = false;
        self.each(
            source,
            part.inside.clone(),
            left,
            |film, source, part, left| {
                match &part.name {
                    b"tkhd" => size = tkhd(source, part)?,
                    b"mdia" => {
                        film.each(source, part.inside.clone(), left, |_, source, part, _| {
                            if &part.name == b"hdlr" {
                                source.seek(SeekFrom::Start(part.inside.start + 8))?;
                                is_picture |= &bytes::<4>(source)? == b"vide";
                            }
                            Ok(())
                        })?;
                    }
                    b"udta" | b"meta" | b"uuid" => film.blanks.push(part.blank()),
                    _ => {}
                }
                Ok(())
            },
        )?;
        if is_picture {
            self.playing.has_picture = true;
            self.playing.picture = self.playing.picture.or(size);
        }
        Ok(())
    }
}

/// Width and height of a track, turned as its matrix says.
fn tkhd(source: &mut (impl Read + Seek), part: &Part) -> Result<Option<(u32, u32)>, Unplayable> {
    source.seek(SeekFrom::Start(part.inside.start))?;
    let [version, ..] = bytes::<4>(source)?;
    let before_matrix = if version == 1 { 32 + 16 } else { 20 + 16 };
    source.seek(SeekFrom::Current(before_matrix))?;
    let matrix: [u8; 36] = bytes(source)?;
    // 16.16 fixed
    let width = u32::from_be_bytes(bytes(source)?) >> 16;
    let height = u32::from_be_bytes(bytes(source)?) >> 16;
    let lies = matrix[0..4] == [0; 4] && matrix[16..20] == [0; 4];
    Ok(match (width, height) {
        (0, _) | (_, 0) => None,
        _ if lies => Some((height, width)),
        _ => Some((width, height)),
    })
}

#[cfg(test)]
pub mod tests {
    use std::io::Cursor;

    use super::*;

    fn part(name: &[u8], inside: &[u8]) -> Vec<u8> {
        let size = u32::try_from(inside.len() + 8).unwrap();
        [&size.to_be_bytes(), name, inside].concat()
    }

    pub fn film(turned: bool, place: &[u8]) -> Vec<u8> {
        let mvhd = [
            &[0; 12][..],
            &1000_u32.to_be_bytes(),
            &2500_u32.to_be_bytes(),
            &[0; 80],
        ];
        let mut tkhd = vec![0; 84];
        let (a, d) = if turned { (44, 52) } else { (40, 56) };
        tkhd[a] = 1;
        tkhd[d] = 1;
        tkhd[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
        tkhd[80..84].copy_from_slice(&(360_u32 << 16).to_be_bytes());
        let hdlr = part(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let trak = [part(b"tkhd", &tkhd), part(b"mdia", &hdlr)].concat();
        let moov = [
            part(b"mvhd", &mvhd.concat()),
            part(b"trak", &trak),
            part(b"udta", &part(b"\xa9xyz", place)),
        ]
        .concat();
        [
            part(b"ftyp", b"isom\0\0\0\0"),
            part(b"moov", &moov),
            part(b"mdat", &[7; 40]),
        ]
        .concat()
    }

    #[test]
    fn size_and_duration_are_read() {
        let (playing, _) = read(&mut Cursor::new(film(false, b""))).unwrap();
        assert_eq!(playing.duration_ms, Some(2500));
        assert_eq!(playing.picture, Some((640, 360)));
        let (playing, _) = read(&mut Cursor::new(film(true, b""))).unwrap();
        assert_eq!(playing.picture, Some((360, 640)));
    }

    #[test]
    fn the_place_is_found() {
        let file = film(false, b"+52.5163+013.3777/");
        let (_, blanks) = read(&mut Cursor::new(&file)).unwrap();
        let [blank] = blanks.as_slice() else {
            panic!("one place")
        };
        let start = usize::try_from(blank.start).unwrap();
        let end = usize::try_from(blank.end).unwrap();
        assert_eq!(
            &file[start..end],
            b"udta\0\0\0\x1a\xa9xyz+52.5163+013.3777/"
        );
    }

    #[test]
    fn what_ends_too_soon_is_damaged() {
        let file = film(false, b"");
        for end in [file.len() - 1, file.len() - 60, 30] {
            let cut = read(&mut Cursor::new(&file[..end]));
            assert!(matches!(cut, Err(Unplayable::Damaged)), "{end}");
        }
    }
}
