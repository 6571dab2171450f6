//! Watermarks that a conversation keeps beside its counters, of who sends: whoever sent a message has read all up to
//! it. So a message writes one document less. How far a member has come is the further of these and its own.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use connexus_domain::{ConversationId, Error, Result, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{ConversationDoc, DateTime, Id as _, MemberDoc, Record as _, Uuid, date};

/// How many are kept in a conversation: as many as mostly talk. With one more, all of them go to their members.
pub(crate) const MOST: u32 = 16;

/// The newest messages of those who sent last, by the senders' ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sent(HashMap<String, Mark>);

/// The newest message of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub seq: i64,
    pub at: DateTime,
}

impl Mark {
    pub fn new(seq: Seq, at: Timestamp) -> Self {
        Self { seq, at: date(at) }
    }

    /// Moves a member's document to it, in one stage, which goes by what is stored before: as [`MemberDoc::having`] does.
    pub fn onto_member(self) -> Document {
        let mut fields = Document::new();
        for (reached, since) in [("read_seq", "read_at"), ("delivered_seq", "delivered_at")] {
            let (stored, stored_at) = (format!("${reached}"), format!("${since}"));
            let further = doc! { "$gt": [self.seq, &stored] };
            fields.insert(reached, doc! { "$max": [self.seq, stored] });
            fields.insert(since, doc! { "$cond": [further, self.at, stored_at] });
        }
        doc! { "$set": fields }
    }
}

impl From<Mark> for Bson {
    fn from(mark: Mark) -> Self {
        doc! { "seq": mark.seq, "at": mark.at }.into()
    }
}

impl Sent {
    /// Where the conversation's document has those of `user`.
    pub fn path(user: UserId) -> String {
        format!("sent.{}", key(user.bson()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, user: Uuid) -> Option<Mark> {
        self.0.get(&key(user)).copied()
    }

    /// The newest message of `user` that is known here; 0 when there is none.
    pub fn seq_of(&self, user: Uuid) -> Seq {
        self.of(user).map_or(0, |mark| mark.seq)
    }

    /// Whether those of `senders` may be kept, too.
    pub fn have_room_for<'a>(&self, senders: impl Iterator<Item = &'a UserId>) -> bool {
        let new = senders.filter(|user| self.of(user.bson()).is_none());
        self.0.len() + new.count() <= MOST as usize
    }

    /// All of them that conversation `id` has, for their members.
    pub fn marks(&self, id: ConversationId) -> Result<HashMap<UserId, Mark>> {
        let marks = self.0.iter().map(|(key, mark)| {
            let user = uuid::Uuid::parse_str(key).ok();
            let wrong = || Error::corrupt(ConversationDoc::COLLECTION, "sent", id);
            Ok((user.map(UserId::from_uuid).ok_or_else(wrong)?, *mark))
        });
        marks.collect()
    }
}

fn key(user: Uuid) -> String {
    uuid::Uuid::from_bytes(user.bytes()).simple().to_string()
}

impl MemberDoc {
    /// As far as it has come, in a conversation that keeps these.
    pub fn having(mut self, sent: &Sent) -> Self {
        let Some(Mark { seq, at }) = sent.of(self.id.u) else {
            return self;
        };
        if seq > self.read_seq {
            (self.read_seq, self.read_at) = (seq, Some(at));
        }
        if seq > self.delivered_seq {
            (self.delivered_seq, self.delivered_at) = (seq, Some(at));
        }
        self
    }
}
