//! Lists of conversations, heads and members.

use connexus_domain::conversation::ConversationPatch;
use connexus_domain::member::PreferencesPatch;
use connexus_domain::{ActivityCursor, Head, Limit, UserId};

use super::conversation::ids;
use crate::World;
use crate::world::{ALL, walk};

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
