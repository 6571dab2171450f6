//! Blocks.

use connexus_domain::{Entity, UserId};

use crate::World;
use crate::world::{ALL, Fault, fault, walk};

async fn listed(w: &World, by: UserId) -> Vec<UserId> {
    let page = w.blocks().list(by, None, ALL).await.unwrap();
    assert_eq!(page.next, None);
    page.items
}

pub async fn a_block_counts_for_both(w: &World) {
    let [a, b, c] = w.people().await;
    assert!(!w.blocks().either_blocks(a, b).await.unwrap());
    w.blocks().block(a, b, w.now()).await.unwrap();
    let other = w.another().await;
    for (x, y, blocked) in [(a, b, true), (b, a, true), (a, c, false), (c, b, false)] {
        assert_eq!(w.blocks().either_blocks(x, y).await.unwrap(), blocked);
        assert_eq!(other.blocks().either_blocks(x, y).await.unwrap(), blocked);
    }
    assert_eq!(listed(w, a).await, [b]);
    assert_eq!(listed(w, b).await, []);
}

pub async fn those_of_many_who_are_apart_are_found_together(w: &World) {
    let [a, b, c, d, e] = w.people().await;
    w.blocks().block(a, b, w.now()).await.unwrap();
    w.blocks().block(c, a, w.now()).await.unwrap();
    for (x, y) in [(a, d), (d, a), (b, e)] {
        w.blocks().block(x, y, w.now()).await.unwrap();
    }
    let apart = async |user, others: &[UserId]| {
        let mut found = w.blocks().apart_from(user, others).await.unwrap();
        found.sort_unstable();
        found
    };
    assert_eq!(apart(a, &[e, d, c, b, d, a, w.nobody()]).await, [b, c, d]);
    assert_eq!(apart(a, &[c, e]).await, [c]);
    assert_eq!(apart(e, &[a, b]).await, [b]);
    assert_eq!(apart(a, &[]).await, []);
}

pub async fn blocking_and_unblocking_are_idempotent(w: &World) {
    let [a, b] = w.people().await;
    w.blocks().unblock(a, b).await.unwrap();
    for _ in 0..2 {
        w.blocks().block(a, b, w.now()).await.unwrap();
        assert_eq!(listed(w, a).await, [b]);
    }
    for _ in 0..2 {
        w.blocks().unblock(a, b).await.unwrap();
        assert_eq!(listed(w, a).await, []);
        assert!(!w.blocks().either_blocks(a, b).await.unwrap());
    }
    w.blocks().unblock(a, w.nobody()).await.unwrap();
}

pub async fn each_block_is_lifted_by_itself(w: &World) {
    let [a, b] = w.people().await;
    w.blocks().block(a, b, w.now()).await.unwrap();
    w.blocks().block(b, a, w.now()).await.unwrap();
    w.blocks().unblock(a, b).await.unwrap();
    assert!(w.blocks().either_blocks(a, b).await.unwrap());
    w.blocks().unblock(b, a).await.unwrap();
    assert!(!w.blocks().either_blocks(a, b).await.unwrap());
}

pub async fn nobody_cannot_be_blocked(w: &World) {
    let [a] = w.people().await;
    let answer = w.blocks().block(a, w.nobody(), w.now()).await;
    assert_eq!(fault(answer), Fault::NotFound(Entity::User));
    assert_eq!(listed(w, a).await, []);
}

pub async fn pages_make_the_whole_list(w: &World) {
    let [a, others @ ..] = w.people::<8>().await;
    for n in [3, 0, 6, 1, 5, 2, 4] {
        w.blocks().block(a, others[n], w.now()).await.unwrap();
    }
    for limit in [1, 2, 3, 6, 7, 8] {
        let pages = walk(limit, async |after, limit| {
            w.blocks().list(a, after, limit).await
        })
        .await;
        assert_eq!(pages, others, "pages of {limit}");
    }
}
