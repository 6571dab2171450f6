//! Messages that are there: reading, editing, deleting, reacting, threads.

use connexus_domain::message::{Changed, Emoji};
use connexus_domain::ports::{HistoryRange, Snapshot};
use connexus_domain::{Denial, Entity, Limit, MessageKind, NewMessage, Role};

use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, body, emoji, fault};

pub(super) const NO_MESSAGE: Fault = Fault::NotFound(Entity::Message);

pub async fn an_edit_takes_the_next_rev(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let mut expected = w.say(id, a, "one").await;
    w.say(id, b, "two").await;
    for text in ["other", "another 東京"] {
        let now = w.now();
        expected.body = Some(text.to_owned());
        expected.edited_at = Some(now);
        expected.rev = w.conversation(id).await.rev + 1;
        let answer = w
            .messages()
            .edit(expected.id, a, &body(text), now)
            .await
            .unwrap();
        let changed = Changed {
            message: expected.clone(),
            changed: true,
        };
        assert_eq!(answer, changed);
        assert_eq!(w.message(expected.id).await, expected);
        let after = w.conversation(id).await;
        assert_eq!((after.rev, after.last_seq), (expected.rev, 2));
    }
}

pub async fn an_edit_gives_words_to_a_bare_attachment(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let bare = NewMessage {
        kind: MessageKind::Image,
        body: None,
        attachments: vec![w.file(id, a).await.id],
        ..w.text(id, a, "none")
    };
    let message = w.put(bare).await;
    let edited = w
        .messages()
        .edit(message.id, a, &body("caption"), w.now())
        .await;
    let edited = edited.unwrap().message;
    assert_eq!(edited.body.as_deref(), Some("caption"));
    assert_eq!(edited.attachments, message.attachments);
}

pub async fn an_edit_to_the_same_words_changes_nothing(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let message = w.say(id, a, "same").await;
    let before = w.conversation(id).await;
    let answer = w
        .messages()
        .edit(message.id, a, &body("same"), w.now())
        .await;
    let unchanged = Changed {
        message: message.clone(),
        changed: false,
    };
    assert_eq!(answer.unwrap(), unchanged);
    assert_eq!(w.message(message.id).await, message);
    assert_eq!(w.conversation(id).await, before);
}

pub async fn only_the_sender_edits(w: &World) {
    let [owner, a, past, stranger] = w.people().await;
    let id = w.group(owner, &[a, past]).await;
    let message = w.say(id, a, "mine").await;
    let from_past = w.say(id, past, "bye").await;
    let gone = w.say(id, a, "gone").await;
    w.messages().delete(gone.id, a, w.now()).await.unwrap();
    let system = NewMessage {
        kind: MessageKind::System,
        ..w.text(id, a, "said by the server")
    };
    let system = w.put(system).await;
    w.conversations()
        .remove_member(id, past, past, w.now())
        .await
        .unwrap();
    let before = w.conversation(id).await;
    let words = body("changed");
    let edit = async |id, by| fault(w.messages().edit(id, by, &words, w.now()).await);
    assert_eq!(
        edit(message.id, owner).await,
        Fault::Forbidden(Denial::NotSender)
    );
    assert_eq!(edit(message.id, stranger).await, NOT_MEMBER);
    assert_eq!(edit(from_past.id, past).await, NOT_MEMBER);
    assert_eq!(edit(system.id, a).await, ROLE_TOO_LOW);
    assert_eq!(edit(gone.id, a).await, NO_MESSAGE);
    assert_eq!(edit(w.nothing(), a).await, NO_MESSAGE);
    assert_eq!(w.conversation(id).await, before);
    assert_eq!(w.message(message.id).await, message);
}

pub async fn deletion_leaves_a_tombstone(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let new = NewMessage {
        attachments: vec![w.file(id, a).await.id],
        ..w.keyed(id, a, "key", "words")
    };
    let message = w.put(new).await;
    let newest = w.say(id, b, "next").await;
    w.messages()
        .edit(message.id, a, &body("edited"), w.now())
        .await
        .unwrap();
    w.messages()
        .add_reaction(message.id, b, &emoji("👍"), w.now())
        .await
        .unwrap();
    let before = w.message(message.id).await;
    let (now, rev) = (w.now(), w.conversation(id).await.rev + 1);
    let answer = w.messages().delete(message.id, a, now).await.unwrap();
    let tombstone = before.into_tombstone(rev, now);
    let changed = Changed {
        message: tombstone.clone(),
        changed: true,
    };
    assert_eq!(answer, changed);
    assert_eq!(tombstone.seq, 1, "ids, numbers and times stay");
    assert_eq!(w.message(message.id).await, tombstone);
    assert_eq!(w.transcript(id).await, [tombstone, newest]);
    let after = w.conversation(id).await;
    assert_eq!((after.rev, after.last_seq), (rev, 2));
    assert_eq!(w.say(id, a, "on").await.seq, 3, "no number is given twice");
}

pub async fn deleting_again_changes_nothing(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let message = w.say(id, a, "words").await;
    let gone = w
        .messages()
        .delete(message.id, a, w.now())
        .await
        .unwrap()
        .message;
    let before = w.conversation(id).await;
    let answer = w.messages().delete(message.id, a, w.now()).await.unwrap();
    let unchanged = Changed {
        message: gone.clone(),
        changed: false,
    };
    assert_eq!(answer, unchanged);
    assert_eq!(w.message(message.id).await, gone);
    assert_eq!(w.conversation(id).await, before);
}

pub async fn sender_admin_and_owner_delete(w: &World) {
    let [owner, admin, member, past, stranger] = w.people().await;
    let id = w.group(owner, &[admin, member, past]).await;
    w.conversations()
        .set_role(id, owner, admin, Role::Admin)
        .await
        .unwrap();
    let of_owner = w.say(id, owner, "1").await;
    let of_member = w.say(id, member, "2").await;
    let own = w.say(id, member, "3").await;
    let of_past = w.say(id, past, "4").await;
    w.conversations()
        .remove_member(id, past, past, w.now())
        .await
        .unwrap();
    let before = w.conversation(id).await;
    let delete = async |id, by| w.messages().delete(id, by, w.now()).await;
    assert_eq!(fault(delete(of_owner.id, member).await), ROLE_TOO_LOW);
    assert_eq!(fault(delete(of_owner.id, stranger).await), NOT_MEMBER);
    assert_eq!(fault(delete(of_past.id, past).await), NOT_MEMBER);
    assert_eq!(fault(delete(w.nothing(), owner).await), NO_MESSAGE);
    assert_eq!(w.conversation(id).await, before);
    for (message, by) in [
        (&own, member),
        (&of_owner, admin),
        (&of_member, owner),
        (&of_past, owner),
    ] {
        assert!(delete(message.id, by).await.unwrap().changed);
        assert!(!w.message(message.id).await.is_live());
    }
    // a tombstone has the same rule
    assert_eq!(fault(delete(of_owner.id, member).await), ROLE_TOO_LOW);
    assert!(!delete(own.id, admin).await.unwrap().changed);
}

/// This many different emoji: faces stand next to each other in Unicode.
pub(super) fn faces(count: usize) -> Vec<Emoji> {
    let faces = (0x1F600..=0x1F64F_u32).filter_map(char::from_u32);
    faces
        .take(count)
        .map(|face| emoji(&face.to_string()))
        .collect()
}

pub async fn what_is_not_there_is_none(w: &World) {
    let (nothing, nowhere) = (w.nothing(), w.nowhere());
    let m = w.messages();
    assert_eq!(m.get(nothing).await.unwrap(), None);
    assert_eq!(m.thread(nothing, 0, ALL).await.unwrap(), []);
    assert_eq!(m.snapshot(nowhere, ALL).await.unwrap(), None);
    for range in [
        HistoryRange::Latest,
        HistoryRange::Before(9),
        HistoryRange::After(0),
    ] {
        assert_eq!(m.history(nowhere, range, ALL).await.unwrap(), []);
    }
}

pub async fn history_is_read_from_either_end(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    w.say(w.group(a, &[]).await, a, "elsewhere").await;
    for n in 1..=10 {
        w.say(id, if n % 2 == 0 { a } else { b }, &format!("m{n}"))
            .await;
    }
    for seq in [4, 10] {
        let target = w.transcript(id).await[seq - 1].id;
        w.messages().delete(target, a, w.now()).await.unwrap();
    }
    let history = async |range, limit| -> Vec<i64> {
        let found = w
            .messages()
            .history(id, range, Limit::of(limit))
            .await
            .unwrap();
        found.iter().map(|message| message.seq).collect()
    };
    assert_eq!(history(HistoryRange::Latest, 3).await, [10, 9, 8]);
    assert_eq!(history(HistoryRange::Before(8), 5).await, [7, 6, 5, 4, 3]);
    assert_eq!(history(HistoryRange::Before(3), 5).await, [2, 1]);
    assert_eq!(history(HistoryRange::Before(1), 5).await, []);
    assert_eq!(history(HistoryRange::Before(99), 1).await, [10]);
    assert_eq!(history(HistoryRange::After(0), 2).await, [1, 2]);
    assert_eq!(history(HistoryRange::After(3), 3).await, [4, 5, 6]);
    assert_eq!(history(HistoryRange::After(10), 3).await, []);
    let upwards: Vec<i64> = (1..=10).collect();
    for limit in [1, 2, 3, 9, 10, 11] {
        let (mut up, mut down) = (Vec::new(), history(HistoryRange::Latest, limit).await);
        while up.last() != Some(&10) {
            let after = up.last().copied().unwrap_or(0);
            up.extend(history(HistoryRange::After(after), limit).await);
        }
        while down.last() != Some(&1) {
            let before = *down.last().unwrap();
            down.extend(history(HistoryRange::Before(before), limit).await);
        }
        down.reverse();
        assert_eq!((&up, &down), (&upwards, &upwards), "pages of {limit}");
    }
    for message in w.transcript(id).await {
        assert_eq!(w.message(message.id).await, message);
    }
}

pub async fn a_snapshot_has_the_newest_oldest_first(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let empty = w.messages().snapshot(id, ALL).await.unwrap().unwrap();
    assert_eq!(empty.messages, []);
    for n in 1..=5 {
        w.say(id, a, &format!("m{n}")).await;
    }
    let all = w.transcript(id).await;
    w.messages().delete(all[3].id, a, w.now()).await.unwrap();
    let all = w.transcript(id).await;
    for limit in [1, 3, 5, 9] {
        let found = w.messages().snapshot(id, Limit::of(limit)).await.unwrap();
        let expected = Snapshot {
            conversation: w.conversation(id).await,
            messages: all[all.len().saturating_sub(limit as usize)..].to_vec(),
        };
        assert_eq!(found, Some(expected), "of {limit}");
    }
}
