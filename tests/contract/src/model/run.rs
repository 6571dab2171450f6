//! Running a sequence.

use std::sync::Arc;

use connexus_domain::attachment::{MediaKind, Purpose};
use connexus_domain::conversation::ConversationPatch;
use connexus_domain::member::{PreferencesPatch, Role};
use connexus_domain::ports::Storage;
use connexus_domain::{
    AttachmentId, ConversationId, Limit, MessageId, NewMessage, UserId, WatermarkAdvance,
};

use super::action::Action;
use super::book::{Book, Shelf};
use super::ops::{Draft, Op, PLACES, USERS, sequence};
use super::replica::{Replica, check_revs};
use super::same;
use super::view::{View, words};
use crate::World;
use crate::world::{ALL, body, emoji, measured};

/// The users and conversations of a sequence, and what the model knows of them.
struct Stage {
    world: World,
    users: Vec<UserId>,
    places: Vec<ConversationId>,
    shelf: Shelf,
    copies: Vec<Option<Replica>>,
}

impl Stage {
    async fn new(storage: Arc<dyn Storage>, part: u32) -> Self {
        let world = World::over(storage, part);
        let mut users = Vec::new();
        for n in 0..USERS {
            users.push(world.user(&format!("part{part}.user{n}")).await);
        }
        let room = world.room(&format!("part{part}"), users[0]).await;
        let places = vec![
            world.direct(users[0], users[1]).await,
            world.group(users[0], &users[1..3]).await,
            room.conversation.id,
        ];
        let (mut shelf, mut copies) = (Shelf::default(), Vec::new());
        for id in &places {
            let conversation = world.conversation(*id).await;
            let members = world.conversations().members(*id, None, ALL).await;
            shelf
                .0
                .push(Book::new(conversation, members.unwrap().items));
            copies.push(Replica::fresh(world.storage().as_ref(), *id).await);
        }
        Self {
            world,
            users,
            places,
            shelf,
            copies,
        }
    }

    fn storage(&self) -> &dyn Storage {
        self.world.storage().as_ref()
    }

    async fn view(&self) -> View {
        let files: Vec<AttachmentId> = self.shelf.1.keys().copied().collect();
        View::of(self.storage(), &self.users, &self.places, &files).await
    }

    /// The call that a step is now; `None` when there is nothing to call it on, or when the contract
    /// leaves open which of two refusals comes first.
    fn resolve(&self, op: &Op) -> Option<Action> {
        let w = &self.world;
        Some(match op {
            Op::Upload { at, by, kind } => {
                let purpose = Purpose::Message(self.places[*at]);
                let new = w.new_file(purpose, self.users[*by]);
                Action::Upload(new, measured(MediaKind::ALL[*kind]), w.now())
            }
            Op::Discard { file } => {
                let all: Vec<&AttachmentId> = self.shelf.1.keys().collect();
                let file = usize::from(*file).checked_rem(all.len())?;
                Action::Discard(*all[file])
            }
            Op::Send(drafts) => {
                Action::Append(drafts.iter().map(|draft| self.draft(draft)).collect())
            }
            Op::Edit {
                at,
                target,
                by,
                words: n,
            } => {
                let (id, by) = self.target(*at, *target, *by)?;
                Action::Edit(id, by, body(&words(*n)), w.now())
            }
            Op::Delete { at, target, by } => {
                let (id, by) = self.target(*at, *target, *by)?;
                Action::Delete(id, by, w.now())
            }
            Op::React {
                at,
                target,
                by,
                face,
                on,
            } => {
                let (id, by) = self.target(*at, *target, *by)?;
                let face = emoji(["👍", "❤️", "😀"][usize::from(*face)]);
                if *on {
                    Action::React(id, by, face, w.now())
                } else {
                    Action::Unreact(id, by, face)
                }
            }
            Op::Advance(marks) => {
                let wish =
                    |(at, user, delivered, read): &(usize, usize, u8, u8)| WatermarkAdvance {
                        conversation_id: self.places[*at],
                        user_id: self.users[*user],
                        delivered_seq: i64::from(*delivered),
                        read_seq: i64::from(*read),
                    };
                Action::Advance(marks.iter().map(wish).collect(), w.now())
            }
            Op::Rename { at, by, name } => {
                let patch = ConversationPatch {
                    name: Some(format!("name {name}")),
                    ..ConversationPatch::default()
                };
                Action::Update(self.places[*at], self.actor(*at, *by), patch)
            }
            Op::Add { at, by, users } => {
                let users = users.iter().map(|user| self.users[*user]).collect();
                Action::Add(self.places[*at], self.actor(*at, *by), users, w.now())
            }
            Op::Remove { at, by, target } => {
                let (by, target) = self.pair(*at, *by, *target)?;
                Action::Remove(self.places[*at], by, target, w.now())
            }
            Op::Role {
                at,
                by,
                target,
                role,
            } => {
                let (by, target) = self.pair(*at, *by, *target)?;
                Action::Role(self.places[*at], by, target, Role::ALL[*role])
            }
            Op::Join { by } => Action::Join(self.places[2], self.users[*by], w.now()),
            Op::Keep { at, by, archived } => {
                let patch = PreferencesPatch {
                    archived: Some(*archived),
                    ..PreferencesPatch::default()
                };
                Action::Keep(self.places[*at], self.users[*by], patch)
            }
            Op::Look { .. } => return None,
        })
    }

    /// Only one of the two asks to change a direct conversation: whether a stranger is told that it is
    /// fixed or that he is one is left open.
    fn actor(&self, at: usize, by: usize) -> UserId {
        self.users[if at == 0 { by % 2 } else { by }]
    }

    fn pair(&self, at: usize, by: usize, target: usize) -> Option<(UserId, UserId)> {
        let (by, target) = (self.actor(at, by), self.actor(at, target));
        let book = &self.shelf.0[at];
        // an ordinary member names somebody who is not there: refused for which of the two?
        let open = book.has(by) && !book.has(target) && book.members[&by].role == Role::Member;
        (!open).then_some((by, target))
    }

    fn target(&self, at: usize, target: u8, by: usize) -> Option<(MessageId, UserId)> {
        let (book, by) = (&self.shelf.0[at], self.users[by]);
        let all = &book.messages;
        let message = all.get(usize::from(target).checked_rem(all.len())?)?;
        // a stranger and a tombstone: refused for which of the two?
        let open = !message.is_live() && !book.has(by) && !book.deleted;
        (!open).then_some((message.id, by))
    }

    fn draft(&self, draft: &Draft) -> NewMessage {
        let book = &self.shelf.0[draft.at];
        let by = self.users[draft.by];
        let live: Vec<_> = book.messages.iter().filter(|m| m.is_live()).collect();
        let pick = |n: Option<u8>| {
            let n = usize::from(n?).checked_rem(live.len())?;
            Some(live[n].id)
        };
        let text = words(draft.words);
        let at = self.places[draft.at];
        // what is wrong in two ways is refused for either: so nothing is
        if let Some(key) = draft.key.filter(|_| book.has(by)) {
            self.world.keyed(at, by, &format!("key{key}"), &text)
        } else {
            let thread_id = pick(draft.thread).filter(|_| book.has(by));
            let named = draft.file.filter(|_| book.has(by) && thread_id.is_none());
            NewMessage {
                reply_to: pick(draft.reply_to),
                thread_id,
                attachments: named.map(|n| self.files(n, at, by)).unwrap_or_default(),
                ..self.world.text(at, by, &text)
            }
        }
    }

    /// Mostly the newest that may be sent, up to three of them; sometimes any one, which may be taken,
    /// given up, somebody else's or for elsewhere.
    fn files(&self, n: u8, at: ConversationId, by: UserId) -> Vec<AttachmentId> {
        let files = &self.shelf.1;
        if n.is_multiple_of(4) {
            let any = usize::from(n / 4).checked_rem(files.len());
            return any
                .and_then(|n| files.keys().nth(n))
                .copied()
                .into_iter()
                .collect();
        }
        let fitting = files.values().rev().filter(|f| f.is_sendable(by, at));
        fitting.take(usize::from(n % 4)).map(|f| f.id).collect()
    }

    /// Each copy, brought up to date by changes alone, is what is read anew.
    async fn follow(&mut self, page: u8) -> Result<(), String> {
        let storage = self.world.storage().as_ref();
        for (copy, id) in self.copies.iter_mut().zip(&self.places) {
            let fresh = Replica::fresh(storage, *id).await;
            if let (Some(copy), Some(fresh)) = (copy.as_mut(), &fresh) {
                copy.catch_up(storage, Limit::of(page.into())).await?;
                copy.check(fresh)?;
                let all = storage.messages().changes_since(*id, 0, ALL).await.unwrap();
                check_revs(&all.ok_or("a conversation without changes")?.changes)?;
            }
            *copy = fresh;
        }
        Ok(())
    }
}

/// Runs a sequence and holds every answer, and at each look all that can be seen, against the model.
/// `part` keeps it away from other sequences on the same storage.
pub async fn check(storage: Arc<dyn Storage>, part: u32, ops: &[Op]) -> Result<(), String> {
    let mut stage = Stage::new(storage, part).await;
    let last = Op::Look { page: 3 };
    for (n, op) in ops.iter().chain([&last]).enumerate() {
        if let Op::Look { page } = op {
            let expected = View::expected(&stage.shelf, &stage.users);
            let seen = stage.view().await.check(&expected);
            seen.map_err(|wrong| format!("step {n}: {wrong}"))?;
            let followed = stage.follow(*page).await;
            followed.map_err(|wrong| format!("step {n}: {wrong}"))?;
        } else if let Some(action) = stage.resolve(op) {
            let answer = action.on(stage.storage()).await;
            same!(answer, stage.shelf.on(&action), "step {n}: {action:?}");
        }
    }
    Ok(())
}

/// Runs the sequence of a seed on two fresh storages, and holds against each other every answer and all
/// that can be seen. Ids and times are counted alike on both, so that nothing has to be left out.
///
/// # Panics
///
/// When the two differ; names the seed and the step.
pub async fn compare(a: Arc<dyn Storage>, b: Arc<dyn Storage>, seed: u64, steps: usize) {
    if let Err(wrong) = differ(a, b, &sequence(seed, steps)).await {
        panic!("seed {seed}: found on the first, expected by the second: {wrong}");
    }
}

async fn differ(a: Arc<dyn Storage>, b: Arc<dyn Storage>, ops: &[Op]) -> Result<(), String> {
    let mut stage = Stage::new(a, 1).await;
    let other = Stage::new(b, 1).await;
    let last = Op::Look { page: 3 };
    for (n, op) in ops.iter().chain([&last]).enumerate() {
        if let Op::Look { .. } = op {
            let files: Vec<AttachmentId> = stage.shelf.1.keys().copied().collect();
            let seen = View::of(other.storage(), &other.users, &other.places, &files).await;
            stage.view().await.check(&seen)?;
            for place in 0..PLACES {
                let id = stage.places[place];
                let changes = async |stage: &Stage| {
                    let all = stage.storage().messages().changes_since(id, 0, ALL).await;
                    all.unwrap()
                        .map(|page| (page.changes.len(), page.rev, page.more))
                };
                same!(
                    changes(&stage).await,
                    changes(&other).await,
                    "step {n}: changes"
                );
            }
        } else if let Some(action) = stage.resolve(op) {
            let answers = (
                action.on(stage.storage()).await,
                action.on(other.storage()).await,
            );
            same!(answers.0, answers.1, "step {n}: {action:?}");
            stage.shelf.on(&action);
        }
    }
    Ok(())
}
