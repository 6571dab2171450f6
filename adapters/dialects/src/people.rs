//! Who is meant by a user id, from wherever it is known.

use std::collections::HashMap;
use std::sync::Arc;

use connexus_application::members::MemberView;
use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_application::{Actor, Connexus};
use connexus_domain::{Limit, Member, Message, Result, User, UserId};

/// Knows users by their ids.
pub trait People {
    /// Who it is.
    fn person(&self, id: UserId) -> Option<&User>;
}

impl People for Scene {
    fn person(&self, id: UserId) -> Option<&User> {
        self.user(id).map(AsRef::as_ref)
    }
}

impl People for HashMap<UserId, Arc<User>> {
    fn person(&self, id: UserId) -> Option<&User> {
        self.get(&id).map(AsRef::as_ref)
    }
}

/// The senders of messages.
pub async fn senders(app: &Connexus, messages: &[Message]) -> Result<HashMap<UserId, Arc<User>>> {
    let ids = messages.iter().map(|message| message.sender_id);
    app.scenes.people(ids).await
}

/// The first hundred members of a big conversation, and the asker, whose membership this is.
pub async fn crowd(app: &Connexus, actor: &Actor, me: &Member) -> Result<Vec<MemberView>> {
    let first = app
        .members
        .list(actor, me.conversation_id, None, Limit::of(Limit::MAX));
    let mut crowd = first.await?.items;
    if crowd.iter().all(|one| one.member.user_id != me.user_id) {
        crowd.push(MemberView {
            member: me.clone(),
            profile: app.users.me(actor).await?,
        });
    }
    Ok(crowd)
}

/// Users whose username or name starts with the words, and whoever has them as the whole e-mail address.
pub async fn search(
    app: &Connexus,
    actor: &Actor,
    words: &str,
    limit: Limit,
) -> Result<Vec<Profile>> {
    let mut found = app
        .users
        .search(actor, Some(words), None, limit)
        .await?
        .items;
    if let Some(by_email) = app.users.by_email(actor, words).await?
        && found
            .iter()
            .all(|profile| profile.user.id != by_email.user.id)
    {
        found.insert(0, by_email);
        found.truncate(limit.rows());
    }
    Ok(found)
}
