use uuid::Uuid;

use super::*;

const KEY: Key = (
    ConversationId::from_uuid(Uuid::from_u128(1)),
    UserId::from_uuid(Uuid::from_u128(2)),
);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn starts(keys: &[Key]) -> Due {
    Due {
        starts: keys.to_vec(),
        ..Due::default()
    }
}

#[test]
fn a_start_is_told_every_three_seconds_at_most() {
    let typists = Typists::default();
    let told: Vec<bool> = [0, 1, 2_999, 3_000, 5_999, 6_000]
        .map(|millis| typists.start(KEY, at(millis)))
        .into();
    assert_eq!(told, [true, false, false, true, false, true]);
}

#[test]
fn who_said_to_have_stopped_is_told_at_once_to_have_started_again() {
    let typists = Typists::default();
    assert!(typists.start(KEY, at(0)));
    assert!(typists.stop(KEY));
    assert!(!typists.stop(KEY), "there is nothing left to end");
    assert!(typists.start(KEY, at(1)));
}

#[test]
fn messages_one_after_the_other_are_told_to_be_written_once() {
    let typists = Typists::default();
    assert!(typists.start(KEY, at(0)));
    assert!(typists.pause(KEY), "the first message ends it");
    for millis in [100, 200, 300] {
        assert!(!typists.start(KEY, at(millis)));
        assert!(!typists.pause(KEY), "nobody saw it");
    }
    assert_eq!(typists.due(at(2_999)), Due::default());
    assert_eq!(typists.due(at(3_000)), Due::default());
    assert!(typists.lock().is_empty(), "nothing is kept of it");
}

#[test]
fn a_start_that_follows_a_message_is_told_later_unless_it_has_ended() {
    let typists = Typists::default();
    let second_start = |ends: fn(&Typists) -> bool| {
        assert!(typists.start(KEY, at(0)));
        assert!(typists.pause(KEY));
        assert!(!typists.start(KEY, at(100)));
        assert_eq!(typists.due(at(2_999)), Due::default());
        let ended = ends(&typists);
        let due = typists.due(at(3_000));
        typists.stop(KEY);
        (ended, due)
    };
    assert_eq!(second_start(|_| false), (false, starts(&[KEY])));
    assert_eq!(second_start(|t| t.stop(KEY)), (false, Due::default()));
    assert_eq!(second_start(|t| t.pause(KEY)), (false, Due::default()));
}

#[test]
fn what_was_told_later_is_shown_as_what_was_told_at_once() {
    let typists = Typists::default();
    assert!(typists.start(KEY, at(0)));
    assert!(typists.pause(KEY));
    assert!(!typists.start(KEY, at(100)));
    assert_eq!(typists.due(at(3_200)), starts(&[KEY]));
    assert!(!typists.start(KEY, at(6_199)), "told less than 3 s before");
    assert_eq!(typists.due(at(10_199)), Due::default());
    let ended = Due {
        ends: vec![KEY],
        ..Due::default()
    };
    assert_eq!(typists.due(at(10_200)), ended, "seven seconds after");
    assert_eq!(typists.due(at(10_201)), Due::default());
}
