//! Search terms: what every stored message costs, and every query.

use connexus_domain::terms;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

const WORDS: &str = "The quick brown fox jumps over the lazy dog, naïve as ever: Straße 42! ";
const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";

#[divan::bench(args = [1, 2, 16, 100])]
fn of_words(bencher: divan::Bencher, repeated: usize) {
    let text = WORDS.repeat(repeated);
    let bytes = BytesCount::of_str(&text);
    bencher
        .counter(bytes)
        .bench(|| terms::terms(divan::black_box(&text)));
}

#[divan::bench(args = [1, 2, 16, 100])]
fn of_japanese(bencher: divan::Bencher, repeated: usize) {
    let text = JAPANESE.repeat(repeated);
    let bytes = BytesCount::of_str(&text);
    bencher
        .counter(bytes)
        .bench(|| terms::terms(divan::black_box(&text)));
}

/// None repeats, so that none is found already.
#[divan::bench(args = [10, 100, 1_000])]
fn of_different_words(bencher: divan::Bencher, words: usize) {
    let text: Vec<String> = (0..words).map(|nth| format!("word{nth}")).collect();
    let text = text.join(" ");
    let bytes = BytesCount::of_str(&text);
    bencher
        .counter(bytes)
        .bench(|| terms::terms(divan::black_box(&text)));
}

#[divan::bench]
fn of_a_query() -> Option<terms::TermQuery> {
    terms::query(divan::black_box("good morning every"))
}
