//! What a file is, by its content alone.

mod office;
mod text;

use connexus_domain::ports::MediaFormat;

pub use office::{is_docx, is_word};
pub use text::TextCheck;

/// Said of what is not known.
pub const UNKNOWN: &str = "application/octet-stream";

/// How much of the beginning is looked at.
pub const HEAD: usize = 4096;

/// What a file may be that begins like this: the formats that the rest of it decides between, or the type that
/// it is for sure and that nobody may send.
pub fn guess(head: &[u8]) -> Result<&'static [MediaFormat], &'static str> {
    let head = &head[..head.len().min(HEAD)];
    if let Some(formats) = by_signature(head) {
        return Ok(formats);
    }
    if head.get(4..8) == Some(b"ftyp") {
        return by_brand(head);
    }
    let known = infer::get(head).map(|found| found.mime_type());
    if text::looks_like_text(head) {
        return match (text::markup(head), known) {
            (Some(format), _) => Ok(format),
            // of the signatures that are words, those that cannot be chance
            (
                None,
                Some(
                    other @ ("application/rtf"
                    | "application/postscript"
                    | "text/x-shellscript"
                    | "text/xml"),
                ),
            ) => Err(other),
            (None, Some("text/html")) => Ok(&[MediaFormat::Html]),
            (None, _) => Ok(&[MediaFormat::Text]),
        };
    }
    Err(known.unwrap_or(UNKNOWN))
}

fn by_signature(head: &[u8]) -> Option<&'static [MediaFormat]> {
    const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    let begins = |signature: &[u8]| head.starts_with(signature);
    let riff = |form: &[u8]| begins(b"RIFF") && head.get(8..12) == Some(form);
    Some(if begins(b"\xff\xd8\xff") {
        &[MediaFormat::Jpeg]
    } else if begins(b"\x89PNG\r\n\x1a\n") {
        &[MediaFormat::Png]
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        &[MediaFormat::Gif]
    } else if riff(b"WEBP") {
        &[MediaFormat::Webp]
    } else if riff(b"WAVE") {
        &[MediaFormat::Wav]
    } else if begins(b"OggS") {
        &[MediaFormat::Ogg]
    } else if begins(b"%PDF-") {
        &[MediaFormat::Pdf]
    } else if begins(b"PK\x03\x04") {
        &[MediaFormat::Docx, MediaFormat::Zip]
    } else if begins(OLE) {
        &[MediaFormat::Doc]
    } else if begins(b"\x1a\x45\xdf\xa3") {
        &[MediaFormat::Webm, MediaFormat::WebmAudio]
    } else if begins(b"ID3") || is_mp3_frame(head) {
        &[MediaFormat::Mp3]
    } else if matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide")) {
        // QuickTime before it had brands
        &[MediaFormat::QuickTime]
    } else {
        return None;
    })
}

/// The sync word of MPEG 1, 2 or 2.5, layer 3.
fn is_mp3_frame(head: &[u8]) -> bool {
    matches!(head, [0xff, second, third, ..]
        if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0 && third & 0x0c != 0x0c)
}

/// Of ISO base media (ISO/IEC 14496-12) by its major brand.
fn by_brand(head: &[u8]) -> Result<&'static [MediaFormat], &'static str> {
    match head.get(8..12).unwrap_or_default() {
        b"qt  " => Ok(&[MediaFormat::QuickTime]),
        b"M4A " | b"M4B " => Ok(&[MediaFormat::M4a]),
        b"isom" | b"iso2" | b"iso3" | b"iso4" | b"iso5" | b"iso6" | b"iso7" | b"iso8" | b"iso9"
        | b"mp41" | b"mp42" | b"avc1" | b"dash" | b"M4V " | b"MSNV" | b"mmp4" | b"hvc1" => {
            Ok(&[MediaFormat::Mp4, MediaFormat::M4a])
        }
        b"avif" | b"avis" => Err("image/avif"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => Err("image/heif"),
        [b'3', b'g', ..] => Err("video/3gpp"),
        _ => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_content() {
        use MediaFormat as F;
        type Guess = Result<&'static [F], &'static str>;
        let cases: [(&[u8], Guess); 22] = [
            (b"\xff\xd8\xff\xe0", Ok(&[F::Jpeg])),
            (b"\x89PNG\r\n\x1a\n", Ok(&[F::Png])),
            (b"GIF89a/*<html><script>", Ok(&[F::Gif])),
            (b"RIFF\0\0\0\0WEBPVP8 ", Ok(&[F::Webp])),
            (b"RIFF\0\0\0\0WAVEfmt ", Ok(&[F::Wav])),
            (b"RIFF\0\0\0\0AVI LIST", Err("video/x-msvideo")),
            (b"OggS\0", Ok(&[F::Ogg])),
            (b"PK\x03\x04", Ok(&[F::Docx, F::Zip])),
            (b"\0\0\0\x18ftypisom", Ok(&[F::Mp4, F::M4a])),
            (b"\0\0\0\x18ftypqt  ", Ok(&[F::QuickTime])),
            (b"\0\0\0\x18ftypheic", Err("image/heif")),
            (b"\xff\xfb\x90\x44\0\0", Ok(&[F::Mp3])),
            (
                &[b"\x7fELF".as_slice(), &[0; 60]].concat(),
                Err("application/x-executable"),
            ),
            (b"\0\x01\x02\x03", Err(UNKNOWN)),
            (b"hello", Ok(&[F::Text])),
            ("grüße\n".as_bytes(), Ok(&[F::Text])),
            (b"BM is a word", Ok(&[F::Text])),
            (b"\xef\xbb\xbf \n<!DOCTYPE html>", Ok(&[F::Html])),
            (b"<ScRiPt>alert(1)</script>", Ok(&[F::Html])),
            (
                b"<?xml version='1.0'?><!-- x --><svg xmlns='x'>",
                Ok(&[F::Svg]),
            ),
            (b"#!/bin/sh\nrm -rf /\n", Err("text/x-shellscript")),
            (b"{\\rtf1 hello}", Err("application/rtf")),
        ];
        for (head, expected) in cases {
            assert_eq!(guess(head), expected, "{}", String::from_utf8_lossy(head));
        }
    }
}
