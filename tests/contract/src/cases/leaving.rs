//! Sending, for who is a member no more.

use crate::World;
use crate::world::{NOT_MEMBER, fault, stored};

pub async fn who_left_cannot_send_until_back(w: &World) {
    let [owner, user] = w.people().await;
    let room = w.room("general", owner).await.conversation.id;
    w.room("general", user).await;
    // an instance that has seen the member
    let other = w.another().await;
    let seen = w.text(room, user, "one");
    stored(other.messages().append(&[seen]).await.unwrap().remove(0));
    w.conversations()
        .remove_member(room, owner, user, w.now())
        .await
        .unwrap();
    let before = w.conversation(room).await;
    for storage in [w.storage(), &other] {
        let refused = w.text(room, user, "two");
        let answer = storage
            .messages()
            .append(&[refused])
            .await
            .unwrap()
            .remove(0);
        assert_eq!(fault(answer), NOT_MEMBER);
    }
    assert_eq!(w.conversation(room).await, before);
    w.conversations().join(room, user, w.now()).await.unwrap();
    let back = w.text(room, user, "three");
    let answer = other.messages().append(&[back]).await.unwrap().remove(0);
    assert_eq!(stored(answer).seq, 2);
}

pub async fn who_left_is_refused_whatever_else_came_meanwhile(w: &World) {
    let [owner, user] = w.people().await;
    let (left, kept) = (w.group(owner, &[user]).await, w.group(owner, &[user]).await);
    // an instance that has seen the member
    let other = w.another().await;
    let in_both = || [w.text(left, user, "left"), w.text(kept, user, "kept")];
    for numbers in other.messages().append(&in_both()).await.unwrap() {
        assert_eq!(stored(numbers).seq, 1);
    }
    w.say(left, owner, "two").await;
    w.conversations()
        .remove_member(left, owner, user, w.now())
        .await
        .unwrap();
    w.say(left, owner, "three").await;
    for (storage, seq) in [(w.storage(), 2), (&other, 3)] {
        let answers = storage.messages().append(&in_both()).await.unwrap();
        let [refused, sent] = answers.try_into().unwrap();
        assert_eq!(fault(refused), NOT_MEMBER);
        assert_eq!(stored(sent).seq, seq);
    }
    w.conversations()
        .add_members(left, owner, &[user], w.now())
        .await
        .unwrap();
    for (numbers, seq) in other
        .messages()
        .append(&in_both())
        .await
        .unwrap()
        .into_iter()
        .zip([4, 4])
    {
        assert_eq!(stored(numbers).seq, seq);
    }
}
