//! What a received file is, and what is to be kept of it.

use std::io::{self, BufReader, Read as _};

use connexus_domain::Error;
use connexus_domain::ports::{
    Content as _, IntakeError, IntakeRules, MediaFormat, MediaKind, Received, ReceivedContent,
    Refusal, Variant,
};

use super::Inner;
use crate::detect::{self, TextCheck};
use crate::files::PIECE;
use crate::picture::{self, Unshown};
use crate::playing::{self, Unplayable};
use crate::spool::Spooled;

/// What the thumbnails are.
const THUMBNAIL: MediaFormat = MediaFormat::Webp;

/// Decides between the formats that the file began like, and measures it. For a blocking thread.
pub fn examine(
    inner: &Inner,
    received: &Spooled,
    formats: &'static [MediaFormat],
    rules: &IntakeRules,
) -> Result<Received, IntakeError> {
    let first = formats.first().copied().ok_or(Refusal::Damaged)?;
    let kept = match first.kind() {
        MediaKind::Image => picture(inner, received, first)?,
        MediaKind::Video | MediaKind::Audio => playing(received, first)?,
        MediaKind::File => file(received, first)?,
    };
    if !inner.allows(kept.format, rules) {
        let found = kept.format.media_type();
        return Err(Refusal::TypeNotAllowed { found }.into());
    }
    let limit = rules.max_size.of(kept.format.kind());
    if received.size() > limit {
        return Err(Refusal::TooLarge { limit }.into());
    }
    Ok(kept)
}

fn picture(
    inner: &Inner,
    received: &Spooled,
    format: MediaFormat,
) -> Result<Received, IntakeError> {
    let settings = &inner.settings;
    let picture = picture::process(
        format,
        received,
        &inner.spool,
        &settings.pictures,
        settings.thumbnails,
    )
    .map_err(|error| match error {
        Unshown::Damaged => Refusal::Damaged.into(),
        Unshown::TooLarge(outline) => Refusal::TooManyPixels {
            width: outline.width,
            height: outline.height,
            frames: outline.frames,
        }
        .into(),
        Unshown::Io(error) => failed(error),
    })?;
    let mut kept = keep(format, picture.original);
    kept.width = Some(picture.width);
    kept.height = Some(picture.height);
    let [small, large] = picture.thumbnails;
    for (variant, content) in [(Variant::ThumbSmall, small), (Variant::ThumbLarge, large)] {
        kept.contents.push(ReceivedContent {
            variant,
            media_type: THUMBNAIL.media_type(),
            content: Box::new(content),
        });
    }
    Ok(kept)
}

fn playing(received: &Spooled, format: MediaFormat) -> Result<Received, IntakeError> {
    let (format, playing, blanks) =
        playing::measure(format, &mut received.reader()).map_err(|error| match error {
            Unplayable::Damaged => Refusal::Damaged.into(),
            Unplayable::Other(found) => Refusal::TypeNotAllowed { found }.into(),
            Unplayable::Io(error) => failed(error),
        })?;
    let original = if blanks.is_empty() {
        received.clone()
    } else {
        received.blanked(&blanks).map_err(failed)?
    };
    let mut kept = keep(format, original);
    (kept.width, kept.height) = playing.picture.unzip();
    kept.duration_ms = playing.duration_ms;
    Ok(kept)
}

fn file(received: &Spooled, format: MediaFormat) -> Result<Received, IntakeError> {
    let mut source = received.reader();
    let format = match format {
        MediaFormat::Docx if detect::is_docx(&mut source).map_err(failed)? => format,
        MediaFormat::Docx => MediaFormat::Zip,
        MediaFormat::Doc if !detect::is_word(&mut source).map_err(failed)? => {
            let found = "application/x-ole-storage";
            return Err(Refusal::TypeNotAllowed { found }.into());
        }
        MediaFormat::Text | MediaFormat::Html | MediaFormat::Svg
            if !is_text(received).map_err(failed)? =>
        {
            let found = detect::UNKNOWN;
            return Err(Refusal::TypeNotAllowed { found }.into());
        }
        format => format,
    };
    Ok(keep(format, received.clone()))
}

fn is_text(received: &Spooled) -> io::Result<bool> {
    let mut source = BufReader::with_capacity(PIECE, received.reader());
    let mut check = TextCheck::default();
    let mut piece = [0; 4096];
    loop {
        match source.read(&mut piece)? {
            0 => return Ok(check.passed()),
            count => check.feed(&piece[..count]),
        }
    }
}

fn keep(format: MediaFormat, original: Spooled) -> Received {
    Received {
        format,
        size: original.size(),
        sha256: original.sha256(),
        width: None,
        height: None,
        duration_ms: None,
        contents: vec![ReceivedContent {
            variant: Variant::Original,
            media_type: format.media_type(),
            content: Box::new(original),
        }],
    }
}

fn failed(error: io::Error) -> IntakeError {
    Error::unavailable(error).into()
}
