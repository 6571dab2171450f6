//! Serving a file's bytes: ranges and validators (RFC 9110), and headers that keep a browser from running
//! what a user has uploaded.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use connexus_domain::Error;
use connexus_domain::attachment::Attachment;
use connexus_domain::ports::{MediaFormat, Presign, Variant};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::gateway::Gateway;
use crate::handlers::Answer;

/// What may stand in an extended parameter as it is (RFC 8187, 3.2.1).
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// What thumbnails are.
const THUMBNAIL: &str = "image/webp";

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Everything.
    Whole,
    /// One part.
    Part(Range<u64>),
    /// No part that there is.
    Nothing,
}

/// The answer to a request for a file that the client may read.
pub async fn answer(
    gateway: &Gateway,
    request: &HttpRequest,
    attachment: &Attachment,
    variant: Variant,
) -> Answer {
    let files = &gateway.app.files;
    let (size, media_type) = match variant {
        Variant::Original => (attachment.size, attachment.media_type.as_str()),
        thumbnail => (files.size(attachment.id, thumbnail).await?, THUMBNAIL),
    };
    let disposition = disposition(attachment, variant, request);
    let etag = etag(attachment, variant);
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::ETAG, etag.as_str()))
        .insert_header((header::CACHE_CONTROL, "private, max-age=86400, immutable"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CONTENT_DISPOSITION, disposition.as_str()))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"));
    if has(request.headers(), &etag) {
        return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
    }
    answer.insert_header((header::CONTENT_TYPE, media_type));
    let how = Presign {
        ttl: std::time::Duration::from_mins(5),
        media_type,
        disposition: &disposition,
    };
    if let Some(url) = files.presign(attachment.id, variant, &how).await? {
        return Ok(HttpResponse::Found()
            .insert_header((header::LOCATION, url))
            .insert_header((header::CACHE_CONTROL, "private, no-store"))
            .finish());
    }
    let part = match asked(request.headers(), size, &etag) {
        Asked::Whole => None,
        Asked::Part(part) => {
            let content = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            answer
                .status(StatusCode::PARTIAL_CONTENT)
                .insert_header((header::CONTENT_RANGE, content));
            Some(part)
        }
        Asked::Nothing => {
            return Ok(HttpResponse::RangeNotSatisfiable()
                .insert_header((header::CONTENT_RANGE, format!("bytes */{size}")))
                .finish());
        }
    };
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    if *request.method() == Method::HEAD {
        return Ok(head(&mut answer, length));
    }
    let read = files.read(attachment.id, variant, part).await?;
    Ok(answer.body(SizedStream::new(length, read.body)))
}

fn head(answer: &mut HttpResponseBuilder, length: u64) -> HttpResponse {
    let nothing = futures_util::stream::empty::<Result<actix_web::web::Bytes, Error>>();
    answer.body(SizedStream::new(length, nothing))
}

/// The content's hash names each version of each variant.
fn etag(attachment: &Attachment, variant: Variant) -> String {
    let mut head = [0_u8; 16];
    head.copy_from_slice(&attachment.sha256.0[..16]);
    format!(
        "\"{:032x}-{}\"",
        u128::from_be_bytes(head),
        variant.as_str()
    )
}

/// Whether the client has this version already (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH);
    let mut known = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    known.any(|one| {
        let one = one.trim();
        one == "*" || one.trim_start_matches("W/") == etag
    })
}

/// One range of bytes; several at once are answered with the whole, as a server may (RFC 9110, 14.2).
fn asked(headers: &HeaderMap, size: u64, etag: &str) -> Asked {
    let Some(range) = headers.get(header::RANGE) else {
        return Asked::Whole;
    };
    // a part of another version is of no use
    if let Some(condition) = headers.get(header::IF_RANGE)
        && condition.to_str().ok() != Some(etag)
    {
        return Asked::Whole;
    }
    let Some(spec) = range
        .to_str()
        .ok()
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .filter(|spec| !spec.contains(','))
    else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Asked::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let part = match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(count) => size.saturating_sub(count)..size,
            None => return Asked::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..size,
            None => return Asked::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Asked::Whole,
        },
    };
    if part.start < part.end {
        Asked::Part(part)
    } else {
        Asked::Nothing
    }
}

/// Shown in place only what browsers decode and never interpret; saved under its name otherwise (RFC 6266).
fn disposition(attachment: &Attachment, variant: Variant, request: &HttpRequest) -> String {
    let inline = match variant {
        Variant::Original => {
            MediaFormat::parse(&attachment.media_type).is_some_and(MediaFormat::inline)
        }
        _ => true,
    };
    let asked = request
        .query_string()
        .split('&')
        .any(|pair| pair == "download=true");
    let kind = if inline && !asked {
        "inline"
    } else {
        "attachment"
    };
    let plain: String = attachment
        .name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '%') => c,
            _ => '_',
        })
        .collect();
    let exact = utf8_percent_encode(&attachment.name, ATTR_CHAR);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn ranged(range: &str, condition: Option<&str>) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(condition) = condition {
            headers.insert(header::IF_RANGE, HeaderValue::from_str(condition).unwrap());
        }
        asked(&headers, 10, "\"e\"")
    }

    #[test]
    fn one_range_is_understood() {
        for (range, expected) in [
            ("bytes=0-3", Asked::Part(0..4)),
            ("bytes=4-", Asked::Part(4..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=0-99", Asked::Part(0..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=20-30", Asked::Nothing),
            ("bytes=3-1", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
        ] {
            assert_eq!(ranged(range, None), expected, "{range}");
        }
        assert_eq!(ranged("bytes=0-3", Some("\"e\"")), Asked::Part(0..4));
        assert_eq!(ranged("bytes=0-3", Some("\"old\"")), Asked::Whole);
    }

    #[test]
    fn a_known_version_is_recognised() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::IF_NONE_MATCH,
            HeaderValue::from_static("\"a\", W/\"e\""),
        );
        assert!(has(&headers, "\"e\""));
        assert!(!has(&headers, "\"x\""));
    }
}
