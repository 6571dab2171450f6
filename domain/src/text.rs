//! Rules that every text from outside keeps.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

use crate::attachment;
use crate::error::{Error, Result};

/// The key under which two texts that differ only in case or in Unicode form are the same:
/// NFKC, case folded (Unicode 15.1, 3.13: canonical caseless matching for compatibility forms).
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        // the same, but most texts are this, and it is done with every message
        return text.to_ascii_lowercase();
    }
    text.nfkc().default_case_fold().nfkc().collect()
}

/// Control characters that no single line of text needs: they break logs, terminals and databases
/// (PostgreSQL cannot store U+0000).
fn is_forbidden_in_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// As a line, but line feeds, carriage returns and tabs are what people write.
fn is_forbidden_in_body(c: char) -> bool {
    c == '\0' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// A single line: trimmed, not empty, at most `max` characters, no control characters.
pub fn line(field: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    check(field, text, max, is_forbidden_in_line)?;
    Ok(text.to_owned())
}

/// A single line that may be absent: an empty one is `None`.
pub fn optional_line(field: &str, text: &str, max: usize) -> Result<Option<String>> {
    if text.trim().is_empty() {
        Ok(None)
    } else {
        line(field, text, max).map(Some)
    }
}

/// Text of several lines, kept as it is, that may be absent.
pub fn optional_block(field: &str, text: &str, max: usize) -> Result<Option<String>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    check(field, text, max, is_forbidden_in_body)?;
    Ok(Some(text.to_owned()))
}

/// Text of several lines, kept as it is, with something to read in it.
pub fn block(field: &str, text: &str, max: usize) -> Result<String> {
    optional_block(field, text, max)?.ok_or_else(|| Error::invalid(field, "must not be empty"))
}

/// A link that a client may show: `http:` or `https:`, or a path on this server.
pub fn optional_link(field: &str, text: &str) -> Result<Option<String>> {
    const MAX: usize = 2_048;
    let Some(link) = optional_line(field, text, MAX)? else {
        return Ok(None);
    };
    let known = ["https://", "http://", "/"]
        .iter()
        .any(|start| link.starts_with(start));
    if !known || link.contains(char::is_whitespace) {
        return Err(Error::invalid(field, "must be an http(s) address"));
    }
    // whoever could name another's file here would be shown it
    if link.starts_with(attachment::LINK_START) {
        let reason = "cannot name a file; make the file the picture instead";
        return Err(Error::invalid(field, reason));
    }
    Ok(Some(link))
}

fn check(field: &str, text: &str, max: usize, forbidden: fn(char) -> bool) -> Result<()> {
    if text.chars().any(forbidden) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    if text.chars().count() > max {
        return Err(Error::invalid(
            field,
            format!("must have at most {max} characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_joins_what_people_think_the_same() {
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("ﬁne"), fold("FINE"));
        assert_eq!(fold("É"), fold("e\u{301}"));
    }

    #[test]
    fn plain_letters_fold_as_any_others_do() {
        for c in (0..0x80).filter_map(char::from_u32) {
            let among_others = fold(&format!("é{c}"));
            assert_eq!(
                Some(fold(&c.to_string()).as_str()),
                among_others.strip_prefix('é'),
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_line_is_trimmed_and_bounded() {
        assert_eq!(line("name", "  a b ", 3).unwrap(), "a b");
        assert!(line("name", "abcd", 3).is_err());
        assert!(line("name", "a\nb", 9).is_err());
        assert!(line("name", "   ", 9).is_err());
    }

    #[test]
    fn a_body_keeps_its_lines_but_no_nul() {
        assert_eq!(block("body", " a\n\tb", 9).unwrap(), " a\n\tb");
        assert!(block("body", "a\0b", 9).is_err());
    }

    #[test]
    fn a_link_cannot_run_a_script() {
        assert!(optional_link("avatar_url", "javascript:alert(1)").is_err());
        assert!(optional_link("avatar_url", "/v1/attachments/x").is_err());
        assert!(
            optional_link("avatar_url", "https://a.example/x.png")
                .unwrap()
                .is_some()
        );
    }
}
