//! Messages through the write coalescer, on a storage that answers at once and on one whose commits take
//! a millisecond: what the lanes cost, and how they share a commit.

mod fake;

use std::time::Duration;

use connexus_application::Actor;
use connexus_application::messages::SendMessage;
use connexus_domain::{ConversationId, SessionId};
use divan::counter::ItemsCount;

use fake::{Fake, id, users};

fn main() {
    divan::main();
}

/// Conversations, so that all lanes have work.
const CONVERSATIONS: u64 = 16;

fn sends(bencher: divan::Bencher, under_way: u64, commit: Option<Duration>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let members = users(2);
    let actor = Actor::new(members[0], SessionId::from_uuid(id(1)));
    let app = runtime.block_on(async { Fake::start(members, commit) });
    bencher.counter(ItemsCount::new(under_way)).bench_local(|| {
        runtime.block_on(async {
            let mut tickets = Vec::new();
            for nth in 0..under_way {
                let conversation = ConversationId::from_uuid(id(nth % CONVERSATIONS));
                let message = SendMessage {
                    body: Some("x".repeat(128)),
                    ..SendMessage::default()
                };
                let ticket = app.messages.enqueue(&actor, conversation, message).await;
                tickets.push(ticket.expect("room in the queue"));
            }
            for ticket in tickets {
                ticket.stored().await.expect("stored");
            }
        });
    });
}

#[divan::bench(args = [1, 64, 512, 4_096])]
fn commits_at_once(bencher: divan::Bencher, under_way: u64) {
    sends(bencher, under_way, None);
}

#[divan::bench(args = [1, 64, 512, 4_096])]
fn commits_in_a_millisecond(bencher: divan::Bencher, under_way: u64) {
    sends(bencher, under_way, Some(Duration::from_millis(1)));
}
