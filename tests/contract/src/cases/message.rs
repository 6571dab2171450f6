//! Messages that are there: reading, editing, deleting, reacting, threads.

use connexus_domain::message::{Changed, Emoji, REACTION_USERS_MAX, REACTIONS_MAX};
use connexus_domain::ports::{HistoryRange, Snapshot};
use connexus_domain::{
    AttachmentId, Denial, Entity, Limit, Message, MessageKind, NewMessage, Reaction, Role, UserId,
};

use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, body, emoji, fault};

const NO_MESSAGE: Fault = Fault::NotFound(Entity::Message);

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
        attachments: vec![AttachmentId::from_uuid(w.uuid())],
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
        attachments: vec![AttachmentId::from_uuid(w.uuid())],
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

pub async fn reactions_come_in_the_order_of_reacting(w: &World) {
    let [a, b, c] = w.people().await;
    let id = w.group(a, &[b, c]).await;
    let message = w.say(id, a, "words").await;
    let (thumb, heart) = (emoji("👍"), emoji("❤️"));
    // all in one millisecond: the order is that of the calls
    let now = w.now();
    let mut rev = message.rev;
    for (by, with) in [
        (c, &thumb),
        (b, &heart),
        (a, &thumb),
        (c, &heart),
        (b, &thumb),
    ] {
        rev += 1;
        let answer = w
            .messages()
            .add_reaction(message.id, by, with, now)
            .await
            .unwrap();
        assert!(answer.changed);
        assert_eq!(answer.message.rev, rev);
        assert_eq!(w.message(message.id).await, answer.message);
        assert_eq!(w.conversation(id).await.rev, rev);
    }
    let expected = Message {
        rev,
        reactions: vec![
            Reaction {
                emoji: thumb,
                count: 3,
                user_ids: vec![c, a, b],
            },
            Reaction {
                emoji: heart,
                count: 2,
                user_ids: vec![b, c],
            },
        ],
        ..message
    };
    assert_eq!(w.message(expected.id).await, expected);
    assert_eq!(w.transcript(id).await, [expected]);
}

pub async fn reacting_and_taking_back_are_idempotent(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let message = w.say(id, a, "words").await;
    let (thumb, heart) = (emoji("👍"), emoji("❤️"));
    let m = w.messages();
    let none = m.remove_reaction(message.id, b, &thumb).await.unwrap();
    assert_eq!((none.changed, &none.message), (false, &message));
    let first = m
        .add_reaction(message.id, b, &thumb, w.now())
        .await
        .unwrap();
    let again = m
        .add_reaction(message.id, b, &thumb, w.now())
        .await
        .unwrap();
    assert!(!again.changed);
    assert_eq!(again.message, first.message);
    assert_eq!(w.conversation(id).await.rev, first.message.rev);
    // another's reaction, or another emoji, is not the one to take back
    for (by, with) in [(a, &thumb), (b, &heart)] {
        let none = m.remove_reaction(message.id, by, with).await.unwrap();
        assert_eq!((none.changed, none.message), (false, first.message.clone()));
    }
    m.add_reaction(message.id, a, &thumb, w.now())
        .await
        .unwrap();
    let one = m.remove_reaction(message.id, b, &thumb).await.unwrap();
    let left = Reaction {
        emoji: thumb.clone(),
        count: 1,
        user_ids: vec![a],
    };
    assert!(one.changed);
    assert_eq!(one.message.reactions, [left]);
    let last = m.remove_reaction(message.id, a, &thumb).await.unwrap();
    let rev = first.message.rev + 3;
    assert_eq!(
        last.message,
        Message {
            rev,
            ..message.clone()
        }
    );
    assert_eq!(w.message(message.id).await, last.message);
    assert_eq!(w.conversation(id).await.rev, rev);
    assert!(
        !m.remove_reaction(message.id, a, &thumb)
            .await
            .unwrap()
            .changed
    );
}

pub async fn who_may_not_react_changes_nothing(w: &World) {
    let [a, past, stranger] = w.people().await;
    let id = w.group(a, &[past]).await;
    let message = w.say(id, a, "words").await;
    let gone = w.say(id, a, "gone").await;
    w.messages().delete(gone.id, a, w.now()).await.unwrap();
    w.conversations()
        .remove_member(id, past, past, w.now())
        .await
        .unwrap();
    let before = w.conversation(id).await;
    let thumb = emoji("👍");
    for (target, by, expected) in [
        (message.id, past, NOT_MEMBER),
        (message.id, stranger, NOT_MEMBER),
        (gone.id, a, NO_MESSAGE),
        (w.nothing(), a, NO_MESSAGE),
    ] {
        let answer = w.messages().add_reaction(target, by, &thumb, w.now()).await;
        assert_eq!(fault(answer), expected);
        let answer = w.messages().remove_reaction(target, by, &thumb).await;
        assert_eq!(fault(answer), expected);
    }
    assert_eq!(w.conversation(id).await, before);
}

/// This many different emoji: faces stand next to each other in Unicode.
fn faces(count: usize) -> Vec<Emoji> {
    let faces = (0x1F600..=0x1F64F_u32).filter_map(char::from_u32);
    faces
        .take(count)
        .map(|face| emoji(&face.to_string()))
        .collect()
}

pub async fn different_emoji_are_bounded(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let message = w.say(id, a, "words").await;
    let faces = faces(REACTIONS_MAX + 1);
    let (one_more, within) = faces.split_last().unwrap();
    let m = w.messages();
    for face in within {
        m.add_reaction(message.id, a, face, w.now()).await.unwrap();
    }
    let full = w.message(message.id).await;
    let order: Vec<&Emoji> = full.reactions.iter().map(|r| &r.emoji).collect();
    assert_eq!(order, within.iter().collect::<Vec<_>>());
    let refused = m.add_reaction(message.id, b, one_more, w.now()).await;
    assert_eq!(fault(refused), Fault::Invalid(vec!["emoji".to_owned()]));
    assert_eq!(w.message(message.id).await, full);
    assert_eq!(w.conversation(id).await.rev, full.rev);
    // one that is there already is not one more
    let joined = m
        .add_reaction(message.id, b, &within[7], w.now())
        .await
        .unwrap();
    assert_eq!(joined.message.reactions[7].count, 2);
    assert!(
        !m.add_reaction(message.id, a, &within[0], w.now())
            .await
            .unwrap()
            .changed
    );
    m.remove_reaction(message.id, a, &within[3]).await.unwrap();
    assert!(
        m.add_reaction(message.id, b, one_more, w.now())
            .await
            .unwrap()
            .changed
    );
}

pub async fn all_who_react_are_counted_and_the_first_are_named(w: &World) {
    let [owner] = w.people().await;
    let mut users = Vec::new();
    for n in 0..REACTION_USERS_MAX + 3 {
        users.push(w.user(&format!("fan{n}")).await);
    }
    let id = w.group(owner, &users).await;
    let message = w.say(id, owner, "words").await;
    let thumb = emoji("👍");
    let backwards: Vec<UserId> = users.into_iter().rev().collect();
    for user in &backwards {
        let answer = w
            .messages()
            .add_reaction(message.id, *user, &thumb, w.now());
        answer.await.unwrap();
    }
    let reactions = async || w.message(message.id).await.reactions;
    let count = u32::try_from(backwards.len()).unwrap();
    let mut expected = Reaction {
        emoji: thumb.clone(),
        count,
        user_ids: backwards[..REACTION_USERS_MAX].to_vec(),
    };
    assert_eq!(reactions().await, [expected.clone()]);
    // who is not named has reacted all the same
    let unnamed = backwards[REACTION_USERS_MAX + 2];
    let again = w
        .messages()
        .add_reaction(message.id, unnamed, &thumb, w.now())
        .await;
    assert!(!again.unwrap().changed);
    let back = w
        .messages()
        .remove_reaction(message.id, unnamed, &thumb)
        .await;
    assert!(back.unwrap().changed);
    expected.count = count - 1;
    assert_eq!(reactions().await, [expected.clone()]);
    // the next in order takes the place of one who is named
    w.messages()
        .remove_reaction(message.id, backwards[0], &thumb)
        .await
        .unwrap();
    expected.count = count - 2;
    expected.user_ids = backwards[1..=REACTION_USERS_MAX].to_vec();
    assert_eq!(reactions().await, [expected]);
}

pub async fn an_emoji_keeps_its_place_while_anybody_holds_it(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let message = w.say(id, a, "words").await;
    let (thumb, heart) = (emoji("👍"), emoji("❤️"));
    for (by, with) in [(a, &thumb), (a, &heart), (b, &thumb)] {
        w.messages()
            .add_reaction(message.id, by, with, w.now())
            .await
            .unwrap();
    }
    let order = async || -> Vec<Emoji> {
        let reactions = w.message(message.id).await.reactions;
        reactions
            .into_iter()
            .map(|reaction| reaction.emoji)
            .collect()
    };
    w.messages()
        .remove_reaction(message.id, a, &thumb)
        .await
        .unwrap();
    assert_eq!(
        order().await,
        [thumb.clone(), heart.clone()],
        "its first user is gone, it is not"
    );
    w.messages()
        .remove_reaction(message.id, b, &thumb)
        .await
        .unwrap();
    w.messages()
        .add_reaction(message.id, b, &thumb, w.now())
        .await
        .unwrap();
    assert_eq!(order().await, [heart, thumb], "it came anew");
}

pub async fn of_simultaneous_reactions_each_counts(w: &World) {
    let people: [UserId; 8] = w.people().await;
    let id = w.group(people[0], &people[1..]).await;
    let message = w.say(id, people[0], "words").await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            // everybody twice, once through each instance
            let (storage, by, now) = (instances[n % 2].clone(), people[n / 2], w.now());
            let (target, thumb) = (message.id, emoji("👍"));
            tokio::spawn(async move {
                let answer = storage.messages().add_reaction(target, by, &thumb, now);
                answer.await.unwrap().changed
            })
        })
        .collect();
    let mut changed = 0;
    for task in tasks {
        changed += usize::from(task.await.unwrap());
    }
    assert_eq!(changed, 8);
    let after = w.message(message.id).await;
    assert_eq!((after.reactions[0].count, after.rev), (8, message.rev + 8));
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

pub async fn a_thread_is_read_in_order(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    let other = w.say(id, a, "other root").await;
    let mut replies = Vec::new();
    for n in 0..5 {
        replies.push(w.reply(&root, b, &format!("reply {n}")).await);
        w.reply(&other, b, "not here").await;
    }
    replies[2] = w
        .messages()
        .delete(replies[2].id, b, w.now())
        .await
        .unwrap()
        .message;
    let thread = async |after, limit| w.messages().thread(root.id, after, limit).await.unwrap();
    assert_eq!(
        thread(0, ALL).await,
        replies,
        "without the root, with tombstones"
    );
    assert_eq!(thread(replies[4].seq, ALL).await, []);
    assert_eq!(
        w.messages().thread(replies[0].id, 0, ALL).await.unwrap(),
        []
    );
    for limit in [1, 2, 3, 5, 6] {
        let mut pages = Vec::new();
        let mut after = 0;
        while pages.len() < replies.len() {
            let page = thread(after, Limit::of(limit)).await;
            assert!(!page.is_empty() && page.len() <= limit as usize);
            after = page.last().unwrap().seq;
            pages.extend(page);
        }
        assert_eq!(pages, replies, "pages of {limit}");
    }
}

pub async fn deleting_a_reply_takes_it_out_of_the_count(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    let first = w.reply(&root, b, "first").await;
    let second = w.reply(&root, b, "second").await;
    let gone = w
        .messages()
        .delete(first.id, b, w.now())
        .await
        .unwrap()
        .message;
    assert_eq!(gone.rev, second.rev + 1);
    let expected = Message {
        reply_count: 1,
        rev: gone.rev,
        ..root
    };
    assert_eq!(w.message(expected.id).await, expected, "the same rev");
    assert_eq!(w.conversation(id).await.rev, gone.rev);
    // again changes nothing, in the root neither
    w.messages().delete(first.id, b, w.now()).await.unwrap();
    assert_eq!(w.message(expected.id).await, expected);
    // an edit or a reaction of a reply is not the root's
    w.messages()
        .edit(second.id, b, &body("edited"), w.now())
        .await
        .unwrap();
    w.messages()
        .add_reaction(second.id, a, &emoji("👍"), w.now())
        .await
        .unwrap();
    assert_eq!(w.message(expected.id).await, expected);
}

pub async fn a_thread_outlives_its_root(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    let reply = w.reply(&root, b, "reply").await;
    let gone = w
        .messages()
        .delete(root.id, a, w.now())
        .await
        .unwrap()
        .message;
    assert_eq!((gone.reply_count, gone.rev), (1, reply.rev + 1));
    assert_eq!(
        w.messages().thread(root.id, 0, ALL).await.unwrap(),
        std::slice::from_ref(&reply)
    );
    let last = w
        .messages()
        .delete(reply.id, b, w.now())
        .await
        .unwrap()
        .message;
    let expected = Message {
        reply_count: 0,
        rev: last.rev,
        ..gone
    };
    assert_eq!(w.message(root.id).await, expected);
}
