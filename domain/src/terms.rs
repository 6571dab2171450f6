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
    let folded = fold(text);
    let mut found = BTreeSet::new();
    for term in terms_of(&folded) {
        if found.len() >= TERMS_MAX {
            break;
        }
        found.insert(term);
    }
    found.into_iter().map(str::to_owned).collect()
}

/// What to look for: all of `all`, and something that starts with `prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermQuery {
    /// Terms that must be there.
    pub all: Vec<String>,
    /// The start of a term that must be there: the last word may be unfinished.
    pub prefix: String,
}

impl TermQuery {
    /// Whether a text has all that is looked for.
    pub fn matches(&self, text: &str) -> bool {
        let terms = terms(text);
        let place = |term: &str| terms.binary_search_by(|known| known.as_str().cmp(term));
        let starts = place(&self.prefix).unwrap_or_else(|place| place);
        terms
            .get(starts)
            .is_some_and(|term| term.starts_with(&self.prefix))
            && self.all.iter().all(|term| place(term).is_ok())
    }
}

/// The terms of a query; `None` when there is nothing to look for in it.
pub fn query(text: &str) -> Option<TermQuery> {
    let folded = fold(text);
    let mut ordered: Vec<&str> = terms_of(&folded).take(32).collect();
    let prefix = ordered.pop()?.to_owned();
    ordered.sort_unstable();
    ordered.dedup();
    Some(TermQuery {
        all: ordered.into_iter().map(str::to_owned).collect(),
        prefix,
    })
}

#[derive(PartialEq, Clone, Copy)]
enum Class {
    Gap,
    Word,
    Cjk,
}

fn class(c: char) -> Class {
    match u32::from(c) {
        0..=0x7F if c.is_ascii_alphanumeric() => Class::Word,
        0..=0x7F => Class::Gap,
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

/// The terms of a folded text as they come in it, however often.
fn terms_of(folded: &str) -> impl Iterator<Item = &str> {
    runs(folded).flat_map(|(class, run)| {
        let (word, pairs) = match class {
            Class::Gap => (None, None),
            Class::Word => (Some(start(run, TERM_MAX)), None),
            Class::Cjk => (None, Some(bigrams(run))),
        };
        word.into_iter().chain(pairs.into_iter().flatten())
    })
}

/// A text cut where the class of its characters changes.
fn runs(text: &str) -> impl Iterator<Item = (Class, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let of = class(rest.chars().next()?);
        let end = rest.find(|c| class(c) != of).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some((of, run))
    })
}

/// The first `count` characters of a text.
fn start(text: &str, count: usize) -> &str {
    if text.len() <= count {
        return text;
    }
    let end = text.char_indices().nth(count).map(|(at, _)| at);
    end.map_or(text, |end| &text[..end])
}

/// Each two characters that stand together; a single one as it is.
fn bigrams(run: &str) -> impl Iterator<Item = &str> {
    let ends = run.char_indices().map(|(at, c)| at + c.len_utf8());
    let starts = run.char_indices().map(|(at, _)| at);
    let single = (run.chars().nth(1).is_none()).then_some(run);
    let pairs = starts.zip(ends.skip(1)).map(|(from, to)| &run[from..to]);
    pairs.chain(single)
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
    fn a_text_matches_with_all_terms_and_a_prefix() {
        let query = query("Good mor").unwrap();
        for text in ["good morning", "MORE goods, good!", "mor good"] {
            assert!(query.matches(text), "{text}");
        }
        for text in ["goods morning", "good", "morning", "good amor", ""] {
            assert!(!query.matches(text), "{text}");
        }
    }

    #[test]
    fn a_huge_text_gives_a_bounded_list() {
        let text: String = (0..5_000)
            .map(|n| format!("w{n}"))
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(terms(&text).len(), TERMS_MAX);
        assert_eq!(terms(&text)[0], "w0");
        assert_eq!(terms(&text)[999], "w999");
        assert_eq!(terms(&"x".repeat(1_000))[0].len(), TERM_MAX);
        assert_eq!(terms(&"ß".repeat(1_000))[0].chars().count(), TERM_MAX);
    }

    #[test]
    fn words_that_come_again_are_not_counted() {
        let text = format!("{}last", "again and ".repeat(TERMS_MAX));
        assert_eq!(terms(&text), ["again", "and", "last"]);
        assert_eq!(query(&"x ".repeat(40)).unwrap().all, ["x"]);
    }
}
