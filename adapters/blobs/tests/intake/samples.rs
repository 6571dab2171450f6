//! Files, made here. What must not be kept of them has "Secret" in it.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{Delay, DynamicImage, Frame, ImageFormat, Rgb, RgbImage};

/// Red on the left, blue on the right.
pub fn pixels(width: u32, height: u32) -> DynamicImage {
    let image = RgbImage::from_fn(width, height, |x, _| {
        if x < width / 2 {
            Rgb([250, 0, 0])
        } else {
            Rgb([0, 0, 250])
        }
    });
    image.into()
}

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// EXIF with an orientation, a camera and a place (TIFF 6.0, EXIF 2.3).
pub fn exif(orientation: u16) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat()
    };
    let mut tiff = b"II*\0\x08\0\0\0\x03\0".to_vec();
    tiff.extend(entry(0x0110, 2, 10, 50));
    tiff.extend(entry(0x0112, 3, 1, orientation.into()));
    tiff.extend(entry(0x8825, 4, 1, 60));
    tiff.extend([0; 4]);
    tiff.extend(b"SecretCam\0");
    tiff.extend(b"\x01\0");
    tiff.extend(entry(0x001d, 2, 11, 78));
    tiff.extend([0; 4]);
    tiff.extend(b"SecretGps!\0");
    tiff
}

fn segment(marker: u8, inside: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inside.len() + 2).unwrap();
    [&[0xff, marker], &length.to_be_bytes()[..], inside].concat()
}

pub fn jpeg(width: u32, height: u32, orientation: u16) -> Vec<u8> {
    let plain = encoded(&pixels(width, height), ImageFormat::Jpeg);
    let (start, rest) = plain.split_at(2);
    [
        start,
        &segment(0xe1, &[b"Exif\0\0".to_vec(), exif(orientation)].concat()),
        &segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x>SecretXmp</x>"),
        &segment(0xed, b"Photoshop 3.0\08BIM SecretIptc"),
        &segment(0xfe, b"SecretComment"),
        rest,
        b"<html><script>SecretTail</script>",
    ]
    .concat()
}

fn chunk(name: &[u8], inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inside.len()).unwrap();
    let named = [name, inside].concat();
    let sum = crc32(&named);
    [&length.to_be_bytes()[..], &named, &sum.to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 {
                sum >> 1 ^ 0xedb8_8320
            } else {
                sum >> 1
            }
        })
    })
}

pub fn png(width: u32, height: u32, orientation: u16) -> Vec<u8> {
    let plain = encoded(&pixels(width, height), ImageFormat::Png);
    // signature and first chunk
    let (start, rest) = plain.split_at(8 + 25);
    [
        start,
        &chunk(b"eXIf", &exif(orientation)),
        &chunk(b"tEXt", b"Author\0SecretText"),
        &chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0SecretXmp"),
        rest,
        b"<html><script>SecretTail</script>",
    ]
    .concat()
}

/// The header of a picture of that size, and hardly anything more.
pub fn vast_png(width: u32, height: u32) -> Vec<u8> {
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[1, 0, 0, 0, 0],
    ]
    .concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &vec![0; 100_000]),
        chunk(b"IEND", b""),
    ]
    .concat()
}

pub fn gif(frames: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut encoder = GifEncoder::new(&mut plain);
    for _ in 0..frames {
        let image = pixels(8, 6).to_rgba8();
        let frame = Frame::from_parts(image, 0, 0, Delay::from_numer_denom_ms(100, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    // blocks follow the header and its palette
    let palette = match plain[10] {
        flags @ 0x80.. => 3 << ((flags & 7) + 1),
        _ => 0,
    };
    let (start, rest) = plain.split_at(13 + palette);
    [
        start,
        b"!\xfe\x0dSecretComment\0",
        b"!\xff\x0bXMP DataXMP\x09SecretXmp\0",
        rest,
        b"<html><script>SecretTail</script>",
    ]
    .concat()
}

fn riff(name: &[u8], inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inside.len()).unwrap();
    let padding = vec![0; inside.len() % 2];
    [name, &length.to_le_bytes(), inside, &padding].concat()
}

pub fn webp(width: u32, height: u32, orientation: u16) -> Vec<u8> {
    let plain = encoded(&pixels(width, height), ImageFormat::WebP);
    let side = |length: u32| (length - 1).to_le_bytes();
    let extended = [&[0x0c, 0, 0, 0], &side(width)[..3], &side(height)[..3]].concat();
    let chunks = [
        b"WEBP".to_vec(),
        riff(b"VP8X", &extended),
        plain[12..].to_vec(),
        riff(b"EXIF", &exif(orientation)),
        riff(b"XMP ", b"SecretXmp"),
    ]
    .concat();
    [riff(b"RIFF", &chunks), b"<html>SecretTail".to_vec()].concat()
}

/// An archive without compression; its list has no sums, which nobody looks at.
pub fn zip(names: &[&str]) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for name in names {
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        file.extend(b"PK\x03\x04");
        file.extend([0; 22]);
        file.extend(length);
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        list.extend(b"PK\x01\x02");
        list.extend([0; 24]);
        list.extend(length);
        list.extend([0; 16]);
        list.extend(name.as_bytes());
    }
    let at = u32::try_from(file.len()).unwrap();
    file.extend(&list);
    file.extend(b"PK\x05\x06");
    file.extend([0; 8]);
    file.extend(u32::try_from(list.len()).unwrap().to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0; 2]);
    file
}

fn part(name: &[u8], inside: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inside.len() + 8).unwrap();
    [&size.to_be_bytes(), name, inside].concat()
}

/// A film of 2.5 seconds without a picture, and where it was taken.
pub fn mp4(handler: &[u8]) -> Vec<u8> {
    let header = [
        &[0; 12][..],
        &1000_u32.to_be_bytes(),
        &2500_u32.to_be_bytes(),
        &[0; 80],
    ];
    let mut track = vec![0; 84];
    track[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
    track[80..84].copy_from_slice(&(360_u32 << 16).to_be_bytes());
    // neither turned nor stretched
    track[41] = 1;
    track[57] = 1;
    let handler = part(b"hdlr", &[&[0; 8], handler, &[0; 13]].concat());
    let moov = [
        part(b"mvhd", &header.concat()),
        part(
            b"trak",
            &[part(b"tkhd", &track), part(b"mdia", &handler)].concat(),
        ),
        part(b"udta", &part(b"\xa9xyz", b"+52.5+013.3/SecretPlace")),
        part(b"meta", b"\0\0\0\0SecretLens"),
    ]
    .concat();
    [
        part(b"ftyp", b"isom\0\0\0\0"),
        part(b"moov", &moov),
        part(b"mdat", &vec![7; 100_000]),
    ]
    .concat()
}
