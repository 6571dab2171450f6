use std::time::Duration;

use connexus_domain::{ConnectionId, ConversationId, UserId};
use tokio::task::LocalSet;

use super::*;
use crate::presence::Registry;
use crate::receipts::Pending;
use crate::settings::DeliverySettings;

const LINGER: Duration = Duration::from_millis(50);

/// Notes when it was flushed. Typing may linger there, all else may not.
#[derive(Default)]
struct Noting {
    flushed: RefCell<Vec<Instant>>,
}

impl Outlet for Noting {
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        match delivery.event() {
            Event::Typing { .. } => Handed::Lingers,
            _ => Handed::Waits,
        }
    }

    fn flush(&self) {
        self.flushed.borrow_mut().push(Instant::now());
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
    let hub = hub();
    let (worker, run) = Worker::attach(&hub);
    let outlet = Rc::new(Noting::default());
    let registrations: Vec<_> = (0..MANY)
        .map(|number| worker.connect(connection(number as u128), Rc::clone(&outlet) as Rc<_>))
        .collect();
    let local = LocalSet::new();
    local.spawn_local(run);
    hub.publish([essential()]);
    let seen = local
        .run_until(async {
            let mut seen = vec![0];
            while seen.last() < Some(&MANY) {
                tokio::task::yield_now().await;
                seen.push(outlet.flushed.borrow().len());
            }
            seen
        })
        .await;
    let most = seen.windows(2).map(|two| two[1] - two[0]).max();
    assert!(most.is_some_and(|most| most < MANY / 5), "{seen:?}");
    drop(registrations);
}
