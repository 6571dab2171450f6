//! Keys of senders: the same message is stored once.

use connexus_domain::message::AppendOutcome;
use connexus_domain::{MessageKind, NewMessage};

use super::append::invalid;
use crate::World;
use crate::world::{Fault, body, duplicate, emoji, fault, stored};

pub async fn the_same_again_is_a_duplicate_forever(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let new = w.keyed(id, a, "key", "words");
    let original = w.put(new.clone()).await;
    let again = async || {
        // another attempt has an id and a time of its own
        let attempt = NewMessage {
            id: w.nothing(),
            at: w.now(),
            ..new.clone()
        };
        duplicate(w.append(&attempt).await)
    };
    assert_eq!(again().await, original);
    for _ in 0..5 {
        w.say(id, b, "more").await;
    }
    let other = w.another().await;
    let answer = other.messages().append(std::slice::from_ref(&new)).await;
    assert_eq!(duplicate(answer.unwrap().remove(0)), original);

    let words = body("other words");
    let edited = w.messages().edit(original.id, a, &words, w.now()).await;
    let edited = edited.unwrap().message;
    assert_eq!(again().await, edited, "as it is now");
    let thumb = emoji("👍");
    let reacted = w
        .messages()
        .add_reaction(original.id, b, &thumb, w.now())
        .await;
    assert_eq!(again().await, reacted.unwrap().message);
    // it is told by the words it was sent with, not by those it has now
    let as_edited = NewMessage {
        body: Some(words),
        ..new.clone()
    };
    assert_eq!(fault(w.append(&as_edited).await), Fault::Mismatch);
    let deleted = w.messages().delete(original.id, a, w.now()).await.unwrap();
    assert_eq!(again().await, deleted.message);
    let conversation = w.conversation(id).await;
    assert_eq!(
        (conversation.last_seq, conversation.rev),
        (6, 12),
        "nothing was stored"
    );
    assert_eq!(w.transcript(id).await.len(), 6);
}

pub async fn a_key_with_other_content_is_a_mismatch(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let root = w.say(id, a, "root").await;
    let new = w.keyed(id, a, "key", "words");
    w.put(new.clone()).await;
    let before = w.conversation(id).await;
    let others = [
        NewMessage {
            body: Some(body("Words")),
            ..new.clone()
        },
        NewMessage {
            kind: MessageKind::File,
            ..new.clone()
        },
        NewMessage {
            reply_to: Some(root.id),
            ..new.clone()
        },
        NewMessage {
            thread_id: Some(root.id),
            ..new.clone()
        },
        NewMessage {
            attachments: vec![w.file(id, a).await.id],
            ..new.clone()
        },
    ];
    for other in others {
        let other = NewMessage {
            id: w.nothing(),
            ..other
        };
        assert_eq!(fault(w.append(&other).await), Fault::Mismatch);
    }
    assert_eq!(w.conversation(id).await, before);
}

pub async fn a_key_is_the_senders_own_and_the_conversations_own(w: &World) {
    let [a, b] = w.people().await;
    let (id, other) = (w.group(a, &[b]).await, w.group(a, &[b]).await);
    for (n, new) in [
        w.keyed(id, a, "key", "one"),
        w.keyed(id, b, "key", "two"),
        w.keyed(other, a, "key", "three"),
        w.keyed(id, a, "KEY", "four"),
        w.keyed(id, a, "key ".trim(), "one"),
    ]
    .iter()
    .enumerate()
    {
        let answer = w.append(new).await.unwrap();
        let is_stored = matches!(answer, AppendOutcome::Appended(_));
        assert_eq!(is_stored, n < 4, "item {n}");
    }
}

pub async fn messages_without_a_key_are_never_the_same(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let batch = [w.text(id, a, "same"), w.text(id, a, "same")];
    for (seq, answer) in (1..).zip(w.messages().append(&batch).await.unwrap()) {
        assert_eq!(stored(answer).seq, seq);
    }
    assert_eq!(w.say(id, a, "same").await.seq, 3);
}

pub async fn a_refused_message_does_not_take_its_key(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let refused = NewMessage {
        reply_to: Some(w.nothing()),
        ..w.keyed(id, a, "key", "words")
    };
    let batch = [refused, w.keyed(id, a, "key", "words")];
    let mut answers = w.messages().append(&batch).await.unwrap();
    assert_eq!(stored(answers.pop().unwrap()).seq, 1);
    assert_eq!(fault(answers.pop().unwrap()), invalid("reply_to"));
}

pub async fn of_many_attempts_with_one_key_one_is_stored(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let storage = instances[n % 2].clone();
            let new = w.keyed(id, a, "key", "words");
            tokio::spawn(async move { storage.messages().append(&[new]).await.unwrap().remove(0) })
        })
        .collect();
    let (mut stored_count, mut originals) = (0, Vec::new());
    for task in tasks {
        match task.await.unwrap().unwrap() {
            AppendOutcome::Appended(_) => stored_count += 1,
            AppendOutcome::Duplicate(original) => originals.push(*original),
        }
    }
    assert_eq!((stored_count, originals.len()), (1, 15));
    let transcript = w.transcript(id).await;
    assert_eq!(transcript.len(), 1);
    assert!(originals.iter().all(|original| *original == transcript[0]));
}
