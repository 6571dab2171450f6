//! What pictures tell is taken out of them; what they show stays.

use connexus_domain::ports::{MediaFormat, Refusal};
use image::{AnimationDecoder as _, DynamicImage, GenericImageView as _};

use crate::harness::House;
use crate::samples::{self, pixels};

fn decoded(file: &[u8]) -> DynamicImage {
    image::load_from_memory(file).unwrap()
}

/// Whether there is red at one place and blue at the other.
fn shows(image: &DynamicImage, red: (u32, u32), blue: (u32, u32)) -> bool {
    let [r, _, b, _] = image.get_pixel(red.0, red.1).0;
    let [r2, _, b2, _] = image.get_pixel(blue.0, blue.1).0;
    r > 200 && b < 60 && b2 > 200 && r2 < 60
}

#[tokio::test]
async fn secrets_are_cut_out_and_no_pixel_is_changed() {
    let house = House::plain();
    for (format, file) in [
        (MediaFormat::Jpeg, samples::jpeg(400, 200, 1)),
        (MediaFormat::Png, samples::png(400, 200, 1)),
        (MediaFormat::Webp, samples::webp(400, 200, 1)),
        (MediaFormat::Gif, samples::gif(1)),
    ] {
        let kept = house.send(&file).await.unwrap();
        assert_eq!(kept.format, format);
        assert!(!kept.contains("Secret"), "{format:?}");
        assert!(
            !kept.contains("Exif") && !kept.contains("EXIF"),
            "{format:?}"
        );
        assert!(kept.original.len() < file.len());
        assert!(decoded(&kept.original) == decoded(&file), "{format:?}");
        let (width, height) = kept.size.unwrap();
        assert_eq!(decoded(&file).dimensions(), (width, height));
    }
}

#[tokio::test]
async fn pictures_are_turned_upright() {
    let house = House::plain();
    for file in [
        samples::jpeg(400, 200, 6),
        samples::png(400, 200, 6),
        samples::webp(400, 200, 6),
    ] {
        let kept = house.send(&file).await.unwrap();
        assert_eq!(kept.size, Some((200, 400)));
        assert!(!kept.contains("Secret"));
        let original = decoded(&kept.original);
        assert_eq!(original.dimensions(), (200, 400));
        assert!(shows(&original, (100, 20), (100, 380)));
        let [small, large] = kept.thumbnails.as_slice() else {
            panic!("two thumbnails")
        };
        assert_eq!(small.dimensions(), (160, 320));
        assert_eq!(large.dimensions(), (200, 400));
        assert!(shows(small, (80, 20), (80, 300)));
    }
}

#[tokio::test]
async fn thumbnails_are_never_larger_than_the_picture() {
    let house = House::plain();
    for (size, small, large) in [
        ((3000, 1500), (320, 160), (1280, 640)),
        ((500, 1000), (160, 320), (500, 1000)),
        ((20, 10), (20, 10), (20, 10)),
        ((2000, 1), (320, 1), (1280, 1)),
    ] {
        let file = samples::png(size.0, size.1, 1);
        let kept = house.send(&file).await.unwrap();
        let sizes: Vec<_> = kept
            .thumbnails
            .iter()
            .map(DynamicImage::dimensions)
            .collect();
        assert_eq!(sizes, [small, large]);
    }
}

#[tokio::test]
async fn every_kind_of_pixels_has_thumbnails() {
    let house = House::plain();
    let image = pixels(700, 500);
    for image in [
        DynamicImage::from(image.to_luma8()),
        image.to_luma_alpha8().into(),
        image.to_rgba8().into(),
        image.to_luma16().into(),
        image.to_luma_alpha16().into(),
        image.to_rgb16().into(),
        image.to_rgba16().into(),
    ] {
        let file = samples::encoded(&image, image::ImageFormat::Png);
        let kept = house.send(&file).await.unwrap();
        assert_eq!(kept.thumbnails[0].dimensions(), (320, 228));
    }
}

#[tokio::test]
async fn transparency_stays() {
    let mut image = pixels(600, 600).to_rgba8();
    for pixel in image.pixels_mut() {
        pixel.0[3] = 0;
    }
    let file = samples::encoded(&image.into(), image::ImageFormat::Png);
    let kept = House::plain().send(&file).await.unwrap();
    assert_eq!(kept.thumbnails[0].get_pixel(5, 5).0[3], 0);
}

#[tokio::test]
async fn an_animation_goes_on_moving() {
    let kept = House::plain().send(&samples::gif(3)).await.unwrap();
    assert!(!kept.contains("Secret"));
    let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(&kept.original));
    assert_eq!(decoder.unwrap().into_frames().count(), 3);
    assert_eq!(kept.thumbnails.len(), 2);
}

#[tokio::test]
async fn a_page_that_calls_itself_a_gif_is_none() {
    let house = House::plain();
    let page = b"GIF89a/*<html><script>alert(1)</script>*/=1;";
    assert!(matches!(
        house.refusal(page).await,
        Refusal::Damaged | Refusal::TooManyPixels { .. }
    ));
    // a whole picture with a page behind it is a picture, without the page
    let kept = house.send(&samples::gif(1)).await.unwrap();
    assert!(!kept.contains("<html>"));
    assert!(kept.original.ends_with(b";"));
}

#[tokio::test]
async fn what_ends_too_soon_is_damaged() {
    let house = House::plain();
    for file in [
        samples::jpeg(64, 64, 1),
        samples::png(64, 64, 1),
        samples::webp(64, 64, 1),
        samples::gif(2),
    ] {
        let tail = file
            .windows(6)
            .position(|window| window == b"<html>")
            .unwrap();
        for end in [12, tail / 2, tail - 1] {
            assert_eq!(house.refusal(&file[..end]).await, Refusal::Damaged, "{end}");
        }
    }
}
