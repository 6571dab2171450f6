//! What changed since: lets a client that was away catch up exactly.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use connexus_domain::ports::Snapshot;
use connexus_domain::{Change, ConversationId, Error, Head, Limit, Member, Result, Rev, UserId};

use crate::Actor;
use crate::context::Context;
use crate::conversations::ConversationView;
use crate::users::Profile;

/// How many conversations a client may name.
const KNOWN_MAX: usize = 10_000;

/// An answer ends with the conversation in which it has this many bytes of words, more or less.
const ANSWER_BYTES: usize = 512 * 1024;
/// Changes that are read at once.
const PAGE: usize = 100;

/// One change, as told to one client.
#[derive(Debug, Clone)]
pub struct SyncChange {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which change.
    pub rev: Rev,
    /// What it is now.
    pub data: SyncData,
}

/// What changed.
#[derive(Debug, Clone)]
pub enum SyncData {
    /// The conversation's own fields, as the asker sees it.
    Conversation(Box<ConversationView>),
    /// Somebody who is in it.
    Member(Box<Member>, Option<Box<Profile>>),
    /// Somebody who is no longer in it; when it is the asker, or the conversation is gone, so is the
    /// conversation for the asker.
    Left(UserId),
    /// A message or its tombstone.
    Message(Box<connexus_domain::Message>),
}

/// What one client has missed.
#[derive(Debug, Clone, Default)]
pub struct SyncAnswer {
    /// What changed; of each conversation in the order of revs.
    pub changes: Vec<SyncChange>,
    /// What to send next time.
    pub conversations: HashMap<ConversationId, Rev>,
    /// Conversations to drop: they are in `changes` anew.
    pub reset: Vec<ConversationId>,
    /// Whether that was all; if not, ask again with `conversations`.
    pub complete: bool,
}

/// What changed since.
pub struct Sync {
    context: Arc<Context>,
}

impl Sync {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Everything that changed in the asker's conversations after the revs that the client names. One
    /// that it does not name comes as a snapshot of its newest messages.
    pub async fn sync(
        &self,
        actor: &Actor,
        known: &HashMap<ConversationId, Rev>,
        limit: Option<u32>,
    ) -> Result<SyncAnswer> {
        let settings = &self.context.settings.sync;
        if limit == Some(0) {
            return Err(Error::invalid("limit", "must be at least 1"));
        }
        if known.len() > KNOWN_MAX {
            return Err(Error::invalid(
                "conversations",
                format!("must be at most {KNOWN_MAX}"),
            ));
        }
        let limit = limit
            .unwrap_or(settings.max_changes)
            .min(settings.max_changes) as usize;
        let heads = self
            .context
            .storage
            .conversations()
            .heads(actor.user_id)
            .await?;
        let mut answer = SyncAnswer {
            complete: true,
            ..SyncAnswer::default()
        };
        // what is not asked about any further keeps the rev that the client has
        answer
            .conversations
            .extend(known.iter().map(|(id, rev)| (*id, *rev)));
        Self::left(actor, known, &heads, &mut answer);
        for head in heads {
            let behind = match known.get(&head.conversation_id) {
                Some(rev) if *rev == head.rev => continue,
                Some(rev) => Some(*rev),
                None => None,
            };
            if is_full(&answer, limit) {
                answer.complete = false;
                break;
            }
            let told = answer.changes.len();
            let caught_up = match behind {
                Some(rev) if rev >= 0 && rev < head.rev && head.rev - rev <= settings.max_lag => {
                    let id = head.conversation_id;
                    self.changes(actor, id, rev, limit, &mut answer).await
                }
                Some(_) => {
                    answer.reset.push(head.conversation_id);
                    self.snapshot(actor, head, &mut answer).await
                }
                None => self.snapshot(actor, head, &mut answer).await,
            };
            match caught_up {
                // the asker left, or it was deleted, in this very moment
                Err(Error::Forbidden(_) | Error::NotFound(_)) => {
                    answer.changes.truncate(told);
                    answer.reset.retain(|id| *id != head.conversation_id);
                    answer.conversations.remove(&head.conversation_id);
                    let left = SyncData::Left(actor.user_id);
                    answer.changes.push(SyncChange {
                        conversation_id: head.conversation_id,
                        rev: head.rev,
                        data: left,
                    });
                }
                other => other?,
            }
        }
        self.note_delivered(actor, &answer);
        Ok(answer)
    }

    /// Conversations that the client knows and the asker is not in (any more).
    fn left(
        actor: &Actor,
        known: &HashMap<ConversationId, Rev>,
        heads: &[Head],
        answer: &mut SyncAnswer,
    ) {
        let present: HashSet<_> = heads.iter().map(|head| head.conversation_id).collect();
        for (id, rev) in known.iter().filter(|(id, _)| !present.contains(*id)) {
            answer.conversations.remove(id);
            answer.changes.push(SyncChange {
                conversation_id: *id,
                rev: *rev,
                data: SyncData::Left(actor.user_id),
            });
        }
    }

    /// What is told here has been delivered.
    fn note_delivered(&self, actor: &Actor, answer: &SyncAnswer) {
        for change in &answer.changes {
            if let SyncData::Message(message) = &change.data
                && message.sender_id != actor.user_id
            {
                self.context
                    .pending_receipts
                    .delivered(message, &[actor.user_id]);
            }
        }
    }

    /// What changed in one conversation, until the answer is full.
    async fn changes(
        &self,
        actor: &Actor,
        id: ConversationId,
        mut since: Rev,
        limit: usize,
        answer: &mut SyncAnswer,
    ) -> Result<()> {
        loop {
            let room = limit.saturating_sub(answer.changes.len()).clamp(2, PAGE);
            let room = Limit::of(u32::try_from(room).unwrap_or(u32::MAX));
            let messages = self.context.storage.messages();
            let Some(page) = messages.changes_since(id, since, room).await? else {
                return Ok(());
            };
            let (rev, more) = (page.rev, page.more);
            self.tell(actor, id, page.changes, answer).await?;
            answer.conversations.insert(id, rev);
            if !more {
                return Ok(());
            }
            if is_full(answer, limit) {
                answer.complete = false;
                return Ok(());
            }
            since = rev;
        }
    }

    async fn tell(
        &self,
        actor: &Actor,
        id: ConversationId,
        changes: Vec<Change>,
        answer: &mut SyncAnswer,
    ) -> Result<()> {
        let people: Vec<UserId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Member(member) => Some(member.user_id),
                _ => None,
            })
            .collect();
        let context = &self.context;
        let profiles = context.contact_profiles(actor.user_id, &people).await?;
        for change in changes {
            let rev = change.rev();
            let data = match change {
                Change::Message(message) => SyncData::Message(Box::new(message)),
                Change::Left(member) => SyncData::Left(member.user_id),
                Change::Member(member) => {
                    let profile = profiles.get(&member.user_id).cloned().map(Box::new);
                    SyncData::Member(Box::new(member), profile)
                }
                Change::Conversation(_) => {
                    let view = context.conversation_view(id, actor.user_id).await?;
                    SyncData::Conversation(Box::new(view))
                }
            };
            answer.changes.push(SyncChange {
                conversation_id: id,
                rev,
                data,
            });
        }
        Ok(())
    }

    async fn snapshot(&self, actor: &Actor, head: Head, answer: &mut SyncAnswer) -> Result<()> {
        let id = head.conversation_id;
        let newest = Limit::of(self.context.settings.sync.snapshot_messages);
        let Some(Snapshot {
            conversation,
            messages,
        }) = self.context.storage.messages().snapshot(id, newest).await?
        else {
            return Ok(());
        };
        let view = Box::new(self.context.conversation_view(id, actor.user_id).await?);
        let first = SyncChange {
            conversation_id: id,
            rev: conversation.changed_rev,
            data: SyncData::Conversation(view),
        };
        let mut changes = vec![first];
        changes.extend(messages.into_iter().map(|message| SyncChange {
            conversation_id: id,
            rev: message.rev,
            data: SyncData::Message(Box::new(message)),
        }));
        // stable: a conversation comes before a message of the same rev
        changes.sort_by_key(|change| change.rev);
        answer.changes.extend(changes);
        answer.conversations.insert(id, conversation.rev);
        Ok(())
    }
}

/// Whether an answer has enough in it. Another one brings the rest.
fn is_full(answer: &SyncAnswer, limit: usize) -> bool {
    let words = |change: &SyncChange| match &change.data {
        SyncData::Message(message) => message.body.as_ref().map_or(0, String::len),
        _ => 0,
    };
    answer.changes.len() >= limit || answer.changes.iter().map(words).sum::<usize>() >= ANSWER_BYTES
}
