//! What searches look into: segments, their amendments, and how far the index has come.

use bson::{Bson, Document, doc};
use connexus_domain::search::{Segment, Span};
use connexus_domain::{Message, Seq, terms};
use serde::{Deserialize, Serialize};

use super::{Id as _, Uuid, conversation_id, message_id};

/// A segment; or an amendment, of the one message that was edited or deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SegmentDoc {
    #[serde(rename = "_id")]
    pub id: SegmentKey,
    pub last_seq: i64,
    pub oldest: Uuid,
    pub newest: Uuid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<String>,
}

/// Conversation, first seq, and the rev of what is amended; a segment's is 0. Compared part by part, so that
/// what belongs together is a range of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentKey {
    pub c: Uuid,
    pub s: i64,
    pub r: i64,
}

/// Up to where a conversation is indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeadDoc {
    #[serde(rename = "_id")]
    pub id: Uuid,
    pub indexed_seq: i64,
}

/// Where indexing goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateDoc {
    #[serde(rename = "_id")]
    pub id: String,
    /// Whoever indexes counts on: of two who do so at once one is late.
    pub turn: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed_until: Option<Uuid>,
}

/// What a search has to know of a segment.
#[derive(Deserialize)]
pub(crate) struct SpanPart {
    #[serde(rename = "_id")]
    pub id: SegmentKey,
    last_seq: i64,
    newest: Uuid,
}

impl StateDoc {
    /// Of the only one.
    pub const ID: &str = "index";
}

impl SegmentDoc {
    /// What an edit or a deletion leaves behind.
    pub fn amendment(changed: &Message) -> Self {
        Self {
            id: SegmentKey {
                c: changed.conversation_id.bson(),
                s: changed.seq,
                r: changed.rev,
            },
            last_seq: changed.seq,
            oldest: changed.id.bson(),
            newest: changed.id.bson(),
            terms: changed
                .body
                .as_deref()
                .map(terms::terms)
                .unwrap_or_default(),
        }
    }
}

impl From<Segment> for SegmentDoc {
    fn from(segment: Segment) -> Self {
        Self {
            id: SegmentKey {
                c: segment.conversation_id.bson(),
                s: segment.first_seq,
                r: 0,
            },
            last_seq: segment.last_seq,
            oldest: segment.oldest.bson(),
            newest: segment.newest.bson(),
            terms: segment.terms.into_iter().collect(),
        }
    }
}

impl From<SpanPart> for Span {
    fn from(part: SpanPart) -> Self {
        Self {
            conversation_id: conversation_id(part.id.c),
            first_seq: part.id.s,
            last_seq: part.last_seq,
            newest: message_id(part.newest),
        }
    }
}

impl SegmentKey {
    /// All of a conversation.
    pub fn of(conversation: Uuid) -> Document {
        doc! { "_id": { "$gt": { "c": conversation }, "$lt": { "c": conversation, "s": Bson::MaxKey } } }
    }

    /// Those of a conversation that begin at `seq` at the latest.
    pub fn up_to(conversation: Uuid, seq: Seq) -> Document {
        let last = doc! { "c": conversation, "s": seq, "r": Bson::MaxKey };
        doc! { "_id": { "$gt": { "c": conversation }, "$lt": last } }
    }

    /// The amendments of a message.
    pub fn amendments(conversation: Uuid, seq: Seq) -> Document {
        let segment = doc! { "c": conversation, "s": seq, "r": 0_i64 };
        let last = doc! { "c": conversation, "s": seq, "r": Bson::MaxKey };
        doc! { "_id": { "$gt": segment, "$lt": last } }
    }
}

impl From<SegmentKey> for Bson {
    fn from(key: SegmentKey) -> Self {
        doc! { "c": key.c, "s": key.s, "r": key.r }.into()
    }
}
