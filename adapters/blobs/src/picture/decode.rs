//! Decoding within limits, turning, shrinking, encoding.

use std::io::{BufRead, Cursor, Seek};

use connexus_domain::ports::MediaFormat;
use fast_image_resize::Resizer;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageEncoder as _, ImageFormat, ImageReader, Limits};

use super::{Outline, PictureLimits, Unshown};

/// Of a JPEG that was turned: hardly to be told from the first one.
const TURNED_QUALITY: u8 = 92;
/// Of a WebP that was turned.
const TURNED_WEBP_QUALITY: f32 = 92.0;
/// Of thumbnails.
const THUMBNAIL_QUALITY: f32 = 80.0;

/// A picture's pixels, upright; the first ones of an animation.
pub struct Decoded {
    image: DynamicImage,
    turned: bool,
    profile: Option<Vec<u8>>,
}

/// Decodes a picture whose outline has been checked.
pub fn decode(
    format: MediaFormat,
    source: impl BufRead + Seek,
    limits: &PictureLimits,
) -> Result<Decoded, Unshown> {
    let format = match format {
        MediaFormat::Jpeg => ImageFormat::Jpeg,
        MediaFormat::Png => ImageFormat::Png,
        MediaFormat::Gif => ImageFormat::Gif,
        _ => ImageFormat::WebP,
    };
    let mut reader = ImageReader::with_format(source, format);
    let mut allowed = Limits::default();
    allowed.max_image_width = Some(limits.max_side);
    allowed.max_image_height = Some(limits.max_side);
    allowed.max_alloc = Some(limits.max_memory);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let outline = Outline {
        width,
        height,
        frames: 1,
    };
    limits.check(outline)?;
    if decoder.total_bytes() > limits.max_memory {
        return Err(Unshown::TooLarge(outline));
    }
    // what cannot be read there says nothing
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().unwrap_or_default();
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(Decoded {
        image,
        turned: orientation != Orientation::NoTransforms,
        profile,
    })
}

impl From<ImageError> for Unshown {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge(Outline::default()),
            ImageError::IoError(error) => error.into(),
            _ => Self::Damaged,
        }
    }
}

impl Decoded {
    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        (self.image.width(), self.image.height())
    }

    /// The whole picture anew, if it had to be turned. An animation is not: it has no orientation that any
    /// viewer would heed.
    pub fn upright(
        &self,
        format: MediaFormat,
        outline: Outline,
    ) -> Result<Option<Vec<u8>>, Unshown> {
        if !self.turned || outline.frames > 1 {
            return Ok(None);
        }
        let mut out = Cursor::new(Vec::new());
        let profile = self.profile.clone();
        match format {
            MediaFormat::Jpeg => {
                let mut encoder = JpegEncoder::new_with_quality(&mut out, TURNED_QUALITY);
                // a profile that the encoder does not take is of no use
                let _ = profile.map(|profile| encoder.set_icc_profile(profile));
                match &self.image {
                    image @ (DynamicImage::ImageRgb8(_) | DynamicImage::ImageLuma8(_)) => {
                        image.write_with_encoder(encoder)?;
                    }
                    other => {
                        DynamicImage::ImageRgb8(other.to_rgb8()).write_with_encoder(encoder)?;
                    }
                }
            }
            MediaFormat::Png => {
                // smaller than the default, which is made for speed
                let mut encoder = PngEncoder::new_with_quality(
                    &mut out,
                    CompressionType::Default,
                    FilterType::Adaptive,
                );
                let _ = profile.map(|profile| encoder.set_icc_profile(profile));
                self.image.write_with_encoder(encoder)?;
            }
            MediaFormat::Webp => return webp(&self.image, TURNED_WEBP_QUALITY).map(Some),
            // GIF has no orientation
            _ => return Ok(None),
        }
        Ok(Some(out.into_inner()))
    }

    /// The picture with its longest side of at most so many pixels.
    pub fn within(&self, side: u32) -> Result<Self, Unshown> {
        let (width, height) = self.size();
        let longest = width.max(height);
        let image = if longest <= side {
            self.image.clone()
        } else {
            let scaled = |length: u32| {
                let scaled = u64::from(length) * u64::from(side) / u64::from(longest);
                u32::try_from(scaled).unwrap_or(side).max(1)
            };
            let mut small = DynamicImage::new(scaled(width), scaled(height), self.image.color());
            Resizer::new()
                .resize(&self.image, &mut small, None)
                // it knows every kind of pixels that the decoders give
                .or(Err(Unshown::Damaged))?;
            small
        };
        Ok(Self {
            image,
            turned: false,
            profile: None,
        })
    }

    /// As a thumbnail.
    pub fn to_webp(&self) -> Result<Vec<u8>, Unshown> {
        webp(&self.image, THUMBNAIL_QUALITY)
    }
}

fn webp(image: &DynamicImage, quality: f32) -> Result<Vec<u8>, Unshown> {
    let (width, height) = (image.width(), image.height());
    let encoded = if image.color().has_alpha() {
        let pixels = image.to_rgba8();
        webp::Encoder::from_rgba(&pixels, width, height).encode_simple(false, quality)
    } else {
        let pixels = image.to_rgb8();
        webp::Encoder::from_rgb(&pixels, width, height).encode_simple(false, quality)
    };
    // it fails for sides that are too long alone
    encoded
        .map(|bytes| bytes.to_vec())
        .or(Err(Unshown::Damaged))
}
