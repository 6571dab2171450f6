//! Changes since a rev: what a client that was away is told.

use connexus_domain::conversation::ConversationPatch;
use connexus_domain::member::PreferencesPatch;
use connexus_domain::{
    Change, ChangePage, ConversationId, Limit, Member, Message, MessageId, Rev, Role,
    WatermarkAdvance,
};

use crate::World;
use crate::world::{ALL, body, emoji};

pub(crate) async fn page(w: &World, id: ConversationId, rev: Rev, limit: Limit) -> ChangePage {
    let found = w.messages().changes_since(id, rev, limit).await.unwrap();
    found.expect("a conversation")
}

/// The messages that changed, when nothing else did.
pub(crate) fn messages(changes: &[Change]) -> Vec<MessageId> {
    let ids = changes.iter().map(|change| match change {
        Change::Message(message) => message.id,
        other => panic!("{other:?}"),
    });
    ids.collect()
}

/// Everything since, on one page.
async fn since(w: &World, id: ConversationId, rev: Rev) -> Vec<Change> {
    let page = page(w, id, rev, ALL).await;
    assert!(!page.more);
    assert_eq!(page.rev, w.conversation(id).await.rev);
    page.changes
}

pub async fn of_nowhere_there_are_none(w: &World) {
    let found = w.messages().changes_since(w.nowhere(), 0, ALL).await;
    assert_eq!(found.unwrap(), None);
}

pub async fn a_new_group_is_told_from_its_first_rev(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let expected = [
        Change::Conversation(w.conversation(id).await),
        Change::Member(w.member(id, a).await),
        Change::Member(w.member(id, b).await),
    ];
    assert_eq!(since(w, id, 0).await, expected);
    assert_eq!(since(w, id, 1).await, expected[1..]);
    assert_eq!(since(w, id, 3).await, []);
}

pub async fn every_kind_of_change_takes_one_rev(w: &World) {
    let [a, b, c] = w.people().await;
    let id = w.group(a, &[b]).await;
    let message = w.say(id, a, "words").await;
    let mut rev = w.conversation(id).await.rev;
    let mut next = async |what: &str| {
        let changes = since(w, id, rev).await;
        assert_eq!(changes.len(), 1, "{what}: {changes:?}");
        rev += 1;
        assert_eq!(changes[0].rev(), rev, "{what}");
        assert_eq!(w.conversation(id).await.rev, rev, "{what}");
        changes.into_iter().next().unwrap()
    };
    let (m, cs) = (w.messages(), w.conversations());
    let now = async |id| Change::Message(w.message(id).await);

    let sent = w.say(id, b, "more").await;
    assert_eq!(next("sending").await, Change::Message(sent));
    m.edit(message.id, a, &body("edited"), w.now())
        .await
        .unwrap();
    assert_eq!(next("editing").await, now(message.id).await);
    m.add_reaction(message.id, b, &emoji("👍"), w.now())
        .await
        .unwrap();
    assert_eq!(next("reacting").await, now(message.id).await);
    m.remove_reaction(message.id, b, &emoji("👍"))
        .await
        .unwrap();
    assert_eq!(next("taking back").await, now(message.id).await);
    m.delete(message.id, a, w.now()).await.unwrap();
    let tombstone = now(message.id).await;
    assert_eq!(next("deleting").await, tombstone);
    let patch = ConversationPatch {
        name: Some("renamed".to_owned()),
        ..ConversationPatch::default()
    };
    cs.update(id, a, &patch).await.unwrap();
    let renamed = Change::Conversation(w.conversation(id).await);
    assert_eq!(next("renaming").await, renamed);
    cs.set_role(id, a, b, Role::Admin).await.unwrap();
    assert_eq!(next("a role").await, Change::Member(w.member(id, b).await));
    cs.add_members(id, a, &[c], w.now()).await.unwrap();
    assert_eq!(next("adding").await, Change::Member(w.member(id, c).await));
    cs.remove_member(id, a, c, w.now()).await.unwrap();
    assert_eq!(next("removing").await, Change::Left(w.member(id, c).await));
    cs.add_members(id, a, &[c], w.now()).await.unwrap();
    assert_eq!(
        next("coming back").await,
        Change::Member(w.member(id, c).await)
    );
}

pub async fn an_old_message_is_told_whatever_changes_of_it(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let edited = w.say(id, a, "to be edited").await;
    let root = w.say(id, a, "to be answered").await;
    let liked = w.say(id, a, "to be liked").await;
    let deleted = w.say(id, a, "to be deleted").await;
    for n in 0..20 {
        w.say(id, b, &format!("newer {n}")).await;
    }
    let m = w.messages();
    let mut rev = w.conversation(id).await.rev;
    let mut is_told = async |expected: &[&Message]| {
        let expected: Vec<MessageId> = expected.iter().map(|message| message.id).collect();
        assert_eq!(messages(&since(w, id, rev).await), expected);
        rev = w.conversation(id).await.rev;
    };
    m.edit(edited.id, a, &body("edited"), w.now())
        .await
        .unwrap();
    is_told(&[&edited]).await;
    let reply = w.reply(&root, b, "reply").await;
    is_told(&[&root, &reply]).await;
    m.delete(reply.id, b, w.now()).await.unwrap();
    is_told(&[&root, &reply]).await;
    m.add_reaction(liked.id, b, &emoji("👍"), w.now())
        .await
        .unwrap();
    is_told(&[&liked]).await;
    m.remove_reaction(liked.id, b, &emoji("👍")).await.unwrap();
    is_told(&[&liked]).await;
    m.delete(deleted.id, a, w.now()).await.unwrap();
    is_told(&[&deleted]).await;
}

pub async fn watermarks_and_preferences_take_no_rev(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    w.say(id, a, "words").await;
    let rev = w.conversation(id).await.rev;
    let advance = WatermarkAdvance {
        conversation_id: id,
        user_id: b,
        delivered_seq: 1,
        read_seq: 1,
    };
    w.receipts().advance(&[advance], w.now()).await.unwrap();
    let patch = PreferencesPatch {
        archived: Some(true),
        ..PreferencesPatch::default()
    };
    w.conversations()
        .set_preferences(id, b, &patch)
        .await
        .unwrap();
    assert_eq!(w.conversation(id).await.rev, rev);
    assert_eq!(since(w, id, rev).await, []);
}

pub async fn a_thing_is_told_once_as_it_is_now(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let first = w.say(id, a, "one").await;
    let second = w.say(id, a, "two").await;
    let rev = w.conversation(id).await.rev;
    let m = w.messages();
    m.edit(first.id, a, &body("1"), w.now()).await.unwrap();
    m.edit(second.id, a, &body("2"), w.now()).await.unwrap();
    m.add_reaction(first.id, b, &emoji("👍"), w.now())
        .await
        .unwrap();
    let gone = m.delete(first.id, a, w.now()).await.unwrap().message;
    let expected = [
        Change::Message(w.message(second.id).await),
        Change::Message(gone),
    ];
    assert_eq!(
        since(w, id, rev).await,
        expected,
        "in the order of the last change"
    );
    assert_eq!(expected.each_ref().map(Change::rev), [rev + 2, rev + 4]);
}

pub async fn the_root_of_a_thread_comes_before_the_reply_of_its_rev(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    let rev = w.conversation(id).await.rev;
    let reply = w.reply(&root, b, "reply").await;
    let root = w.message(root.id).await;
    assert_eq!((root.rev, reply.rev), (rev + 1, rev + 1));
    let expected = [
        Change::Message(root.clone()),
        Change::Message(reply.clone()),
    ];
    assert_eq!(since(w, id, rev).await, expected);
    let gone = w
        .messages()
        .delete(reply.id, b, w.now())
        .await
        .unwrap()
        .message;
    let root = w.message(root.id).await;
    let expected = [Change::Message(root), Change::Message(gone)];
    assert_eq!(since(w, id, rev).await, expected);
}

/// A conversation with all kinds of changes, and pairs of one rev among them.
async fn eventful(w: &World) -> ConversationId {
    let [a, b, c, d] = w.people().await;
    let id = w.group(a, &[b, c]).await;
    let mut roots = Vec::new();
    for n in 0..4 {
        roots.push(w.say(id, a, &format!("root {n}")).await);
        w.say(id, b, "between").await;
    }
    w.conversations()
        .add_members(id, a, &[d], w.now())
        .await
        .unwrap();
    let mut replies = Vec::new();
    // the last change of each root is the one it shares with a reply
    for root in &roots {
        replies.push(w.reply(root, c, "early reply").await);
        w.reply(root, d, "reply").await;
    }
    w.conversations()
        .remove_member(id, a, b, w.now())
        .await
        .unwrap();
    w.messages()
        .delete(replies[1].id, c, w.now())
        .await
        .unwrap();
    w.messages()
        .delete(replies[2].id, c, w.now())
        .await
        .unwrap();
    w.messages()
        .add_reaction(roots[3].id, a, &emoji("👍"), w.now())
        .await
        .unwrap();
    let patch = ConversationPatch {
        name: Some("renamed".to_owned()),
        ..ConversationPatch::default()
    };
    w.conversations().update(id, a, &patch).await.unwrap();
    w.say(id, d, "last").await;
    id
}

pub async fn pages_make_the_whole_whatever_their_size(w: &World) {
    let id = eventful(w).await;
    let head = w.conversation(id).await.rev;
    let whole = since(w, id, 0).await;
    let orders: Vec<_> = whole.iter().map(Change::order).collect();
    assert!(orders.is_sorted_by(|x, y| x < y), "in order: {orders:?}");
    let pairs = whole
        .windows(2)
        .filter(|p| p[0].rev() == p[1].rev())
        .count();
    assert_eq!(pairs, 3, "roots and replies of one rev");
    let size = u32::try_from(whole.len()).unwrap();
    for limit in 1..=size + 1 {
        let (mut pages, mut rev) = (Vec::new(), 0);
        loop {
            let page = page(w, id, rev, Limit::of(limit)).await;
            // one more than asked for at most: when a pair stands at the end
            assert!(
                page.changes.len() <= limit as usize + 1,
                "a page of {limit}"
            );
            let last = page.changes.last().map(Change::rev);
            pages.extend(page.changes);
            if !page.more {
                assert_eq!(page.rev, head, "pages of {limit}");
                break;
            }
            assert_eq!(Some(page.rev), last, "pages of {limit}");
            assert!(page.rev > rev, "a page that leads nowhere");
            rev = page.rev;
        }
        assert_eq!(pages, whole, "pages of {limit}");
    }
}

pub async fn from_any_rev_on_the_rest_is_told(w: &World) {
    let id = eventful(w).await;
    let whole = since(w, id, 0).await;
    for rev in 0..=w.conversation(id).await.rev {
        let rest: Vec<Change> = whole.iter().filter(|c| c.rev() > rev).cloned().collect();
        assert_eq!(since(w, id, rev).await, rest, "since {rev}");
    }
}

pub async fn a_page_of_changes_is_one_moment(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let other = w.another().await;
    let messages: Vec<_> = (0..40).map(|n| w.text(id, b, &format!("m{n}"))).collect();
    let writing = tokio::spawn(async move {
        for message in messages {
            other.messages().append(&[message]).await.unwrap();
        }
    });
    let mut known = 3;
    while known < 43 {
        let page = page(w, id, known, ALL).await;
        assert!(!page.more);
        let revs: Vec<Rev> = page.changes.iter().map(Change::rev).collect();
        let expected: Vec<Rev> = (known + 1..=page.rev).collect();
        assert_eq!(revs, expected, "complete up to the rev it names");
        known = page.rev;
    }
    writing.await.unwrap();
}

pub async fn who_left_and_came_back_is_told_as_present(w: &World) {
    let [a, b] = w.people().await;
    let room = w.room("general", a).await.conversation.id;
    w.room("general", b).await;
    let rev = w.conversation(room).await.rev;
    w.conversations()
        .remove_member(room, b, b, w.now())
        .await
        .unwrap();
    let back = w.conversations().join(room, b, w.now()).await.unwrap().me;
    assert_eq!(since(w, room, rev).await, [Change::Member(back)]);
}

pub async fn the_heir_of_an_owner_is_told(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let rev = w.conversation(id).await.rev;
    let removal = w
        .conversations()
        .remove_member(id, a, a, w.now())
        .await
        .unwrap();
    let heir: Member = removal.promoted.unwrap();
    let expected = [Change::Left(removal.left), Change::Member(heir)];
    assert_eq!(since(w, id, rev).await, expected);
}
