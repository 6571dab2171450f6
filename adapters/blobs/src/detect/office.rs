//! Word documents: an archive or an old container that holds the parts of one.

use std::io::{self, Read, Seek, SeekFrom};

/// The largest list of an archive's parts that is read.
const LIST_MAX: u64 = 1024 * 1024;
/// How many sectors of a container's list of parts are looked at.
const SECTORS_MAX: usize = 1024;

/// Whether a zip archive is a Word document (ECMA-376) without macros.
pub fn is_docx(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    let Some(list) = central_directory(source)? else {
        return Ok(false);
    };
    let has = |wanted: &[u8]| names(&list).any(|name| name == wanted);
    Ok(has(b"[Content_Types].xml")
        && has(b"word/document.xml")
        && !names(&list).any(|name| name.ends_with(b"vbaProject.bin")))
}

/// The list at the end of an archive.
fn central_directory(source: &mut (impl Read + Seek)) -> io::Result<Option<Vec<u8>>> {
    const END: &[u8] = b"PK\x05\x06";
    const END_SIZE: usize = 22;
    const COMMENT_MAX: u64 = 65_535;

    let size = source.seek(SeekFrom::End(0))?;
    let tail_size = size.min(COMMENT_MAX + END_SIZE as u64);
    source.seek(SeekFrom::Start(size - tail_size))?;
    let mut tail = Vec::new();
    source.take(tail_size).read_to_end(&mut tail)?;
    let Some(at) = tail.windows(END.len()).rposition(|window| window == END) else {
        return Ok(None);
    };
    let (Some(length), Some(offset)) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16)) else {
        return Ok(None);
    };
    let (length, offset) = (u64::from(length), u64::from(offset));
    if length > LIST_MAX || offset + length > size {
        return Ok(None);
    }
    source.seek(SeekFrom::Start(offset))?;
    let mut list = Vec::new();
    source.take(length).read_to_end(&mut list)?;
    Ok(Some(list))
}

/// The names in the list; ends at the first entry that is none.
fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    const ENTRY: &[u8] = b"PK\x01\x02";
    const ENTRY_SIZE: usize = 46;
    let mut rest = list;
    std::iter::from_fn(move || {
        let (entry, after) = rest.split_at_checked(ENTRY_SIZE)?;
        if !entry.starts_with(ENTRY) {
            return None;
        }
        let name_size = u16_at(entry, 28)?;
        let more = usize::from(u16_at(entry, 30)?) + usize::from(u16_at(entry, 32)?);
        let (name, after) = after.split_at_checked(usize::from(name_size))?;
        rest = after.get(more..)?;
        Some(name)
    })
}

/// Whether an OLE container (MS-CFB) holds a Word document.
pub fn is_word(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    const ENTRY: usize = 128;
    let mut header = [0; 512];
    source.seek(SeekFrom::Start(0))?;
    if read_full(source, &mut header)? < header.len() {
        return Ok(false);
    }
    let shift = match u16_at(&header, 30) {
        Some(shift @ (9 | 12)) => u32::from(shift),
        _ => return Ok(false),
    };
    let wanted: Vec<u8> = "WordDocument"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut sector = vec![0; 1 << shift];
    let mut number = u32_at(&header, 48).unwrap_or(u32::MAX);
    for _ in 0..SECTORS_MAX {
        if !read_sector(source, number, shift, &mut sector)? {
            return Ok(false);
        }
        let mut entries = sector.chunks_exact(ENTRY);
        if entries.any(|entry| entry.starts_with(&wanted) && u16_at(entry, 64) == Some(26)) {
            return Ok(true);
        }
        number = match next_sector(source, &header, number, shift, &mut sector)? {
            Some(next) => next,
            None => return Ok(false),
        };
    }
    Ok(false)
}

/// Follows the chain of sectors through the table whose first 109 sectors the header lists.
fn next_sector(
    source: &mut (impl Read + Seek),
    header: &[u8],
    number: u32,
    shift: u32,
    buffer: &mut [u8],
) -> io::Result<Option<u32>> {
    const LISTED: usize = 109;
    let number = number as usize;
    let per_sector = buffer.len() / 4;
    let table = number / per_sector;
    if table >= LISTED {
        return Ok(None);
    }
    let Some(at) = u32_at(header, 76 + table * 4) else {
        return Ok(None);
    };
    if !read_sector(source, at, shift, buffer)? {
        return Ok(None);
    }
    Ok(u32_at(buffer, number % per_sector * 4))
}

/// `false` when there is no such sector.
fn read_sector(
    source: &mut (impl Read + Seek),
    number: u32,
    shift: u32,
    buffer: &mut [u8],
) -> io::Result<bool> {
    // larger numbers are marks
    const LARGEST: u32 = 0xffff_fffa;
    if number > LARGEST {
        return Ok(false);
    }
    source.seek(SeekFrom::Start((u64::from(number) + 1) << shift))?;
    Ok(read_full(source, buffer)? == buffer.len())
}

fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// An archive's end: a list with these names, and where it is.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut list = Vec::new();
        for name in names {
            let mut entry = vec![0; 46];
            entry[..4].copy_from_slice(b"PK\x01\x02");
            entry[28] = u8::try_from(name.len()).unwrap();
            list.extend(entry);
            list.extend(name.as_bytes());
        }
        let mut end = vec![0; 22];
        end[..4].copy_from_slice(b"PK\x05\x06");
        end[12..16].copy_from_slice(&u32::try_from(list.len()).unwrap().to_le_bytes());
        end[16..20].copy_from_slice(&4_u32.to_le_bytes());
        [b"PK\x03\x04".as_slice(), &list, &end].concat()
    }

    fn container(part: &str) -> Vec<u8> {
        let mut file = vec![0; 512 * 4];
        file[30] = 9;
        // the list of parts begins in sector 1; sector 0 is the table
        file[48] = 1;
        file[76..80].copy_from_slice(&0_u32.to_le_bytes());
        // 1 → 2 → end
        file[512 + 4] = 2;
        file[512 + 8..512 + 12].copy_from_slice(&0xffff_fffe_u32.to_le_bytes());
        let at = 512 * 3 + 128;
        let name: Vec<u8> = part.encode_utf16().flat_map(u16::to_le_bytes).collect();
        file[at..at + name.len()].copy_from_slice(&name);
        file[at + 64] = u8::try_from(name.len() + 2).unwrap();
        file
    }

    #[test]
    fn a_document_is_told_from_an_archive() {
        let docx = |names: &[&str]| is_docx(&mut Cursor::new(archive(names))).unwrap();
        assert!(docx(&["[Content_Types].xml", "word/document.xml"]));
        assert!(!docx(&["[Content_Types].xml", "xl/workbook.xml"]));
        assert!(!docx(&["readme.txt"]));
        assert!(!docx(&[
            "[Content_Types].xml",
            "word/document.xml",
            "word/vbaProject.bin"
        ]));
        assert!(!is_docx(&mut Cursor::new(b"PK\x03\x04 and no end")).unwrap());
    }

    #[test]
    fn word_is_told_from_other_containers() {
        assert!(is_word(&mut Cursor::new(container("WordDocument"))).unwrap());
        assert!(!is_word(&mut Cursor::new(container("Workbook"))).unwrap());
        let mut circle = container("Workbook");
        circle[512 + 8] = 1;
        circle[512 + 9..512 + 12].fill(0);
        assert!(!is_word(&mut Cursor::new(circle)).unwrap());
    }

    proptest! {
        #[test]
        fn anything_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096), at in 0..4096_usize) {
            let _ = is_docx(&mut Cursor::new(&bytes));
            let _ = is_word(&mut Cursor::new(&bytes));
            for mut whole in [archive(&["a", "b"]), container("Workbook")] {
                let length = whole.len();
                for (place, byte) in whole[at % length..].iter_mut().zip(bytes.iter().take(8)) {
                    *place = *byte;
                }
                let _ = is_docx(&mut Cursor::new(&whole));
                let _ = is_word(&mut Cursor::new(&whole));
            }
        }
    }
}
