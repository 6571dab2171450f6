//! The storage as a whole.

use crate::World;

pub async fn it_has_a_name_and_answers_a_ping(w: &World) {
    let other = w.another().await;
    assert!(!w.storage().name().is_empty());
    assert_eq!(w.storage().name(), other.name());
    w.storage().ping().await.unwrap();
    other.ping().await.unwrap();
}

pub async fn migrating_again_changes_nothing(w: &World) {
    let user = w.user("alice").await;
    let before = w.users().get(user).await.unwrap();
    for _ in 0..2 {
        w.storage().migrate().await.unwrap();
    }
    assert_eq!(w.users().get(user).await.unwrap(), before);
}

pub async fn instances_migrate_at_the_same_time(w: &World) {
    let instances = [w.storage().clone(), w.another().await, w.another().await];
    let tasks: Vec<_> = instances
        .into_iter()
        .map(|storage| tokio::spawn(async move { storage.migrate().await }))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    w.storage().ping().await.unwrap();
}

pub async fn what_was_acknowledged_outlives_the_instance(w: &World) {
    let [a, b] = w.people().await;
    let group = w.group(a, &[b]).await;
    let message = w.say(group, a, "still here").await;
    w.storage().close().await;
    let other = w.another().await;
    let found = other.messages().get(message.id).await.unwrap();
    assert_eq!(found, Some(message));
}

pub async fn closing_one_instance_leaves_the_other(w: &World) {
    let other = w.another().await;
    other.close().await;
    let user = w.user("alice").await;
    assert!(w.users().get(user).await.unwrap().is_some());
}
