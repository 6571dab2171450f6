//! Threads.

use connexus_domain::{Limit, Message};

use crate::World;
use crate::world::{ALL, body, emoji};

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
