//! What this dialect's clients see: users, conversations, messages.

use connexus_application::Connexus;
use connexus_application::conversations::ConversationView;
use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_domain::attachment::Attachment;
use connexus_domain::{
    ConversationKind, Member, Message, Receipt, Role, Seq, User, UserId, Visibility,
};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::{Value, json};

use crate::links::Links;
use crate::people::People;
use crate::times::maybe;

/// Whoever sent or did something.
pub fn sender(people: &dyn People, id: UserId, links: &Links) -> Value {
    match people.person(id) {
        Some(user) => json!({
            "_id": Id::from(user.id),
            "name": user.display_name,
            "username": user.username.as_str(),
            "email": user.email.as_str(),
            "avatar": avatar(user, links),
        }),
        None => json!({"_id": Id::from(id)}),
    }
}

/// A user's picture; empty when there is none, as these clients expect a text.
pub fn avatar(user: &User, links: &Links) -> String {
    links.picture_of(user).unwrap_or_default()
}

/// An account as others see it.
pub fn profile(profile: &Profile, links: &Links) -> Value {
    let user = &profile.user;
    json!({
        "_id": Id::from(user.id),
        "id": Id::from(user.id),
        "name": user.display_name,
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "phone": "",
        "avatar": avatar(user, links),
        "status": profile.presence.as_str(),
        "isOnline": profile.presence.as_str() != "offline",
        "lastSeen": maybe(profile.last_seen_at),
        "bio": user.bio.as_deref().unwrap_or_default(),
        "location": "",
        "socialLinks": {},
        "isActive": true,
        "createdAt": Time(user.created_at),
        "updatedAt": Time(user.updated_at),
    })
}

/// An account as its owner sees it.
pub fn own_profile(owner: &Profile, contacts: usize, blocked: &[Profile], links: &Links) -> Value {
    let mut shape = profile(owner, links);
    shape["contactsCount"] = contacts.into();
    shape["blockedUsers"] = blocked
        .iter()
        .map(|profile| json!(Id::from(profile.user.id)))
        .collect();
    shape["privacy"] = json!({
        "readReceipts": owner.user.privacy.read_receipts,
        "showStatus": owner.user.privacy.presence != Visibility::Nobody,
    });
    shape
}

/// A user that a search found.
pub fn found(profile: &Profile, links: &Links) -> Value {
    let user = &profile.user;
    json!({
        "_id": Id::from(user.id),
        "name": user.display_name,
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "avatar": avatar(user, links),
        "status": profile.presence.as_str(),
    })
}

/// How far the members of a conversation have come, as far as they tell.
#[derive(Debug, Default)]
pub struct Progress(Vec<Receipt>);

impl Progress {
    /// From receipts.
    pub fn of(receipts: Vec<Receipt>) -> Self {
        Self(receipts)
    }

    fn others(&self, message: &Message) -> impl Iterator<Item = &Receipt> {
        let sender = message.sender_id;
        self.0.iter().filter(move |r| r.user_id != sender)
    }

    fn status(&self, message: &Message) -> &'static str {
        let all = |reached: &dyn Fn(&Receipt) -> Seq| {
            let mut others = self.others(message).peekable();
            others.peek().is_some() && others.all(|r| reached(r) >= message.seq)
        };
        if all(&|r| r.read_seq) {
            "read"
        } else if all(&|r| r.delivered_seq) {
            "delivered"
        } else {
            "sent"
        }
    }

    fn read_by(&self, message: &Message) -> Value {
        self.others(message)
            .filter(|r| r.read_seq >= message.seq)
            .map(|r| json!({"user": Id::from(r.user_id), "readAt": maybe(r.read_at)}))
            .collect()
    }
}

/// A message.
pub fn message(
    message: &Message,
    people: &dyn People,
    progress: &Progress,
    links: &Links,
) -> Value {
    let changed = message.deleted_at.or(message.edited_at);
    json!({
        "_id": Id::from(message.id),
        "content": message.body.as_deref().unwrap_or_default(),
        "sender": sender(people, message.sender_id, links),
        "conversation": Id::from(message.conversation_id),
        "type": message.kind.as_str(),
        "replyTo": message.reply_to.map(Id::from),
        "attachments": message.attachments.iter().map(|file| attachment(file, links)).collect::<Value>(),
        "reactions": reactions(message),
        "status": progress.status(message),
        "readBy": progress.read_by(message),
        "isEdited": message.edited_at.is_some(),
        "editedAt": maybe(message.edited_at),
        "deletedAt": maybe(message.deleted_at),
        "isDeleted": message.deleted_at.is_some(),
        "createdAt": Time(message.created_at),
        "updatedAt": Time(changed.unwrap_or(message.created_at)),
    })
}

/// A file of a message.
pub fn attachment(file: &Attachment, links: &Links) -> Value {
    json!({
        "_id": Id::from(file.id),
        "id": Id::from(file.id),
        "url": links.file(file.id),
        "type": file.kind.as_str(),
        "mimeType": file.media_type,
        "name": file.name,
        "size": file.size,
        "thumbnail": links.thumbnail(file),
        "width": file.width,
        "height": file.height,
        "duration": file.duration_ms.map(in_seconds),
    })
}

/// Milliseconds in seconds, as players count.
#[expect(clippy::cast_precision_loss, reason = "no recording lasts so long")]
fn in_seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// A message as an answer to it shows it.
pub fn quoted(message: &Message, people: &dyn People, links: &Links) -> Value {
    json!({
        "_id": Id::from(message.id),
        "content": words(message),
        "sender": sender(people, message.sender_id, links),
        "type": message.kind.as_str(),
        "isDeleted": message.deleted_at.is_some(),
        "createdAt": Time(message.created_at),
    })
}

/// What stands for a message in a preview.
fn words(message: &Message) -> &str {
    if message.is_live() {
        message.body.as_deref().unwrap_or_default()
    } else {
        "This message was deleted"
    }
}

/// Reactions, one entry for each user and emoji. When each was given is not kept: `timestamp` is null.
pub fn reactions(message: &Message) -> Value {
    let one = |emoji: &str, user: &UserId| json!({"user": Id::from(*user), "emoji": emoji, "timestamp": null});
    message
        .reactions
        .iter()
        .flat_map(|reaction| {
            let emoji = reaction.emoji.as_str();
            reaction.user_ids.iter().map(move |user| one(emoji, user))
        })
        .collect()
}

/// What these clients call the roles: there is no owner, only admins.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Owner | Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// A member of a conversation.
pub fn participant(app: &Connexus, user: &User, member: &Member, links: &Links) -> Value {
    let (presence, last_seen) = app.presence.shown(user);
    json!({
        "user": {
            "_id": Id::from(user.id),
            "name": user.display_name,
            "username": user.username.as_str(),
            "email": user.email.as_str(),
            "avatar": avatar(user, links),
            "status": presence.as_str(),
            "lastSeen": maybe(last_seen),
        },
        "role": role(member.role),
        "joinedAt": Time(member.joined_at),
        "lastRead": maybe(member.read_at),
    })
}

/// A conversation as one of its members sees it.
pub fn conversation(
    app: &Connexus,
    view: &ConversationView,
    scene: &Scene,
    links: &Links,
) -> Value {
    let summary = &view.summary;
    let mut shape = shared(app, &summary.conversation, scene, links);
    let last = summary.last_message.as_ref().map(|message| {
        json!({
            "_id": Id::from(message.id),
            "content": words(message),
            "sender": sender(scene, message.sender_id, links),
            "type": message.kind.as_str(),
            "timestamp": Time(message.created_at),
        })
    });
    shape["lastMessage"] = last.into();
    shape["unreadCount"] = summary.unread.count.into();
    shape["settings"] = json!({
        "archived": summary.me.preferences.archived,
        "pinned": summary.me.preferences.pinned,
        "mutedUntil": maybe(summary.me.preferences.muted_until),
    });
    shape
}

/// What all members see alike.
pub fn shared(
    app: &Connexus,
    conversation: &connexus_domain::Conversation,
    scene: &Scene,
    links: &Links,
) -> Value {
    let participants: Value = scene
        .members
        .iter()
        .filter_map(|id| Some((scene.user(*id)?, scene.member(*id)?)))
        .map(|(user, member)| participant(app, user, member, links))
        .collect();
    json!({
        "_id": Id::from(conversation.id),
        "type": match conversation.kind {
            ConversationKind::Direct => "direct",
            ConversationKind::Group | ConversationKind::Room => "group",
        },
        "name": conversation.name,
        "description": conversation.description.as_deref().unwrap_or_default(),
        "participants": participants,
        "participantsCount": conversation.member_count,
        "avatar": links.picture(conversation.avatar_url.as_deref()).unwrap_or_default(),
        "isActive": true,
        "createdBy": Id::from(conversation.created_by),
        "createdAt": Time(conversation.created_at),
        "updatedAt": Time(conversation.last_activity_at),
    })
}
