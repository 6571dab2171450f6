//! Uploaded files of a world.

use connexus_domain::attachment::{
    Attachment, AttachmentState, ContentHash, Measured, MediaKind, NewAttachment, Purpose,
};
use connexus_domain::{AttachmentId, ConversationId, NewMessage, UserId};

use super::World;

impl World {
    /// A file to upload.
    pub fn new_file(&self, purpose: Purpose, by: UserId) -> NewAttachment {
        let id = self.no_file();
        NewAttachment {
            id,
            uploader_id: by,
            purpose,
            name: format!("{id}.bin"),
            at: self.now(),
        }
    }

    /// A stored file of this kind.
    pub async fn uploaded(&self, purpose: Purpose, by: UserId, kind: MediaKind) -> Attachment {
        let new = self.new_file(purpose, by);
        self.files().begin(&new).await.unwrap();
        let measured = measured(kind);
        let done = self.files().complete(new.id, &measured, self.now());
        done.await.unwrap()
    }

    /// A stored file to send.
    pub async fn file(&self, at: ConversationId, by: UserId) -> Attachment {
        self.uploaded(Purpose::Message(at), by, MediaKind::File)
            .await
    }

    /// A stored picture to show somebody by.
    pub async fn picture(&self, by: UserId) -> Attachment {
        self.uploaded(Purpose::Avatar, by, MediaKind::Image).await
    }

    /// A text to send with these files.
    pub fn with_files(&self, at: ConversationId, by: UserId, files: &[&Attachment]) -> NewMessage {
        NewMessage {
            attachments: files.iter().map(|file| file.id).collect(),
            ..self.text(at, by, "with files")
        }
    }

    /// Where in its life a file is; `None` when there is none.
    pub async fn state(&self, id: AttachmentId) -> Option<AttachmentState> {
        self.files().get(id).await.unwrap().map(|file| file.state)
    }
}

/// What is known of a stored file of this kind.
pub fn measured(kind: MediaKind) -> Measured {
    let seen = matches!(kind, MediaKind::Image | MediaKind::Video);
    let heard = matches!(kind, MediaKind::Audio | MediaKind::Video);
    Measured {
        kind,
        media_type: format!("{}/x-test", kind.as_str()),
        size: 1_000,
        sha256: ContentHash([7; 32]),
        width: seen.then_some(640),
        height: seen.then_some(480),
        duration_ms: heard.then_some(2_500),
        thumbnails: seen,
    }
}
