//! The answer to a sync.

use std::collections::BTreeMap;

use connexus_application::sync::{SyncAnswer, SyncChange, SyncData};
use serde::{Serialize, Serializer};

use crate::shapes::{ConversationShape, MemberShape, MessageShape, UserShape};
use crate::text::Id;

/// `{changes, conversations, reset, complete}`.
#[derive(Serialize)]
pub struct SyncShape<'a> {
    changes: Vec<ChangeShape<'a>>,
    conversations: BTreeMap<String, i64>,
    reset: Vec<Id>,
    complete: bool,
}

impl<'a> SyncShape<'a> {
    /// Of an answer.
    pub fn of(answer: &'a SyncAnswer) -> Self {
        Self {
            changes: answer.changes.iter().map(ChangeShape).collect(),
            conversations: answer
                .conversations
                .iter()
                .map(|(id, rev)| (id.to_string(), *rev))
                .collect(),
            reset: answer.reset.iter().copied().map(Id::from).collect(),
            complete: answer.complete,
        }
    }
}

struct ChangeShape<'a>(&'a SyncChange);

impl Serialize for ChangeShape<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<T> {
            conversation_id: Id,
            rev: i64,
            #[serde(rename = "type")]
            kind: &'static str,
            data: T,
        }
        #[derive(Serialize)]
        struct Left {
            conversation_id: Id,
            user_id: Id,
        }
        fn shape<T: Serialize, S: Serializer>(
            change: &SyncChange,
            kind: &'static str,
            data: T,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            Shape {
                conversation_id: change.conversation_id.into(),
                rev: change.rev,
                kind,
                data,
            }
            .serialize(serializer)
        }
        let change = self.0;
        match &change.data {
            SyncData::Message(message) => {
                shape(change, "message", MessageShape(message), serializer)
            }
            SyncData::Conversation(view) => shape(
                change,
                "conversation",
                ConversationShape::of(view),
                serializer,
            ),
            SyncData::Member(member, profile) => {
                let user = profile.as_deref().map(UserShape::of);
                shape(
                    change,
                    "member",
                    MemberShape::with(member, user),
                    serializer,
                )
            }
            SyncData::Left(user) => {
                let left = Left {
                    conversation_id: change.conversation_id.into(),
                    user_id: (*user).into(),
                };
                shape(change, "left", left, serializer)
            }
        }
    }
}
