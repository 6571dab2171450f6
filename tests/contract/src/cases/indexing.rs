//! The index of search, which follows what is stored.

use std::collections::BTreeSet;
use std::time::Duration;

use connexus_domain::ports::MessageSearch;
use connexus_domain::{ConversationId, Limit, Message, MessageId, NewMessage, Timestamp, UserId};

use super::search::{found, library};
use crate::World;
use crate::world::{ALL, EVER, body, search, stored, walk};

async fn index_all(w: &World) -> u64 {
    let mut count = 0;
    loop {
        match w.messages().index(EVER, ALL).await.unwrap() {
            0 => return count,
            more => count += more,
        }
    }
}

/// When a message was made, as its id says.
fn made_at(id: MessageId) -> Timestamp {
    let (seconds, nanos) = id.as_uuid().get_timestamp().unwrap().to_unix();
    Timestamp::from_millis(i64::try_from(seconds * 1_000).unwrap() + i64::from(nanos / 1_000_000))
}

pub async fn a_step_takes_in_what_is_old_enough_and_no_more_than_asked(w: &World) {
    let (reader, [one, two, three, four]) =
        library(w, ["red", "red green", "green red", "blue red"]).await;
    let step = async |before, limit| {
        let count = w.messages().index(before, Limit::of(limit)).await;
        assert_eq!(w.found(reader, "red").await, [four, three, two, one]);
        count.unwrap()
    };
    assert_eq!(step(made_at(one), 100).await, 0, "all are too young");
    assert_eq!(step(made_at(two), 100).await, 1);
    assert_eq!(step(made_at(two), 100).await, 0, "once is enough");
    assert_eq!(step(EVER, 2).await, 2);
    assert_eq!(step(EVER, 2).await, 1);
    assert_eq!(step(EVER, 2).await, 0);
    for id in [one, four] {
        w.messages()
            .edit(id, reader, &body("violet red"), w.now())
            .await
            .unwrap();
    }
    assert_eq!(step(EVER, 1).await, 1, "what was edited counts as well");
    assert_eq!(step(EVER, 1).await, 1);
    assert_eq!(step(EVER, 1).await, 0);
}

pub async fn what_is_indexed_is_found_as_it_is_edited_and_deleted(w: &World) {
    let (reader, [first, second, third]) =
        library(w, ["apple pie", "apple tart", "apple cake"]).await;
    index_all(w).await;
    let edit = async |id, text: &str| {
        let changed = w.messages().edit(id, reader, &body(text), w.now()).await;
        assert!(changed.unwrap().changed);
    };
    let ask = async |text: &str| {
        let ids = w.found(reader, text).await;
        assert_eq!(found(w, reader, text).await, ids, "{text}");
        ids
    };
    edit(second, "cherry tart").await;
    assert_eq!(ask("cherry").await, [second]);
    edit(second, "plum tart").await;
    assert_eq!(ask("cherry").await, []);
    assert_eq!(ask("plum tart").await, [second]);
    edit(second, "apple tart").await;
    edit(second, "plum apple").await;
    edit(second, "apple tart").await;
    assert_eq!(ask("apple").await, [third, second, first]);
    assert_eq!(ask("plum").await, []);
    w.messages().delete(first, reader, w.now()).await.unwrap();
    w.messages().delete(third, reader, w.now()).await.unwrap();
    assert_eq!(ask("apple").await, [second]);
    // of what is not indexed yet, too
    let conversation = w.message(second).await.conversation_id;
    let young = w.say(conversation, reader, "apple juice").await.id;
    let gone = w.say(conversation, reader, "apple jam").await.id;
    edit(young, "pear juice").await;
    w.messages().delete(gone, reader, w.now()).await.unwrap();
    let page = w.messages().search(&search(reader, "pear")).await.unwrap();
    assert_eq!(page.items, [w.message(young).await]);
    assert_eq!(ask("apple").await, [second]);
    assert_eq!(ask("juice").await, [young]);
    assert_eq!(ask("jam").await, []);
    edit(young, "?!").await;
    assert_eq!(ask("juice").await, []);
}

/// More than a segment has, in two conversations that take turns, and some who say nothing of it.
async fn chatter(w: &World) -> ([UserId; 2], ConversationId, Vec<Message>) {
    let [a, b] = w.people().await;
    let ids = [w.group(a, &[b]).await, w.direct(a, b).await];
    let mut batch = Vec::new();
    for n in 0..300 {
        let text = match n % 7 {
            0 => "nothing of it".to_owned(),
            1 => "?!".to_owned(),
            k => format!("word number{n} of{k}"),
        };
        let by = if n % 3 == 0 { a } else { b };
        batch.push(w.text(ids[n / 5 % 2], by, &text));
    }
    let answers = w.messages().append(&batch).await.unwrap();
    let mut said: Vec<Message> = batch
        .into_iter()
        .zip(answers)
        .map(|(new, answer)| new.into_message(stored(answer)))
        .filter(|message| message.body.as_ref().unwrap().starts_with("word"))
        .collect();
    said.reverse();
    ([a, b], ids[0], said)
}

pub async fn pages_go_through_many_segments(w: &World) {
    let ([a, b], group, said) = chatter(w).await;
    // segments of all lengths, and a part that is in none
    for (step, limit) in [(1, 30), (17, 7), (100, 100), (60, 1), (1_000, 11)] {
        w.messages().index(EVER, Limit::of(step)).await.unwrap();
        for (at, by, text) in [
            (None, None, "word"),
            (Some(group), None, "word num"),
            (None, Some(b), "of3 wor"),
            (Some(group), Some(a), "word of5"),
        ] {
            let end = text.split(' ').find(|term| term.starts_with("of"));
            let matches = |m: &&Message| {
                let body = m.body.as_deref().unwrap();
                at.is_none_or(|at| m.conversation_id == at)
                    && by.is_none_or(|by| m.sender_id == by)
                    && end.is_none_or(|end| body.ends_with(end))
            };
            let expected: Vec<&Message> = said.iter().filter(matches).collect();
            assert!(expected.len() > 5, "{text}");
            let pages = walk(limit, async |before, limit: Limit| {
                let query = MessageSearch {
                    conversation_id: at,
                    sender_id: by,
                    before,
                    limit,
                    ..search(a, text)
                };
                w.messages().search(&query).await
            })
            .await;
            assert_eq!(pages.iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }
}

pub async fn who_writes_while_it_is_indexed_is_found(w: &World) {
    let [a, b] = w.people().await;
    let ids = [w.group(a, &[b]).await, w.direct(a, b).await];
    let other = w.another().await;
    let indexers: Vec<_> = [w.storage().clone(), other.clone()]
        .into_iter()
        .map(|storage| {
            tokio::spawn(async move {
                for limit in (1..=30).cycle().take(60) {
                    let count = storage.messages().index(EVER, Limit::of(limit)).await;
                    count.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut expected = BTreeSet::new();
    for n in 0..60 {
        let message = w.say(ids[n % 2], a, &format!("before {n}")).await;
        match n % 4 {
            0 => {
                let text = body("before but edited");
                let edited = w.messages().edit(message.id, a, &text, w.now()).await;
                assert!(edited.unwrap().changed);
                expected.insert(message.id);
            }
            1 => {
                w.messages().delete(message.id, a, w.now()).await.unwrap();
            }
            _ => {}
        }
        // everything is found at once, wherever it is
        assert_eq!(found_now(w, b, "edited").await, expected, "after {n}");
    }
    for indexer in indexers {
        indexer.await.unwrap();
    }
    index_all(w).await;
    assert_eq!(found_now(w, b, "edited").await, expected);
    assert_eq!(found_now(w, b, "before").await.len(), 45);
}

async fn found_now(w: &World, viewer: UserId, text: &str) -> BTreeSet<MessageId> {
    w.found(viewer, text).await.into_iter().collect()
}

pub async fn a_clock_that_was_ahead_does_not_stop_it(w: &World) {
    let (reader, [first]) = library(w, ["red"]).await;
    let now = made_at(first);
    let (minutes, hour) = (Duration::from_mins(10), Duration::from_hours(1));
    let at = w.messages().get(first).await.unwrap().unwrap();
    let early = NewMessage {
        id: MessageId::first_at(now.plus(hour)),
        ..w.text(at.conversation_id, reader, "red from the future")
    };
    let outcomes = w.messages().append(std::slice::from_ref(&early)).await;
    stored(outcomes.unwrap().swap_remove(0));
    assert_eq!(index_all(w).await, 2);
    let late = w.say(at.conversation_id, reader, "red as ever").await;
    let before = now.plus(minutes);
    let taken_in = w.messages().index(before, ALL).await.unwrap();
    assert!(taken_in > 0, "the clock is right again");
    assert_eq!(w.messages().index(before, ALL).await.unwrap(), 0);
    index_all(w).await;
    let found: BTreeSet<_> = found_now(w, reader, "red").await;
    assert_eq!(found, BTreeSet::from([first, early.id, late.id]));
}
