//! Roles.

use connexus_domain::member::Role;
use connexus_domain::ports::RoleChange;
use connexus_domain::{Entity, UserId};

use super::member::FIXED;
use super::member::LAST_OWNER;
use super::member::NO_CONVERSATION;
use super::member::remove;
use super::member::role;
use crate::World;
use crate::world::{ALL, Fault, NOT_MEMBER, ROLE_TOO_LOW, fault};

pub async fn a_role_takes_the_next_rev_if_it_is_another(w: &World) {
    let [owner, user] = w.people().await;
    let id = w.group(owner, &[user]).await;
    let mut member = w.member(id, user).await;
    let mut rev = w.conversation(id).await.rev;
    for new in [
        Role::Admin,
        Role::Admin,
        Role::Owner,
        Role::Member,
        Role::Member,
    ] {
        let changed = member.role != new;
        if changed {
            rev += 1;
            member.rev = rev;
            member.role = new;
        }
        let answer = w
            .conversations()
            .set_role(id, owner, user, new)
            .await
            .unwrap();
        let expected = RoleChange {
            member: member.clone(),
            changed,
        };
        assert_eq!(answer, expected);
        assert_eq!(w.member(id, user).await, member);
        assert_eq!(w.conversation(id).await.rev, rev);
    }
}

pub async fn roles_are_given_by_the_rules(w: &World) {
    let [owner, admin, other, member, past, stranger] = w.people().await;
    let id = w.group(owner, &[admin, other, member, past]).await;
    role(w, id, owner, admin, Role::Admin).await;
    role(w, id, owner, other, Role::Admin).await;
    remove(w, id, past, past).await;
    let before = w.conversation(id).await;
    let set = async |by, target, role| w.conversations().set_role(id, by, target, role).await;
    for (by, target, role) in [
        (member, other, Role::Member),
        (member, member, Role::Admin),
        (admin, member, Role::Admin),
        (admin, member, Role::Owner),
        (admin, other, Role::Member),
        (admin, owner, Role::Member),
        (admin, admin, Role::Owner),
    ] {
        let answer = fault(set(by, target, role).await);
        assert_eq!(answer, ROLE_TOO_LOW, "{role:?} is more than may be given");
    }
    for by in [past, stranger] {
        assert_eq!(fault(set(by, member, Role::Member).await), NOT_MEMBER);
    }
    for target in [past, stranger] {
        let answer = set(owner, target, Role::Admin).await;
        assert_eq!(fault(answer), Fault::NotFound(Entity::Member));
    }
    assert_eq!(w.conversation(id).await, before);
    let direct = w.direct(owner, member).await;
    let answer = w
        .conversations()
        .set_role(direct, owner, member, Role::Admin)
        .await;
    assert_eq!(fault(answer), FIXED);
    let answer = w
        .conversations()
        .set_role(w.nowhere(), owner, member, Role::Admin)
        .await;
    assert_eq!(fault(answer), NO_CONVERSATION);
    assert!(
        set(admin, admin, Role::Member).await.unwrap().changed,
        "stepping down"
    );
}

pub async fn the_last_owner_cannot_step_down(w: &World) {
    let [owner, second] = w.people().await;
    let id = w.group(owner, &[second]).await;
    let before = w.conversation(id).await;
    for new in [Role::Member, Role::Admin] {
        let answer = w.conversations().set_role(id, owner, owner, new).await;
        assert_eq!(fault(answer), LAST_OWNER);
    }
    assert_eq!(w.conversation(id).await, before);
    let same = w
        .conversations()
        .set_role(id, owner, owner, Role::Owner)
        .await;
    assert!(!same.unwrap().changed);
    role(w, id, owner, second, Role::Owner).await;
    role(w, id, owner, owner, Role::Member).await;
    let answer = w
        .conversations()
        .set_role(id, second, second, Role::Member)
        .await;
    assert_eq!(fault(answer), LAST_OWNER);
}

pub async fn of_owners_who_all_step_down_one_stays(w: &World) {
    let people: [UserId; 6] = w.people().await;
    let id = w.group(people[0], &people[1..]).await;
    for user in &people[1..] {
        role(w, id, people[0], *user, Role::Owner).await;
    }
    let before = w.conversation(id).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = people
        .into_iter()
        .enumerate()
        .map(|(n, user)| {
            let storage = instances[n % 2].clone();
            tokio::spawn(async move {
                storage
                    .conversations()
                    .set_role(id, user, user, Role::Member)
                    .await
            })
        })
        .collect();
    let mut refused = Vec::new();
    for task in tasks {
        if let Err(error) = task.await.unwrap() {
            refused.push(Fault::from(&error));
        }
    }
    assert_eq!(refused, [LAST_OWNER]);
    let page = w.conversations().members(id, None, ALL).await.unwrap();
    let owners = page.items.iter().filter(|m| m.role == Role::Owner);
    assert_eq!(owners.count(), 1);
    assert_eq!(w.conversation(id).await.rev, before.rev + 5);
}
