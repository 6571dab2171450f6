//! One event through the hub to many connections of one worker thread: encoded once, queued for each.

mod fake;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use connexus_application::hub::{
    Audience, CloseReason, Connection, Delivery, Handed, Outlet, Registration, WireFormat, Worker,
};
use connexus_domain::{
    ConnectionId, ConversationId, Event, Message, MessageId, MessageKind, SessionId, UserId,
};
use divan::counter::ItemsCount;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use fake::{Fake, NOW, id, users};

fn main() {
    divan::main();
}

static FORMAT: WireFormat<Bytes> = WireFormat::new(0);

/// Keeps what it is handed, as a socket's queue does.
struct Queue {
    frames: RefCell<Vec<Bytes>>,
    handed: Rc<Cell<usize>>,
}

impl Outlet for Queue {
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        let frame = delivery.encoded(&FORMAT, |delivery| {
            Bytes::from(format!("{:?}", delivery.event()))
        });
        let mut frames = self.frames.borrow_mut();
        if frames.len() == 64 {
            frames.clear();
        }
        frames.push(frame.clone());
        self.handed.set(self.handed.get() + 1);
        Handed::Taken
    }

    fn close(&self, _reason: CloseReason) {}
}

fn message(sender: UserId) -> Event {
    Event::MessageCreated(Message {
        id: MessageId::from_uuid(id(1)),
        conversation_id: ConversationId::from_uuid(id(1)),
        seq: 1,
        rev: 1,
        sender_id: sender,
        kind: MessageKind::Text,
        body: Some("x".repeat(128)),
        attachments: Vec::new(),
        reply_to: None,
        thread_id: None,
        reply_count: 0,
        reactions: Vec::new(),
        client_id: None,
        created_at: NOW,
        edited_at: None,
        deleted_at: None,
    })
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn to_outlets(bencher: divan::Bencher, outlets: usize) {
    let runtime = runtime();
    let local = LocalSet::new();
    let users = users(outlets as u64);
    let handed = Rc::new(Cell::new(0));
    let (app, registrations) = local.block_on(&runtime, async {
        let app = Fake::start(users.clone(), None);
        let (worker, run) = Worker::attach(app.hub());
        tokio::task::spawn_local(run);
        let connect = |(nth, user): (u64, &UserId)| -> Registration {
            let connection = Connection {
                id: ConnectionId::from_uuid(id(nth)),
                user_id: *user,
                session_id: SessionId::from_uuid(id(nth)),
            };
            let queue = Queue {
                frames: RefCell::default(),
                handed: Rc::clone(&handed),
            };
            worker.connect(connection, Rc::new(queue))
        };
        let registrations: Vec<_> = (0..).zip(&users).map(connect).collect();
        (app, registrations)
    });
    let event = message(users[0]);
    let audience: Arc<[UserId]> = users.into();
    bencher.counter(ItemsCount::new(outlets)).bench_local(|| {
        local.block_on(&runtime, async {
            let all = handed.get() + outlets;
            let audience = Audience::Many(Arc::clone(&audience));
            app.hub().publish([Delivery::new(event.clone(), audience)]);
            while handed.get() < all {
                tokio::task::yield_now().await;
            }
        });
    });
    drop(registrations);
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}
