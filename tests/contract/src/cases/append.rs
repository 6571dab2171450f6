//! Sending: numbers, batches, keys, threads, and many writers at once.

use std::collections::BTreeMap;

use connexus_domain::message::{AppendOutcome, Appended};
use connexus_domain::{
    Attachment, ConversationId, Entity, Error, Message, MessageKind, NewMessage, UserId,
};

use crate::World;
use crate::world::{Fault, NOT_MEMBER, body, duplicate, fault, later, stored};

pub(super) fn invalid(field: &str) -> Fault {
    Fault::Invalid(vec![field.to_owned()])
}

pub async fn a_message_gets_the_next_numbers(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    for n in 1..=3 {
        let new = w.text(id, a, &format!("message {n}"));
        let numbers = stored(w.append(&new).await);
        let expected = Appended {
            seq: n,
            rev: 3 + n,
            created_at: new.at,
            attachments: Vec::new(),
        };
        assert_eq!(numbers, expected);
        let message = new.clone().into_message(numbers);
        assert_eq!(w.message(new.id).await, message);
        let conversation = w.conversation(id).await;
        assert_eq!((conversation.last_seq, conversation.rev), (n, 3 + n));
        assert_eq!(conversation.last_activity_at, new.at);
        assert_eq!(conversation.changed_rev, 1);
    }
}

pub async fn an_empty_batch_answers_nothing(w: &World) {
    assert!(w.messages().append(&[]).await.unwrap().is_empty());
}

pub async fn every_field_survives_the_round_trip(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let root = w.say(id, a, "root").await;
    for kind in MessageKind::ALL {
        let files = [
            w.file(id, a).await,
            w.file(id, a).await,
            w.file(id, a).await,
        ];
        let message = w
            .put(NewMessage {
                kind,
                attachments: files.iter().map(|file| file.id).rev().collect(),
                reply_to: Some(root.id),
                thread_id: Some(root.id),
                ..w.keyed(id, a, &format!("~!\"'\\%_{}", kind.as_str()), "words")
            })
            .await;
        assert_eq!(w.message(message.id).await, message);
    }
    let bare = w
        .put(NewMessage {
            kind: MessageKind::Image,
            body: None,
            ..w.with_files(id, a, &[&w.file(id, a).await])
        })
        .await;
    let other = w.another().await;
    let found = other.messages().get(bare.id).await.unwrap();
    assert_eq!(found, Some(bare));
}

pub async fn text_is_kept_to_the_last_character(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let texts = [
        "👩🏽‍💻 🇩🇪 ❤️ 👍🏿",
        "שלום \u{202E}right to left\u{202C} مرحبا",
        "e\u{301} is not é, and ﬁ is not fi",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠮷 \u{10FFFF}",
        "  spaces kept \t\r\n\n ",
        "'; DROP TABLE messages; -- \\ \" ` $1 ? :a %s {\"$gt\":\"\"}",
        "\u{200B}\u{FEFF}x\u{AD}",
        &"長".repeat(8_000),
        &"\u{1F600}".repeat(8_000),
    ];
    for text in texts {
        let message = w.say(id, a, text).await;
        let found = w.message(message.id).await;
        assert_eq!(found.body.as_deref(), Some(text));
    }
    let edited = w.say(id, a, "x").await;
    for text in texts {
        let changed = w.messages().edit(edited.id, a, &body(text), w.now()).await;
        assert_eq!(changed.unwrap().message.body.as_deref(), Some(text));
        assert_eq!(w.message(edited.id).await.body.as_deref(), Some(text));
    }
}

pub async fn time_never_runs_back_in_a_conversation(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let made = w.conversation(id).await.created_at;
    let before_it = NewMessage {
        at: later(made, -5_000),
        ..w.text(id, a, "early")
    };
    assert_eq!(stored(w.append(&before_it).await).created_at, made);
    let at = [10, 30, 20, 25, 40];
    let batch: Vec<NewMessage> = at
        .into_iter()
        .map(|n| NewMessage {
            at: later(made, n),
            ..w.text(id, a, "x")
        })
        .collect();
    let answers = w.messages().append(&batch).await.unwrap();
    let times: Vec<i64> = answers
        .into_iter()
        .map(|answer| stored(answer).created_at.as_millis() - made.as_millis())
        .collect();
    assert_eq!(times, [10, 30, 30, 30, 40]);
    assert_eq!(w.conversation(id).await.last_activity_at, later(made, 40));
    let late = NewMessage {
        at: later(made, 35),
        ..w.text(id, a, "x")
    };
    let message = w.put(late).await;
    assert_eq!(message.created_at, later(made, 40));
    assert_eq!(w.message(message.id).await, message);
}

pub async fn a_batch_of_many_conversations_is_numbered_in_each(w: &World) {
    let [a, b] = w.people().await;
    let ids = [
        w.direct(a, b).await,
        w.group(a, &[b]).await,
        w.group(b, &[a]).await,
    ];
    let mut batch = Vec::new();
    for n in 0..60_usize {
        let by = if n % 2 == 0 { a } else { b };
        batch.push(w.text(ids[n % 7 % 3], by, &format!("m{n}")));
    }
    let answers = w.messages().append(&batch).await.unwrap();
    assert_eq!(answers.len(), batch.len());
    let mut expected: BTreeMap<ConversationId, Vec<Message>> = BTreeMap::new();
    for (new, answer) in batch.into_iter().zip(answers) {
        let numbers = stored(answer);
        let messages = expected.entry(new.conversation_id).or_default();
        let seq = i64::try_from(messages.len()).unwrap() + 1;
        assert_eq!((numbers.seq, numbers.rev), (seq, seq + 3));
        messages.push(new.into_message(numbers));
    }
    for (id, messages) in expected {
        assert_eq!(w.transcript(id).await, messages);
    }
}

pub async fn a_bad_item_spoils_no_other(w: &World) {
    let [a, b, stranger] = w.people().await;
    let (id, other) = (w.group(a, &[b]).await, w.group(a, &[]).await);
    let root = w.say(id, a, "root").await;
    let in_thread = w.reply(&root, a, "in thread").await;
    let elsewhere = w.say(other, a, "elsewhere").await;
    let original = w.put(w.keyed(id, a, "k1", "original")).await;
    let before = w.conversation(id).await;
    let replying = |to| NewMessage {
        reply_to: Some(to),
        ..w.text(id, a, "reply")
    };
    let threaded = |root| NewMessage {
        thread_id: Some(root),
        ..w.text(id, a, "threaded")
    };
    let (file, theirs) = (w.file(id, a).await, w.file(id, b).await);
    let with = |files: &[&Attachment]| w.with_files(id, a, files);
    let batch = [
        w.text(id, a, "first"),
        w.keyed(id, a, "k1", "original"),
        w.keyed(id, a, "k1", "something else"),
        w.text(id, stranger, "let me in"),
        w.text(w.nowhere(), a, "anybody?"),
        w.keyed(id, b, "k2", "second"),
        w.keyed(id, b, "k2", "second"),
        w.keyed(id, b, "k2", "not the second"),
        replying(w.nothing()),
        replying(elsewhere.id),
        replying(root.id),
        threaded(w.nothing()),
        threaded(elsewhere.id),
        threaded(in_thread.id),
        threaded(root.id),
        with(&[&theirs]),
        with(&[&file, &theirs]),
        with(&[&file, &file]),
        with(&[&file]),
        with(&[&file]),
        w.text(other, a, "over there"),
        w.text(id, b, "last"),
    ];
    let mut answers = w.messages().append(&batch).await.unwrap().into_iter();
    assert_eq!(answers.len(), batch.len());
    let mut next = || answers.next().unwrap();
    let place = |answer| {
        let numbers = stored(answer);
        (numbers.seq - before.last_seq, numbers.rev - before.rev)
    };
    assert_eq!(place(next()), (1, 1), "first");
    assert_eq!(duplicate(next()), original);
    assert_eq!(fault(next()), Fault::Mismatch);
    assert_eq!(fault(next()), NOT_MEMBER);
    assert_eq!(fault(next()), Fault::NotFound(Entity::Conversation));
    let second = stored(next());
    assert_eq!(
        (second.seq, second.rev),
        (before.last_seq + 2, before.rev + 2)
    );
    let again = duplicate(next());
    assert_eq!(again, batch[5].clone().into_message(second.clone()));
    assert_eq!(fault(next()), Fault::Mismatch);
    assert_eq!(fault(next()), invalid("reply_to"));
    assert_eq!(fault(next()), invalid("reply_to"));
    assert_eq!(place(next()), (3, 3), "a good reply");
    assert_eq!(fault(next()), invalid("thread_id"));
    assert_eq!(fault(next()), invalid("thread_id"));
    assert_eq!(fault(next()), invalid("thread_id"));
    assert_eq!(place(next()), (4, 4), "in a good thread");
    for _ in 0..3 {
        assert_eq!(fault(next()), invalid("attachment_ids"));
    }
    assert_eq!(place(next()), (5, 5), "with a file");
    assert_eq!(fault(next()), invalid("attachment_ids"), "that is taken");
    assert_eq!(stored(next()).seq, 2, "in the other conversation");
    assert_eq!(place(next()), (6, 6), "last");

    let after = w.conversation(id).await;
    assert_eq!(
        (after.last_seq, after.rev),
        (before.last_seq + 6, before.rev + 6)
    );
    let seqs: Vec<i64> = w.transcript(id).await.iter().map(|m| m.seq).collect();
    assert_eq!(seqs, (1..=after.last_seq).collect::<Vec<_>>());
    for (n, refused) in batch.iter().enumerate() {
        let is_stored = [0, 5, 10, 14, 18, 20, 21].contains(&n);
        let found = w.messages().get(refused.id).await.unwrap();
        assert_eq!(found.is_some(), is_stored, "item {n}");
    }
}

pub async fn sending_moves_the_senders_own_watermarks(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let (before_a, before_b) = (w.member(id, a).await, w.member(id, b).await);
    w.say(id, b, "one").await;
    assert_eq!(w.unread(id, a).await, 1);
    let batch = [
        w.text(id, a, "two"),
        w.text(id, b, "three"),
        w.text(id, a, "four"),
    ];
    w.messages().append(&batch).await.unwrap();
    let (after_a, after_b) = (w.member(id, a).await, w.member(id, b).await);
    assert_eq!((after_a.read_seq, after_a.delivered_seq), (4, 4));
    assert_eq!((after_b.read_seq, after_b.delivered_seq), (3, 3));
    assert!(after_a.read_at.is_some() && after_a.delivered_at.is_some());
    assert_eq!((after_a.rev, after_b.rev), (before_a.rev, before_b.rev));
    assert_eq!((w.unread(id, a).await, w.unread(id, b).await), (0, 1));
    // a message that is not stored moves nothing
    let refused = NewMessage {
        reply_to: Some(w.nothing()),
        ..w.text(id, b, "five")
    };
    w.append(&refused).await.unwrap_err();
    assert_eq!(w.member(id, b).await, after_b);
}

pub async fn a_reply_in_a_thread_counts_in_its_root(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    for count in 1..=3 {
        let reply = w.reply(&root, b, "reply").await;
        let expected = Message {
            reply_count: count,
            rev: reply.rev,
            ..root.clone()
        };
        assert_eq!(w.message(root.id).await, expected, "the same rev");
        assert_eq!(w.conversation(id).await.rev, reply.rev);
    }
    // an answer outside the thread does not count
    let answer = w
        .put(NewMessage {
            reply_to: Some(root.id),
            ..w.text(id, b, "answer")
        })
        .await;
    let after = w.message(root.id).await;
    assert_eq!((after.reply_count, after.rev), (3, answer.rev - 1));
}

pub async fn a_batch_may_lean_on_its_own_earlier_items(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.text(id, a, "root");
    let reply = |text| NewMessage {
        thread_id: Some(root.id),
        reply_to: Some(root.id),
        ..w.text(id, b, text)
    };
    let (first, second) = (reply("first"), reply("second"));
    let nested = NewMessage {
        thread_id: Some(first.id),
        ..w.text(id, b, "nested")
    };
    let last = w.text(id, b, "last");
    let forward = NewMessage {
        reply_to: Some(last.id),
        ..w.text(id, b, "forward")
    };
    let batch = [root.clone(), first, second.clone(), nested, forward, last];
    let answers = w.messages().append(&batch).await.unwrap();
    let outcome: Vec<Result<i64, Fault>> = answers
        .iter()
        .map(|answer| match answer {
            Ok(AppendOutcome::Appended(numbers)) => Ok(numbers.seq),
            Ok(other) => panic!("expected a number, got {other:?}"),
            Err(error) => Err(Fault::from(error)),
        })
        .collect();
    let expected = [
        Ok(1),
        Ok(2),
        Ok(3),
        Err(invalid("thread_id")),
        Err(invalid("reply_to")),
        Ok(4),
    ];
    assert_eq!(outcome, expected);
    let stored_root = w.message(root.id).await;
    assert_eq!(stored_root.reply_count, 2);
    assert_eq!(stored_root.rev, w.message(second.id).await.rev);
}

/// What every reader may rely on, however many wrote: dense seqs, rising revs, times that do not run back.
fn assert_ordered(messages: &[Message], first_rev: i64) {
    for (n, message) in (0..).zip(messages) {
        assert_eq!((message.seq, message.rev), (n + 1, first_rev + n));
    }
    for pair in messages.windows(2) {
        assert!(pair[0].created_at <= pair[1].created_at, "time ran back");
    }
}

pub async fn many_writers_leave_no_hole(w: &World) {
    const WRITERS: usize = 32;
    const BATCHES: usize = 4;
    let [a, b, c] = w.people().await;
    let ids = [
        w.group(a, &[b, c]).await,
        w.group(b, &[a, c]).await,
        w.group(c, &[a, b]).await,
    ];
    let users = [a, b, c];
    let instances = [w.storage().clone(), w.another().await];
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let storage = instances[writer % 2].clone();
        // of several conversations, in another order for each writer, and with clocks that disagree
        let batches: Vec<Vec<NewMessage>> = (0..BATCHES)
            .map(|batch| {
                (0..3)
                    .map(|n| {
                        let new = w.text(ids[(writer + batch + n) % 3], users[writer % 3], "x");
                        let skew = i64::try_from(writer * 37 % 11).unwrap() * 10;
                        NewMessage {
                            at: later(new.at, skew),
                            ..new
                        }
                    })
                    .collect()
            })
            .collect();
        tasks.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            for batch in batches {
                let answers = storage.messages().append(&batch).await.unwrap();
                for (new, answer) in batch.into_iter().zip(answers) {
                    sent.push(new.into_message(stored(answer)));
                }
            }
            sent
        }));
    }
    let mut sent: BTreeMap<ConversationId, Vec<Message>> = BTreeMap::new();
    for task in tasks {
        for message in task.await.unwrap() {
            sent.entry(message.conversation_id)
                .or_default()
                .push(message);
        }
    }
    for id in ids {
        let mut expected = sent.remove(&id).unwrap();
        expected.sort_by_key(|message| message.seq);
        assert_eq!(expected.len(), WRITERS * BATCHES);
        let found = w.transcript(id).await;
        assert_ordered(&found, 5);
        assert_eq!(found, expected, "what was answered is what is stored");
        let after = w.conversation(id).await;
        let last = found.last().unwrap();
        assert_eq!((after.last_seq, after.rev), (last.seq, last.rev));
        assert_eq!(after.last_activity_at, last.created_at);
        assert_read_up_to(w, id, &users, &found).await;
    }
}

/// Each has read up to the own last message, and not further.
async fn assert_read_up_to(w: &World, id: ConversationId, users: &[UserId], all: &[Message]) {
    for user in users {
        let own = all.iter().rev().find(|m| m.sender_id == *user).unwrap();
        assert_eq!(w.member(id, *user).await.read_seq, own.seq);
    }
}

pub async fn writers_and_changers_share_the_revs(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let first = w.say(id, a, "first").await;
    let before = w.conversation(id).await.rev;
    let instances = [w.storage().clone(), w.another().await];
    let mut tasks = Vec::new();
    for n in 0..24_usize {
        let (storage, now) = (instances[n % 2].clone(), w.now());
        let (new, words) = (w.text(id, b, "new"), body(&format!("edit {n}")));
        let target = first.id;
        tasks.push(tokio::spawn(async move {
            if n % 3 == 0 {
                let changed = storage.messages().edit(target, a, &words, now).await?;
                Ok::<i64, Error>(changed.message.rev)
            } else {
                let answer = storage.messages().append(&[new]).await?.remove(0);
                Ok(stored(answer).rev)
            }
        }));
    }
    let mut revs = Vec::new();
    for task in tasks {
        revs.push(task.await.unwrap().unwrap());
    }
    revs.sort_unstable();
    assert_eq!(revs, (before + 1..=before + 24).collect::<Vec<_>>());
    assert_eq!(w.conversation(id).await.rev, before + 24);
}
