use std::time::Duration;

use connexus_domain::{ConnectionId, ConversationId, UserId};
use tokio::task::LocalSet;

use super::*;
use crate::presence::Registry;
use crate::receipts::Pending;
use crate::settings::DeliverySettings;
use crate::testing::message;

const LINGER: Duration = Duration::from_millis(50);

/// Notes when it was flushed. Typing may linger there, all else may not.
#[derive(Default)]
struct Noting {
    handed: Cell<usize>,
    handed_before_flush: Cell<Option<usize>>,
    flushed: RefCell<Vec<Instant>>,
}

impl Outlet for Noting {
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        self.handed.set(self.handed.get() + 1);
        match delivery.event() {
            Event::Typing { .. } => Handed::Lingers,
            _ => Handed::Waits,
        }
    }

    fn flush(&self) {
        if self.handed_before_flush.get().is_none() {
            self.handed_before_flush.set(Some(self.handed.get()));
        }
        self.flushed.borrow_mut().push(Instant::now());
    }

    fn close(&self, _: CloseReason) {}
}

/// Takes nothing.
struct Refusing;

impl Outlet for Refusing {
    fn deliver(&self, _: &Arc<Delivery>) -> Handed {
        Handed::Refused
    }

    fn close(&self, _: CloseReason) {}
}

fn user() -> UserId {
    UserId::from_uuid(uuid::Uuid::from_u128(1))
}

fn typing() -> Delivery {
    let event = Event::Typing {
        conversation_id: ConversationId::from_uuid(uuid::Uuid::from_u128(2)),
        user_id: user(),
        typing: true,
    };
    Delivery::new(event, Audience::One(user()))
}

fn essential() -> Delivery {
    let session_id = SessionId::from_uuid(uuid::Uuid::from_u128(3));
    let event = Event::SessionRevoked { session_id };
    Delivery::new(event, Audience::One(user()))
}

fn hub() -> Arc<Hub> {
    let settings = DeliverySettings {
        linger: LINGER,
        ..DeliverySettings::default()
    };
    Hub::new(
        &settings,
        Arc::new(Registry::new()),
        Arc::new(Pending::default()),
    )
}

fn connection(number: u128) -> Connection {
    Connection {
        id: ConnectionId::from_uuid(uuid::Uuid::from_u128(number)),
        user_id: user(),
        session_id: SessionId::from_uuid(uuid::Uuid::from_u128(3)),
    }
}

/// When the only connection was flushed, counted from the beginning.
async fn flushes(scenario: impl AsyncFnOnce(&Hub)) -> Vec<Duration> {
    let hub = hub();
    let outlet = Rc::new(Noting::default());
    let (worker, run) = Worker::attach(&hub);
    let start = Instant::now();
    let local = LocalSet::new();
    local.spawn_local(run);
    let registration = worker.connect(connection(4), Rc::clone(&outlet) as Rc<_>);
    local
        .run_until(async {
            scenario(&hub).await;
            tokio::time::sleep(10 * LINGER).await;
        })
        .await;
    drop(registration);
    let flushed = outlet.flushed.borrow();
    flushed.iter().map(|at| *at - start).collect()
}

#[tokio::test(start_paused = true)]
async fn what_may_wait_is_written_when_it_has_waited() {
    let flushed = flushes(async |hub| {
        hub.publish([typing()]);
        tokio::time::sleep(LINGER / 2).await;
        hub.publish([typing()]);
    })
    .await;
    assert!(flushed.iter().all(|at| *at >= LINGER), "{flushed:?}");
    assert!(
        !flushed.is_empty() && flushed[0] < 2 * LINGER,
        "{flushed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_not_wait_is_written_at_once_whatever_lingers() {
    let flushed = flushes(async |hub| {
        hub.publish([typing()]);
        tokio::time::sleep(LINGER / 2).await;
        hub.publish([essential()]);
    })
    .await;
    assert!(
        flushed[0] >= LINGER / 2 && flushed[0] < LINGER,
        "{flushed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_lingers_is_written_in_time_although_more_and_more_comes() {
    let flushed = flushes(async |hub| {
        for _ in 0..100 {
            hub.publish([typing()]);
            tokio::time::sleep(LINGER / 10).await;
        }
    })
    .await;
    assert!(flushed[0] < 2 * LINGER, "{flushed:?}");
    assert!(flushed.len() >= 5, "{flushed:?}");
}

#[tokio::test]
async fn others_have_their_turn_while_many_are_written_to() {
    const MANY: usize = 1_000;
    for events in [1, 2] {
        let (outlet, seen) = tell_many(MANY, events).await;
        let most = seen.windows(2).map(|two| two[1] - two[0]).max();
        assert!(most.is_some_and(|most| most < MANY / 5), "{seen:?}");
        let before = outlet.handed_before_flush.get().unwrap();
        if events == 1 {
            assert!(before < MANY / 5, "{before}: the first waited for the last");
        } else {
            assert_eq!(before, events * MANY, "they share no write");
        }
    }
}

/// One outlet that was told so many events together over so many connections, and how often it was flushed, turn by
/// turn.
async fn tell_many(connections: usize, events: usize) -> (Rc<Noting>, Vec<usize>) {
    let hub = hub();
    let (worker, run) = Worker::attach(&hub);
    let outlet = Rc::new(Noting::default());
    let registrations: Vec<_> = (0..connections)
        .map(|number| worker.connect(connection(number as u128), Rc::clone(&outlet) as Rc<_>))
        .collect();
    let local = LocalSet::new();
    local.spawn_local(run);
    hub.publish(std::iter::repeat_with(essential).take(events));
    let all = connections * events;
    let seen = local
        .run_until(async {
            let mut seen = vec![0];
            while seen.last() < Some(&all) {
                tokio::task::yield_now().await;
                seen.push(outlet.flushed.borrow().len());
            }
            seen
        })
        .await;
    drop(registrations);
    (outlet, seen)
}

#[tokio::test(start_paused = true)]
async fn a_message_is_noted_as_delivered_to_whoever_else_took_it() {
    for events in [1, 2] {
        let hub = hub();
        let (worker, run) = Worker::attach(&hub);
        let new = message(events);
        let user = |number: u128| UserId::from_uuid(uuid::Uuid::from_u128(number));
        let [reader, refuses, away] = [user(3), user(4), user(5)];
        let connect = |user_id: UserId, number: u128, outlet: Rc<dyn Outlet>| {
            let connection = Connection {
                user_id,
                ..connection(number)
            };
            worker.connect(connection, outlet)
        };
        let taking = || Rc::new(Noting::default()) as Rc<dyn Outlet>;
        let _registrations = [
            connect(new.sender_id, 1, taking()),
            connect(reader, 2, taking()),
            connect(reader, 3, taking()),
            connect(refuses, 4, Rc::new(Refusing)),
        ];
        let audience: Arc<[UserId]> = [new.sender_id, reader, refuses, away].into();
        let deliveries = (1..=events).map(|number| {
            let event = Event::MessageCreated(message(number));
            Delivery::new(event, Audience::Many(Arc::clone(&audience)))
        });
        hub.publish(deliveries);
        let local = LocalSet::new();
        local.spawn_local(run);
        local.run_until(tokio::time::sleep(LINGER)).await;
        let delivered = |user| hub.receipts.delivered_seq(new.conversation_id, user);
        assert_eq!(delivered(reader), new.seq);
        let others = [new.sender_id, refuses, away];
        assert!(others.iter().all(|user| delivered(*user) == 0));
    }
}
