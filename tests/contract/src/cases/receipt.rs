//! Watermarks and what is unread.

use std::collections::HashSet;

use connexus_domain::member::PreferencesPatch;
use connexus_domain::ports::Unread;
use connexus_domain::{
    Change, ConversationId, Message, NewMessage, Receipt, Role, Seq, UserId, WatermarkAdvance,
};

use super::change;
use crate::World;
use crate::world::{ALL, walk};

fn advance(id: ConversationId, user: UserId, delivered: Seq, read: Seq) -> WatermarkAdvance {
    WatermarkAdvance {
        conversation_id: id,
        user_id: user,
        delivered_seq: delivered,
        read_seq: read,
    }
}

/// A group in which `by` has said as much.
async fn talk(w: &World, by: UserId, others: &[UserId], count: usize) -> ConversationId {
    let id = w.group(by, others).await;
    let batch: Vec<_> = (0..count)
        .map(|n| w.text(id, by, &format!("m{n}")))
        .collect();
    w.messages().append(&batch).await.unwrap();
    id
}

/// Moves one member; the watermarks, if they moved.
async fn one(w: &World, wish: WatermarkAdvance) -> Option<(Seq, Seq)> {
    let now = w.now();
    let moved = w.receipts().advance(&[wish], now).await.unwrap();
    assert!(moved.len() <= 1);
    let member = w.member(wish.conversation_id, wish.user_id).await;
    for receipt in &moved {
        assert_eq!(
            *receipt,
            member.receipt(),
            "what is answered is what is stored"
        );
    }
    moved.first().map(|r| (r.delivered_seq, r.read_seq))
}

pub async fn a_mark_moves_forward_only(w: &World) {
    let [a, b] = w.people().await;
    let id = talk(w, a, &[b], 9).await;
    assert_eq!(one(w, advance(id, b, 4, 0)).await, Some((4, 0)));
    assert_eq!(one(w, advance(id, b, 4, 0)).await, None);
    assert_eq!(one(w, advance(id, b, 2, 0)).await, None);
    assert_eq!(one(w, advance(id, b, 5, 3)).await, Some((5, 3)));
    assert_eq!(one(w, advance(id, b, 0, 2)).await, None);
    assert_eq!(one(w, advance(id, b, 0, 4)).await, Some((5, 4)));
    assert_eq!(one(w, advance(id, b, 1, 5)).await, Some((5, 5)));
    assert_eq!(one(w, advance(id, b, 7, 1)).await, Some((7, 5)));
    assert_eq!(one(w, advance(id, b, 0, 0)).await, None);
}

pub async fn read_implies_delivered(w: &World) {
    let [a, b] = w.people().await;
    let id = talk(w, a, &[b], 9).await;
    assert_eq!(one(w, advance(id, b, 0, 3)).await, Some((3, 3)));
    assert_eq!(one(w, advance(id, b, 4, 6)).await, Some((6, 6)));
}

pub async fn no_mark_passes_the_last_message(w: &World) {
    let [a, b] = w.people().await;
    let id = talk(w, a, &[b], 3).await;
    assert_eq!(one(w, advance(id, b, Seq::MAX, 1)).await, Some((3, 1)));
    assert_eq!(one(w, advance(id, b, 4, Seq::MAX)).await, Some((3, 3)));
    assert_eq!(one(w, advance(id, b, 99, 99)).await, None);
    assert_eq!(
        one(w, advance(id, a, 99, 99)).await,
        None,
        "the sender's own are there"
    );
    w.say(id, a, "more").await;
    assert_eq!(w.unread(id, b).await, 1, "nothing was read in advance");
}

pub async fn a_mark_has_the_time_it_moved(w: &World) {
    let [a, b] = w.people().await;
    let id = talk(w, a, &[b], 9).await;
    let (t1, t2, t3, t4) = (w.now(), w.now(), w.now(), w.now());
    let mut expected = Receipt {
        conversation_id: id,
        user_id: b,
        delivered_seq: 3,
        delivered_at: Some(t1),
        read_seq: 0,
        read_at: None,
    };
    let move_to = async |delivered, read, now| {
        let wish = advance(id, b, delivered, read);
        w.receipts().advance(&[wish], now).await.unwrap()
    };
    assert_eq!(move_to(3, 0, t1).await, [expected]);
    expected.read_seq = 2;
    expected.read_at = Some(t2);
    assert_eq!(
        move_to(0, 2, t2).await,
        [expected],
        "only the one that moved"
    );
    expected.delivered_seq = 5;
    expected.delivered_at = Some(t3);
    assert_eq!(move_to(5, 2, t3).await, [expected]);
    assert_eq!(move_to(5, 2, t4).await, []);
    assert_eq!(w.member(id, b).await.receipt(), expected);
    expected.read_seq = 8;
    expected.delivered_seq = 8;
    expected.read_at = Some(t4);
    expected.delivered_at = Some(t4);
    assert_eq!(move_to(0, 8, t4).await, [expected], "both moved");
}

pub async fn a_batch_moves_each_to_the_highest(w: &World) {
    let [a, b, c, past, stranger] = w.people().await;
    let first = talk(w, a, &[b, c, past], 5).await;
    let second = talk(w, a, &[b], 3).await;
    w.conversations()
        .remove_member(first, past, past, w.now())
        .await
        .unwrap();
    one(w, advance(first, c, 4, 4)).await;
    let before = w.member(first, past).await;
    let batch = [
        advance(first, b, 2, 1),
        advance(second, b, 2, 0),
        advance(first, b, 4, 0),
        advance(first, b, 1, 2),
        advance(first, c, 3, 3),
        advance(first, past, 5, 5),
        advance(first, stranger, 5, 5),
        advance(second, c, 3, 3),
        advance(w.nowhere(), b, 1, 1),
        advance(first, w.nobody(), 1, 1),
    ];
    let mut moved = w.receipts().advance(&batch, w.now()).await.unwrap();
    moved.sort_by_key(|receipt| receipt.conversation_id);
    let marks: Vec<_> = moved
        .iter()
        .map(|r| (r.conversation_id, r.user_id, r.delivered_seq, r.read_seq))
        .collect();
    assert_eq!(
        marks,
        [(first, b, 4, 2), (second, b, 2, 0)],
        "those that moved, once"
    );
    assert_eq!(w.member(first, past).await, before);
    assert_eq!(w.receipts().advance(&[], w.now()).await.unwrap(), []);
}

pub async fn of_simultaneous_moves_the_highest_stays(w: &World) {
    let [a, b] = w.people().await;
    let id = talk(w, a, &[b], 16).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16_usize)
        .map(|n| {
            let (storage, now) = (instances[n % 2].clone(), w.now());
            let seq = i64::try_from(n * 7 % 16).unwrap() + 1;
            let wish = advance(id, b, seq, seq);
            tokio::spawn(async move { storage.receipts().advance(&[wish], now).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let after = w.member(id, b).await;
    assert_eq!((after.delivered_seq, after.read_seq), (16, 16));
}

pub async fn receipts_of_present_members_are_listed(w: &World) {
    let people: [UserId; 6] = w.people().await;
    let [p0, p1, p2, p3, p4, p5] = people;
    let id = talk(w, p3, &[p5, p0, p4, p1, p2], 6).await;
    for (user, seq) in [(p0, 1), (p5, 4), (p2, 6)] {
        one(w, advance(id, user, seq + 1, seq)).await;
    }
    w.conversations()
        .remove_member(id, p4, p4, w.now())
        .await
        .unwrap();
    let mut expected = Vec::new();
    for user in [p0, p1, p2, p3, p5] {
        expected.push(w.member(id, user).await.receipt());
    }
    for limit in [1, 2, 4, 5, 6] {
        let pages = walk(limit, async |after, limit| {
            w.receipts().list(id, after, limit).await
        })
        .await;
        assert_eq!(pages, expected, "pages of {limit}");
    }
    let nowhere = w.receipts().list(w.nowhere(), None, ALL).await.unwrap();
    assert_eq!((nowhere.items, nowhere.next), (Vec::new(), None));
}

/// How far a member has come that has done nothing but send, beside all messages of the conversation.
fn by_sending(id: ConversationId, user: UserId, all: &[Message]) -> Receipt {
    let own = all.iter().rev().find(|message| message.sender_id == user);
    let (seq, at) = own.map_or((0, None), |own| (own.seq, Some(own.created_at)));
    Receipt {
        conversation_id: id,
        user_id: user,
        delivered_seq: seq,
        delivered_at: at,
        read_seq: seq,
        read_at: at,
    }
}

pub async fn everybody_has_read_up_to_its_own_newest_message(w: &World) {
    let people: [UserId; 40] = w.people().await;
    let (owner, others) = (people[0], &people[1..]);
    let (here, there) = (w.group(owner, others).await, w.group(owner, others).await);
    let say = |id: ConversationId, users: &[UserId]| -> Vec<NewMessage> {
        let texts = users.iter().map(|user| w.text(id, *user, "words"));
        texts.collect()
    };
    // alone, all at once, in two conversations at once, and alone once more
    for user in &people[..20] {
        w.say(here, *user, "words").await;
    }
    let both = [say(here, &people[5..10]), say(there, &people[..30])].concat();
    for batch in [say(here, &people[10..38]), both] {
        w.messages().append(&batch).await.unwrap();
    }
    for id in [here, there] {
        w.say(id, people[3], "last").await;
        let all = w.transcript(id).await;
        let receipts = w.receipts().list(id, None, ALL).await.unwrap().items;
        let members = w.conversations().members(id, None, ALL).await.unwrap();
        assert_eq!((receipts.len(), members.items.len()), (40, 40));
        for ((user, receipt), member) in people.iter().zip(receipts).zip(members.items) {
            let expected = by_sending(id, *user, &all);
            let after = |m: &&Message| m.seq > expected.read_seq && m.sender_id != *user;
            let unread = all.iter().filter(after).count();
            let list = w.conversations().list(*user, None, None, ALL).await;
            let list = list.unwrap().items;
            let listed = list.iter().find(|one| one.conversation.id == id).unwrap();
            for (receipt, place) in [
                (receipt, "receipts"),
                (member.receipt(), "members"),
                (w.member(id, *user).await.receipt(), "one member"),
                (w.summary(id, *user).await.me.receipt(), "summary"),
                (listed.me.receipt(), "list"),
            ] {
                assert_eq!(receipt, expected, "{place}");
            }
            assert_eq!(w.unread(id, *user).await as usize, unread);
            assert_eq!(listed.unread.count as usize, unread);
        }
    }
    let behind: HashSet<UserId> =
        HashSet::from_iter(w.conversations().behind(&people).await.unwrap());
    let expected = people.into_iter().filter(|user| *user != people[3]);
    assert_eq!(behind, expected.collect());
}

pub async fn whoever_is_told_of_has_read_what_it_sent(w: &World) {
    let [a, b, c] = w.people().await;
    let conversations = w.conversations();
    let id = w.group(a, &[b, c]).await;
    let direct = w.direct(a, b).await;
    let room = w.room("lobby", a).await.conversation.id;
    for user in [a, b, c] {
        w.say(id, user, "words").await;
    }
    for id in [direct, room] {
        w.say(id, a, "words").await;
        w.say(id, a, "words").await;
    }
    let all = w.transcript(id).await;
    let [of_a, of_b, of_c] = [a, b, c].map(|user| by_sending(id, user, &all));

    let told = change::page(w, id, 0, ALL).await.changes;
    let told: Vec<Receipt> = told
        .into_iter()
        .filter_map(|change| match change {
            Change::Member(member) => Some(member.receipt()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [of_a, of_b, of_c]);
    let again = conversations
        .get_or_create_direct(&w.new_direct(a, b))
        .await;
    assert_eq!(again.unwrap().me.read_seq, 2);
    assert_eq!(w.room("lobby", a).await.me.read_seq, 2);
    let joined = conversations.join(room, a, w.now()).await.unwrap();
    assert_eq!(joined.me.read_seq, 2);
    let pinned = PreferencesPatch {
        pinned: Some(true),
        ..PreferencesPatch::default()
    };
    let preferring = conversations.set_preferences(id, c, &pinned).await;
    assert_eq!(preferring.unwrap().unwrap().receipt(), of_c);
    let changed = conversations.set_role(id, a, c, Role::Admin).await.unwrap();
    assert_eq!(changed.member.receipt(), of_c);
    let same = conversations.set_role(id, a, c, Role::Admin).await.unwrap();
    assert_eq!(same.member.receipt(), of_c);
    let removed = conversations.remove_member(id, a, b, w.now()).await;
    assert_eq!(removed.unwrap().left.receipt(), of_b);

    let id = w.group(a, &[b]).await;
    for user in [a, b] {
        w.say(id, user, "words").await;
    }
    let all = w.transcript(id).await;
    let [of_a, of_b] = [a, b].map(|user| by_sending(id, user, &all));
    let removed = conversations.remove_member(id, a, a, w.now()).await;
    let removed = removed.unwrap();
    assert_eq!(removed.left.receipt(), of_a);
    assert_eq!(removed.promoted.unwrap().receipt(), of_b);
}

pub async fn many_who_send_leave_the_others_where_they_are(w: &World) {
    let people: [UserId; 24] = w.people().await;
    let [owner, ahead, back, ..] = people;
    let mut groups = Vec::new();
    for _ in 0..2 {
        let early = w.now();
        let id = w.group(owner, &people[1..]).await;
        for user in [ahead, back, owner] {
            w.say(id, user, "words").await;
        }
        // one has read more than it sent, by a clock that is late; one has gone and come back
        let wish = advance(id, ahead, 3, 2);
        w.receipts().advance(&[wish], early).await.unwrap();
        let c = w.conversations();
        c.remove_member(id, owner, back, w.now()).await.unwrap();
        c.add_members(id, owner, &[back], w.now()).await.unwrap();
        let before = [w.member(id, ahead).await, w.member(id, back).await];
        assert_eq!(before[0].read_at, Some(early));
        assert_eq!((before[1].read_seq, before[1].read_at), (3, None));
        groups.push((id, before));
    }
    let [(first, _), (second, _)] = groups[..] else {
        panic!("two of them");
    };
    for user in &people[3..] {
        w.say(first, *user, "words").await;
    }
    let both: Vec<NewMessage> = people[3..]
        .iter()
        .flat_map(|user| {
            [
                w.text(second, *user, "words"),
                w.text(first, *user, "words"),
            ]
        })
        .collect();
    w.messages().append(&both).await.unwrap();
    for (id, before) in groups {
        let after = [w.member(id, ahead).await, w.member(id, back).await];
        assert_eq!(after, before);
        let all = w.transcript(id).await;
        let last = people[23];
        assert_eq!(
            w.member(id, last).await.receipt(),
            by_sending(id, last, &all)
        );
    }
}

pub async fn unread_is_live_messages_of_others_above_the_mark(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    assert_eq!(w.unread(id, b).await, 0);
    let mut messages = Vec::new();
    for n in 0..6 {
        messages.push(w.say(id, a, &format!("m{n}")).await);
    }
    assert_eq!((w.unread(id, a).await, w.unread(id, b).await), (0, 6));
    w.messages()
        .delete(messages[1].id, a, w.now())
        .await
        .unwrap();
    w.messages()
        .delete(messages[4].id, a, w.now())
        .await
        .unwrap();
    assert_eq!(w.unread(id, b).await, 4);
    one(w, advance(id, b, 6, 0)).await;
    assert_eq!(w.unread(id, b).await, 4, "delivered is not read");
    one(w, advance(id, b, 6, 3)).await;
    assert_eq!(w.unread(id, b).await, 2);
    w.messages()
        .delete(messages[0].id, a, w.now())
        .await
        .unwrap();
    assert_eq!(w.unread(id, b).await, 2, "it was read before");
    w.say(id, b, "mine").await;
    assert_eq!((w.unread(id, a).await, w.unread(id, b).await), (1, 0));
    let page = w.conversations().list(a, None, None, ALL).await.unwrap();
    assert_eq!(
        page.items[0].unread,
        Unread { count: 1 },
        "in the list, too"
    );
}

pub async fn who_comes_back_has_nothing_unread(w: &World) {
    let [owner, user] = w.people().await;
    let id = talk(w, owner, &[user], 2).await;
    w.say(id, user, "mine").await;
    let c = w.conversations();
    c.remove_member(id, owner, user, w.now()).await.unwrap();
    w.say(id, owner, "while away").await;
    c.add_members(id, owner, &[user], w.now()).await.unwrap();
    assert_eq!(w.unread(id, user).await, 0);
    w.say(id, owner, "after").await;
    assert_eq!(w.unread(id, user).await, 1);
}

pub async fn unread_is_counted_up_to_a_cap(w: &World) {
    let [a, b] = w.people().await;
    let cap = usize::try_from(Unread::CAP).unwrap();
    let id = talk(w, a, &[b], cap - 1).await;
    let unread = async || w.summary(id, b).await.unread;
    assert_eq!(
        (unread().await.count, unread().await.is_capped()),
        (Unread::CAP - 1, false)
    );
    for _ in 0..3 {
        w.say(id, a, "one more").await;
        assert_eq!(
            (unread().await.count, unread().await.is_capped()),
            (Unread::CAP, true)
        );
    }
    // the cap is of what counts: deleted ones take no place in it
    let messages = w.transcript(id).await;
    for message in &messages[..10] {
        w.messages().delete(message.id, a, w.now()).await.unwrap();
    }
    assert_eq!(unread().await.count, Unread::CAP - 8);
}
