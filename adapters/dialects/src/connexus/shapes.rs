//! What this dialect's clients see: users, conversations, messages.

use connexus_application::conversations::ConversationView;
use connexus_application::users::Profile;
use connexus_domain::{ConversationKind, Member, Presence, Role, Timestamp, User, Visibility};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde_json::{Value, json};

use crate::links::Links;
use crate::people::People;
use crate::times::maybe;

mod message;

use message::words;
pub use message::{AttachmentShape, MessageShape, Progress, SenderShape, reactions};

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

/// What these clients call the roles: there is no owner, only admins.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Owner | Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// Whether a user is here, and when its last connection went, as far as the asker may know.
pub type Seen = (Presence, Option<Timestamp>);

/// A member of a conversation.
pub fn participant(
    view: &ConversationView,
    (user, member): (&User, &Member),
    (presence, last_seen): Seen,
    links: &Links,
) -> Value {
    let tells = user.privacy.read_receipts || user.id == view.summary.me.user_id;
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
        "lastRead": maybe(member.read_at.filter(|_| tells)),
    })
}

/// A conversation as one of its members sees it.
pub fn conversation(
    view: &ConversationView,
    participants: &[Value],
    senders: &dyn People,
    links: &Links,
) -> Value {
    let summary = &view.summary;
    let mut shape = of_all(view, participants, links);
    let last = summary.last_message.as_ref().map(|message| {
        json!({
            "_id": Id::from(message.id),
            "content": words(message),
            "sender": SenderShape::of(senders, message.sender_id, links),
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

/// What is not the asker's own, as the asker may see it.
fn of_all(view: &ConversationView, participants: &[Value], links: &Links) -> Value {
    let conversation = &view.summary.conversation;
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
