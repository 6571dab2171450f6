//! Conversations: making, finding, listing, changing and deleting them.

use connexus_domain::conversation::{Conversation, ConversationKind, ConversationPatch, Slug};
use connexus_domain::member::{Member, Preferences, PreferencesPatch, Role};
use connexus_domain::ports::{HistoryRange, NewGroup, Opened};
use connexus_domain::{
    ActivityCursor, ConversationId, Denial, Entity, Head, Limit, UserId, WatermarkAdvance,
};

use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, body, emoji, fault, later, walk};

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

async fn ids(w: &World, user: UserId, archived: Option<bool>) -> Vec<ConversationId> {
    let page = w
        .conversations()
        .list(user, archived, None, ALL)
        .await
        .unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|s| s.conversation.id).collect()
}

pub async fn the_list_is_by_latest_activity(w: &World) {
    let [a, b, c] = w.people().await;
    let first = w.direct(a, b).await;
    let second = w.group(a, &[b]).await;
    let third = w.room("general", a).await.conversation.id;
    w.group(b, &[c]).await;
    assert_eq!(ids(w, a, None).await, [third, second, first]);
    w.say(first, b, "up").await;
    assert_eq!(ids(w, a, None).await, [first, third, second]);
    // only a message is activity
    w.conversations().join(third, c, w.now()).await.unwrap();
    let patch = ConversationPatch {
        name: Some("other".to_owned()),
        ..ConversationPatch::default()
    };
    w.conversations().update(second, a, &patch).await.unwrap();
    assert_eq!(ids(w, a, None).await, [first, third, second]);
    w.conversations()
        .remove_member(second, a, a, w.now())
        .await
        .unwrap();
    assert_eq!(ids(w, a, None).await, [first, third]);
    let page = w.conversations().list(a, None, None, ALL).await.unwrap();
    for summary in page.items {
        assert_eq!(summary, w.summary(summary.conversation.id, a).await);
    }
}

pub async fn the_list_is_divided_by_archived(w: &World) {
    let [a, b] = w.people().await;
    let open = w.group(a, &[b]).await;
    let stored = w.group(a, &[b]).await;
    let archive = PreferencesPatch {
        archived: Some(true),
        ..PreferencesPatch::default()
    };
    w.conversations()
        .set_preferences(stored, a, &archive)
        .await
        .unwrap();
    assert_eq!(ids(w, a, None).await, [stored, open]);
    assert_eq!(ids(w, a, Some(true)).await, [stored]);
    assert_eq!(ids(w, a, Some(false)).await, [open]);
    assert_eq!(ids(w, b, Some(true)).await, []);
    assert_eq!(ids(w, b, Some(false)).await, [stored, open]);
}

pub async fn pages_of_the_list_make_the_whole(w: &World) {
    let [a, b] = w.people().await;
    let moments = [w.now(), w.now(), w.now()];
    let mut all = Vec::new();
    // several of one millisecond: then the higher id comes first
    for n in 0..9 {
        let mut new = w.new_group(a, &[b]);
        new.now = moments[n % 3];
        w.conversations().create_group(&new).await.unwrap();
        all.push((new.now, new.id));
    }
    all.sort_unstable_by(|x, y| y.cmp(x));
    let expected: Vec<_> = all.iter().map(|(_, id)| *id).collect();
    for archived in [None, Some(false)] {
        for limit in [1, 2, 3, 4, 8, 9, 10] {
            let pages = walk(limit, async |after, limit| {
                w.conversations().list(a, archived, after, limit).await
            })
            .await;
            let ids: Vec<_> = pages.iter().map(|s| s.conversation.id).collect();
            assert_eq!(ids, expected, "pages of {limit}");
        }
    }
    let after = ActivityCursor {
        last_activity_at: all[4].0,
        id: all[4].1,
    };
    let page = w
        .conversations()
        .list(a, None, Some(after), Limit::of(2))
        .await;
    let ids: Vec<_> = page
        .unwrap()
        .items
        .iter()
        .map(|s| s.conversation.id)
        .collect();
    assert_eq!(ids, expected[5..7]);
}

pub async fn heads_say_where_each_stands(w: &World) {
    let [a, b] = w.people().await;
    let direct = w.direct(a, b).await;
    let group = w.group(a, &[b]).await;
    let left = w.group(a, &[b]).await;
    w.say(direct, b, "one").await;
    w.say(direct, b, "two").await;
    w.conversations()
        .remove_member(left, a, a, w.now())
        .await
        .unwrap();
    let head = |conversation_id, last_seq, rev| Head {
        conversation_id,
        last_seq,
        rev,
    };
    let expected = [head(direct, 2, 5), head(group, 0, 3)];
    assert_eq!(w.conversations().heads(a).await.unwrap(), expected);
}

pub async fn pages_of_members_make_the_whole(w: &World) {
    let people: [UserId; 7] = w.people().await;
    let [p0, p1, p2, p3, p4, p5, p6] = people;
    let id = w.group(p3, &[p6, p0, p5, p1, p4, p2]).await;
    for limit in [1, 2, 3, 6, 7, 8] {
        let pages = walk(limit, async |after, limit| {
            w.conversations().members(id, after, limit).await
        })
        .await;
        let ids: Vec<_> = pages.iter().map(|m| m.user_id).collect();
        assert_eq!(ids, people, "pages of {limit}");
    }
    w.conversations()
        .remove_member(id, p3, p1, w.now())
        .await
        .unwrap();
    let present = [p0, p2, p3, p4, p5, p6];
    assert_eq!(w.conversations().member_ids(id).await.unwrap(), present);
    let page = w.conversations().members(id, None, ALL).await.unwrap();
    for (member, user) in page.items.into_iter().zip(present) {
        assert_eq!(member, w.member(id, user).await);
    }
}

pub async fn an_update_takes_the_next_rev(w: &World) {
    let [owner, admin] = w.people().await;
    let id = w.group(owner, &[admin]).await;
    w.conversations()
        .set_role(id, owner, admin, Role::Admin)
        .await
        .unwrap();
    w.say(id, owner, "hello").await;
    let filled = ConversationPatch {
        name: Some("renamed".to_owned()),
        description: Some(Some("described".to_owned())),
        avatar_url: Some(Some("/a.png".to_owned())),
    };
    let emptied = ConversationPatch {
        name: None,
        description: Some(None),
        avatar_url: Some(None),
    };
    let mut expected = w.conversation(id).await;
    for (by, patch) in [(owner, filled), (admin, emptied)] {
        let rev = expected.rev + 1;
        expected = patch.apply(expected, rev);
        let answer = w.conversations().update(id, by, &patch).await.unwrap();
        assert_eq!(answer, expected);
        assert_eq!(w.conversation(id).await, expected);
    }
}

pub async fn an_update_that_changes_nothing_takes_no_rev(w: &World) {
    let [owner] = w.people().await;
    let id = w.group(owner, &[]).await;
    let before = w.conversation(id).await;
    let same = ConversationPatch {
        name: before.name.clone(),
        description: Some(None),
        avatar_url: Some(None),
    };
    for patch in [ConversationPatch::default(), same] {
        let answer = w.conversations().update(id, owner, &patch).await.unwrap();
        assert_eq!(answer, before);
        assert_eq!(w.conversation(id).await, before);
    }
}

pub async fn who_may_not_update_changes_nothing(w: &World) {
    let [owner, member, past, stranger] = w.people().await;
    let id = w.group(owner, &[member, past]).await;
    w.conversations()
        .remove_member(id, past, past, w.now())
        .await
        .unwrap();
    let before = w.conversation(id).await;
    let patch = ConversationPatch {
        name: Some("mine".to_owned()),
        ..ConversationPatch::default()
    };
    let update = async |id, by| fault(w.conversations().update(id, by, &patch).await);
    assert_eq!(update(id, member).await, ROLE_TOO_LOW);
    assert_eq!(update(id, past).await, NOT_MEMBER);
    assert_eq!(update(id, stranger).await, NOT_MEMBER);
    let nowhere = Fault::NotFound(Entity::Conversation);
    assert_eq!(update(w.nowhere(), owner).await, nowhere);
    assert_eq!(w.conversation(id).await, before);
    let direct = w.direct(owner, member).await;
    let fixed = Fault::Forbidden(Denial::FixedConversation);
    assert_eq!(update(direct, owner).await, fixed);
}

pub async fn only_an_owner_deletes(w: &World) {
    let [owner, admin, stranger] = w.people().await;
    let id = w.group(owner, &[admin]).await;
    w.conversations()
        .set_role(id, owner, admin, Role::Admin)
        .await
        .unwrap();
    let direct = w.direct(owner, admin).await;
    let before = w.conversation(id).await;
    let delete = async |id, by| w.conversations().delete(id, by, w.now()).await;
    assert_eq!(fault(delete(id, admin).await), ROLE_TOO_LOW);
    assert_eq!(fault(delete(id, stranger).await), NOT_MEMBER);
    let fixed = Fault::Forbidden(Denial::FixedConversation);
    assert_eq!(fault(delete(direct, owner).await), fixed);
    let nowhere = Fault::NotFound(Entity::Conversation);
    assert_eq!(fault(delete(w.nowhere(), owner).await), nowhere);
    assert_eq!(w.conversation(id).await, before);
    assert_eq!(delete(id, owner).await.unwrap(), before.rev + 1);
    assert_eq!(fault(delete(id, owner).await), nowhere, "it is gone");
}

pub async fn a_deleted_one_does_not_exist_for_look_ups(w: &World) {
    let [owner, member] = w.people().await;
    let room = w.room("general", owner).await.conversation;
    w.room("general", member).await;
    let message = w.say(room.id, owner, "secret words").await;
    w.reply(&message, owner, "in thread").await;
    w.conversations()
        .delete(room.id, owner, w.now())
        .await
        .unwrap();

    let (id, c, m) = (room.id, w.conversations(), w.messages());
    assert_eq!(c.find(id).await.unwrap(), None);
    let slug = room.slug.unwrap();
    assert_eq!(c.find_by_slug(&slug).await.unwrap(), None);
    for user in [owner, member] {
        assert_eq!(c.find_with_member(id, user).await.unwrap(), None);
        assert_eq!(c.summary(id, user).await.unwrap(), None);
        assert_eq!(ids(w, user, None).await, []);
        assert_eq!(c.heads(user).await.unwrap(), []);
    }
    assert_eq!(c.members(id, None, ALL).await.unwrap().items, []);
    assert_eq!(c.member_ids(id).await.unwrap(), []);
    assert!(!c.share_conversation(owner, member).await.unwrap());
    assert_eq!(c.peers(&[owner], None).await.unwrap(), []);
    assert_eq!(m.get(message.id).await.unwrap(), None);
    let latest = m.history(id, HistoryRange::Latest, ALL).await.unwrap();
    assert_eq!(latest, []);
    assert_eq!(m.changes_since(id, 0, ALL).await.unwrap(), None);
    assert_eq!(m.snapshot(id, ALL).await.unwrap(), None);
    assert_eq!(m.thread(message.id, 0, ALL).await.unwrap(), []);
    let receipts = w.receipts().list(id, None, ALL).await.unwrap();
    assert_eq!(receipts.items, []);
}

pub async fn a_deleted_one_does_not_exist_for_changes(w: &World) {
    let [owner, member, other] = w.people().await;
    let id = w.room("general", owner).await.conversation.id;
    w.room("general", member).await;
    let message = w.say(id, owner, "secret words").await;
    w.conversations().delete(id, owner, w.now()).await.unwrap();

    let (c, m) = (w.conversations(), w.messages());
    let gone = Fault::NotFound(Entity::Conversation);
    assert_eq!(fault(c.join(id, other, w.now()).await), gone);
    let patch = ConversationPatch {
        name: Some("x".to_owned()),
        ..ConversationPatch::default()
    };
    assert_eq!(fault(c.update(id, owner, &patch).await), gone);
    let added = c.add_members(id, owner, &[other], w.now()).await;
    assert_eq!(fault(added), gone);
    let removed = c.remove_member(id, member, member, w.now()).await;
    assert_eq!(fault(removed), gone);
    let raised = c.set_role(id, owner, member, Role::Admin).await;
    assert_eq!(fault(raised), gone);
    let kept = c
        .set_preferences(id, owner, &PreferencesPatch::default())
        .await;
    assert_eq!(kept.unwrap(), None);
    assert_eq!(fault(w.append(&w.text(id, owner, "x")).await), gone);

    let gone = Fault::NotFound(Entity::Message);
    let edited = m.edit(message.id, owner, &body("x"), w.now()).await;
    assert_eq!(fault(edited), gone);
    assert_eq!(fault(m.delete(message.id, owner, w.now()).await), gone);
    let thumb = emoji("👍");
    let added = m.add_reaction(message.id, owner, &thumb, w.now()).await;
    assert_eq!(fault(added), gone);
    let removed = m.remove_reaction(message.id, owner, &thumb).await;
    assert_eq!(fault(removed), gone);
    let advance = WatermarkAdvance {
        conversation_id: id,
        user_id: member,
        delivered_seq: 1,
        read_seq: 1,
    };
    assert_eq!(w.receipts().advance(&[advance], w.now()).await.unwrap(), []);
}

pub async fn a_deleted_room_frees_its_slug(w: &World) {
    let [owner, other] = w.people().await;
    let first = w.room("general", owner).await.conversation.id;
    w.conversations()
        .delete(first, owner, w.now())
        .await
        .unwrap();
    let second = w.room("general", other).await;
    assert!(second.created);
    assert_ne!(second.conversation.id, first);
    assert_eq!(second.me.role, Role::Owner);
    assert_eq!(second.conversation.member_count, 1);
}

pub async fn purging_takes_messages_of_deleted_ones_alone(w: &World) {
    let [owner] = w.people().await;
    let kept = w.group(owner, &[]).await;
    let message = w.say(kept, owner, "kept").await;
    for count in [3, 2] {
        let id = w.group(owner, &[]).await;
        let root = w.say(id, owner, "root").await;
        for n in 1..count {
            w.reply(&root, owner, &format!("reply {n}")).await;
        }
        let thumb = emoji("👍");
        w.messages()
            .add_reaction(root.id, owner, &thumb, w.now())
            .await
            .unwrap();
        w.conversations().delete(id, owner, w.now()).await.unwrap();
    }
    let mut taken = Vec::new();
    loop {
        let count = w.conversations().purge_deleted(Limit::of(2)).await.unwrap();
        assert!(count <= 2, "{count} taken, at most 2 were asked for");
        if count == 0 {
            break;
        }
        taken.push(count);
    }
    assert_eq!(taken.iter().sum::<u64>(), 5);
    assert_eq!(w.transcript(kept).await, [message]);
    assert_eq!(ids(w, owner, None).await, [kept]);
    assert_eq!(w.conversations().purge_deleted(ALL).await.unwrap(), 0);
}

pub async fn preferences_are_private_and_take_no_rev(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let (before, other) = (w.conversation(id).await, w.member(id, b).await);
    let mut expected = w.member(id, a).await;
    let until = later(w.now(), 60_000);
    let patches = [
        PreferencesPatch {
            archived: Some(true),
            pinned: Some(true),
            muted_until: Some(Some(until)),
        },
        PreferencesPatch {
            archived: Some(false),
            ..PreferencesPatch::default()
        },
        PreferencesPatch {
            muted_until: Some(None),
            ..PreferencesPatch::default()
        },
        PreferencesPatch::default(),
    ];
    for patch in patches {
        expected.preferences = patch.apply(expected.preferences);
        let answer = w
            .conversations()
            .set_preferences(id, a, &patch)
            .await
            .unwrap();
        assert_eq!(answer.as_ref(), Some(&expected));
        assert_eq!(w.member(id, a).await, expected);
    }
    let pinned = Preferences {
        pinned: true,
        ..Preferences::default()
    };
    assert_eq!(expected.preferences, pinned);
    assert_eq!(w.conversation(id).await, before);
    assert_eq!(w.member(id, b).await, other);
    let page = w
        .messages()
        .changes_since(id, before.rev, ALL)
        .await
        .unwrap();
    assert_eq!(page.unwrap().changes, []);
}

pub async fn preferences_of_one_who_is_not_there_are_none(w: &World) {
    let [a, past, stranger] = w.people().await;
    let id = w.group(a, &[past]).await;
    w.conversations()
        .remove_member(id, past, past, w.now())
        .await
        .unwrap();
    let patch = PreferencesPatch {
        pinned: Some(true),
        ..PreferencesPatch::default()
    };
    for user in [past, stranger] {
        let answer = w.conversations().set_preferences(id, user, &patch).await;
        assert_eq!(answer.unwrap(), None);
    }
    assert!(!w.member(id, past).await.preferences.pinned);
}

/// The pairs, in order.
async fn peers(w: &World, of: &[UserId], most: Option<u32>) -> Vec<(UserId, UserId)> {
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
