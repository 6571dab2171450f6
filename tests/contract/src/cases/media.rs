//! What was sent in a conversation beside words.

use connexus_domain::ConversationId;
use connexus_domain::attachment::{Attachment, MediaKind, MediaStats, Purpose};

use crate::World;
use crate::world::{ALL, walk};

/// A group with files of all kinds, some of them not to be listed; answers those that are.
async fn gallery(w: &World) -> (ConversationId, Vec<Attachment>) {
    let [a, b] = w.people().await;
    let (id, elsewhere) = (w.group(a, &[b]).await, w.group(a, &[b]).await);
    w.put(w.with_files(elsewhere, a, &[&w.file(elsewhere, a).await]))
        .await;
    let mut listed: Vec<Attachment> = Vec::new();
    for n in 0..5 {
        let mut files = Vec::new();
        for kind in MediaKind::ALL.into_iter().skip(n % 3) {
            files.push(w.uploaded(Purpose::Message(id), a, kind).await);
        }
        let new = w.with_files(id, a, &files.iter().collect::<Vec<_>>());
        listed.extend(w.put(new).await.attachments);
        w.file(id, b).await;
    }
    let gone = w.put(w.with_files(id, b, &[&w.file(id, b).await])).await;
    w.messages().delete(gone.id, b, w.now()).await.unwrap();
    listed.reverse();
    (id, listed)
}

pub async fn media_are_those_of_live_messages(w: &World) {
    let (id, listed) = gallery(w).await;
    let page = w.files().media(id, None, None, ALL).await.unwrap();
    assert_eq!(page.items, listed);
    for kind in MediaKind::ALL {
        let of_kind: Vec<Attachment> = listed.iter().filter(|f| f.kind == kind).cloned().collect();
        let page = w.files().media(id, Some(kind), None, ALL).await.unwrap();
        assert_eq!(page.items, of_kind);
    }
}

pub async fn pages_of_media_make_the_whole(w: &World) {
    let (id, listed) = gallery(w).await;
    for limit in 1..5 {
        let page = async |before, limit| w.files().media(id, None, before, limit).await;
        assert_eq!(walk(limit, page).await, listed);
        let kind = Some(MediaKind::Audio);
        let page = async |before, limit| w.files().media(id, kind, before, limit).await;
        let audio: Vec<Attachment> = listed
            .iter()
            .filter(|file| Some(file.kind) == kind)
            .cloned()
            .collect();
        assert_eq!(walk(limit, page).await, audio);
    }
}

pub async fn stats_are_of_live_messages_by_kind(w: &World) {
    let (id, listed) = gallery(w).await;
    let count = |kind| {
        let count = listed.iter().filter(|file| file.kind == kind).count() as u64;
        MediaStats {
            kind,
            count,
            total_size: count * 1_000,
        }
    };
    let expected = MediaKind::ALL.map(count);
    assert_eq!(w.files().media_stats(id).await.unwrap(), expected);
    // kinds of which there is nothing are left out
    let [c] = [w.user("somebody").await];
    let small = w.group(c, &[]).await;
    let film = w.uploaded(Purpose::Message(small), c, MediaKind::Video);
    w.put(w.with_files(small, c, &[&film.await])).await;
    let stats = w.files().media_stats(small).await.unwrap();
    assert_eq!((stats.len(), stats[0].kind), (1, MediaKind::Video));
}
