//! Reactions.

use connexus_domain::message::{Emoji, REACTION_USERS_MAX, REACTIONS_MAX};
use connexus_domain::{Message, Reaction, UserId};

use super::message::NO_MESSAGE;
use super::message::faces;
use crate::World;
use crate::world::{Fault, NOT_MEMBER, emoji, fault};

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
