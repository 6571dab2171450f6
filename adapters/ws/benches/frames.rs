//! Client frames of the native WebSocket: told apart, and read as far as each op needs.

use connexus_ws::request::{self, InConversation, ReadUpTo, WithBody};
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

const ID: &str = "0193a5c0-0000-7000-8000-000000000001";

fn send(body: usize) -> String {
    let body = "x".repeat(body);
    format!(
        r#"{{"id":"17","op":"message.send","conversation_id":"{ID}","body":"{body}","client_id":"17"}}"#
    )
}

/// What every frame costs.
#[divan::bench(args = [16, 128, 1_024, 8_000])]
fn head_of_a_send(bencher: divan::Bencher, body: usize) {
    let frame = send(body);
    let bytes = BytesCount::of_str(&frame);
    bencher
        .counter(bytes)
        .bench(|| request::parse(divan::black_box(&frame)).is_ok());
}

#[divan::bench(args = [16, 128, 1_024, 8_000])]
fn edit(bencher: divan::Bencher, body: usize) {
    let body = "x".repeat(body);
    let frame = format!(r#"{{"id":"17","op":"message.edit","message_id":"{ID}","body":"{body}"}}"#);
    let bytes = BytesCount::of_str(&frame);
    bencher.counter(bytes).bench(|| {
        let frame = divan::black_box(&frame);
        request::parse(frame).is_ok() && request::fields::<WithBody>(frame).is_ok()
    });
}

#[divan::bench]
fn typing(bencher: divan::Bencher) {
    let frame = format!(r#"{{"op":"typing.start","conversation_id":"{ID}"}}"#);
    bencher.bench(|| {
        let frame = divan::black_box(&frame);
        let fields = request::fields::<InConversation>(frame);
        request::parse(frame).is_ok() && fields.is_ok_and(|fields| fields.conversation().is_ok())
    });
}

#[divan::bench]
fn read_mark(bencher: divan::Bencher) {
    let frame =
        format!(r#"{{"id":"9","op":"conversation.read","conversation_id":"{ID}","seq":812}}"#);
    bencher.bench(|| {
        let frame = divan::black_box(&frame);
        let fields = request::fields::<ReadUpTo>(frame);
        request::parse(frame).is_ok() && fields.is_ok_and(|fields| fields.checked().is_ok())
    });
}

/// What is no frame must not cost more than one that is.
#[divan::bench(args = ["", "{", "[[[[[[[[", r#"{"op":{"$gt":""}}"#, r#"{"id":1,"op":"no such op"}"#])]
fn rubbish(frame: &str) -> bool {
    request::parse(divan::black_box(frame)).is_err()
}
