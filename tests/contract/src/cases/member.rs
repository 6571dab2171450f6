//! Members: who comes, goes, and may do what.

use connexus_domain::member::{Member, Preferences, PreferencesPatch, Role};
use connexus_domain::ports::Removal;
use connexus_domain::{Change, ConversationId, Denial, Entity, Error, UserId};

use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, fault};

pub(super) const NO_CONVERSATION: Fault = Fault::NotFound(Entity::Conversation);
pub(super) const FIXED: Fault = Fault::Forbidden(Denial::FixedConversation);
pub(super) const LAST_OWNER: Fault = Fault::Forbidden(Denial::LastOwner);

pub(super) async fn role(w: &World, id: ConversationId, by: UserId, target: UserId, role: Role) {
    let answer = w.conversations().set_role(id, by, target, role).await;
    answer.unwrap();
}

pub(super) async fn remove(w: &World, id: ConversationId, by: UserId, target: UserId) -> Removal {
    let answer = w
        .conversations()
        .remove_member(id, by, target, w.now())
        .await;
    answer.unwrap()
}

pub async fn joining_a_room_is_idempotent(w: &World) {
    let [owner, guest] = w.people().await;
    let room = w.room("general", owner).await.conversation.id;
    w.say(room, owner, "one").await;
    w.say(room, owner, "two").await;
    let now = w.now();
    let first = w.conversations().join(room, guest, now).await.unwrap();
    assert_eq!((first.created, first.joined), (false, true));
    assert_eq!(
        (first.conversation.rev, first.conversation.member_count),
        (5, 2)
    );
    assert_eq!(
        first.me,
        Member::joining(&first.conversation, guest, Role::Member, 5, now)
    );
    assert_eq!((first.me.read_seq, first.me.delivered_seq), (2, 2));
    assert_eq!(w.unread(room, guest).await, 0);

    w.say(room, owner, "three").await;
    let again = w.conversations().join(room, guest, w.now()).await.unwrap();
    assert_eq!((again.created, again.joined), (false, false));
    assert_eq!(again.me, first.me, "watermarks stay where they are");
    assert_eq!(again.conversation.rev, 6);
    assert_eq!(w.conversation(room).await, again.conversation);
}

pub async fn only_a_room_can_be_joined(w: &World) {
    let [a, b, c] = w.people().await;
    for id in [w.nowhere(), w.direct(a, b).await, w.group(a, &[b]).await] {
        let answer = w.conversations().join(id, c, w.now()).await;
        assert_eq!(fault(answer), NO_CONVERSATION);
        let members = w.conversations().member_ids(id).await.unwrap();
        assert!(!members.contains(&c));
    }
}

pub async fn who_comes_back_starts_anew(w: &World) {
    let [owner, guest, eve] = w.people().await;
    let room = w.room("general", owner).await.conversation.id;
    w.room("general", guest).await;
    w.room("general", eve).await;
    role(w, room, owner, guest, Role::Admin).await;
    let patch = PreferencesPatch {
        archived: Some(true),
        pinned: Some(true),
        muted_until: Some(Some(w.now())),
    };
    w.conversations()
        .set_preferences(room, guest, &patch)
        .await
        .unwrap();
    w.say(room, guest, "mine").await;
    let left = remove(w, room, guest, guest).await.left;
    w.say(room, owner, "while away").await;
    assert_eq!(w.conversation(room).await.member_count, 2);

    let now = w.now();
    let back = w.conversations().join(room, guest, now).await.unwrap();
    assert!(back.joined);
    assert_eq!(back.conversation.member_count, 3);
    let expected = Member::joining(
        &back.conversation,
        guest,
        Role::Member,
        back.conversation.rev,
        now,
    );
    assert_eq!(
        (back.me.role, back.me.read_seq, back.me.delivered_seq),
        (Role::Member, 2, 2)
    );
    assert_eq!(back.me.preferences, Preferences::default());
    assert_eq!((back.me.joined_at, back.me.left_at), (now, None));
    assert_eq!(back.me.rev, expected.rev);
    assert!(back.me.rev > left.rev);
    assert_eq!(w.member(room, guest).await, back.me);
    assert_eq!(w.unread(room, guest).await, 0);
    w.say(room, guest, "back").await;
}

pub async fn who_enters_a_room_without_owner_becomes_it(w: &World) {
    let [first, second, third] = w.people().await;
    let room = w.room("general", first).await.conversation.id;
    let gone = remove(w, room, first, first).await;
    assert_eq!((gone.promoted, gone.deleted), (None, false), "a room stays");
    assert_eq!(w.conversation(room).await.member_count, 0);
    let heir = w.conversations().join(room, second, w.now()).await.unwrap();
    assert_eq!(heir.me.role, Role::Owner);
    let plain = w.room("general", third).await;
    assert_eq!((plain.conversation.id, plain.me.role), (room, Role::Member));
    // also by its name, and also one who was there before
    remove(w, room, third, third).await;
    remove(w, room, second, second).await;
    let back = w.room("general", third).await;
    assert_eq!(
        (back.created, back.joined, back.me.role),
        (false, true, Role::Owner)
    );
    assert_eq!(w.member(room, third).await.role, Role::Owner);
}

pub async fn added_members_come_in_order_at_revs_of_their_own(w: &World) {
    let [owner, x, y, z, there] = w.people().await;
    let id = w.group(owner, &[there]).await;
    role(w, id, owner, there, Role::Admin).await;
    w.say(id, owner, "before").await;
    let before = w.conversation(id).await;
    let present = w.member(id, there).await;
    let now = w.now();
    let came = w
        .conversations()
        .add_members(id, there, &[z, there, x, z, owner, y], now)
        .await
        .unwrap();
    let expected: Vec<Member> = [z, x, y]
        .into_iter()
        .zip(before.rev + 1..)
        .map(|(user, rev)| Member::joining(&before, user, Role::Member, rev, now))
        .collect();
    assert_eq!(came, expected);
    let after = w.conversation(id).await;
    assert_eq!((after.rev, after.member_count), (before.rev + 3, 5));
    assert_eq!(w.member(id, there).await, present, "left as he is");
    for member in expected {
        assert_eq!(w.member(id, member.user_id).await, member);
        assert_eq!(w.unread(id, member.user_id).await, 0);
    }
    let again = w
        .conversations()
        .add_members(id, owner, &[x, y, z], w.now())
        .await;
    assert_eq!(again.unwrap(), []);
    assert_eq!(w.conversation(id).await, after, "no rev for nothing");
}

pub async fn who_is_added_back_starts_anew(w: &World) {
    let [owner, user] = w.people().await;
    let id = w.group(owner, &[user]).await;
    role(w, id, owner, user, Role::Admin).await;
    let pin = PreferencesPatch {
        pinned: Some(true),
        ..PreferencesPatch::default()
    };
    w.conversations()
        .set_preferences(id, user, &pin)
        .await
        .unwrap();
    remove(w, id, owner, user).await;
    w.say(id, owner, "one").await;
    let now = w.now();
    let came = w
        .conversations()
        .add_members(id, owner, &[user], now)
        .await
        .unwrap();
    let conversation = w.conversation(id).await;
    assert_eq!(conversation.member_count, 2);
    let [back] = &came[..] else {
        panic!("one came, not {came:?}");
    };
    assert_eq!(back.rev, conversation.rev);
    assert_eq!(
        (back.role, back.read_seq, back.delivered_seq),
        (Role::Member, 1, 1)
    );
    assert_eq!((back.joined_at, back.left_at), (now, None));
    assert_eq!(back.preferences, Preferences::default());
    assert_eq!(&w.member(id, user).await, back);
}

pub async fn one_unknown_user_and_nobody_is_added(w: &World) {
    let [owner, x] = w.people().await;
    let id = w.group(owner, &[]).await;
    let before = w.conversation(id).await;
    let users = [x, w.nobody()];
    let answer = w
        .conversations()
        .add_members(id, owner, &users, w.now())
        .await;
    assert_eq!(fault(answer), Fault::NotFound(Entity::User));
    assert_eq!(w.conversation(id).await, before);
    assert_eq!(w.conversations().member_ids(id).await.unwrap(), [owner]);
}

pub async fn who_may_not_add_adds_nobody(w: &World) {
    let [owner, member, past, x] = w.people().await;
    let id = w.group(owner, &[member, past]).await;
    remove(w, id, past, past).await;
    let before = w.conversation(id).await;
    let direct = w.direct(owner, member).await;
    let add = async |id, by| fault(w.conversations().add_members(id, by, &[x], w.now()).await);
    assert_eq!(add(id, member).await, ROLE_TOO_LOW);
    assert_eq!(add(id, past).await, NOT_MEMBER);
    assert_eq!(add(id, x).await, NOT_MEMBER);
    assert_eq!(add(direct, owner).await, FIXED);
    assert_eq!(add(w.nowhere(), owner).await, NO_CONVERSATION);
    assert_eq!(w.conversation(id).await, before);
    assert_eq!(
        w.conversations().member_ids(direct).await.unwrap(),
        [owner, member]
    );
}

pub async fn of_simultaneous_additions_each_comes_once(w: &World) {
    let [owner, x, y] = w.people().await;
    let id = w.group(owner, &[]).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (storage, now) = (instances[n % 2].clone(), w.now());
            let users = if n < 4 { [x, y] } else { [y, x] };
            tokio::spawn(async move {
                let answer = storage.conversations().add_members(id, owner, &users, now);
                answer.await.unwrap()
            })
        })
        .collect();
    let mut came = Vec::new();
    for task in tasks {
        came.extend(task.await.unwrap());
    }
    came.sort_by_key(|member| member.user_id);
    let users: Vec<UserId> = came.iter().map(|member| member.user_id).collect();
    assert_eq!(users, [x, y]);
    let after = w.conversation(id).await;
    assert_eq!((after.rev, after.member_count), (4, 3));
}

pub async fn leaving_is_kept_as_a_change(w: &World) {
    let [owner, user] = w.people().await;
    let id = w.group(owner, &[user]).await;
    w.say(id, owner, "one").await;
    let (before, member) = (w.conversation(id).await, w.member(id, user).await);
    let now = w.now();
    let removal = w
        .conversations()
        .remove_member(id, user, user, now)
        .await
        .unwrap();
    let left = Member {
        left_at: Some(now),
        rev: before.rev + 1,
        ..member
    };
    let expected = Removal {
        left: left.clone(),
        promoted: None,
        deleted: false,
    };
    assert_eq!(removal, expected);
    assert_eq!(w.member(id, user).await, left);
    let after = w.conversation(id).await;
    assert_eq!((after.rev, after.member_count), (before.rev + 1, 1));
    let page = w
        .messages()
        .changes_since(id, before.rev, ALL)
        .await
        .unwrap();
    assert_eq!(page.unwrap().changes, [Change::Left(left)]);
}

pub async fn removal_follows_the_roles(w: &World) {
    let [owner, admin, other, member, past, stranger] = w.people().await;
    let id = w.group(owner, &[admin, other, member, past]).await;
    role(w, id, owner, admin, Role::Admin).await;
    role(w, id, owner, other, Role::Admin).await;
    remove(w, id, past, past).await;
    let before = w.conversation(id).await;
    let refused = async |by, target| {
        fault(
            w.conversations()
                .remove_member(id, by, target, w.now())
                .await,
        )
    };
    assert_eq!(refused(member, other).await, ROLE_TOO_LOW);
    assert_eq!(refused(member, owner).await, ROLE_TOO_LOW);
    assert_eq!(refused(admin, other).await, ROLE_TOO_LOW);
    assert_eq!(refused(admin, owner).await, ROLE_TOO_LOW);
    assert_eq!(refused(past, member).await, NOT_MEMBER);
    assert_eq!(refused(past, past).await, NOT_MEMBER);
    assert_eq!(refused(stranger, member).await, NOT_MEMBER);
    let no_member = Fault::NotFound(Entity::Member);
    assert_eq!(refused(owner, past).await, no_member);
    assert_eq!(refused(owner, stranger).await, no_member);
    assert_eq!(w.conversation(id).await, before);

    let direct = w.direct(owner, member).await;
    let answer = w
        .conversations()
        .remove_member(direct, owner, owner, w.now())
        .await;
    assert_eq!(fault(answer), FIXED);
    let answer = w
        .conversations()
        .remove_member(w.nowhere(), owner, owner, w.now())
        .await;
    assert_eq!(fault(answer), NO_CONVERSATION);

    assert_eq!(remove(w, id, admin, member).await.left.user_id, member);
    assert_eq!(remove(w, id, owner, admin).await.left.user_id, admin);
    assert_eq!(
        w.conversations().member_ids(id).await.unwrap(),
        [owner, other]
    );
}

pub async fn the_last_owner_is_succeeded_in_order(w: &World) {
    let [owner, plain, young_admin, old_admin, twin_admin] = w.people().await;
    let id = w.group(owner, &[plain]).await;
    // the older membership has the higher id
    w.conversations()
        .add_members(id, owner, &[old_admin, twin_admin], w.now())
        .await
        .unwrap();
    w.conversations()
        .add_members(id, owner, &[young_admin], w.now())
        .await
        .unwrap();
    for admin in [twin_admin, young_admin, old_admin] {
        role(w, id, owner, admin, Role::Admin).await;
    }
    let mut leaving = owner;
    for (heir, was) in [
        (old_admin, Role::Admin),
        (twin_admin, Role::Admin),
        (young_admin, Role::Admin),
        (plain, Role::Member),
    ] {
        let before = w.conversation(id).await;
        let member = w.member(id, heir).await;
        assert_eq!(member.role, was);
        let removal = remove(w, id, leaving, leaving).await;
        assert_eq!(removal.left.user_id, leaving);
        assert_eq!(removal.left.rev, before.rev + 1);
        let promoted = Member {
            role: Role::Owner,
            rev: before.rev + 2,
            ..member
        };
        assert_eq!(removal.promoted.as_ref(), Some(&promoted));
        assert_eq!(w.member(id, heir).await, promoted);
        let after = w.conversation(id).await;
        assert_eq!(
            (after.rev, after.member_count),
            (before.rev + 2, before.member_count - 1)
        );
        leaving = heir;
    }
}

pub async fn one_of_two_owners_is_not_succeeded(w: &World) {
    let [owner, second, member] = w.people().await;
    let id = w.group(owner, &[second, member]).await;
    role(w, id, owner, second, Role::Owner).await;
    let before = w.conversation(id).await;
    let removal = remove(w, id, second, owner).await;
    assert_eq!((removal.promoted, removal.deleted), (None, false));
    assert_eq!(w.conversation(id).await.rev, before.rev + 1);
    assert_eq!(w.member(id, member).await.role, Role::Member);
}

pub async fn an_emptied_group_is_deleted(w: &World) {
    let [owner, member] = w.people().await;
    let id = w.group(owner, &[member]).await;
    let message = w.say(id, owner, "bye").await;
    assert!(!remove(w, id, owner, member).await.deleted);
    let last = remove(w, id, owner, owner).await;
    assert_eq!((last.promoted, last.deleted), (None, true));
    assert_eq!(last.left.user_id, owner);
    assert_eq!(w.conversations().find(id).await.unwrap(), None);
    assert_eq!(w.messages().get(message.id).await.unwrap(), None);
    assert_eq!(w.conversations().purge_deleted(ALL).await.unwrap(), 1);
}

pub async fn of_members_who_all_leave_the_last_deletes_the_group(w: &World) {
    let people: [UserId; 6] = w.people().await;
    let id = w.group(people[0], &people[1..]).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = people
        .into_iter()
        .enumerate()
        .map(|(n, user)| {
            let (storage, now) = (instances[n % 2].clone(), w.now());
            tokio::spawn(async move {
                let answer = storage.conversations().remove_member(id, user, user, now);
                answer.await.unwrap()
            })
        })
        .collect();
    let mut deleted = 0;
    for task in tasks {
        deleted += usize::from(task.await.unwrap().deleted);
    }
    assert_eq!(deleted, 1);
    assert_eq!(w.conversations().find(id).await.unwrap(), None);
}

pub async fn a_removal_and_a_message_do_not_cross(w: &World) {
    let [owner, user] = w.people().await;
    let id = w.group(owner, &[user]).await;
    let other = w.another().await;
    let messages: Vec<_> = (0..12)
        .map(|n| w.text(id, user, &format!("m{n}")))
        .collect();
    let sending = tokio::spawn(async move {
        let mut answers = Vec::new();
        for message in messages {
            answers.extend(other.messages().append(&[message]).await.unwrap());
        }
        answers
    });
    let left = remove(w, id, owner, user).await.left;
    for answer in sending.await.unwrap() {
        match answer {
            Ok(connexus_domain::message::AppendOutcome::Appended(numbers)) => {
                assert!(
                    numbers.rev < left.rev,
                    "stored after its sender was removed"
                );
            }
            Err(Error::Forbidden(Denial::NotMember)) => {}
            other => panic!("expected a number or NotMember, got {other:?}"),
        }
    }
    let stored = w.transcript(id).await;
    let seqs: Vec<i64> = stored.iter().map(|m| m.seq).collect();
    let dense: Vec<i64> = (1..).take(stored.len()).collect();
    assert_eq!(seqs, dense);
    assert_eq!(
        w.conversation(id).await.last_seq,
        dense.last().copied().unwrap_or(0)
    );
}
