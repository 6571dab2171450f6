//! Text, and text that a browser would not take as such.

use connexus_domain::ports::MediaFormat;

/// Tags that begin something which a browser would render or run; those that the WHATWG's MIME Sniffing
/// Standard names, and a few more.
const HTML: [&str; 26] = [
    "!doctype", "a", "applet", "b", "base", "body", "br", "div", "embed", "font", "form", "frame",
    "h1", "head", "html", "iframe", "img", "input", "link", "meta", "object", "p", "script",
    "style", "table", "title",
];

/// Checks a text piece by piece.
#[derive(Debug, Default)]
pub struct TextCheck {
    broken: bool,
}

impl TextCheck {
    /// Looks at the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.broken |= !looks_like_text(piece);
    }

    /// Whether all of it was text.
    pub fn passed(&self) -> bool {
        !self.broken
    }
}

/// Whether there is no byte in it that has no place in a text of UTF-8 or of one of the old 8-bit encodings.
pub fn looks_like_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x20..=0x7e | 0x80..))
}

/// What the text begins as, if that is markup which browsers interpret.
pub fn markup(head: &[u8]) -> Option<&'static [MediaFormat]> {
    let mut rest = skip_space(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    // what may stand before the first tag
    loop {
        let end: &[u8] = if rest.starts_with(b"<!--") {
            b"-->"
        } else if rest.starts_with(b"<?") {
            b"?>"
        } else if begins_with_tag(rest, "!doctype svg") {
            return Some(&[MediaFormat::Svg]);
        } else {
            break;
        };
        match rest.windows(end.len()).position(|window| window == end) {
            Some(position) => rest = skip_space(&rest[position + end.len()..]),
            // a comment that hides the rest is no way around the question
            None => return Some(&[MediaFormat::Html]),
        }
    }
    if begins_with_tag(rest, "svg") || begins_with_tag(rest, "svg:svg") {
        return Some(&[MediaFormat::Svg]);
    }
    HTML.iter()
        .any(|tag| begins_with_tag(rest, tag))
        .then_some(&[MediaFormat::Html])
}

fn begins_with_tag(text: &[u8], tag: &str) -> bool {
    let Some(name) = text.strip_prefix(b"<") else {
        return false;
    };
    let Some((name, rest)) = name.split_at_checked(tag.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(tag.as_bytes())
        && rest
            .first()
            .is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'))
}

fn skip_space(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_told_from_text_about_it() {
        for text in ["a <script> tag", "<3", "<3 u", "x = <T>()", "<header-ish>"] {
            assert_eq!(markup(text.as_bytes()), None, "{text}");
        }
        for text in [
            "<html>",
            "\n\t<BODY onload=x>",
            "<img/src=x>",
            "<!-- --><p>",
            "<!--",
        ] {
            assert_eq!(
                markup(text.as_bytes()),
                Some(&[MediaFormat::Html][..]),
                "{text}"
            );
        }
        for text in [
            "<svg/onload=alert(1)>",
            "<?xml version='1.0'?>\n<svg>",
            "<!DOCTYPE svg PUBLIC '' ''>",
        ] {
            assert_eq!(
                markup(text.as_bytes()),
                Some(&[MediaFormat::Svg][..]),
                "{text}"
            );
        }
    }

    #[test]
    fn one_byte_spoils_a_text() {
        let mut check = TextCheck::default();
        check.feed(b"fine");
        assert!(check.passed());
        check.feed(b"not\0fine");
        check.feed(b"fine");
        assert!(!check.passed());
    }
}
