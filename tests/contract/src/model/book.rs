//! The model: what every call must answer, and what must be there after it.

use std::collections::BTreeMap;

use connexus_domain::attachment::{Attachment, AttachmentState};
use connexus_domain::conversation::{Conversation, ConversationKind};
use connexus_domain::member::{Member, MemberAccess, Role, succession};
use connexus_domain::message::{Appended, Changed, Fingerprint, Reaction};
use connexus_domain::ports::{Opened, Removal, RoleChange};
use connexus_domain::{
    AttachmentId, Denial, Emoji, Entity, Error, Message, MessageId, NewMessage, Receipt, Result,
    Rev, Timestamp, UserId, WatermarkAdvance,
};

use super::action::{Action, Answer, Sent};
use crate::world::Fault;

/// A conversation with all that is in it.
#[derive(Debug, Clone)]
pub struct Book {
    pub conversation: Conversation,
    /// Present and past.
    pub members: BTreeMap<UserId, Member>,
    /// By seq.
    pub messages: Vec<Message>,
    pub deleted: bool,
    keys: Vec<(UserId, String, Fingerprint, MessageId)>,
}

impl Book {
    pub fn new(conversation: Conversation, members: Vec<Member>) -> Self {
        Self {
            conversation,
            members: members.into_iter().map(|m| (m.user_id, m)).collect(),
            messages: Vec::new(),
            deleted: false,
            keys: Vec::new(),
        }
    }

    /// The members who are there now.
    pub fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.is_present())
    }

    /// Whether the user is there now, in a conversation that is there.
    pub fn has(&self, user: UserId) -> bool {
        !self.deleted && self.members.get(&user).is_some_and(Member::is_present)
    }

    /// How much the member has not read.
    pub fn unread(&self, member: &Member) -> usize {
        let unread =
            |m: &&Message| m.is_live() && m.sender_id != member.user_id && m.seq > member.read_seq;
        self.messages.iter().filter(unread).count()
    }

    fn next_rev(&mut self) -> Rev {
        self.conversation.rev += 1;
        self.conversation.rev
    }

    fn access(&self, user: UserId) -> Result<MemberAccess> {
        let stranger = Error::Forbidden(Denial::NotMember);
        self.members.get(&user).ok_or(stranger)?.access()
    }

    fn index(&self, id: MessageId) -> Result<usize> {
        let found = self.messages.iter().position(|message| message.id == id);
        found.ok_or(Error::NotFound(Entity::Message))
    }

    fn target(&self, user: UserId) -> Result<&Member> {
        let found = self.members.get(&user).filter(|member| member.is_present());
        found.ok_or(Error::NotFound(Entity::Member))
    }

    fn check(&self) -> Result<()> {
        if self.deleted {
            return Err(Error::NotFound(Entity::Conversation));
        }
        Ok(())
    }

    fn append(&mut self, new: &NewMessage, files: &mut Files) -> Result<Sent> {
        self.check()?;
        self.access(new.sender_id)?;
        if let Some(key) = &new.client_id {
            let known = |(by, known, ..): &&(UserId, String, Fingerprint, MessageId)| {
                *by == new.sender_id && known == key.as_str()
            };
            match self.keys.iter().find(known) {
                Some((_, _, print, id)) if *print == new.fingerprint() => {
                    return Ok(Sent::Duplicate(*id));
                }
                Some(_) => return Err(Error::IdempotencyMismatch),
                None => {}
            }
        }
        if let Some(id) = new.reply_to {
            self.index(id).or(Err(Error::invalid("reply_to", "")))?;
        }
        let root = match new.thread_id {
            Some(id) => {
                let wrong = || Error::invalid("thread_id", "");
                let index = self.index(id).or(Err(wrong()))?;
                if self.messages[index].thread_id.is_some() {
                    return Err(wrong());
                }
                Some(index)
            }
            None => None,
        };
        let numbers = Appended {
            attachments: claim(new, files)?,
            seq: self.conversation.last_seq + 1,
            rev: self.next_rev(),
            created_at: new.at.max(self.conversation.last_activity_at),
        };
        self.conversation.last_seq = numbers.seq;
        self.conversation.last_activity_at = numbers.created_at;
        if let Some(index) = root {
            self.messages[index].reply_count += 1;
            self.messages[index].rev = numbers.rev;
        }
        if let Some(sender) = self.members.get_mut(&new.sender_id) {
            sender.read_seq = numbers.seq;
            sender.delivered_seq = numbers.seq;
            sender.read_at = Some(numbers.created_at);
            sender.delivered_at = Some(numbers.created_at);
        }
        if let Some(key) = &new.client_id {
            let key = key.as_str().to_owned();
            self.keys
                .push((new.sender_id, key, new.fingerprint(), new.id));
        }
        self.messages
            .push(new.clone().into_message(numbers.clone()));
        Ok(Sent::Stored(numbers))
    }

    fn edit(&mut self, id: MessageId, by: UserId, body: &str, now: Timestamp) -> Result<Changed> {
        let index = self.index(id)?;
        self.messages[index].check_edit(&self.access(by)?)?;
        let changed = self.messages[index].body.as_deref() != Some(body);
        if changed {
            let rev = self.next_rev();
            let message = &mut self.messages[index];
            message.body = Some(body.to_owned());
            message.edited_at = Some(now);
            message.rev = rev;
        }
        Ok(self.changed(index, changed))
    }

    fn delete(&mut self, id: MessageId, by: UserId, now: Timestamp) -> Result<Changed> {
        let index = self.index(id)?;
        self.messages[index].check_delete(&self.access(by)?)?;
        let changed = self.messages[index].is_live();
        if changed {
            let rev = self.next_rev();
            self.messages[index] = self.messages[index].clone().into_tombstone(rev, now);
            if let Some(root) = self.messages[index].thread_id {
                let root = self.index(root)?;
                self.messages[root].reply_count -= 1;
                self.messages[root].rev = rev;
            }
        }
        Ok(self.changed(index, changed))
    }

    fn react(&mut self, id: MessageId, by: UserId, emoji: &Emoji, on: bool) -> Result<Changed> {
        let index = self.index(id)?;
        self.access(by)?;
        self.messages[index].check_live()?;
        let reactions = &mut self.messages[index].reactions;
        let place = reactions.iter().position(|r| r.emoji == *emoji);
        let there = place.is_some_and(|place| reactions[place].user_ids.contains(&by));
        match (place, on) {
            _ if there == on => return Ok(self.changed(index, false)),
            (Some(place), true) => reactions[place].user_ids.push(by),
            (None, _) => reactions.push(Reaction {
                emoji: emoji.clone(),
                count: 0,
                user_ids: vec![by],
            }),
            (Some(place), false) => reactions[place].user_ids.retain(|user| *user != by),
        }
        reactions.retain(|reaction| !reaction.user_ids.is_empty());
        for reaction in reactions {
            reaction.count = u32::try_from(reaction.user_ids.len()).unwrap();
        }
        self.messages[index].rev = self.next_rev();
        Ok(self.changed(index, true))
    }

    fn changed(&self, index: usize, changed: bool) -> Changed {
        Changed {
            message: self.messages[index].clone(),
            changed,
        }
    }

    /// The receipt, when it moved.
    fn advance(&mut self, wish: &WatermarkAdvance, now: Timestamp) -> Option<Receipt> {
        let last = self.conversation.last_seq;
        let member = self.members.get_mut(&wish.user_id)?;
        if self.deleted || !member.is_present() {
            return None;
        }
        let before = member.receipt();
        member.read_seq = wish.read_seq.min(last).max(before.read_seq);
        member.delivered_seq = wish.delivered_seq.min(last).max(before.delivered_seq);
        member.delivered_seq = member.delivered_seq.max(member.read_seq);
        if member.read_seq > before.read_seq {
            member.read_at = Some(now);
        }
        if member.delivered_seq > before.delivered_seq {
            member.delivered_at = Some(now);
        }
        Some(member.receipt()).filter(|after| *after != before)
    }

    fn come(&mut self, user: UserId, role: Role, now: Timestamp) -> Member {
        let rev = self.next_rev();
        self.conversation.member_count += 1;
        let member = Member::joining(&self.conversation, user, role, rev, now);
        self.members.insert(user, member.clone());
        member
    }

    fn join(&mut self, user: UserId, now: Timestamp) -> Result<Opened> {
        self.check()?;
        let joined = !self.has(user);
        if joined {
            let ownerless = !self.present().any(|m| m.role == Role::Owner);
            let role = if ownerless { Role::Owner } else { Role::Member };
            self.come(user, role, now);
        }
        Ok(Opened {
            conversation: self.conversation.clone(),
            me: self.members[&user].clone(),
            created: false,
            joined,
        })
    }

    fn add(&mut self, by: UserId, users: &[UserId], now: Timestamp) -> Result<Vec<Member>> {
        self.check()?;
        self.conversation.check_changeable()?;
        self.access(by)?.require_admin()?;
        let mut came = Vec::new();
        for user in users {
            if !self.has(*user) {
                came.push(self.come(*user, Role::Member, now));
            }
        }
        Ok(came)
    }

    fn remove(&mut self, by: UserId, target: UserId, now: Timestamp) -> Result<Removal> {
        self.check()?;
        self.conversation.check_changeable()?;
        let access = self.access(by)?;
        access.check_remove(self.target(target)?)?;
        let rev = self.next_rev();
        self.conversation.member_count -= 1;
        let left = self.members.get_mut(&target).expect("a target");
        left.left_at = Some(now);
        left.rev = rev;
        let left = left.clone();
        let ownerless = !self.present().any(|m| m.role == Role::Owner);
        let heir = self.present().min_by(|a, b| succession(a, b));
        let promoted = match heir.map(|heir| heir.user_id).filter(|_| ownerless) {
            Some(heir) => {
                let rev = self.next_rev();
                let heir = self.members.get_mut(&heir).expect("an heir");
                heir.role = Role::Owner;
                heir.rev = rev;
                Some(heir.clone())
            }
            None => None,
        };
        self.deleted = self.conversation.kind == ConversationKind::Group
            && self.conversation.member_count == 0;
        Ok(Removal {
            left,
            promoted,
            deleted: self.deleted,
        })
    }

    fn set_role(&mut self, by: UserId, target: UserId, role: Role) -> Result<RoleChange> {
        self.check()?;
        self.conversation.check_changeable()?;
        let access = self.access(by)?;
        access.check_set_role(self.target(target)?, role)?;
        let other_owner = |m: &Member| m.role == Role::Owner && m.user_id != target;
        if role != Role::Owner && !self.present().any(other_owner) {
            return Err(Error::Forbidden(Denial::LastOwner));
        }
        let changed = self.members[&target].role != role;
        if changed {
            let rev = self.next_rev();
            let member = self.members.get_mut(&target).expect("a target");
            member.role = role;
            member.rev = rev;
        }
        Ok(RoleChange {
            member: self.members[&target].clone(),
            changed,
        })
    }

    fn update(&mut self, by: UserId, action: &Action) -> Result<Conversation> {
        self.check()?;
        self.conversation.check_changeable()?;
        self.access(by)?.require_admin()?;
        if let Action::Update(_, _, patch) = action {
            let (before, rev) = (self.conversation.clone(), self.conversation.rev);
            let same = patch.apply(before.clone(), rev).name == before.name;
            if !same {
                self.conversation = patch.apply(before, rev + 1);
            }
        }
        Ok(self.conversation.clone())
    }
}

/// All uploaded files.
pub type Files = BTreeMap<AttachmentId, Attachment>;

/// The files that a message names, if all of them are free; and from now on none is.
fn claim(new: &NewMessage, files: &mut Files) -> Result<Vec<Attachment>> {
    let mut claimed: Vec<Attachment> = Vec::new();
    for id in &new.attachments {
        let file = files
            .get(id)
            .filter(|file| file.is_sendable(new.sender_id, new.conversation_id))
            .filter(|file| claimed.iter().all(|other| other.id != file.id))
            .ok_or(Error::invalid("attachment_ids", ""))?;
        claimed.push(file.clone().attached_to(new.id));
    }
    files.extend(claimed.iter().map(|file| (file.id, file.clone())));
    Ok(claimed)
}

/// All conversations, and all files.
#[derive(Debug, Clone, Default)]
pub struct Shelf(pub Vec<Book>, pub Files);

impl Shelf {
    fn book(&mut self, id: connexus_domain::ConversationId) -> &mut Book {
        let found = self.0.iter_mut().find(|book| book.conversation.id == id);
        found.expect("a conversation of the sequence")
    }

    fn of(&mut self, id: MessageId) -> Result<&mut Book> {
        let holds = |book: &&mut Book| !book.deleted && book.index(id).is_ok();
        let found = self.0.iter_mut().find(holds);
        found.ok_or(Error::NotFound(Entity::Message))
    }

    /// Does it here, and says what a storage must answer.
    pub fn on(&mut self, action: &Action) -> Answer {
        let answer = self.ask(action);
        answer.unwrap_or_else(|error| Answer::Refused(Fault::from(&error)))
    }

    fn ask(&mut self, action: &Action) -> Result<Answer> {
        let changed = |changed| Answer::Changed(Box::new(changed));
        Ok(match action {
            Action::Upload(new, measured, _) => {
                let ready = new.clone().into_attachment().completed(measured)?;
                self.1.insert(new.id, ready.clone());
                Answer::Uploaded(Box::new(ready))
            }
            Action::Discard(id) => Answer::Discarded(self.1.get_mut(id).is_some_and(|file| {
                if file.state != AttachmentState::Attached {
                    file.state = AttachmentState::Condemned;
                }
                file.state == AttachmentState::Condemned
            })),
            Action::Append(batch) => {
                let mut sent = Vec::new();
                for new in batch {
                    let mut files = std::mem::take(&mut self.1);
                    let answer = self.book(new.conversation_id).append(new, &mut files);
                    self.1 = files;
                    sent.push(answer.unwrap_or_else(|error| Sent::Refused(Fault::from(&error))));
                }
                Answer::Sent(sent)
            }
            Action::Edit(id, by, body, now) => {
                changed(self.of(*id)?.edit(*id, *by, body.as_str(), *now)?)
            }
            Action::Delete(id, by, now) => {
                let deleted = self.of(*id)?.delete(*id, *by, *now)?;
                for file in self.1.values_mut().filter(|f| f.message_id == Some(*id)) {
                    file.state = AttachmentState::Condemned;
                }
                changed(deleted)
            }
            Action::React(id, by, emoji, _) => changed(self.of(*id)?.react(*id, *by, emoji, true)?),
            Action::Unreact(id, by, emoji) => changed(self.of(*id)?.react(*id, *by, emoji, false)?),
            Action::Advance(batch, now) => Answer::Receipts(self.advance(batch, *now)),
            Action::Update(id, by, _) => Answer::Conversation(self.book(*id).update(*by, action)?),
            Action::Add(id, by, users, now) => {
                Answer::Members(self.book(*id).add(*by, users, *now)?)
            }
            Action::Remove(id, by, target, now) => {
                Answer::Removal(Box::new(self.book(*id).remove(*by, *target, *now)?))
            }
            Action::Role(id, by, target, role) => {
                Answer::Role(self.book(*id).set_role(*by, *target, *role)?)
            }
            Action::Join(id, user, now) => {
                Answer::Opened(Box::new(self.book(*id).join(*user, *now)?))
            }
            Action::Keep(id, user, patch) => {
                let book = self.book(*id);
                if !book.has(*user) {
                    return Ok(Answer::Kept(None));
                }
                let member = book.members.get_mut(user).expect("a member");
                member.preferences = patch.apply(member.preferences);
                Answer::Kept(Some(member.clone()))
            }
        })
    }

    fn advance(&mut self, batch: &[WatermarkAdvance], now: Timestamp) -> Vec<Receipt> {
        let mut moved = BTreeMap::new();
        for wish in batch {
            if let Some(receipt) = self.book(wish.conversation_id).advance(wish, now) {
                moved.insert((wish.conversation_id, wish.user_id), receipt);
            }
        }
        moved.into_values().collect()
    }
}
