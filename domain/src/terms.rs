//! Search terms: the same text gives the same terms on every backend, which only has to store and match
//! them.
//!
//! A text is brought to NFKC and case-folded, then cut into runs of letters, digits and combining marks.
//! Runs of Chinese, Japanese and Korean characters, which put no spaces between words, become bigrams.

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use crate::text::fold;

/// Longest term, in characters; what is longer is cut.
pub const TERM_MAX: usize = 64;
/// Most different terms that are kept of one text.
pub const TERMS_MAX: usize = 1_000;

/// What a text is found by: its different terms, sorted.
pub fn terms(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for run in runs(&fold(text)) {
        if found.len() >= TERMS_MAX {
            break;
        }
        match run {
            Run::Word(word) => {
                found.insert(word);
            }
            Run::Cjk(chars) => found.extend(bigrams(&chars)),
        }
    }
    found.into_iter().take(TERMS_MAX).collect()
}

/// What to look for: all of `all`, and something that starts with `prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermQuery {
    /// Terms that must be there.
    pub all: Vec<String>,
    /// The start of a term that must be there: the last word may be unfinished.
    pub prefix: String,
}

/// The terms of a query; `None` when there is nothing to look for in it.
pub fn query(text: &str) -> Option<TermQuery> {
    let mut ordered: Vec<String> = Vec::new();
    for run in runs(&fold(text)) {
        match run {
            Run::Word(word) => ordered.push(word),
            Run::Cjk(chars) => ordered.extend(bigrams(&chars)),
        }
    }
    ordered.truncate(32);
    let prefix = ordered.pop()?;
    ordered.sort_unstable();
    ordered.dedup();
    Some(TermQuery {
        all: ordered,
        prefix,
    })
}

enum Run {
    Word(String),
    Cjk(Vec<char>),
}

#[derive(PartialEq, Clone, Copy)]
enum Class {
    Gap,
    Word,
    Cjk,
}

fn class(c: char) -> Class {
    match u32::from(c) {
        // Hiragana, Katakana, Bopomofo; Han with its extensions; Hangul syllables
        0x3041..=0x312F
        | 0x31A0..=0x31FF
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0x20000..=0x3FFFD
            if c.is_alphanumeric() =>
        {
            Class::Cjk
        }
        _ if c.is_alphanumeric() || is_combining_mark(c) => Class::Word,
        _ => Class::Gap,
    }
}

fn runs(folded: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut current: Vec<char> = Vec::new();
    let mut of = Class::Gap;
    for c in folded.chars().chain(std::iter::once(' ')) {
        let class = class(c);
        if class != of {
            let run = std::mem::take(&mut current);
            match of {
                Class::Word => runs.push(Run::Word(run.into_iter().take(TERM_MAX).collect())),
                Class::Cjk => runs.push(Run::Cjk(run)),
                Class::Gap => {}
            }
            of = class;
        }
        if class != Class::Gap {
            current.push(c);
        }
    }
    runs
}

fn bigrams(chars: &[char]) -> Vec<String> {
    if chars.len() == 1 {
        return vec![chars[0].to_string()];
    }
    chars.windows(2).map(|pair| pair.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_case_or_form() {
        assert_eq!(terms("Hello, WORLD! hello"), ["hello", "world"]);
        assert_eq!(terms("Straße"), terms("STRASSE"));
        assert_eq!(terms("ﬁle"), ["file"]);
        assert_eq!(terms("user.name@x"), ["name", "user", "x"]);
        assert!(terms("…!?").is_empty());
    }

    #[test]
    fn chinese_and_japanese_as_bigrams() {
        assert_eq!(terms("東京都"), ["京都", "東京"]);
        assert_eq!(terms("字"), ["字"]);
        assert_eq!(terms("abc東京"), ["abc", "東京"]);
    }

    #[test]
    fn marks_stay_in_their_word() {
        assert_eq!(terms("हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn the_last_word_of_a_query_is_a_prefix() {
        assert_eq!(
            query("Good mor"),
            Some(TermQuery {
                all: vec!["good".into()],
                prefix: "mor".into()
            })
        );
        assert_eq!(query("  "), None);
    }

    #[test]
    fn a_huge_text_gives_a_bounded_list() {
        let text: String = (0..5_000)
            .map(|n| format!("w{n}"))
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(terms(&text).len(), TERMS_MAX);
        assert_eq!(terms(&"x".repeat(1_000))[0].len(), TERM_MAX);
    }
}
