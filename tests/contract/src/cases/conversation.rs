//! Conversations: making, finding, listing, changing and deleting them.

use connexus_domain::conversation::{Conversation, ConversationKind, Slug};
use connexus_domain::member::{Member, PreferencesPatch, Role};
use connexus_domain::ports::{NewGroup, Opened};
use connexus_domain::{ConversationId, Entity, UserId, WatermarkAdvance};

use crate::World;
use crate::world::{ALL, Fault, fault};

/// The membership of one who came when the conversation was made.
fn founder(of: &Conversation, user: UserId, role: Role, rev: i64) -> Member {
    Member::joining(of, user, role, rev, of.created_at)
}

pub async fn a_direct_one_is_made_whole(w: &World) {
    let [a, b] = w.people().await;
    let new = w.new_direct(b, a);
    let opened = w.conversations().get_or_create_direct(&new).await.unwrap();
    let expected = Conversation {
        id: new.id,
        kind: ConversationKind::Direct,
        slug: None,
        name: None,
        description: None,
        avatar_url: None,
        created_by: b,
        created_at: new.now,
        last_activity_at: new.now,
        last_seq: 0,
        rev: 3,
        changed_rev: 1,
        member_count: 2,
    };
    let me = founder(&expected, b, Role::Member, 2);
    assert_eq!(
        opened,
        Opened {
            conversation: expected.clone(),
            me: me.clone(),
            created: true,
            joined: true,
        }
    );
    assert_eq!(w.conversation(new.id).await, expected);
    assert_eq!(w.member(new.id, b).await, me);
    assert_eq!(
        w.member(new.id, a).await,
        founder(&expected, a, Role::Member, 3)
    );
}

pub async fn a_pair_has_one_direct_one_in_either_order(w: &World) {
    let [a, b, c] = w.people().await;
    let made = w.direct(a, b).await;
    for (creator, peer) in [(a, b), (b, a)] {
        let new = w.new_direct(creator, peer);
        let opened = w.conversations().get_or_create_direct(&new).await.unwrap();
        assert_eq!(opened.conversation.id, made);
        assert_eq!(opened.me.user_id, creator);
        assert_eq!((opened.created, opened.joined), (false, false));
        assert_eq!(opened.conversation.rev, 3, "nothing was written");
        assert_eq!(w.conversations().find(new.id).await.unwrap(), None);
    }
    assert_ne!(w.direct(a, c).await, made);
}

pub async fn a_direct_one_is_found_by_its_pair_alone(w: &World) {
    let [a, b, c] = w.people().await;
    let made = w.direct(a, b).await;
    for (one, other) in [(a, b), (b, a)] {
        let found = w.conversations().find_direct(one, other).await.unwrap();
        assert_eq!(found, Some(w.conversation(made).await));
    }
    for (one, other) in [(a, c), (c, b), (a, w.nobody())] {
        let found = w.conversations().find_direct(one, other).await.unwrap();
        assert_eq!(found, None);
    }
}

pub async fn of_many_who_open_one_direct_one_makes_it(w: &World) {
    let [a, b] = w.people().await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let storage = instances[n % 2].clone();
            // each order on each instance
            let new = if n / 2 % 2 == 0 {
                w.new_direct(a, b)
            } else {
                w.new_direct(b, a)
            };
            tokio::spawn(async move {
                storage
                    .conversations()
                    .get_or_create_direct(&new)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut opened = Vec::new();
    for task in tasks {
        opened.push(task.await.unwrap());
    }
    assert_eq!(opened.iter().filter(|o| o.created).count(), 1);
    let id = opened[0].conversation.id;
    for one in &opened {
        assert_eq!(one.conversation.id, id);
        assert_eq!(one.created, one.joined);
    }
    assert_eq!(w.conversation(id).await.rev, 3);
    assert_eq!(w.conversations().member_ids(id).await.unwrap(), [a, b]);
}

pub async fn a_direct_one_with_nobody_is_refused(w: &World) {
    let [a] = w.people().await;
    for (creator, peer) in [(a, w.nobody()), (w.nobody(), a)] {
        let new = w.new_direct(creator, peer);
        let answer = w.conversations().get_or_create_direct(&new).await;
        assert_eq!(fault(answer), Fault::NotFound(Entity::User));
        assert_eq!(w.conversations().find(new.id).await.unwrap(), None);
    }
    assert_eq!(w.conversations().heads(a).await.unwrap(), []);
}

pub async fn a_group_is_made_whole(w: &World) {
    let [owner, x, y, z] = w.people().await;
    let new = NewGroup {
        name: "Çà ' \" -- 東京".to_owned(),
        description: Some("two\nlines".to_owned()),
        avatar_url: Some("/group.png".to_owned()),
        ..w.new_group(owner, &[z, x, owner, z, y])
    };
    let opened = w.conversations().create_group(&new).await.unwrap();
    let expected = Conversation {
        id: new.id,
        kind: ConversationKind::Group,
        slug: None,
        name: Some(new.name),
        description: new.description,
        avatar_url: new.avatar_url,
        created_by: owner,
        created_at: new.now,
        last_activity_at: new.now,
        last_seq: 0,
        rev: 5,
        changed_rev: 1,
        member_count: 4,
    };
    assert_eq!(opened.conversation, expected);
    assert_eq!(opened.me, founder(&expected, owner, Role::Owner, 2));
    assert_eq!((opened.created, opened.joined), (true, true));
    assert_eq!(w.conversation(new.id).await, expected);
    for (user, rev) in [(z, 3), (x, 4), (y, 5)] {
        let expected = founder(&expected, user, Role::Member, rev);
        assert_eq!(w.member(new.id, user).await, expected, "in the given order");
    }
}

pub async fn a_group_with_nobody_is_not_made(w: &World) {
    let [owner, x] = w.people().await;
    let new = w.new_group(owner, &[x, w.nobody()]);
    let answer = w.conversations().create_group(&new).await;
    assert_eq!(fault(answer), Fault::NotFound(Entity::User));
    assert_eq!(w.conversations().find(new.id).await.unwrap(), None);
    assert_eq!(w.conversations().member_ids(new.id).await.unwrap(), []);
    assert_eq!(w.conversations().heads(owner).await.unwrap(), []);
}

pub async fn a_room_is_made_whole(w: &World) {
    let [owner] = w.people().await;
    let mut new = w.new_room("general_1-x", owner);
    new.description = Some("for all".to_owned());
    let opened = w.conversations().get_or_create_room(&new).await.unwrap();
    let expected = Conversation {
        id: new.id,
        kind: ConversationKind::Room,
        slug: Some(new.slug.clone()),
        name: Some(new.name),
        description: new.description,
        avatar_url: None,
        created_by: owner,
        created_at: new.now,
        last_activity_at: new.now,
        last_seq: 0,
        rev: 2,
        changed_rev: 1,
        member_count: 1,
    };
    assert_eq!(
        opened,
        Opened {
            me: founder(&expected, owner, Role::Owner, 2),
            conversation: expected.clone(),
            created: true,
            joined: true,
        }
    );
    let found = w.conversations().find_by_slug(&new.slug).await.unwrap();
    assert_eq!(found, Some(expected));
}

pub async fn a_room_that_is_there_is_entered(w: &World) {
    let [owner, guest] = w.people().await;
    let room = w.room("general", owner).await.conversation;
    w.say(room.id, owner, "hello").await;
    let new = w.new_room("General", guest);
    let entered = w.conversations().get_or_create_room(&new).await.unwrap();
    assert_eq!(entered.conversation.id, room.id);
    assert_eq!(entered.conversation.name, room.name, "its name stays");
    assert_eq!((entered.created, entered.joined), (false, true));
    assert_eq!(entered.conversation.rev, 4);
    assert_eq!(entered.conversation.member_count, 2);
    let expected = Member::joining(&entered.conversation, guest, Role::Member, 4, new.now);
    assert_eq!(entered.me, expected);
    assert_eq!(expected.read_seq, 1, "what was said before counts as read");

    let again = w.room("general", guest).await;
    assert_eq!((again.created, again.joined), (false, false));
    assert_eq!(again.conversation.rev, 4);
    assert_eq!(again.me, expected);
}

pub async fn of_many_who_open_one_room_one_makes_it(w: &World) {
    let people: [UserId; 8] = w.people().await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let storage = instances[n % 2].clone();
            let new = w.new_room("rush", people[n / 2]);
            tokio::spawn(async move {
                storage
                    .conversations()
                    .get_or_create_room(&new)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut opened = Vec::new();
    for task in tasks {
        opened.push(task.await.unwrap());
    }
    assert_eq!(opened.iter().filter(|o| o.created).count(), 1);
    assert_eq!(
        opened.iter().filter(|o| o.joined).count(),
        8,
        "each came once"
    );
    let id = opened[0].conversation.id;
    assert!(opened.iter().all(|o| o.conversation.id == id));
    let room = w.conversation(id).await;
    assert_eq!((room.rev, room.member_count), (9, 8));
    let page = w.conversations().members(id, None, ALL).await.unwrap();
    let mut revs: Vec<i64> = page.items.iter().map(|m| m.rev).collect();
    revs.sort_unstable();
    assert_eq!(revs, [2, 3, 4, 5, 6, 7, 8, 9]);
    let owners = page.items.iter().filter(|m| m.role == Role::Owner);
    assert_eq!(owners.count(), 1);
}

pub async fn a_look_for_what_is_not_there_is_none(w: &World) {
    let [a] = w.people().await;
    let nowhere = w.nowhere();
    let c = w.conversations();
    assert_eq!(c.find(nowhere).await.unwrap(), None);
    let slug = Slug::parse("nowhere").unwrap();
    assert_eq!(c.find_by_slug(&slug).await.unwrap(), None);
    assert_eq!(c.find_with_member(nowhere, a).await.unwrap(), None);
    assert_eq!(c.summary(nowhere, a).await.unwrap(), None);
    assert_eq!(c.heads(a).await.unwrap(), []);
    assert_eq!(c.list(a, None, None, ALL).await.unwrap().items, []);
    assert_eq!(c.members(nowhere, None, ALL).await.unwrap().items, []);
    assert_eq!(c.member_ids(nowhere).await.unwrap(), []);
    let patch = PreferencesPatch::default();
    assert_eq!(c.set_preferences(nowhere, a, &patch).await.unwrap(), None);
}

pub async fn a_conversation_is_found_with_members_present_and_past(w: &World) {
    let [owner, past, never] = w.people().await;
    let id = w.group(owner, &[past]).await;
    let now = w.now();
    w.conversations()
        .remove_member(id, past, past, now)
        .await
        .unwrap();
    let conversation = w.conversation(id).await;
    let look = async |user| {
        let found = w.conversations().find_with_member(id, user).await.unwrap();
        let (found, member) = found.expect("the conversation is there for all");
        assert_eq!(found, conversation);
        member
    };
    assert!(look(owner).await.unwrap().is_present());
    assert_eq!(look(past).await.unwrap().left_at, Some(now));
    assert_eq!(look(never).await, None);
}

pub async fn a_summary_is_what_its_member_sees(w: &World) {
    let [a, b, c] = w.people().await;
    let direct = w.direct(a, b).await;
    let group = w.group(a, &[b, c]).await;
    let empty = w.summary(direct, a).await;
    assert_eq!(empty.last_message, None);
    assert_eq!(empty.unread.count, 0);

    w.say(direct, a, "one").await;
    let last = w.say(direct, a, "two").await;
    let mine = w.summary(direct, a).await;
    assert_eq!(mine.conversation, w.conversation(direct).await);
    assert_eq!(mine.me, w.member(direct, a).await);
    assert_eq!(mine.last_message, Some(last.clone()));
    assert_eq!((mine.unread.count, mine.peer), (0, Some(b)));
    let theirs = w.summary(direct, b).await;
    assert_eq!((theirs.unread.count, theirs.peer), (2, Some(a)));
    assert_eq!(w.summary(group, a).await.peer, None);

    let gone = w
        .messages()
        .delete(last.id, a, w.now())
        .await
        .unwrap()
        .message;
    let theirs = w.summary(direct, b).await;
    assert_eq!(
        theirs.last_message,
        Some(gone),
        "the newest, a tombstone too"
    );
    assert_eq!(theirs.unread.count, 1);

    let outsider = w.conversations().summary(direct, c).await.unwrap();
    assert_eq!(outsider, None);
    w.conversations()
        .remove_member(group, c, c, w.now())
        .await
        .unwrap();
    assert_eq!(w.conversations().summary(group, c).await.unwrap(), None);
}

pub(super) async fn ids(w: &World, user: UserId, archived: Option<bool>) -> Vec<ConversationId> {
    let page = w
        .conversations()
        .list(user, archived, None, ALL)
        .await
        .unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|s| s.conversation.id).collect()
}

/// Those of the users, in order.
async fn behind(w: &World, of: &[UserId]) -> Vec<UserId> {
    let mut found = w.conversations().behind(of).await.unwrap();
    found.sort_unstable();
    found
}

pub async fn who_was_not_handed_everything_is_behind(w: &World) {
    let [a, b, c, stranger] = w.people().await;
    let direct = w.direct(a, b).await;
    let group = w.group(a, &[b, c]).await;
    let all = [stranger, c, b, a];
    assert_eq!(behind(w, &all).await, []);
    // one's own messages are no news
    let first = w.say(direct, a, "first").await;
    assert_eq!(behind(w, &all).await, [b]);
    let second = w.say(group, c, "second").await;
    assert_eq!(behind(w, &all).await, [a, b]);
    assert_eq!(behind(w, &[b]).await, [b]);
    assert_eq!(behind(w, &[]).await, []);
    let handed = |conversation_id, user_id, delivered_seq| WatermarkAdvance {
        conversation_id,
        user_id,
        delivered_seq,
        read_seq: 0,
    };
    let handed = [handed(direct, b, first.seq), handed(group, a, second.seq)];
    w.receipts().advance(&handed, w.now()).await.unwrap();
    assert_eq!(behind(w, &all).await, [b]);
    w.conversations()
        .remove_member(group, b, b, w.now())
        .await
        .unwrap();
    assert_eq!(behind(w, &all).await, []);
    w.say(group, c, "third").await;
    assert_eq!(behind(w, &all).await, [a]);
    w.conversations().delete(group, a, w.now()).await.unwrap();
    assert_eq!(behind(w, &all).await, []);
}

/// The pairs, in order.
pub(super) async fn peers(w: &World, of: &[UserId], most: Option<u32>) -> Vec<(UserId, UserId)> {
    let mut pairs = w.conversations().peers(of, most).await.unwrap();
    pairs.sort_unstable();
    pairs
}

pub async fn peers_are_together_and_unblocked(w: &World) {
    let [a, b, c, d, e, stranger] = w.people().await;
    w.direct(a, b).await;
    let group = w.group(a, &[b, c, d, e]).await;
    w.group(stranger, &[]).await;
    assert_eq!(peers(w, &[a], None).await, [(a, b), (a, c), (a, d), (a, e)]);
    assert_eq!(peers(w, &[stranger], None).await, []);
    assert_eq!(peers(w, &[], None).await, []);
    // the group has five members
    assert_eq!(peers(w, &[a], Some(5)).await.len(), 4);
    assert_eq!(peers(w, &[a, stranger], Some(4)).await, [(a, b)]);
    assert_eq!(peers(w, &[c], Some(4)).await, []);
    w.blocks().block(a, c, w.now()).await.unwrap();
    w.blocks().block(d, a, w.now()).await.unwrap();
    assert_eq!(peers(w, &[a], None).await, [(a, b), (a, e)]);
    w.conversations()
        .remove_member(group, e, e, w.now())
        .await
        .unwrap();
    assert_eq!(peers(w, &[a], None).await, [(a, b)]);
    assert_eq!(peers(w, &[e], None).await, []);
    assert_eq!(
        peers(w, &[a, stranger], Some(4)).await,
        [(a, b)],
        "four are left"
    );
    assert_eq!(peers(w, &[b], Some(4)).await, [(b, a), (b, c), (b, d)]);
}

pub async fn two_share_a_conversation_while_both_are_in_it(w: &World) {
    let [a, b, c] = w.people().await;
    let share = async |x, y| w.conversations().share_conversation(x, y).await.unwrap();
    assert!(!share(a, b).await);
    let id = w.group(a, &[b]).await;
    assert!(share(a, b).await && share(b, a).await);
    assert!(!share(a, c).await && !share(a, w.nobody()).await);
    w.blocks().block(a, b, w.now()).await.unwrap();
    assert!(share(a, b).await, "a block parts nobody");
    w.conversations()
        .remove_member(id, b, b, w.now())
        .await
        .unwrap();
    assert!(!share(a, b).await && !share(b, a).await);
}
