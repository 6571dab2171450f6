//! A client's copy of a conversation, which follows it by its changes alone.

use std::collections::BTreeMap;

use connexus_domain::ports::{HistoryRange, Storage};
use connexus_domain::{
    Change, Conversation, ConversationId, Limit, Member, Message, Rev, Seq, UserId,
};

use super::same;
use crate::world::ALL;

/// What a client holds. Watermarks and preferences take no rev, so they are not part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    conversation: Conversation,
    members: BTreeMap<UserId, Member>,
    messages: BTreeMap<Seq, Message>,
}

impl Replica {
    /// Read anew; `None` when there is no such conversation.
    pub async fn fresh(storage: &dyn Storage, id: ConversationId) -> Option<Self> {
        let conversation = storage.conversations().find(id).await.unwrap()?;
        let members = storage
            .conversations()
            .members(id, None, ALL)
            .await
            .unwrap();
        let range = HistoryRange::After(0);
        let messages = storage.messages().history(id, range, ALL).await.unwrap();
        Some(Self {
            conversation,
            members: members
                .items
                .into_iter()
                .map(public)
                .map(|m| (m.user_id, m))
                .collect(),
            messages: messages.into_iter().map(|m| (m.seq, m)).collect(),
        })
    }

    /// Follows all changes, in pages of `limit`; answers them.
    pub async fn catch_up(
        &mut self,
        storage: &dyn Storage,
        limit: Limit,
    ) -> Result<Vec<Change>, String> {
        let id = self.conversation.id;
        let mut all: Vec<Change> = Vec::new();
        loop {
            let rev = self.conversation.rev;
            let found = storage
                .messages()
                .changes_since(id, rev, limit)
                .await
                .unwrap();
            let page = found.ok_or("a conversation without changes")?;
            for change in &page.changes {
                self.apply(change.clone());
            }
            all.extend(page.changes);
            self.conversation.rev = page.rev;
            if !page.more {
                break;
            }
            same!(page.rev > rev, true, "a page of changes leads on");
        }
        let last = self.messages.values().next_back();
        self.conversation.last_seq = last.map_or(0, |message| message.seq);
        self.conversation.last_activity_at =
            last.map_or(self.conversation.created_at, |message| message.created_at);
        self.conversation.member_count = u32::try_from(self.members.len()).unwrap();
        Ok(all)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Conversation(conversation) => self.conversation = conversation,
            Change::Member(member) => {
                self.members.insert(member.user_id, public(member));
            }
            Change::Left(member) => {
                self.members.remove(&member.user_id);
            }
            Change::Message(message) => {
                self.messages.insert(message.seq, message);
            }
        }
    }

    /// Says where the two differ.
    pub fn check(&self, fresh: &Self) -> Result<(), String> {
        same!(
            self.conversation,
            fresh.conversation,
            "a copy's conversation"
        );
        same!(self.members, fresh.members, "a copy's members");
        for (found, expected) in self.messages.values().zip(fresh.messages.values()) {
            same!(found, expected, "a copy's message {}", expected.seq);
        }
        same!(
            self.messages.len(),
            fresh.messages.len(),
            "a copy's messages"
        );
        let seqs: Vec<Seq> = fresh.messages.keys().copied().collect();
        let dense: Vec<Seq> = (1..).take(seqs.len()).collect();
        same!(seqs, dense, "seqs");
        Ok(())
    }
}

/// Each rev is of one change, or of a reply and the root of its thread.
pub fn check_revs(changes: &[Change]) -> Result<(), String> {
    for pair in changes.windows(2) {
        let ordered = pair[0].order() < pair[1].order();
        same!(ordered, true, "the order of {pair:?}");
        if pair[0].rev() == pair[1].rev() {
            let related = match pair {
                [Change::Message(root), Change::Message(reply)] => reply.thread_id == Some(root.id),
                _ => false,
            };
            same!(related, true, "the one rev of {pair:?}");
        }
    }
    let revs: Vec<Rev> = changes.iter().map(Change::rev).collect();
    let tripled = revs.windows(3).any(|three| three[0] == three[2]);
    same!(tripled, false, "three of one rev among {revs:?}");
    Ok(())
}

/// Without what is the member's own.
fn public(mut member: Member) -> Member {
    member.delivered_seq = 0;
    member.delivered_at = None;
    member.read_seq = 0;
    member.read_at = None;
    member.preferences = connexus_domain::Preferences::default();
    member
}
