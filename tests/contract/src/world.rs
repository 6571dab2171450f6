//! A storage with a clock and a source of ids, and short ways to fill it.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use connexus_domain::conversation::{Conversation, Slug};
use connexus_domain::message::{AppendOutcome, Appended};
use connexus_domain::ports::{
    AttachmentRepository, BlockRepository, ConversationRepository, ConversationSummary,
    MessageRepository, NewDirect, NewGroup, NewRoom, NewUser, Opened, PasswordHash,
    ReceiptRepository, SessionRepository, Storage, UserRepository,
};
use connexus_domain::session::{NewSession, TokenHash};
use connexus_domain::{
    AttachmentId, ClientId, ConversationId, Denial, Email, Emoji, Entity, Error, Limit, Member,
    Message, MessageBody, MessageId, MessageKind, NewMessage, Page, Privacy, Result, Session,
    SessionId, Status, Timestamp, User, UserId, Username,
};
use uuid::Uuid;

use crate::Backend;

mod files;
mod words;

pub use files::measured;
pub use words::{EVER, search};

/// The first moment of every world: 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000;

/// A limit above the size of any list in the suite.
pub const ALL: Limit = Limit::of(10_000);

/// A backend that is being made.
type Coming = Pin<Box<dyn Future<Output = Arc<dyn Backend>> + Send>>;

fn fresh<B: Backend>() -> Coming {
    Box::pin(async { Arc::new(B::fresh().await) as Arc<dyn Backend> })
}

/// A storage with all that a case needs around it. Times and ids are counted, so a case does the same
/// whenever and wherever it runs.
pub struct World {
    backend: Option<Arc<dyn Backend>>,
    sibling: Option<fn() -> Coming>,
    storage: Arc<dyn Storage>,
    clock: AtomicI64,
    ids: AtomicU64,
}

impl World {
    /// A world of its own on a fresh storage of `B`.
    pub async fn of<B: Backend>() -> Self {
        Self::around(fresh::<B>).await
    }

    /// A world on another fresh storage of the same backend.
    pub async fn sibling(&self) -> Self {
        let fresh = self
            .sibling
            .expect("only a world of a backend has a sibling");
        Self::around(fresh).await
    }

    async fn around(fresh: fn() -> Coming) -> Self {
        let backend = fresh().await;
        let storage = backend.storage();
        Self {
            backend: Some(backend),
            sibling: Some(fresh),
            ..Self::over(storage, 0)
        }
    }

    /// A world over a storage that may be in use; `part` keeps its ids and names away from those of
    /// other worlds over the same storage.
    pub fn over(storage: Arc<dyn Storage>, part: u32) -> Self {
        Self {
            backend: None,
            sibling: None,
            storage,
            clock: AtomicI64::new(START),
            ids: AtomicU64::new(u64::from(part) << 24),
        }
    }

    /// A second instance on the same data.
    pub async fn another(&self) -> Arc<dyn Storage> {
        self.backend
            .as_ref()
            .expect("only a world of a backend has another instance")
            .another()
            .await
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Accounts.
    pub fn users(&self) -> &dyn UserRepository {
        self.storage.users()
    }

    /// Sessions.
    pub fn sessions(&self) -> &dyn SessionRepository {
        self.storage.sessions()
    }

    /// Conversations and members.
    pub fn conversations(&self) -> &dyn ConversationRepository {
        self.storage.conversations()
    }

    /// Messages.
    pub fn messages(&self) -> &dyn MessageRepository {
        self.storage.messages()
    }

    /// Watermarks.
    pub fn receipts(&self) -> &dyn ReceiptRepository {
        self.storage.receipts()
    }

    /// Blocks.
    pub fn blocks(&self) -> &dyn BlockRepository {
        self.storage.blocks()
    }

    /// Uploaded files.
    pub fn files(&self) -> &dyn AttachmentRepository {
        self.storage.attachments()
    }

    /// A moment later than all before.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A new id, higher than all before, in the form of a UUID of version 7.
    pub fn uuid(&self) -> Uuid {
        let n = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        // bits without order behind the time, so that nothing can lean on them
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&mixed);
        uuid::Builder::from_unix_timestamp_millis(START.unsigned_abs() + n, &random).into_uuid()
    }

    /// An account as it would be made, under this name.
    pub fn new_user(&self, name: &str) -> NewUser {
        let now = self.now();
        NewUser {
            user: User {
                id: UserId::from_uuid(self.uuid()),
                username: Username::parse(name).unwrap(),
                email: Email::parse(&format!("{name}@example.org")).unwrap(),
                display_name: format!("{name} shown"),
                avatar_url: None,
                bio: None,
                status: Status::Online,
                status_text: None,
                privacy: Privacy::default(),
                last_seen_at: None,
                created_at: now,
                updated_at: now,
            },
            password_hash: PasswordHash(format!("$hash${name}")),
        }
    }

    /// A stored account.
    pub async fn user(&self, name: &str) -> UserId {
        let new = self.new_user(name);
        self.users().create(&new).await.unwrap();
        new.user.id
    }

    /// Several stored accounts, in the order of their ids.
    pub async fn people<const N: usize>(&self) -> [UserId; N] {
        let mut all = Vec::with_capacity(N);
        for n in 0..N {
            all.push(self.user(&format!("user{n}")).await);
        }
        all.try_into().unwrap()
    }

    /// An id of no account.
    pub fn nobody(&self) -> UserId {
        UserId::from_uuid(self.uuid())
    }

    /// An id of no conversation.
    pub fn nowhere(&self) -> ConversationId {
        ConversationId::from_uuid(self.uuid())
    }

    /// An id of no message.
    pub fn nothing(&self) -> MessageId {
        MessageId::from_uuid(self.uuid())
    }

    /// An id of no attachment.
    pub fn no_file(&self) -> AttachmentId {
        AttachmentId::from_uuid(self.uuid())
    }

    /// An open session that ends an hour after it began.
    pub async fn session(&self, user: UserId, refresh: TokenHash) -> Session {
        let now = self.now();
        let session = Session {
            id: SessionId::from_uuid(self.uuid()),
            user_id: user,
            device: Some("a phone".to_owned()),
            created_at: now,
            last_used_at: now,
            expires_at: later(now, 3_600_000),
            revoked_at: None,
        };
        let new = NewSession {
            session: session.clone(),
            refresh,
        };
        self.sessions().open(&new).await.unwrap();
        session
    }

    /// A direct conversation to ask for.
    pub fn new_direct(&self, creator: UserId, peer: UserId) -> NewDirect {
        NewDirect {
            id: self.nowhere(),
            creator,
            peer,
            now: self.now(),
        }
    }

    /// A group to make.
    pub fn new_group(&self, creator: UserId, member_ids: &[UserId]) -> NewGroup {
        NewGroup {
            id: self.nowhere(),
            creator,
            name: "a group".to_owned(),
            description: None,
            avatar_url: None,
            member_ids: member_ids.to_vec(),
            now: self.now(),
        }
    }

    /// A room to ask for.
    pub fn new_room(&self, slug: &str, creator: UserId) -> NewRoom {
        NewRoom {
            id: self.nowhere(),
            slug: Slug::parse(slug).unwrap(),
            name: format!("room {slug}"),
            description: None,
            creator,
            now: self.now(),
        }
    }

    /// A direct conversation.
    pub async fn direct(&self, a: UserId, b: UserId) -> ConversationId {
        let new = self.new_direct(a, b);
        let opened = self.conversations().get_or_create_direct(&new).await;
        opened.unwrap().conversation.id
    }

    /// A group.
    pub async fn group(&self, owner: UserId, members: &[UserId]) -> ConversationId {
        let new = self.new_group(owner, members);
        self.conversations().create_group(&new).await.unwrap();
        new.id
    }

    /// The room of this name, which `user` made or entered.
    pub async fn room(&self, slug: &str, user: UserId) -> Opened {
        let new = self.new_room(slug, user);
        self.conversations().get_or_create_room(&new).await.unwrap()
    }

    /// A text to send.
    pub fn text(&self, at: ConversationId, by: UserId, body: &str) -> NewMessage {
        NewMessage {
            id: self.nothing(),
            conversation_id: at,
            sender_id: by,
            kind: MessageKind::Text,
            body: Some(MessageBody::parse(body).unwrap()),
            attachments: Vec::new(),
            reply_to: None,
            thread_id: None,
            client_id: None,
            at: self.now(),
        }
    }

    /// A text to send with a key.
    pub fn keyed(&self, at: ConversationId, by: UserId, key: &str, body: &str) -> NewMessage {
        NewMessage {
            client_id: Some(ClientId::parse(key).unwrap()),
            ..self.text(at, by, body)
        }
    }

    /// What comes of one message alone.
    pub async fn append(&self, new: &NewMessage) -> Result<AppendOutcome> {
        let mut answers = self
            .messages()
            .append(std::slice::from_ref(new))
            .await
            .unwrap();
        assert_eq!(answers.len(), 1, "one answer for one message");
        answers.remove(0)
    }

    /// A stored message.
    pub async fn put(&self, new: NewMessage) -> Message {
        let numbers = stored(self.append(&new).await);
        new.into_message(numbers)
    }

    /// A stored text.
    pub async fn say(&self, at: ConversationId, by: UserId, body: &str) -> Message {
        self.put(self.text(at, by, body)).await
    }

    /// A stored text in a thread.
    pub async fn reply(&self, root: &Message, by: UserId, body: &str) -> Message {
        self.put(NewMessage {
            thread_id: Some(root.id),
            ..self.text(root.conversation_id, by, body)
        })
        .await
    }

    /// The message as it is now.
    pub async fn message(&self, id: MessageId) -> Message {
        self.messages().get(id).await.unwrap().expect("a message")
    }

    /// The conversation as it is now.
    pub async fn conversation(&self, id: ConversationId) -> Conversation {
        let found = self.conversations().find(id).await.unwrap();
        found.expect("a conversation")
    }

    /// A membership, present or past.
    pub async fn member(&self, id: ConversationId, user: UserId) -> Member {
        let found = self.conversations().find_with_member(id, user).await;
        found
            .unwrap()
            .and_then(|(_, member)| member)
            .expect("a member")
    }

    /// A conversation in a member's list.
    pub async fn summary(&self, id: ConversationId, user: UserId) -> ConversationSummary {
        let found = self.conversations().summary(id, user).await.unwrap();
        found.expect("a conversation of the user")
    }

    /// How much a member has not read.
    pub async fn unread(&self, id: ConversationId, user: UserId) -> u32 {
        self.summary(id, user).await.unread.count
    }

    /// All messages, oldest first.
    pub async fn transcript(&self, id: ConversationId) -> Vec<Message> {
        let all = connexus_domain::ports::HistoryRange::After(0);
        self.messages().history(id, all, ALL).await.unwrap()
    }
}

/// This many milliseconds later.
pub const fn later(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis() + millis)
}

/// Words for a message.
pub fn body(text: &str) -> MessageBody {
    MessageBody::parse(text).unwrap()
}

/// An emoji.
pub fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

/// A token's hash that is told from others by one byte.
pub const fn token(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

/// The numbers of a message that must have been stored.
#[track_caller]
pub fn stored(answer: Result<AppendOutcome>) -> Appended {
    match answer {
        Ok(AppendOutcome::Appended(numbers)) => numbers,
        other => panic!("expected a stored message, got {other:?}"),
    }
}

/// The original of a message that must have been a repetition.
#[track_caller]
pub fn duplicate(answer: Result<AppendOutcome>) -> Message {
    match answer {
        Ok(AppendOutcome::Duplicate(original)) => *original,
        other => panic!("expected a duplicate, got {other:?}"),
    }
}

/// An error without what only a log wants, so that errors can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// As [`Error::NotFound`].
    NotFound(Entity),
    /// As [`Error::Conflict`].
    Conflict(&'static str),
    /// As [`Error::Forbidden`].
    Forbidden(Denial),
    /// As [`Error::Invalid`]: the fields.
    Invalid(Vec<String>),
    /// As [`Error::IdempotencyMismatch`].
    Mismatch,
    /// One that no port promises.
    Unexpected(String),
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        match error {
            Error::NotFound(entity) => Self::NotFound(*entity),
            Error::Conflict { field } => Self::Conflict(field),
            Error::Forbidden(denial) => Self::Forbidden(*denial),
            Error::Invalid(fields) => {
                Self::Invalid(fields.iter().map(|field| field.field.clone()).collect())
            }
            Error::IdempotencyMismatch => Self::Mismatch,
            other => Self::Unexpected(format!("{other:?}")),
        }
    }
}

/// The error of what must have failed.
#[track_caller]
pub fn fault<T: Debug>(result: Result<T>) -> Fault {
    match result {
        Ok(value) => panic!("expected an error, got {value:?}"),
        Err(error) => Fault::from(&error),
    }
}

/// As somebody who is not in the conversation is answered.
pub const NOT_MEMBER: Fault = Fault::Forbidden(Denial::NotMember);
/// As somebody with too low a role is answered.
pub const ROLE_TOO_LOW: Fault = Fault::Forbidden(Denial::RoleTooLow);

/// A whole list, read in pages of `limit`; checks that only the last page is short and has no cursor.
pub async fn walk<T, C: Copy>(
    limit: u32,
    mut page: impl AsyncFnMut(Option<C>, Limit) -> Result<Page<T, C>>,
) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let got = page(after, Limit::of(limit)).await.unwrap();
        let (count, limit) = (got.items.len(), limit as usize);
        assert!(count <= limit, "a page of {count}, {limit} were asked for");
        assert!(count > 0 || all.is_empty(), "a page after the last one");
        all.extend(got.items);
        match got.next {
            Some(_) => assert_eq!(count, limit, "a short page that is not the last"),
            None => return all,
        }
        after = got.next;
    }
}
