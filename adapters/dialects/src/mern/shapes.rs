//! What this dialect's clients see: users, chats, messages.

use connexus_application::conversations::ConversationView;
use connexus_application::scene::Scene;
use connexus_domain::member::succession;
use connexus_domain::{
    Conversation, ConversationKind, Member, Message, Receipt, Role, Seq, User, UserId,
};
use connexus_wire::text::Id;
use connexus_wire::time::Time;
use serde::Serialize;
use serde_json::{Value, json};

use crate::links::Links;
use crate::people::People;

/// A user as others see it. Who has no picture has none: the front ends draw the initials then.
pub fn user(user: &User, links: &Links) -> Value {
    json!({
        "_id": Id::from(user.id),
        "name": user.display_name,
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "pic": links.picture_of(user),
        "isAdmin": false,
    })
}

/// An account as its owner gets it, with the token.
pub fn account(user: &User, token: &str, links: &Links) -> Value {
    json!({
        "_id": Id::from(user.id),
        "name": user.display_name,
        "email": user.email.as_str(),
        "isAdmin": false,
        "pic": links.picture_of(user),
        "token": token,
    })
}

/// Whoever sent a message.
#[derive(Serialize)]
struct SenderShape<'a> {
    #[serde(rename = "_id")]
    id: Id,
    name: &'a str,
    email: &'a str,
    pic: Option<String>,
}

impl<'a> SenderShape<'a> {
    fn of(people: &'a dyn People, id: UserId, links: &Links) -> Self {
        let user = people.person(id);
        Self {
            id: id.into(),
            name: user.map_or("", |user| user.display_name.as_str()),
            email: user.map_or("", |user| user.email.as_str()),
            pic: user.and_then(|user| links.picture_of(user)),
        }
    }
}

/// How far the members of a chat have read, as far as they tell.
#[derive(Debug, Default)]
pub struct Readers(Vec<(UserId, Seq)>);

impl Readers {
    /// From receipts.
    pub fn of(receipts: &[Receipt]) -> Self {
        let reached = receipts.iter().map(|r| (r.user_id, r.read_seq));
        Self(reached.collect())
    }

    /// From what a scene knows, which may be a few seconds old but for `me`.
    fn in_scene(scene: &Scene, me: &Member) -> Self {
        let others = scene
            .participants()
            .filter(|(user, _)| user.id != me.user_id)
            .filter(|(user, _)| user.privacy.read_receipts)
            .map(|(_, member)| (member.user_id, member.read_seq));
        Self(others.chain([(me.user_id, me.read_seq)]).collect())
    }

    fn of_message(&self, message: &Message) -> Vec<Id> {
        self.0
            .iter()
            .filter(|(user, seq)| *user != message.sender_id && *seq >= message.seq)
            .map(|(user, _)| Id::from(*user))
            .collect()
    }
}

/// The users of a chat, and the one whom these clients call its admin: there is but one, who has the highest
/// role for the longest time.
#[derive(Debug, Default)]
pub struct Crowd {
    users: Vec<Value>,
    admin: Option<Value>,
}

impl Crowd {
    /// Of these members.
    pub fn of<'a>(
        members: impl IntoIterator<Item = (&'a User, &'a Member)>,
        links: &Links,
    ) -> Self {
        let mut users = Vec::new();
        let mut head: Option<(&User, &Member)> = None;
        for (who, member) in members {
            users.push(user(who, links));
            if member.role > Role::Member
                && head.is_none_or(|(_, first)| succession(member, first).is_lt())
            {
                head = Some((who, member));
            }
        }
        Self {
            users,
            admin: head.map(|(who, _)| user(who, links)),
        }
    }

    /// Of a chat that is not a big one. Of a big one, only who acts is known here.
    pub fn in_scene(scene: &Scene, links: &Links) -> Self {
        let both = scene.participants();
        let mut crowd = Self::of(both.map(|(user, member)| (user.as_ref(), member)), links);
        if crowd.users.is_empty() {
            crowd.users = scene.users().map(|who| user(who, links)).collect();
        }
        crowd
    }

    /// The users as their ids alone.
    #[must_use]
    pub fn by_ids(mut self) -> Self {
        for user in &mut self.users {
            *user = user["_id"].take();
        }
        self
    }

    /// With somebody else as admin, when there is none yet.
    #[must_use]
    pub fn or_admin(mut self, id: UserId, people: &dyn People, links: &Links) -> Self {
        if self.admin.is_none() {
            self.admin = Some(
                people
                    .person(id)
                    .map_or_else(|| json!({"_id": Id::from(id)}), |who| user(who, links)),
            );
        }
        self
    }
}

/// A chat.
pub fn chat(conversation: &Conversation, crowd: Crowd, latest: Option<Value>) -> Value {
    let group = conversation.kind != ConversationKind::Direct;
    let slug = conversation
        .slug
        .as_ref()
        .map(connexus_domain::Slug::as_str);
    let admin = crowd
        .admin
        .unwrap_or_else(|| json!({"_id": Id::from(conversation.created_by)}));
    let mut shape = json!({
        "_id": Id::from(conversation.id),
        // what such servers call every chat of two; clients show the other user's name
        "chatName": if group { conversation.name.as_deref().or(slug) } else { Some("sender") },
        "isGroupChat": group,
        "users": crowd.users,
        "groupAdmin": group.then_some(admin),
        "latestMessage": null,
        "createdAt": Time(conversation.created_at),
        "updatedAt": Time(conversation.last_activity_at),
    });
    if let Some(latest) = latest {
        shape["latestMessage"] = latest;
    }
    shape
}

/// The newest message of a chat, if it has not been deleted; in it, the chat is but its id.
pub fn latest(
    view: &ConversationView,
    scene: &Scene,
    people: &dyn People,
    links: &Links,
) -> Option<Value> {
    let summary = &view.summary;
    let newest = summary.last_message.as_ref().filter(|m| m.is_live())?;
    let readers = Readers::in_scene(scene, &summary.me);
    let chat = Id::from(summary.conversation.id);
    let shape = MessageShape::of(newest, people, &chat, &readers, links);
    Some(json!(shape))
}

/// A message in its chat. Each of a history has the whole chat with its users, so this is written straight into JSON,
/// with a chat that may be JSON already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageShape<'a, C: ?Sized> {
    #[serde(rename = "_id")]
    id: Id,
    sender: SenderShape<'a>,
    // the front ends count its characters
    content: &'a str,
    chat: &'a C,
    read_by: Vec<Id>,
    created_at: Time,
    updated_at: Time,
}

impl<'a, C: ?Sized> MessageShape<'a, C> {
    /// As it is shown in this chat.
    pub fn of(
        message: &'a Message,
        people: &'a dyn People,
        chat: &'a C,
        readers: &Readers,
        links: &Links,
    ) -> Self {
        Self {
            id: message.id.into(),
            sender: SenderShape::of(people, message.sender_id, links),
            content: message.body.as_deref().unwrap_or_default(),
            chat,
            read_by: readers.of_message(message),
            created_at: Time(message.created_at),
            updated_at: Time(message.edited_at.unwrap_or(message.created_at)),
        }
    }
}

/// A message that was sent just now, with all that a client has to know of its chat.
pub fn fresh(sent: &Message, scene: &Scene, crowd: Crowd, links: &Links) -> Value {
    let chat = scene.conversation.as_deref().map_or_else(
        || json!({"_id": Id::from(sent.conversation_id)}),
        |conversation| {
            let mut shape = chat(conversation, crowd, None);
            shape["updatedAt"] = json!(Time(sent.created_at));
            shape
        },
    );
    json!(MessageShape::of(
        sent,
        scene,
        &chat,
        &Readers::default(),
        links
    ))
}
