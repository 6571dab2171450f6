//! All that can be seen of a storage through its ports, and the same of the model.

use connexus_domain::attachment::{Attachment, AttachmentState, MediaKind, MediaStats};
use connexus_domain::ports::{HistoryRange, MessageSearch, Storage};
use connexus_domain::{
    AttachmentId, Conversation, ConversationId, Head, Member, Message, MessageId, Receipt, UserId,
    terms,
};

use super::book::{Book, Files, Shelf};
use super::ops::USERS;
use super::same;
use crate::world::ALL;

/// The words of the messages of a sequence.
pub fn words(n: u8) -> String {
    format!("Text{n} of a sequence")
}

/// One conversation.
#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    conversation: Option<Conversation>,
    /// Of each user: present or past.
    members: Vec<Option<Member>>,
    /// Of each user who is there.
    unread: Vec<Option<usize>>,
    messages: Vec<Message>,
    receipts: Vec<Receipt>,
    media: Vec<Attachment>,
    stats: Vec<MediaStats>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    places: Vec<Place>,
    /// Of each user.
    heads: Vec<Vec<Head>>,
    /// Of each user: what is found by each of the words.
    found: Vec<Vec<MessageId>>,
    /// By id.
    files: Vec<Attachment>,
}

impl View {
    /// What a storage shows.
    pub async fn of(
        storage: &dyn Storage,
        users: &[UserId],
        places: &[ConversationId],
        files: &[AttachmentId],
    ) -> Self {
        let mut view = Self {
            places: Vec::new(),
            heads: Vec::new(),
            found: Vec::new(),
            files: storage.attachments().get_many(files).await.unwrap(),
        };
        view.files.sort_by_key(|file| file.id);
        for id in places {
            view.places.push(place(storage, users, *id).await);
        }
        for user in users {
            view.heads
                .push(storage.conversations().heads(*user).await.unwrap());
            for n in 0..4 {
                let search = MessageSearch {
                    viewer: *user,
                    query: terms::query(&words(n)).unwrap(),
                    conversation_id: None,
                    sender_id: None,
                    before: None,
                    limit: ALL,
                };
                let page = storage.messages().search(&search).await.unwrap();
                view.found.push(page.items.iter().map(|m| m.id).collect());
            }
        }
        view
    }

    /// What the model says is to be seen.
    pub fn expected(shelf: &Shelf, users: &[UserId]) -> Self {
        let mut view = Self {
            places: shelf
                .0
                .iter()
                .map(|book| expected_place(book, users, &shelf.1))
                .collect(),
            heads: Vec::new(),
            found: Vec::new(),
            files: shelf.1.values().cloned().collect(),
        };
        for user in users {
            let mut mine: Vec<&Book> = shelf.0.iter().filter(|book| book.has(*user)).collect();
            mine.sort_by_key(|book| std::cmp::Reverse(book.conversation.last_activity_at));
            view.heads
                .push(mine.iter().map(|book| head(&book.conversation)).collect());
            for n in 0..4 {
                let text = words(n);
                let mut found: Vec<MessageId> = mine
                    .iter()
                    .flat_map(|book| &book.messages)
                    .filter(|message| message.body.as_ref() == Some(&text))
                    .map(|message| message.id)
                    .collect();
                found.sort_unstable_by(|a, b| b.cmp(a));
                view.found.push(found);
            }
        }
        view
    }

    /// Says where the two differ.
    pub fn check(&self, expected: &Self) -> Result<(), String> {
        for (n, (found, expected)) in self.places.iter().zip(&expected.places).enumerate() {
            same!(
                found.conversation,
                expected.conversation,
                "conversation {n}"
            );
            same!(found.members, expected.members, "members of {n}");
            same!(
                found.messages.len(),
                expected.messages.len(),
                "messages of {n}"
            );
            for (found, expected) in found.messages.iter().zip(&expected.messages) {
                same!(found, expected, "message {} of {n}", expected.seq);
            }
            same!(found.unread, expected.unread, "unread in {n}");
            same!(found.receipts, expected.receipts, "receipts of {n}");
            same!(found.media, expected.media, "media of {n}");
            same!(found.stats, expected.stats, "statistics of {n}");
        }
        same!(self.files, expected.files, "files");
        same!(self.heads, expected.heads, "heads");
        for (n, (found, expected)) in self.found.iter().zip(&expected.found).enumerate() {
            same!(
                found,
                expected,
                "what user {} finds by word {}",
                n / USERS,
                n % USERS
            );
        }
        Ok(())
    }
}

fn head(conversation: &Conversation) -> Head {
    Head {
        conversation_id: conversation.id,
        last_seq: conversation.last_seq,
        rev: conversation.rev,
    }
}

async fn place(storage: &dyn Storage, users: &[UserId], id: ConversationId) -> Place {
    let mut place = Place {
        conversation: storage.conversations().find(id).await.unwrap(),
        ..Place::default()
    };
    for user in users {
        let found = storage.conversations().find_with_member(id, *user).await;
        place
            .members
            .push(found.unwrap().and_then(|(_, member)| member));
        let summary = storage.conversations().summary(id, *user).await.unwrap();
        place
            .unread
            .push(summary.map(|summary| summary.unread.count as usize));
    }
    if place.conversation.is_some() {
        let range = HistoryRange::After(0);
        place.messages = storage.messages().history(id, range, ALL).await.unwrap();
    }
    place.receipts = storage.receipts().list(id, None, ALL).await.unwrap().items;
    let media = storage.attachments().media(id, None, None, ALL).await;
    place.media = media.unwrap().items;
    place.stats = storage.attachments().media_stats(id).await.unwrap();
    place
}

fn expected_stats(media: &[Attachment]) -> Vec<MediaStats> {
    let of_kind = |kind| {
        let sizes = media.iter().filter(|f| f.kind == kind).map(|f| f.size);
        MediaStats {
            kind,
            count: sizes.clone().count() as u64,
            total_size: sizes.sum(),
        }
    };
    let all = MediaKind::ALL.into_iter().map(of_kind);
    all.filter(|stats| stats.count > 0).collect()
}

fn expected_place(book: &Book, users: &[UserId], files: &Files) -> Place {
    if book.deleted {
        return Place {
            members: vec![None; users.len()],
            unread: vec![None; users.len()],
            ..Place::default()
        };
    }
    let member = |user| book.members.get(user).cloned();
    let unread = |user| {
        member(user)
            .filter(Member::is_present)
            .map(|m| book.unread(&m))
    };
    let here = |file: &&Attachment| {
        file.state == AttachmentState::Attached
            && file.purpose.conversation_id() == Some(book.conversation.id)
    };
    let media: Vec<Attachment> = files.values().rev().filter(here).cloned().collect();
    Place {
        conversation: Some(book.conversation.clone()),
        members: users.iter().map(member).collect(),
        unread: users.iter().map(unread).collect(),
        messages: book.messages.clone(),
        receipts: book.present().map(Member::receipt).collect(),
        stats: expected_stats(&media),
        media,
    }
}
