//! Messages of which it is not known whether they are stored: who is told of them, and when.

#[path = "../benches/fake/mod.rs"]
mod fake;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connexus_application::hub::{
    CloseReason, Connection, Delivery, Handed, Outlet, Registration, Worker,
};
use connexus_application::messages::{SendMessage, Sent};
use connexus_application::{Actor, Connexus};
use connexus_domain::{ConnectionId, ConversationId, Error, Event, Result, SessionId};
use tokio::task::LocalSet;

use fake::memory::{Fate, Memory};
use fake::{Fake, id, users};

/// Long enough for what is done every second.
const A_WHILE: Duration = Duration::from_millis(2_500);
/// Long enough for what is known at once.
const AT_ONCE: Duration = Duration::from_millis(10);

/// What a connection was told: bodies, and what became of it.
#[derive(Default)]
struct Listening(RefCell<Vec<String>>);

impl Outlet for Listening {
    fn deliver(&self, delivery: &Arc<Delivery>) -> Handed {
        let told = match delivery.event() {
            Event::MessageCreated(message) => message.body.clone().unwrap_or_default(),
            Event::MessageEdited(message) => format!("edited: {:?}", message.body),
            _ => return Handed::Refused,
        };
        self.0.borrow_mut().push(told);
        Handed::Taken
    }

    fn close(&self, reason: CloseReason) {
        self.0.borrow_mut().push(format!("{reason:?}"));
    }
}

/// One who sends and listens.
struct Scene {
    app: Arc<Connexus>,
    storage: Arc<Fake>,
    actor: Actor,
    outlet: Rc<Listening>,
    _registration: Registration,
}

impl Scene {
    fn memory(&self) -> &Memory {
        self.storage.memory.as_ref().expect("it remembers")
    }

    async fn send(&self, body: &str) -> Result<Sent> {
        self.send_to(1, body).await
    }

    /// The client's own key is the body.
    async fn send_to(&self, conversation: u64, body: &str) -> Result<Sent> {
        let conversation = ConversationId::from_uuid(id(conversation));
        let message = message(body);
        let messages = &self.app.messages;
        messages.send(&self.actor, conversation, message).await
    }

    async fn is_away_for(&self, fate: Fate, body: &str) {
        self.memory().is_to([fate]);
        let lost = self.send(body).await;
        assert!(matches!(lost, Err(Error::Unavailable { .. })), "{lost:?}");
    }

    /// What was told since the last time, after some time.
    async fn told_in(&self, time: Duration) -> Vec<String> {
        tokio::time::sleep(time).await;
        self.outlet.0.take()
    }

    fn look_ups(&self) -> usize {
        self.memory().looked_up.load(Ordering::Relaxed)
    }
}

fn message(body: &str) -> SendMessage {
    SendMessage {
        body: Some(body.to_owned()),
        client_id: Some(body.to_owned()),
        ..SendMessage::default()
    }
}

async fn play(scenario: impl AsyncFnOnce(&Scene)) {
    let members = users(2);
    let storage = Arc::new(Fake::remembering(members.clone()));
    let app = Fake::start_on(Arc::clone(&storage) as Arc<_>);
    let (worker, run) = Worker::attach(app.hub());
    let connection = Connection {
        id: ConnectionId::from_uuid(id(3)),
        user_id: members[0],
        session_id: SessionId::from_uuid(id(4)),
    };
    let actor = Actor::new(members[0], connection.session_id);
    let outlet = Rc::new(Listening::default());
    let scene = Scene {
        app,
        storage,
        actor,
        _registration: worker.connect(connection, Rc::clone(&outlet) as Rc<_>),
        outlet,
    };
    let local = LocalSet::new();
    local.spawn_local(run);
    local.run_until(scenario(&scene)).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_before_the_next_message() {
    play(async |scene| {
        let first = scene.send("first").await.unwrap().message;
        let messages = &scene.app.messages;
        scene.memory().is_to([Fate::AnswerLost]);
        let lost = messages.edit(&scene.actor, first.id, "1st").await;
        assert!(matches!(lost, Err(Error::Unavailable { .. })), "{lost:?}");
        // whoever tries again is told that it is so, and nobody else
        let again = messages.edit(&scene.actor, first.id, "1st").await;
        assert_eq!(again.unwrap().body.as_deref(), Some("1st"));
        scene.send("next").await.unwrap();
        let told = scene.told_in(A_WHILE).await;
        assert_eq!(told, ["first", "edited: Some(\"1st\")", "next"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_where_nothing_is_written_if_it_is_stored() {
    play(async |scene| {
        let first = scene.send("first").await.unwrap().message;
        let messages = &scene.app.messages;
        scene.memory().is_to([Fate::NotStored, Fate::AnswerLost]);
        messages
            .edit(&scene.actor, first.id, "1")
            .await
            .unwrap_err();
        assert_eq!(scene.told_in(A_WHILE).await, ["first"]);
        messages
            .edit(&scene.actor, first.id, "1st")
            .await
            .unwrap_err();
        let told = scene.told_in(A_WHILE).await;
        assert_eq!(told, ["edited: Some(\"1st\")"]);
        assert!(scene.told_in(A_WHILE).await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_told_before_the_next_message() {
    play(async |scene| {
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        scene.send("next").await.unwrap();
        assert_eq!(scene.told_in(AT_ONCE).await, ["lost", "next"]);
        let look_ups = scene.look_ups();
        scene.send("third").await.unwrap();
        assert_eq!(scene.told_in(A_WHILE).await, ["third"]);
        assert_eq!(scene.look_ups(), look_ups, "nothing is in doubt any more");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_told_before_another_change() {
    play(async |scene| {
        let first = scene.send("first").await.unwrap();
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        let messages = &scene.app.messages;
        let edited = messages.edit(&scene.actor, first.message.id, "1st").await;
        edited.unwrap();
        let told = scene.told_in(A_WHILE).await;
        assert_eq!(told, ["first", "lost", "edited: Some(\"1st\")"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_told_where_nothing_follows() {
    play(async |scene| {
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        scene.is_away_for(Fate::AnswerLost, "later").await;
        assert!(scene.told_in(AT_ONCE).await.is_empty());
        assert_eq!(scene.told_in(A_WHILE).await, ["lost", "later"]);
        assert_eq!(scene.look_ups(), 2);
        assert!(scene.told_in(A_WHILE).await.is_empty());
        assert_eq!(scene.look_ups(), 2, "nothing is in doubt any more");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_told_when_the_database_answers_again() {
    play(async |scene| {
        scene.memory().silent.store(true, Ordering::Relaxed);
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        // longer than what is not there is waited for
        let told = scene.told_in(Duration::from_mins(2)).await;
        assert!(told.is_empty(), "{told:?}");
        scene.memory().silent.store(false, Ordering::Relaxed);
        assert_eq!(scene.told_in(A_WHILE).await, ["lost"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_looked_up_is_told_later() {
    play(async |scene| {
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        scene.memory().silent.store(true, Ordering::Relaxed);
        scene.send("next").await.unwrap();
        assert_eq!(scene.told_in(AT_ONCE).await, ["next"]);
        scene.memory().silent.store(false, Ordering::Relaxed);
        assert_eq!(scene.told_in(A_WHILE).await, ["lost"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_stored_is_forgotten_after_a_while() {
    play(async |scene| {
        scene.is_away_for(Fate::NotStored, "lost").await;
        let told = scene.told_in(Duration::from_secs(50)).await;
        assert!(told.is_empty(), "{told:?}");
        assert!(scene.look_ups() > 40, "it may still come");
        scene.told_in(Duration::from_secs(20)).await;
        let look_ups = scene.look_ups();
        assert!(scene.told_in(A_WHILE).await.is_empty());
        assert_eq!(scene.look_ups(), look_ups, "it will not come");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_stored_is_forgotten_with_the_next_message() {
    play(async |scene| {
        scene.is_away_for(Fate::NotStored, "lost").await;
        scene.send_to(2, "elsewhere").await.unwrap();
        assert_eq!(scene.look_ups(), 0, "another conversation says nothing");
        scene.send("next").await.unwrap();
        assert_eq!(scene.told_in(A_WHILE).await, ["elsewhere", "next"]);
        assert_eq!(scene.look_ups(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_again_is_told_once() {
    play(async |scene| {
        scene.is_away_for(Fate::AnswerLost, "lost").await;
        assert!(scene.send("lost").await.unwrap().duplicate);
        assert_eq!(scene.told_in(AT_ONCE).await, ["lost"]);
        assert!(scene.send("lost").await.unwrap().duplicate);
        assert!(scene.told_in(A_WHILE).await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_stored_and_is_sent_again_is_told_once() {
    play(async |scene| {
        scene.is_away_for(Fate::NotStored, "lost").await;
        assert!(!scene.send("lost").await.unwrap().duplicate);
        assert_eq!(scene.told_in(A_WHILE).await, ["lost"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_tried_one_by_one_are_told_in_their_order() {
    play(async |scene| {
        scene.memory().is_to([Fate::Fault, Fate::AnswerLost]);
        let (first, second) = tokio::join!(scene.send("first"), scene.send("second"));
        assert!(first.is_err() && second.is_ok(), "{first:?}, {second:?}");
        assert_eq!(scene.told_in(AT_ONCE).await, ["first", "second"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_in_doubt_after_a_neighbour_was_stored_is_told_after_it() {
    play(async |scene| {
        let fates = [Fate::Fault, Fate::Stored, Fate::AnswerLost];
        scene.memory().is_to(fates);
        let (first, second) = tokio::join!(scene.send("first"), scene.send("second"));
        assert!(first.is_ok() && second.is_err(), "{first:?}, {second:?}");
        assert_eq!(scene.told_in(AT_ONCE).await, ["first"]);
        assert_eq!(scene.told_in(A_WHILE).await, ["second"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn everybody_catches_up_when_too_many_are_in_doubt() {
    const MANY: usize = 10_001;
    for quiet in [true, false] {
        play(async |scene| {
            scene.memory().full.store(true, Ordering::Relaxed);
            let conversation = ConversationId::from_uuid(id(1));
            for _ in 0..MANY {
                let new = SendMessage {
                    client_id: None,
                    ..message("lost")
                };
                let messages = &scene.app.messages;
                let ticket = messages.enqueue(&scene.actor, conversation, new).await;
                assert!(ticket.unwrap().stored().await.is_err());
            }
            scene.memory().full.store(false, Ordering::Relaxed);
            if quiet {
                assert_eq!(scene.told_in(A_WHILE).await, ["Resume"]);
            }
            scene.send("next").await.unwrap();
            let told = scene.told_in(A_WHILE).await;
            assert_eq!(told[usize::from(!quiet)..], ["next"]);
            assert!(quiet || told[0] == "Resume", "{told:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_ends_while_something_is_in_doubt() {
    play(async |scene| {
        scene.is_away_for(Fate::NotStored, "lost").await;
        let ended = tokio::time::timeout(AT_ONCE, scene.app.shutdown()).await;
        assert!(ended.is_ok());
    })
    .await;
}
