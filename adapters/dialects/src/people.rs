//! Who is meant by a user id, from wherever it is known.

use std::collections::HashMap;
use std::sync::Arc;

use connexus_application::scene::Scene;
use connexus_application::users::Profile;
use connexus_application::{Actor, Connexus};
use connexus_domain::{Message, Result, User, UserId};

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

/// Users whose username or name starts with the words, and whoever has them as the whole e-mail address.
pub async fn search(
    app: &Connexus,
    actor: &Actor,
    words: &str,
    limit: connexus_domain::Limit,
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
