//! Changing, deleting and keeping conversations.

use connexus_domain::conversation::ConversationPatch;
use connexus_domain::member::{Preferences, PreferencesPatch, Role};
use connexus_domain::{Denial, Entity, Limit, WatermarkAdvance};

use super::conversation::ids;
use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, body, emoji, fault, later};

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
