//! Encoding packets: once for all receivers, whose packets share the bytes.

use bytes::Bytes;
use connexus_socketio::Packet;
use divan::counter::BytesCount;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn message(body: usize) -> Value {
    json!({
        "conversationId": "0193a5c0-0000-7000-8000-000000000001",
        "message": {
            "_id": "0193a5c0-0000-7000-8000-000000000002",
            "content": "x".repeat(body),
            "sender": {"_id": "0193a5c0-0000-7000-8000-000000000003", "name": "Ada", "avatar": ""},
            "type": "text",
            "reactions": [],
            "createdAt": "2026-01-01T00:00:00.000Z",
        },
    })
}

#[divan::bench(args = [16, 128, 2_000])]
fn event(bencher: divan::Bencher, body: usize) {
    let args = (message(body),);
    bencher
        .counter(BytesCount::new(body))
        .bench(|| Packet::event("/", "new_message", divan::black_box(&args)));
}

#[divan::bench]
fn event_in_a_namespace(bencher: divan::Bencher) {
    let args = (message(128),);
    bencher.bench(|| Packet::event("/chat", "new_message", divan::black_box(&args)));
}

#[divan::bench(args = [1_024, 65_536])]
fn event_with_an_attachment(bencher: divan::Bencher, length: usize) {
    let args = (json!({"_placeholder": true, "num": 0}),);
    let attachment = Bytes::from(vec![7; length]);
    bencher
        .counter(BytesCount::new(length))
        .bench(|| Packet::binary_event("/", "file", &args, vec![attachment.clone()]));
}

/// What each further receiver costs.
#[divan::bench]
fn share(bencher: divan::Bencher) {
    let packet = Packet::event("/", "new_message", &(message(128),));
    bencher.bench(|| divan::black_box(&packet).clone());
}
