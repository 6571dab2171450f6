//! Uploaded files: their life from the first byte to the last reference, and what is read of them.

use connexus_domain::attachment::{
    Attachment, AttachmentState, ContentHash, Measured, MediaKind, NewAttachment, Purpose,
};
use connexus_domain::message::AppendOutcome;
use connexus_domain::ports::HistoryRange;
use connexus_domain::{AttachmentId, Change, ConversationId, Entity, Limit, Message, NewMessage};

use super::append::invalid;
use crate::World;
use crate::world::{
    ALL, Fault, NOT_MEMBER, body, duplicate, emoji, fault, later, measured, search, stored,
};

pub(super) const NO_FILE: Fault = Fault::NotFound(Entity::Attachment);

fn refused() -> Fault {
    invalid("attachment_ids")
}

fn ids(files: &[Attachment]) -> Vec<AttachmentId> {
    files.iter().map(|file| file.id).collect()
}

async fn media(w: &World, id: ConversationId, kind: Option<MediaKind>) -> Vec<AttachmentId> {
    let page = w.files().media(id, kind, None, ALL).await.unwrap();
    assert_eq!(page.next, None);
    ids(&page.items)
}

async fn condemned(w: &World) -> Vec<AttachmentId> {
    w.files().condemned(ALL).await.unwrap()
}

pub async fn an_upload_is_pending_and_then_ready(w: &World) {
    let [a] = w.people().await;
    let here = Purpose::Message(w.group(a, &[]).await);
    let whole = |kind| Measured {
        media_type: "application/vnd.x+y; charset=\"ü\"".to_owned(),
        size: 5_000_000_000,
        sha256: ContentHash(std::array::from_fn(|n| u8::try_from(n * 8).unwrap())),
        width: Some(u32::MAX),
        height: Some(0),
        duration_ms: Some(86_400_000_000),
        ..measured(kind)
    };
    let mut all = MediaKind::ALL.map(|kind| (here, whole(kind))).to_vec();
    all.extend(MediaKind::ALL.map(|kind| (Purpose::Avatar, measured(kind))));
    let other = w.another().await;
    for (purpose, measured) in all {
        let new = NewAttachment {
            name: "'; DROP TABLE \"x\" -- \\ $1 ? 長👩🏽‍💻.tar.gz".to_owned(),
            ..w.new_file(purpose, a)
        };
        w.files().begin(&new).await.unwrap();
        let pending = new.clone().into_attachment();
        let found = other.attachments().get(new.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&pending));
        let ready = pending.completed(&measured).unwrap();
        let answer = w.files().complete(new.id, &measured, w.now()).await;
        assert_eq!(answer.unwrap(), ready);
        let found = other.attachments().get(new.id).await.unwrap();
        assert_eq!(found, Some(ready));
    }
}

pub async fn what_is_not_there_is_none(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    assert_eq!(w.files().get(w.no_file()).await.unwrap(), None);
    assert!(w.files().get_many(&[]).await.unwrap().is_empty());
    let (one, two) = (w.file(id, a).await, w.picture(a).await);
    let asked = [two.id, w.no_file(), one.id, two.id];
    let mut found = w.files().get_many(&asked).await.unwrap();
    found.sort_by_key(|file| file.id);
    assert_eq!(found, [one, two]);
    assert!(media(w, w.nowhere(), None).await.is_empty());
    assert!(w.files().media_stats(id).await.unwrap().is_empty());
    assert!(condemned(w).await.is_empty());
    assert_eq!(w.files().remove(&[]).await.unwrap(), 0);
    assert_eq!(w.files().remove(&[w.no_file()]).await.unwrap(), 0);
    assert!(!w.files().condemn(w.no_file()).await.unwrap());
}

pub async fn only_a_pending_one_is_completed(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let complete = async |id| {
        let result = w
            .files()
            .complete(id, &measured(MediaKind::Video), w.now())
            .await;
        fault(result)
    };
    assert_eq!(complete(w.no_file()).await, NO_FILE);
    let ready = w.file(id, a).await;
    assert_eq!(complete(ready.id).await, NO_FILE);
    assert_eq!(w.files().get(ready.id).await.unwrap(), Some(ready.clone()));
    w.put(w.with_files(id, a, &[&ready])).await;
    assert_eq!(complete(ready.id).await, NO_FILE);
    let given_up = w.new_file(Purpose::Message(id), a);
    w.files().begin(&given_up).await.unwrap();
    assert!(w.files().condemn(given_up.id).await.unwrap());
    assert_eq!(complete(given_up.id).await, NO_FILE);
    assert_eq!(w.state(given_up.id).await, Some(AttachmentState::Condemned));
}

pub async fn a_message_shows_its_attachments_wherever_it_is_read(w: &World) {
    let [a, b] = w.people().await;
    let id = w.group(a, &[b]).await;
    let root = w.say(id, a, "root").await;
    let at = Purpose::Message(id);
    let mut files = Vec::new();
    for kind in MediaKind::ALL {
        files.push(w.uploaded(at, a, kind).await);
    }
    // in the order of the message, which is not that of the ids
    let order = [2, 0, 3, 1];
    let new = NewMessage {
        thread_id: Some(root.id),
        ..w.with_files(id, a, &order.map(|n| &files[n]))
    };
    let numbers = stored(w.append(&new).await);
    let expected: Vec<Attachment> = order.map(|n| files[n].clone().attached_to(new.id)).to_vec();
    assert_eq!(numbers.attachments, expected);
    let message = new.into_message(numbers);
    assert_eq!(message.attachments, expected);

    assert_eq!(w.message(message.id).await, message);
    for range in [
        HistoryRange::Latest,
        HistoryRange::Before(9),
        HistoryRange::After(1),
    ] {
        let found = w.messages().history(id, range, ALL).await.unwrap();
        assert!(found.contains(&message), "{range:?}");
    }
    let changes = w.messages().changes_since(id, 0, ALL).await.unwrap();
    let told = Change::Message(message.clone());
    assert!(changes.unwrap().changes.contains(&told));
    let snapshot = w.messages().snapshot(id, ALL).await.unwrap().unwrap();
    assert_eq!(snapshot.messages.last(), Some(&message));
    let thread = w.messages().thread(root.id, 0, ALL).await.unwrap();
    assert_eq!(thread, std::slice::from_ref(&message));
    let found = w.messages().search(&search(b, "files")).await.unwrap();
    assert_eq!(found.items, std::slice::from_ref(&message));
    assert_eq!(w.summary(id, b).await.last_message, Some(message.clone()));
    let list = w.conversations().list(b, None, None, ALL).await.unwrap();
    assert_eq!(list.items[0].last_message, Some(message.clone()));

    // and by those who change it
    let thumb = emoji("👍");
    let changed = w.messages().add_reaction(message.id, b, &thumb, w.now());
    assert_eq!(changed.await.unwrap().message.attachments, expected);
    let words = body("edited");
    let changed = w.messages().edit(message.id, a, &words, w.now());
    assert_eq!(changed.await.unwrap().message.attachments, expected);
    let mut own = w.files().get_many(&ids(&expected)).await.unwrap();
    own.sort_by_key(|file| file.id);
    let mut by_id = expected;
    by_id.sort_by_key(|file| file.id);
    assert_eq!(own, by_id);
}

pub async fn one_that_is_not_free_is_refused(w: &World) {
    let [a, b] = w.people().await;
    let (id, other) = (w.group(a, &[b]).await, w.group(a, &[b]).await);
    let pending = w.new_file(Purpose::Message(id), a);
    w.files().begin(&pending).await.unwrap();
    let (sent, gone) = (w.file(id, a).await, w.file(id, a).await);
    w.put(w.with_files(id, a, &[&sent])).await;
    w.files().condemn(gone.id).await.unwrap();
    let free = w.file(id, a).await;
    let before = w.conversation(id).await;
    let wrong = [
        w.no_file(),
        pending.id,
        sent.id,
        gone.id,
        w.file(id, b).await.id,
        w.file(other, a).await.id,
        w.picture(a).await.id,
        free.id,
    ];
    for wrong in wrong {
        let before = w.files().get(wrong).await.unwrap();
        let new = NewMessage {
            attachments: vec![free.id, wrong],
            ..w.text(id, a, "words")
        };
        assert_eq!(fault(w.append(&new).await), refused(), "{before:?}");
        assert_eq!(w.files().get(wrong).await.unwrap(), before);
    }
    assert_eq!(w.conversation(id).await, before);
    // one that is good stays so, whatever it was sent with
    let message = w.put(w.with_files(id, a, &[&free])).await;
    assert_eq!(message.seq, before.last_seq + 1);
}

pub async fn of_many_messages_that_claim_one_it_goes_to_one(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let file = w.file(id, a).await;
    let others = [w.file(id, a).await, w.file(id, a).await];
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let storage = instances[n % 2].clone();
            // in two orders, so that two do not wait for each other
            let named = match n % 3 {
                0 => [&file, &others[0]],
                1 => [&others[0], &file],
                _ => [&file, &others[1]],
            };
            let new = w.with_files(id, a, &named);
            tokio::spawn(async move { storage.messages().append(&[new]).await.unwrap().remove(0) })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => count += 1,
            Err(error) => assert_eq!(Fault::from(&error), refused()),
        }
    }
    assert_eq!(count, 1);
    let transcript = w.transcript(id).await;
    assert_eq!(transcript.len(), 1);
    let found = w.files().get(file.id).await.unwrap().unwrap();
    assert_eq!(found.message_id, Some(transcript[0].id));
    assert!(transcript[0].attachments.contains(&found));
}

pub async fn a_message_that_is_not_stored_claims_nothing(w: &World) {
    let [a, stranger] = w.people().await;
    let id = w.group(a, &[]).await;
    let first = w.file(id, a).await;
    let keyed = NewMessage {
        attachments: vec![first.id],
        ..w.keyed(id, a, "key", "words")
    };
    let message = w.put(keyed.clone()).await;
    let (again, other) = (
        NewMessage {
            id: w.nothing(),
            ..keyed.clone()
        },
        NewMessage {
            id: w.nothing(),
            attachments: vec![w.file(id, a).await.id],
            ..keyed
        },
    );
    assert_eq!(duplicate(w.append(&again).await), message);
    assert_eq!(fault(w.append(&other).await), Fault::Mismatch);
    let theirs = w.file(id, stranger).await;
    let from_outside = w.with_files(id, stranger, &[&theirs]);
    let mine = w.file(id, a).await;
    let no_root = NewMessage {
        thread_id: Some(w.nothing()),
        ..w.with_files(id, a, &[&mine])
    };
    let good = w.with_files(id, a, &[&mine]);
    let batch = [from_outside, no_root, good];
    let mut answers = w.messages().append(&batch).await.unwrap();
    stored(answers.pop().unwrap());
    assert_eq!(fault(answers.pop().unwrap()), invalid("thread_id"));
    assert_eq!(fault(answers.pop().unwrap()), NOT_MEMBER);
    for free in [other.attachments[0], theirs.id] {
        assert_eq!(w.state(free).await, Some(AttachmentState::Ready));
    }
    assert_eq!(w.message(message.id).await, message);
}

pub async fn deleting_a_message_condemns_its_attachments(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let files = [w.file(id, a).await, w.file(id, a).await];
    let kept = w.put(w.with_files(id, a, &[&w.file(id, a).await])).await;
    let message = w.put(w.with_files(id, a, &[&files[1], &files[0]])).await;
    for _ in 0..2 {
        let deleted = w.messages().delete(message.id, a, w.now()).await.unwrap();
        assert!(deleted.message.attachments.is_empty());
        assert!(w.message(message.id).await.attachments.is_empty());
        assert_eq!(condemned(w).await, ids(&files));
    }
    for file in files {
        let expected = Attachment {
            state: AttachmentState::Condemned,
            ..file.attached_to(message.id)
        };
        let found = w.files().get(expected.id).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    assert_eq!(w.message(kept.id).await, kept);
    assert_eq!(media(w, id, None).await, ids(&kept.attachments));
}

pub async fn purging_condemns_what_the_messages_had(w: &World) {
    let [a] = w.people().await;
    let (id, kept) = (w.group(a, &[]).await, w.group(a, &[]).await);
    let other = w
        .put(w.with_files(kept, a, &[&w.file(kept, a).await]))
        .await;
    let mut files = Vec::new();
    for _ in 0..3 {
        let pair = [w.file(id, a).await, w.file(id, a).await];
        w.put(w.with_files(id, a, &[&pair[0], &pair[1]])).await;
        files.extend(pair);
        w.say(id, a, "words").await;
    }
    w.conversations().delete(id, a, w.now()).await.unwrap();
    assert!(media(w, id, None).await.is_empty(), "nobody sees it");
    assert!(w.files().media_stats(id).await.unwrap().is_empty());
    while w.conversations().purge_deleted(Limit::of(2)).await.unwrap() > 0 {}
    assert_eq!(condemned(w).await, ids(&files));
    assert_eq!(w.message(other.id).await, other);
}

pub async fn only_what_is_used_by_nothing_is_condemned(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let pending = w.new_file(Purpose::Message(id), a);
    w.files().begin(&pending).await.unwrap();
    let (ready, sent) = (w.file(id, a).await, w.file(id, a).await);
    let message = w.put(w.with_files(id, a, &[&sent])).await;
    for _ in 0..2 {
        assert!(w.files().condemn(pending.id).await.unwrap());
        assert!(w.files().condemn(ready.id).await.unwrap());
        assert!(!w.files().condemn(sent.id).await.unwrap());
    }
    assert_eq!(condemned(w).await, [pending.id, ready.id]);
    assert_eq!(w.message(message.id).await, message);
}

pub async fn what_was_left_for_long_is_condemned(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let begin = async |at| {
        let new = NewAttachment {
            at,
            ..w.new_file(Purpose::Message(id), a)
        };
        w.files().begin(&new).await.unwrap();
        new.id
    };
    let noon = later(w.now(), 1_000_000);
    let at = |millis| later(noon, millis);
    let complete = async |id, at| {
        let measured = measured(MediaKind::File);
        w.files().complete(id, &measured, at).await.unwrap()
    };
    // one that took long counts from its end
    let long = begin(at(-100)).await;
    complete(long, at(5)).await;
    let broken = begin(at(-9)).await;
    let at_noon = begin(at(0)).await;
    let forgotten = begin(at(-8)).await;
    complete(forgotten, at(-1)).await;
    let sent = begin(at(-7)).await;
    let sent = complete(sent, at(-6)).await;
    w.put(w.with_files(id, a, &[&sent])).await;
    let stale = async |limit| {
        let limit = Limit::of(limit);
        w.files().condemn_stale(noon, limit).await.unwrap()
    };
    assert_eq!(stale(1).await, 1);
    assert_eq!(stale(9).await, 1);
    assert_eq!(stale(9).await, 0);
    assert_eq!(condemned(w).await, [broken, forgotten]);
    for (file, state) in [
        (long, AttachmentState::Ready),
        (at_noon, AttachmentState::Pending),
        (sent.id, AttachmentState::Attached),
    ] {
        assert_eq!(w.state(file).await, Some(state));
    }
}

pub async fn sending_and_condemning_do_not_cross(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let (here, there) = (w.storage().clone(), w.another().await);
    for _ in 0..8 {
        let file = w.file(id, a).await;
        let new = w.with_files(id, a, &[&file]);
        let (storage, message) = (here.clone(), new.id);
        let send = async move { storage.messages().append(&[new]).await.unwrap().remove(0) };
        let (storage, end) = (there.clone(), later(w.now(), 1));
        let clean = async move {
            let files = storage.attachments();
            files.condemn_stale(end, Limit::of(9)).await.unwrap()
        };
        let (send, clean) = (tokio::spawn(send), tokio::spawn(clean));
        let (sent, cleaned) = (send.await.unwrap(), clean.await.unwrap());
        let found = w.files().get(file.id).await.unwrap().unwrap();
        if let Ok(AppendOutcome::Appended(numbers)) = &sent {
            assert_eq!(cleaned, 0);
            assert_eq!(found.message_id, Some(message));
            assert_eq!(numbers.attachments, [found]);
        } else {
            assert_eq!(fault(sent), refused());
            assert_eq!(found.state, AttachmentState::Condemned);
        }
    }
}

pub async fn the_condemned_come_again_until_they_are_removed(w: &World) {
    let [a] = w.people().await;
    let id = w.group(a, &[]).await;
    let mut files = Vec::new();
    for _ in 0..5 {
        files.push(w.file(id, a).await.id);
    }
    let ready = w.file(id, a).await.id;
    for file in files.iter().rev() {
        w.files().condemn(*file).await.unwrap();
    }
    let some = async |limit| w.files().condemned(Limit::of(limit)).await.unwrap();
    assert_eq!(some(2).await, files[..2]);
    assert_eq!(some(9).await, files);
    let asked = [files[0], ready, files[2], w.no_file()];
    assert_eq!(w.files().remove(&asked).await.unwrap(), 2);
    assert_eq!(some(9).await, [files[1], files[3], files[4]]);
    assert_eq!(w.files().get(files[0]).await.unwrap(), None);
    assert_eq!(w.state(ready).await, Some(AttachmentState::Ready));
    assert_eq!(w.files().remove(&files).await.unwrap(), 3);
    assert!(some(9).await.is_empty());
}

pub async fn many_in_one_batch_are_told_apart(w: &World) {
    let [a, b] = w.people().await;
    let places = [w.group(a, &[b]).await, w.direct(a, b).await];
    let mut batch = Vec::new();
    for n in 0..24 {
        let (at, by) = (places[n % 2], [a, b][n / 2 % 2]);
        let mut files = Vec::new();
        for _ in 0..n % 4 {
            files.push(w.file(at, by).await);
        }
        batch.push(w.with_files(at, by, &files.iter().collect::<Vec<_>>()));
    }
    let answers = w.messages().append(&batch).await.unwrap();
    let messages: Vec<Message> = batch
        .iter()
        .zip(answers)
        .map(|(new, answer)| new.clone().into_message(stored(answer)))
        .collect();
    for (new, message) in batch.iter().zip(&messages) {
        assert_eq!(ids(&message.attachments), new.attachments);
        assert!(
            message
                .attachments
                .iter()
                .all(|f| f.message_id == Some(new.id))
        );
    }
    for at in places {
        let here: Vec<Message> = messages
            .iter()
            .filter(|message| message.conversation_id == at)
            .cloned()
            .collect();
        assert_eq!(w.transcript(at).await, here);
    }
}
