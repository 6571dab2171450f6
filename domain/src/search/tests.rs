use std::convert::Infallible;

use super::*;
use crate::terms::query;
use uuid::Uuid;

fn conversation(n: u128) -> ConversationId {
    ConversationId::from_uuid(Uuid::from_u128(n))
}

fn message(n: u128) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(n))
}

fn indexable(of: u128, seq: Seq, id: u128, body: &str) -> Indexable {
    Indexable {
        conversation_id: conversation(of),
        seq,
        id: message(id),
        body: (!body.is_empty()).then(|| body.to_owned()),
    }
}

fn terms_of(segment: &Segment) -> Vec<&str> {
    segment.terms.iter().map(String::as_str).collect()
}

#[test]
fn a_segment_is_of_one_conversation_and_has_the_terms_of_all() {
    let cut = segments(&[
        indexable(1, 4, 40, "red green"),
        indexable(1, 5, 60, ""),
        indexable(1, 6, 50, "Green blue"),
        indexable(2, 1, 45, "?!"),
        indexable(2, 2, 70, "red"),
    ]);
    let [first, second] = &cut[..] else {
        panic!("{cut:?}")
    };
    assert_eq!((first.first_seq, first.last_seq), (4, 6));
    assert_eq!((first.oldest, first.newest), (message(40), message(50)));
    assert_eq!(terms_of(first), ["blue", "green", "red"]);
    assert_eq!(second.conversation_id, conversation(2));
    assert_eq!((second.first_seq, second.last_seq), (2, 2));
    assert_eq!(terms_of(second), ["red"]);
}

#[test]
fn a_segment_ends_at_a_hole() {
    let cut = segments(&[
        indexable(1, 4, 40, "red"),
        indexable(1, 5, 41, "?!"),
        indexable(1, 7, 42, "red"),
        indexable(1, 8, 43, ""),
        indexable(1, 9, 44, "red"),
    ]);
    let ranges: Vec<_> = cut
        .iter()
        .map(|found| (found.first_seq, found.last_seq))
        .collect();
    assert_eq!(ranges, [(4, 4), (7, 9)]);
}

#[test]
fn a_segment_has_a_bounded_number_of_messages_and_terms() {
    let many: Vec<Indexable> = (1..=200)
        .map(|n| indexable(1, n, n.unsigned_abs().into(), "word"))
        .collect();
    let lengths: Vec<Seq> = segments(&many)
        .iter()
        .map(|segment| segment.last_seq - segment.first_seq + 1)
        .collect();
    assert_eq!(lengths, [64, 64, 64, 8]);
    let long = |n: i64| {
        let words: Vec<String> = (0..600).map(|k| format!("w{n}x{k}")).collect();
        words.join(" ")
    };
    let wordy: Vec<Indexable> = (1..=4)
        .map(|n| indexable(1, n, n.unsigned_abs().into(), &long(n)))
        .collect();
    let lasts: Vec<Seq> = segments(&wordy)
        .iter()
        .map(|found| found.last_seq)
        .collect();
    assert_eq!(lasts, [2, 4]);
}

/// What a backend has, in memory: all in scope.
struct Library {
    query: TermQuery,
    tail: Vec<Indexable>,
    indexed: Vec<Indexable>,
    segments: Vec<Segment>,
    read: usize,
}

/// Those of `among` that are to be read.
fn read(
    among: &[Indexable],
    before: Option<MessageId>,
    keep: impl Fn(&Indexable) -> bool,
) -> Vec<Candidate> {
    let kept = among
        .iter()
        .filter(|message| before.is_none_or(|before| message.id < before) && keep(message));
    kept.filter_map(|message| {
        Some(Candidate {
            id: message.id,
            body: message.body.clone()?,
        })
    })
    .collect()
}

impl SearchSource for Library {
    type Error = Infallible;

    async fn tail(
        &mut self,
        before: Option<MessageId>,
        limit: i64,
    ) -> Result<Vec<Candidate>, Infallible> {
        let mut found = read(&self.tail, before, |_| true);
        found.sort_by_key(|candidate| Reverse(candidate.id));
        found.truncate(usize::try_from(limit).unwrap());
        Ok(found)
    }

    async fn segments(&mut self, after: Option<Span>, limit: i64) -> Result<Vec<Span>, Infallible> {
        let order = |span: &Span| Reverse((span.newest, span.first_seq, span.last_seq));
        let matching = self.segments.iter().filter(|segment| {
            let prefix = |term: &String| term.starts_with(&self.query.prefix);
            segment.terms.iter().any(prefix)
                && self
                    .query
                    .all
                    .iter()
                    .all(|term| segment.terms.contains(term))
        });
        let mut spans: Vec<Span> = matching
            .map(|segment| Span {
                conversation_id: segment.conversation_id,
                first_seq: segment.first_seq,
                last_seq: segment.last_seq,
                newest: segment.newest,
            })
            .filter(|span| after.is_none_or(|after| order(span) > order(&after)))
            .collect();
        spans.sort_by_key(order);
        spans.truncate(usize::try_from(limit).unwrap());
        Ok(spans)
    }

    async fn candidates(
        &mut self,
        spans: &[Span],
        before: Option<MessageId>,
    ) -> Result<Vec<Candidate>, Infallible> {
        let found = read(&self.indexed, before, |message| {
            spans.iter().any(|span| {
                span.conversation_id == message.conversation_id
                    && (span.first_seq..=span.last_seq).contains(&message.seq)
            })
        });
        self.read += found.len();
        Ok(found)
    }
}

/// Runs what never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// Conversations whose messages have ids that are not in the order of their seqs, the last ones not indexed.
fn library(text: &str) -> Library {
    let words = [
        "red",
        "green",
        "blue",
        "redder",
        "blue green",
        "red blue",
        "",
    ];
    let mut all = Vec::new();
    for of in 1..=4_u128 {
        for seq in 1..=300_i64 {
            let place = u128::try_from(seq).unwrap() * 4 + of;
            let word = words[usize::try_from(place * place * 7 % 101).unwrap() % words.len()];
            all.push(indexable(of, seq, place ^ 1, word));
        }
    }
    let head = |of: ConversationId| if of == conversation(3) { 0 } else { 290 };
    let (indexed, tail): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|message| message.seq <= head(message.conversation_id));
    Library {
        query: query(text).unwrap(),
        segments: segments(&indexed),
        tail,
        indexed,
        read: 0,
    }
}

#[test]
fn what_is_found_is_what_matches_page_by_page() {
    for text in ["red", "green blue", "blue re", "red red", "violet", "gre"] {
        let mut source = library(text);
        let mut expected: Vec<MessageId> = source
            .tail
            .iter()
            .chain(&source.indexed)
            .filter(|message| {
                let body = message.body.as_deref();
                body.is_some_and(|body| source.query.matches(body))
            })
            .map(|message| message.id)
            .collect();
        expected.sort_by_key(|id| Reverse(*id));
        for limit in [7, 20, 100, 1_000] {
            let (mut found, mut before) = (Vec::new(), None);
            let query = source.query.clone();
            loop {
                let mut page = now(find(&mut source, &query, before, Limit::of(limit))).unwrap();
                let more = page.len() > limit as usize;
                page.truncate(limit as usize);
                before = page.last().copied();
                found.extend(page);
                if !more {
                    break;
                }
            }
            assert_eq!(found, expected, "{text}, pages of {limit}");
        }
    }
}

#[test]
fn a_page_of_a_frequent_word_reads_little() {
    let mut source = library("red");
    source.tail.clear();
    let query = source.query.clone();
    let page = now(find(&mut source, &query, None, Limit::of(20))).unwrap();
    assert_eq!(page.len(), 21);
    assert!(
        source.read <= SEGMENT_MESSAGES * SPANS_AT_ONCE,
        "{}",
        source.read
    );
}
