//! Files: uploads, downloads, media of a conversation, avatars, and cleaning up.
//!
//! Bytes never pass through here whole: an upload goes chunk by chunk into the intake, a download comes as a
//! stream from the store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connexus_domain::attachment::{
    self, Attachment, AttachmentState, AvatarOwner, MediaKind, MediaStats, NewAttachment, Purpose,
    clean_name,
};
use connexus_domain::ports::{
    BlobKey, BlobRead, Depicted, IntakeError, IntakeRules, Presign, Refusal, Upload, Variant,
};
use connexus_domain::{
    AttachmentId, Conversation, ConversationId, Entity, Error, Event, Limit, Page, Result,
    Timestamp, UserId,
};
use tokio_util::sync::CancellationToken;

use crate::Actor;
use crate::context::Context;

/// The lease of the process that cleans up.
const LEASE: &str = "files";
/// How long that lease is good if its holder is killed; else it is given back when all is clean.
const LEASE_TTL: Duration = Duration::from_mins(10);
/// How often there is cleaning.
const EVERY: Duration = Duration::from_mins(5);
/// Files that are cleaned up at once.
const BATCH: u32 = 100;

/// A file on its way in. Dropping it gives it up.
pub struct Incoming {
    context: Arc<Context>,
    id: AttachmentId,
    /// Absent once the file is complete or was given up.
    upload: Option<Box<dyn Upload>>,
    done: bool,
}

/// A file on its way in of which it is not known yet what it is for: forms may name the place after the file.
/// Nothing is recorded of it until that is known, and nothing of it is kept if it never is.
pub struct Unplaced {
    context: Arc<Context>,
    uploader_id: UserId,
    name: String,
    upload: Box<dyn Upload>,
}

/// Files.
pub struct Files {
    context: Arc<Context>,
}

impl Files {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Begins an upload: to be sent with a message of one of the asker's conversations, or as a picture of
    /// a user or group, which must be an image.
    pub async fn begin(
        &self,
        actor: &Actor,
        purpose: Purpose,
        name: &str,
    ) -> Result<Incoming, IntakeError> {
        let context = &self.context;
        if let Some(id) = purpose.conversation_id() {
            context.rosters.of_member(id, actor.user_id).await?;
        }
        let only = (purpose == Purpose::Avatar).then_some(MediaKind::Image);
        let unplaced = self.receive(actor, name, only).await?;
        unplaced.record(purpose).await
    }

    /// Begins an upload whose place is [named later](Unplaced::place); of one kind alone when asked.
    pub async fn receive(
        &self,
        actor: &Actor,
        name: &str,
        only: Option<MediaKind>,
    ) -> Result<Unplaced, IntakeError> {
        let rules = IntakeRules {
            max_size: self.context.settings.files.max_size,
            only,
        };
        Ok(Unplaced {
            context: Arc::clone(&self.context),
            uploader_id: actor.user_id,
            name: clean_name(name),
            upload: self.context.intake.begin(rules).await?,
        })
    }

    /// A file that the asker may read. To everybody else it does not exist.
    pub async fn get(&self, actor: &Actor, id: AttachmentId) -> Result<Attachment> {
        let found = self.context.storage.attachments().get(id).await?;
        let attachment = found.ok_or(Error::NotFound(Entity::Attachment))?;
        match (attachment.state, attachment.purpose) {
            (AttachmentState::Attached, Purpose::Avatar) => Ok(attachment),
            (AttachmentState::Attached, Purpose::Message(conversation)) => {
                let rosters = &self.context.rosters;
                match rosters.of_member(conversation, actor.user_id).await {
                    Ok(_) => Ok(attachment),
                    Err(Error::Forbidden(_) | Error::NotFound(_)) => {
                        Err(Error::NotFound(Entity::Attachment))
                    }
                    Err(other) => Err(other),
                }
            }
            // what was not sent yet is its uploader's alone
            (AttachmentState::Ready, _) if attachment.uploader_id == actor.user_id => {
                Ok(attachment)
            }
            _ => Err(Error::NotFound(Entity::Attachment)),
        }
    }

    /// A file that somebody with a signed address may read.
    pub async fn get_signed(&self, id: AttachmentId) -> Result<Attachment> {
        let found = self.context.storage.attachments().get(id).await?;
        found
            .filter(|attachment| {
                matches!(
                    attachment.state,
                    AttachmentState::Attached | AttachmentState::Ready
                )
            })
            .ok_or(Error::NotFound(Entity::Attachment))
    }

    /// The bytes of a file, or a part of them.
    pub async fn read(
        &self,
        id: AttachmentId,
        variant: Variant,
        range: Option<Range<u64>>,
    ) -> Result<BlobRead> {
        let key = BlobKey::new(id, variant);
        let found = self.context.blobs.read(key, range).await?;
        found.ok_or(Error::NotFound(Entity::Attachment))
    }

    /// How many bytes a file or its thumbnail has.
    pub async fn size(&self, id: AttachmentId, variant: Variant) -> Result<u64> {
        let found = self.context.blobs.size(BlobKey::new(id, variant)).await?;
        found.ok_or(Error::NotFound(Entity::Attachment))
    }

    /// An address of the store itself, where downloads are to go there.
    pub async fn presign(
        &self,
        id: AttachmentId,
        variant: Variant,
        how: &Presign<'_>,
    ) -> Result<Option<String>> {
        if !self.context.settings.files.redirect {
            return Ok(None);
        }
        let key = BlobKey::new(id, variant);
        self.context.blobs.presign(key, how).await
    }

    /// The path and query of an address that anyone who has it may read a file from, for a while: pictures
    /// on pages are fetched without a token.
    pub fn link(&self, id: AttachmentId, variant: Variant) -> Result<String> {
        let now = self.context.now();
        let expires = self.expiry(now);
        let path = match variant {
            Variant::Original => format!("{}?", attachment::link(id)),
            Variant::ThumbSmall => format!("{}/thumbnail?size=small&", attachment::link(id)),
            Variant::ThumbLarge => format!("{}/thumbnail?size=large&", attachment::link(id)),
        };
        let text = signed_text(id, variant, expires);
        let signature = self.context.tokens.sign(&text)?;
        Ok(format!("{path}expires={expires}&signature={signature}"))
    }

    /// Whether a signed address is good now.
    pub fn check_link(
        &self,
        id: AttachmentId,
        variant: Variant,
        expires: i64,
        signature: &str,
    ) -> bool {
        let now = self.context.now().as_millis() / 1_000;
        expires > now
            && self
                .context
                .tokens
                .is_signed(&signed_text(id, variant, expires), signature)
    }

    /// In seconds since 1970. Addresses of one file stay the same for a while, so that they can be cached.
    fn expiry(&self, now: Timestamp) -> i64 {
        let ttl = i64::try_from(self.context.settings.files.link_ttl.as_secs()).unwrap_or(3_600);
        let step = (ttl / 2).max(1);
        let now = now.as_millis() / 1_000;
        (now / step) * step + ttl + step
    }

    /// Media of one of the asker's conversations, the newest first.
    pub async fn media(
        &self,
        actor: &Actor,
        id: ConversationId,
        kind: Option<MediaKind>,
        before: Option<AttachmentId>,
        limit: Limit,
    ) -> Result<Page<Attachment, AttachmentId>> {
        self.context.member_access(id, actor.user_id).await?;
        let attachments = self.context.storage.attachments();
        attachments.media(id, kind, before, limit).await
    }

    /// How much there is of it.
    pub async fn media_stats(&self, actor: &Actor, id: ConversationId) -> Result<Vec<MediaStats>> {
        self.context.member_access(id, actor.user_id).await?;
        self.context.storage.attachments().media_stats(id).await
    }

    /// Makes an uploaded image the picture of the asker, or of a group or room.
    pub async fn make_avatar(
        &self,
        actor: &Actor,
        id: AttachmentId,
        owner: AvatarOwner,
    ) -> Result<Depicted> {
        let context = Arc::clone(&self.context);
        let by = actor.user_id;
        match owner {
            AvatarOwner::User(_) => {
                let attachments = context.storage.attachments();
                let depicted = attachments
                    .make_avatar(id, by, owner, context.now())
                    .await?;
                context.scenes.forget_user(by).await;
                Ok(depicted)
            }
            AvatarOwner::Group(conversation) => {
                let lanes = &self.context.lanes;
                lanes
                    .in_order(conversation, async move {
                        let attachments = context.storage.attachments();
                        let depicted = attachments
                            .make_avatar(id, by, owner, context.now())
                            .await?;
                        if let Depicted::Group(group) = &depicted {
                            context.scenes.forget_conversation(conversation).await;
                            let event = Event::ConversationUpdated(Conversation::clone(group));
                            context.tell_members(event, None).await;
                        }
                        Ok(depicted)
                    })
                    .await
            }
        }
    }

    /// Gives up a file of the asker's that was not sent.
    pub async fn discard(&self, actor: &Actor, id: AttachmentId) -> Result<()> {
        let attachment = self.get(actor, id).await?;
        let own = attachment.uploader_id == actor.user_id;
        if own && self.context.storage.attachments().condemn(id).await? {
            return Ok(());
        }
        Err(Error::NotFound(Entity::Attachment))
    }
}

fn signed_text(id: AttachmentId, variant: Variant, expires: i64) -> String {
    format!("attachment {id} {} {expires}", variant.as_str())
}

impl Unplaced {
    /// Takes the next bytes.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), IntakeError> {
        self.upload.write(chunk).await
    }

    /// What it is called, [cleaned](clean_name).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says what it is for, by the rules of [`Files::begin`].
    pub async fn place(self, purpose: Purpose) -> Result<Incoming, IntakeError> {
        if let Some(id) = purpose.conversation_id() {
            let rosters = &self.context.rosters;
            rosters.of_member(id, self.uploader_id).await?;
        }
        self.record(purpose).await
    }

    /// Writes down that it is coming, before the store gets its first byte.
    async fn record(self, purpose: Purpose) -> Result<Incoming, IntakeError> {
        let new = NewAttachment {
            id: AttachmentId::from_uuid(self.context.ids.next()),
            uploader_id: self.uploader_id,
            purpose,
            name: self.name,
            at: self.context.now(),
        };
        self.context.storage.attachments().begin(&new).await?;
        Ok(Incoming {
            context: self.context,
            id: new.id,
            upload: Some(self.upload),
            done: false,
        })
    }
}

impl Incoming {
    /// Takes the next bytes.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), IntakeError> {
        match &mut self.upload {
            Some(upload) => upload.write(chunk).await,
            None => Err(IntakeError::Refused(Refusal::Damaged)),
        }
    }

    /// All bytes have come: checks, measures and stores them.
    pub async fn finish(mut self) -> Result<Attachment, IntakeError> {
        let Some(upload) = self.upload.take() else {
            return Err(IntakeError::Refused(Refusal::Damaged));
        };
        let received = upload.finish().await;
        if let Err(IntakeError::Refused(Refusal::Malware { signature })) = &received {
            tracing::warn!(signature, "an upload was refused by the malware scanner");
        }
        let received = received?;
        for part in &received.contents {
            let key = BlobKey::new(self.id, part.variant);
            let content = part.content.as_ref();
            self.context
                .blobs
                .put(key, content, part.media_type)
                .await?;
        }
        let attachments = self.context.storage.attachments();
        let now = self.context.now();
        let measured = received.measured();
        match attachments.complete(self.id, &measured, now).await {
            Ok(attachment) => {
                self.done = true;
                Ok(attachment)
            }
            // it took so long that it was cleaned up meanwhile, and nobody would find these bytes
            Err(error @ Error::NotFound(_)) => {
                self.done = true;
                self.context.blobs.delete(self.id).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Incoming {
    /// A broken upload is cleaned up now rather than in a day. If this is not done either, for the process
    /// is killed, it is found by its age.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (context, id) = (Arc::clone(&self.context), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = context.storage.attachments().condemn(id).await {
                    tracing::debug!(%error, attachment_id = %id, "a broken upload is left to be found later");
                }
            });
        }
    }
}

/// Cleans up, in one process at a time.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let holder = context.ids.next().to_string();
    loop {
        if let Err(error) = clean(&context, &holder, &stop).await {
            tracing::warn!(%error, "files could not be cleaned up yet");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn clean(context: &Context, holder: &str, stop: &CancellationToken) -> Result<()> {
    let leases = context.storage.leases();
    let now = context.now();
    if !leases.acquire(LEASE, holder, LEASE_TTL, now).await? {
        return Ok(());
    }
    let cleaned = clean_alone(context, holder, stop).await;
    // given back, so that whoever comes next need not wait for its end
    leases
        .acquire(LEASE, holder, Duration::ZERO, context.now())
        .await?;
    cleaned
}

async fn clean_alone(context: &Context, holder: &str, stop: &CancellationToken) -> Result<()> {
    let leases = context.storage.leases();
    let attachments = context.storage.attachments();
    let limit = Limit::of(BATCH);
    let before = context.now().minus(context.settings.files.orphan_after);
    while !stop.is_cancelled() && attachments.condemn_stale(before, limit).await? > 0 {}
    let mut cleaned = 0;
    while !stop.is_cancelled() {
        let condemned = attachments.condemned(limit).await?;
        if condemned.is_empty() {
            break;
        }
        // bytes first: a record without bytes is found again, bytes without a record never
        for id in &condemned {
            context.blobs.delete(*id).await?;
        }
        cleaned += attachments.remove(&condemned).await?;
        leases
            .acquire(LEASE, holder, LEASE_TTL, context.now())
            .await?;
    }
    let swept = context.blobs.sweep(before).await?;
    if cleaned + swept > 0 {
        tracing::info!(files = cleaned, leftovers = swept, "files were cleaned up");
    }
    Ok(())
}
