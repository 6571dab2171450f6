//! Files made here, whole and broken.

use std::io::Cursor;

use connexus_domain::ports::MediaFormat;
use proptest::prelude::*;

use super::*;

fn element(id: &[u8], inside: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inside.len()).unwrap() | 0x1000_0000;
    [id, &size.to_be_bytes(), inside].concat()
}

fn webm(kind: u8, doc_type: &[u8]) -> Vec<u8> {
    let info = [
        element(b"\x2a\xd7\xb1", &1_000_000_u32.to_be_bytes()),
        element(b"\x44\x89", &1234.5_f64.to_be_bytes()),
    ]
    .concat();
    let mut track = element(b"\x83", &[kind]);
    if kind == 1 {
        let size = [element(b"\xb0", &[2, 128]), element(b"\xba", &[1, 104])].concat();
        track.extend(element(b"\xe0", &size));
    }
    let segment = [
        element(b"\x15\x49\xa9\x66", &info),
        element(b"\x16\x54\xae\x6b", &element(b"\xae", &track)),
        element(b"\x1f\x43\xb6\x75", &[0; 64]),
    ]
    .concat();
    let unknown_size = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".to_vec();
    [
        element(b"\x1a\x45\xdf\xa3", &element(b"\x42\x82", doc_type)),
        unknown_size,
        segment,
    ]
    .concat()
}

fn page(position: u64, body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0\0".to_vec();
    page.extend(position.to_le_bytes());
    page.extend(b"ABCD\0\0\0\0\0\0\0\0\x01");
    page.push(u8::try_from(body.len()).unwrap());
    page.extend(body);
    page
}

fn opus() -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    [page(0, head), page(48_312 * 2 - 312, &[1; 99])].concat()
}

fn wav() -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(8000_u32.to_le_bytes());
    file.extend(16000_u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(24_000_u32.to_le_bytes());
    file.resize(file.len() + 24_000, 0);
    file
}

fn mp3() -> Vec<u8> {
    let mut frame = vec![0; 417];
    frame[..4].copy_from_slice(b"\xff\xfb\x90\x44");
    let mut first = frame.clone();
    first[36..44].copy_from_slice(b"Xing\0\0\0\x01");
    first[44..48].copy_from_slice(&100_u32.to_be_bytes());
    [b"ID3\x04\0\0\0\0\0\x0a0123456789".to_vec(), first, frame].concat()
}

fn of(format: MediaFormat, file: &[u8]) -> Result<(MediaFormat, Playing), Unplayable> {
    measure(format, &mut Cursor::new(file)).map(|(format, playing, _)| (format, playing))
}

#[test]
fn webm_tells_film_from_voice() {
    let (format, playing) = of(MediaFormat::Webm, &webm(1, b"webm")).unwrap();
    assert_eq!(format, MediaFormat::Webm);
    assert_eq!(playing.picture, Some((640, 360)));
    assert_eq!(playing.duration_ms, Some(1234));
    let (format, playing) = of(MediaFormat::Webm, &webm(2, b"webm")).unwrap();
    assert_eq!(format, MediaFormat::WebmAudio);
    assert_eq!(playing.picture, None);
    let other = of(MediaFormat::Webm, &webm(1, b"matroska"));
    assert!(matches!(other, Err(Unplayable::Other("video/x-matroska"))));
}

#[test]
fn sound_tells_its_duration() {
    for (format, file, millis) in [
        (MediaFormat::Ogg, opus(), 2000),
        (MediaFormat::Wav, wav(), 1500),
        (MediaFormat::Mp3, mp3(), 2612),
    ] {
        let (same, playing) = of(format, &file).unwrap();
        assert_eq!(same, format);
        assert_eq!(playing.duration_ms, Some(millis), "{format:?}");
        assert!(!playing.has_picture);
    }
}

#[test]
fn headers_alone_are_damaged() {
    for (format, file) in [
        (MediaFormat::Ogg, opus()),
        (MediaFormat::Wav, wav()),
        (MediaFormat::Mp3, mp3()),
        (MediaFormat::Webm, webm(1, b"webm")),
    ] {
        let cut = of(format, &file[..12]);
        assert!(matches!(cut, Err(Unplayable::Damaged)), "{format:?}");
    }
    assert!(matches!(
        of(MediaFormat::Wav, &wav()[..20_000]),
        Err(Unplayable::Damaged)
    ));
}

proptest! {
    #[test]
    fn anything_is_survived(
        noise in prop::collection::vec(any::<u8>(), 0..512),
        at in any::<prop::sample::Index>(),
    ) {
        for (format, mut file) in [
            (MediaFormat::Ogg, opus()),
            (MediaFormat::Wav, wav()),
            (MediaFormat::Mp3, mp3()),
            (MediaFormat::Webm, webm(1, b"webm")),
            (MediaFormat::Mp4, mp4::tests::film(false, b"here")),
        ] {
            let _ = of(format, &noise);
            let at = at.index(file.len().min(600));
            for (byte, noise) in file[at..].iter_mut().zip(noise.iter().take(12)) {
                *byte = *noise;
            }
            if let Ok((_, playing)) = of(format, &file) {
                prop_assert!(playing.duration_ms.is_none_or(|millis| millis < 400 * 86_400_000));
            }
        }
    }
}
