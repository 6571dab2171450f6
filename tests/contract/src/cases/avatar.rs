//! Pictures of users, groups and rooms.

use connexus_domain::attachment::{AttachmentState, AvatarOwner, MediaKind, Purpose, link};
use connexus_domain::ports::Depicted;
use connexus_domain::{AttachmentId, ConversationPatch, Denial, Entity, Limit, UserPatch};

use super::attachment::NO_FILE;
use crate::World;
use crate::world::{Fault, NOT_MEMBER, ROLE_TOO_LOW, fault};

const READY: Option<AttachmentState> = Some(AttachmentState::Ready);
const ATTACHED: Option<AttachmentState> = Some(AttachmentState::Attached);
const CONDEMNED: Option<AttachmentState> = Some(AttachmentState::Condemned);

pub async fn a_user_gets_a_picture(w: &World) {
    let [a, b] = w.people().await;
    let other = w.picture(b).await;
    let owner = AvatarOwner::User(b);
    w.files()
        .make_avatar(other.id, b, owner, w.now())
        .await
        .unwrap();
    let mut before: Option<AttachmentId> = None;
    for _ in 0..3 {
        let picture = w.picture(a).await;
        let now = w.now();
        let mut expected = w.users().get(a).await.unwrap().unwrap();
        expected.avatar_url = Some(link(picture.id));
        expected.updated_at = now;
        let owner = AvatarOwner::User(a);
        let made = w.files().make_avatar(picture.id, a, owner, now).await;
        assert_eq!(made.unwrap(), Depicted::User(Box::new(expected.clone())));
        assert_eq!(w.users().get(a).await.unwrap(), Some(expected));
        assert_eq!(w.state(picture.id).await, ATTACHED);
        assert!(!w.files().condemn(picture.id).await.unwrap());
        if let Some(before) = before.replace(picture.id) {
            assert_eq!(w.state(before).await, CONDEMNED);
        }
    }
    assert_eq!(w.state(other.id).await, ATTACHED, "the other user's");
}

pub async fn a_group_gets_a_picture_at_its_next_rev(w: &World) {
    let [a, b] = w.people().await;
    let room = w.room("general", a).await.conversation.id;
    for id in [w.group(a, &[b]).await, room] {
        let mut before: Option<AttachmentId> = None;
        for _ in 0..2 {
            let picture = w.picture(a).await;
            let mut expected = w.conversation(id).await;
            expected.rev += 1;
            expected.changed_rev = expected.rev;
            expected.avatar_url = Some(link(picture.id));
            let owner = AvatarOwner::Group(id);
            let made = w.files().make_avatar(picture.id, a, owner, w.now()).await;
            assert_eq!(made.unwrap(), Depicted::Group(Box::new(expected.clone())));
            assert_eq!(w.conversation(id).await, expected);
            assert_eq!(w.state(picture.id).await, ATTACHED);
            if let Some(before) = before.replace(picture.id) {
                assert_eq!(w.state(before).await, CONDEMNED);
            }
        }
    }
}

pub async fn who_may_not_make_an_avatar_changes_nothing(w: &World) {
    let [a, b, stranger] = w.people().await;
    let (id, direct) = (w.group(a, &[b]).await, w.direct(a, b).await);
    let (mine, theirs) = (w.picture(a).await, w.picture(b).await);
    let outside = w.picture(stranger).await;
    let sound = w.uploaded(Purpose::Avatar, a, MediaKind::Audio).await;
    let to_send = w.uploaded(Purpose::Message(id), a, MediaKind::Image).await;
    let pending = w.new_file(Purpose::Avatar, a);
    w.files().begin(&pending).await.unwrap();
    let (user, group) = (AvatarOwner::User(a), AvatarOwner::Group(id));
    let fixed = Fault::Forbidden(Denial::FixedConversation);
    let nowhere = AvatarOwner::Group(w.nowhere());
    let nobody = w.nobody();
    let nobodys = w.picture(nobody).await;
    let before = (w.conversation(id).await, w.users().get(a).await.unwrap());
    for (file, by, owner, expected) in [
        (w.no_file(), a, user, NO_FILE),
        (pending.id, a, user, NO_FILE),
        (theirs.id, a, user, NO_FILE),
        (sound.id, a, user, NO_FILE),
        (to_send.id, a, user, NO_FILE),
        (to_send.id, a, group, NO_FILE),
        (theirs.id, a, group, NO_FILE),
        (theirs.id, b, user, ROLE_TOO_LOW),
        (theirs.id, b, group, ROLE_TOO_LOW),
        (w.no_file(), b, group, ROLE_TOO_LOW),
        (outside.id, stranger, group, NOT_MEMBER),
        (mine.id, a, AvatarOwner::Group(direct), fixed),
        (mine.id, a, nowhere, Fault::NotFound(Entity::Conversation)),
        (
            nobodys.id,
            nobody,
            AvatarOwner::User(nobody),
            Fault::NotFound(Entity::User),
        ),
    ] {
        let made = w.files().make_avatar(file, by, owner, w.now()).await;
        assert_eq!(fault(made), expected);
    }
    let after = (w.conversation(id).await, w.users().get(a).await.unwrap());
    assert_eq!(after, before);
    for free in [mine.id, theirs.id, outside.id, to_send.id] {
        assert_eq!(w.state(free).await, READY);
    }
    // one picture, one owner
    w.files()
        .make_avatar(mine.id, a, user, w.now())
        .await
        .unwrap();
    let again = w.files().make_avatar(mine.id, a, group, w.now()).await;
    assert_eq!(fault(again), NO_FILE);
}

pub async fn of_many_avatars_at_once_one_stays(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let instances = [w.storage().clone(), w.another().await];
    for owner in [AvatarOwner::User(a), AvatarOwner::Group(id)] {
        let (mut files, mut tasks) = (Vec::new(), Vec::new());
        for n in 0..8 {
            let file = w.picture(a).await.id;
            let (storage, now) = (instances[n % 2].clone(), w.now());
            files.push(file);
            tasks.push(tokio::spawn(async move {
                let files = storage.attachments();
                files.make_avatar(file, a, owner, now).await.unwrap()
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let shown = match owner {
            AvatarOwner::User(id) => w.users().get(id).await.unwrap().unwrap().avatar_url,
            AvatarOwner::Group(id) => w.conversation(id).await.avatar_url,
        };
        for file in files {
            let is_shown = shown == Some(link(file));
            let expected = if is_shown { ATTACHED } else { CONDEMNED };
            assert_eq!(w.state(file).await, expected);
        }
    }
}

pub async fn another_link_condemns_the_picture(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    for link in [None, Some("https://a.example/b.png".to_owned())] {
        let (mine, ours) = (w.picture(a).await.id, w.picture(a).await.id);
        for (file, owner) in [(mine, AvatarOwner::User(a)), (ours, AvatarOwner::Group(id))] {
            let made = w.files().make_avatar(file, a, owner, w.now());
            made.await.unwrap();
        }
        // the same link, and other fields, leave it
        let same = UserPatch {
            avatar_url: Some(w.users().get(a).await.unwrap().unwrap().avatar_url),
            bio: Some(Some("words".to_owned())),
            ..UserPatch::default()
        };
        w.users().update(a, &same, w.now()).await.unwrap();
        let same = ConversationPatch {
            avatar_url: Some(w.conversation(id).await.avatar_url),
            name: Some(format!("named {mine}")),
            ..ConversationPatch::default()
        };
        w.conversations().update(id, a, &same).await.unwrap();
        assert_eq!(
            (w.state(mine).await, w.state(ours).await),
            (ATTACHED, ATTACHED)
        );
        let other = UserPatch {
            avatar_url: Some(link.clone()),
            ..UserPatch::default()
        };
        w.users().update(a, &other, w.now()).await.unwrap();
        assert_eq!(
            (w.state(mine).await, w.state(ours).await),
            (CONDEMNED, ATTACHED)
        );
        let other = ConversationPatch {
            avatar_url: Some(link),
            ..ConversationPatch::default()
        };
        w.conversations().update(id, a, &other).await.unwrap();
        assert_eq!(
            (w.state(mine).await, w.state(ours).await),
            (CONDEMNED, CONDEMNED)
        );
    }
}

pub async fn a_purged_group_loses_its_picture(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let (ours, mine) = (w.picture(a).await.id, w.picture(a).await.id);
    for (file, owner) in [(ours, AvatarOwner::Group(id)), (mine, AvatarOwner::User(a))] {
        let made = w.files().make_avatar(file, a, owner, w.now());
        made.await.unwrap();
    }
    w.say(id, a, "words").await;
    w.conversations().delete(id, a, w.now()).await.unwrap();
    while w.conversations().purge_deleted(Limit::of(9)).await.unwrap() > 0 {}
    assert_eq!(
        (w.state(ours).await, w.state(mine).await),
        (CONDEMNED, ATTACHED)
    );
}
