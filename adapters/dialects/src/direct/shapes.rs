//! What this dialect's clients see: users, messages, chats.

use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_domain::{
    Conversation, ConversationKind, Message, Presence, Receipt, Timestamp, User, UserId,
};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::{Value, json};

use crate::links::Links;
use crate::people::People;
use crate::refused::Plain;
use crate::times::maybe;

/// Whoever writes or is written to.
pub fn person(people: &dyn People, id: UserId, links: &Links) -> Value {
    match people.person(id) {
        Some(user) => json!({
            "_id": Id::from(user.id),
            "username": user.username.as_str(),
            "profilePicture": picture(user, links),
        }),
        None => json!({"_id": Id::from(id)}),
    }
}

/// A user's picture; empty when there is none, as these clients expect a text.
fn picture(user: &User, links: &Links) -> String {
    links.picture_of(user).unwrap_or_default()
}

/// An account.
pub fn profile(profile: &Profile, links: &Links) -> Value {
    user(&profile.user, profile.presence, profile.last_seen_at, links)
}

/// An account that appears so.
pub fn user(user: &User, presence: Presence, last_seen: Option<Timestamp>, links: &Links) -> Value {
    json!({
        "_id": Id::from(user.id),
        "id": Id::from(user.id),
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "status": presence.as_str(),
        "lastSeen": maybe(last_seen),
        "profilePicture": picture(user, links),
        "bio": user.bio.as_deref().unwrap_or_default(),
        "isActive": true,
        "createdAt": Time(user.created_at),
        "updatedAt": Time(user.updated_at),
    })
}

/// The other one of a chat of two.
pub fn peer(scene: &Scene, of: UserId) -> Option<UserId> {
    let conversation = scene.conversation.as_ref()?;
    let direct = conversation.kind == ConversationKind::Direct;
    let mut members = scene.members.iter().copied();
    members.find(|member| direct && *member != of)
}

/// Whether a chat is of more than two, as a member of an object.
pub fn is_group(conversation: &Conversation) -> bool {
    conversation.kind != ConversationKind::Direct
}

/// Messages of one chat as one of its members sees them.
pub struct View<'a> {
    /// Who looks.
    pub viewer: UserId,
    /// Who the others are.
    pub people: &'a dyn People,
    /// The other one of a chat of two.
    pub peer: Option<UserId>,
    /// How far the members have come, as far as they tell.
    pub receipts: &'a [Receipt],
    /// Where files are.
    pub links: &'a Links,
}

impl View<'_> {
    /// Whether a message was read, and when: the viewer's own by all the others, another's by the viewer.
    fn read(&self, message: &Message) -> (bool, Option<Timestamp>) {
        let own = message.sender_id == self.viewer;
        let concerned = self
            .receipts
            .iter()
            .filter(|receipt| (receipt.user_id == self.viewer) != own);
        let (mut read, mut at) = (false, None);
        for receipt in concerned {
            if receipt.read_seq < message.seq {
                return (false, None);
            }
            read = true;
            at = at.max(receipt.read_at);
        }
        (read, at)
    }

    /// A message.
    pub fn message(&self, message: &Message) -> Value {
        let own = message.sender_id == self.viewer;
        let receiver = self.peer.map(|peer| if own { peer } else { self.viewer });
        let (read, read_at) = self.read(message);
        let changed = message.deleted_at.or(message.edited_at);
        let mut shape = json!({
            "_id": Id::from(message.id),
            "chatId": Id::from(message.conversation_id),
            "sender": person(self.people, message.sender_id, self.links),
            "receiver": receiver.map(|id| person(self.people, id, self.links)),
            "content": message.body.as_deref().unwrap_or_default(),
            "messageType": message.kind.as_str(),
            "isRead": read,
            "readAt": maybe(read_at),
            "isEdited": message.edited_at.is_some(),
            "editedAt": maybe(message.edited_at),
            "timestamp": Time(message.created_at),
            "createdAt": Time(message.created_at),
            "updatedAt": Time(changed.unwrap_or(message.created_at)),
        });
        add_files(&mut shape, message, self.links);
        shape
    }
}

/// What of a message is there only when it carries files: the first one, which is all that most front ends
/// show, and all of them.
pub fn add_files(shape: &mut Value, message: &Message, links: &Links) {
    let Some(first) = message.attachments.first() else {
        return;
    };
    shape["fileUrl"] = links.file(first.id).into();
    shape["fileName"] = first.name.clone().into();
    shape["fileSize"] = first.size.into();
    let files = message.attachments.iter().map(|file| {
        json!({
            "_id": Id::from(file.id),
            "url": links.file(file.id),
            "thumbnailUrl": links.thumbnail(file),
            "type": file.kind.as_str(),
            "mimeType": file.media_type,
            "name": file.name,
            "size": file.size,
        })
    });
    shape["attachments"] = files.collect();
}

/// What of a request was wrong, by the names that this dialect's clients know.
pub fn wrong_fields(plain: &Plain) -> Value {
    let wrong = plain.fields.iter().map(|wrong| {
        let field = wire_name(&wrong.field);
        json!({"field": field, "message": format!("{field} {}", wrong.reason)})
    });
    wrong.collect()
}

/// The name in this dialect of a field that a use-case refused.
pub fn wire_name(field: &str) -> &str {
    match field {
        "body" => "content",
        "kind" => "messageType",
        "attachment_ids" => "attachmentIds",
        "avatar_url" => "profilePicture",
        "new_password" => "newPassword",
        "user_id" => "to",
        other => other,
    }
}
