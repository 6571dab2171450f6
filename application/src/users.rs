//! Profiles and search of users.

use std::collections::HashMap;
use std::sync::Arc;

pub use connexus_domain::user::Profile;
use connexus_domain::user::{BIO_MAX, DISPLAY_NAME_MAX, STATUS_TEXT_MAX};
use connexus_domain::{
    Entity, Error, Limit, Page, Presence, Privacy, Result, Status, User, UserId, UserPatch,
    Username, Visibility, text,
};
use futures_util::future::try_join;

use crate::Actor;
use crate::auth::collect;
use crate::context::{Context, to_its_end};

/// A change of the asker's own account, as it came in; `Some(None)` or an empty text empties a field.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// Another username.
    pub username: Option<String>,
    /// Another display name.
    pub display_name: Option<String>,
    /// Another or no picture.
    pub avatar_url: Option<Option<String>>,
    /// Another or no bio.
    pub bio: Option<Option<String>>,
    /// Another chosen status.
    pub status: Option<Status>,
    /// Another or no status text.
    pub status_text: Option<Option<String>>,
    /// Other privacy settings; those not named stay.
    pub privacy: PrivacyChange,
}

/// A change of privacy settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrivacyChange {
    /// Who sees status and `last_seen_at`.
    pub presence: Option<Visibility>,
    /// Whether others are told what the user has read.
    pub read_receipts: Option<bool>,
    /// Whether the user is found by search.
    pub searchable: Option<bool>,
}

impl PrivacyChange {
    fn apply(self, privacy: Privacy) -> Option<Privacy> {
        let changed = Privacy {
            presence: self.presence.unwrap_or(privacy.presence),
            read_receipts: self.read_receipts.unwrap_or(privacy.read_receipts),
            searchable: self.searchable.unwrap_or(privacy.searchable),
        };
        (changed != privacy).then_some(changed)
    }
}

/// Profiles and search of users.
pub struct Users {
    context: Arc<Context>,
}

impl Users {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The asker's own account.
    pub async fn me(&self, actor: &Actor) -> Result<Profile> {
        let user = self.context.storage.users().get(actor.user_id).await?;
        Ok(self
            .context
            .own_profile(user.ok_or(Error::NotFound(Entity::User))?))
    }

    /// Somebody's account, as the asker may see it.
    pub async fn get(&self, actor: &Actor, id: UserId) -> Result<Profile> {
        let user = self
            .context
            .storage
            .users()
            .get(id)
            .await?
            .ok_or(Error::NotFound(Entity::User))?;
        self.context.profile(actor.user_id, user).await
    }

    /// Changes the asker's own account.
    pub async fn update(&self, actor: &Actor, change: ProfileChange) -> Result<Profile> {
        let users = self.context.storage.users();
        let before = users
            .get(actor.user_id)
            .await?
            .ok_or(Error::NotFound(Entity::User))?;
        let patch = checked(change, before.privacy)?;
        if patch.is_empty() {
            return Ok(self.context.own_profile(before));
        }
        let told = patch.status.is_some() || patch.status_text.is_some() || patch.privacy.is_some();
        let (context, id) = (Arc::clone(&self.context), actor.user_id);
        to_its_end(async move {
            let users = context.storage.users();
            let user = users.update(id, &patch, context.now()).await;
            // whether it is known to be stored or not
            context.silent.invalidate(&id).await;
            context.scenes.forget_user(id).await;
            if told {
                context.presence.changed(id);
            }
            let user = user?.ok_or(Error::NotFound(Entity::User))?;
            Ok(context.own_profile(user))
        })
        .await
    }

    /// With how many users the asker shares a conversation.
    pub async fn count_contacts(&self, actor: &Actor) -> Result<usize> {
        let conversations = self.context.storage.conversations();
        let pairs = conversations.peers(&[actor.user_id], None).await?;
        Ok(pairs.len())
    }

    /// Somebody, by the whole e-mail address; only who lets itself be found.
    pub async fn by_email(&self, actor: &Actor, email: &str) -> Result<Option<Profile>> {
        let key = text::fold(email.trim());
        if key.len() > 254 || !key.contains('@') || key.contains('\0') {
            return Ok(None);
        }
        let users = self.context.storage.users();
        let Some(found) = users.credentials_by_login(&key).await? else {
            return Ok(None);
        };
        let user = found.user;
        let hidden = !user.privacy.searchable
            || user.id == actor.user_id
            || self.context.are_apart(actor.user_id, user.id).await?;
        if hidden {
            return Ok(None);
        }
        self.context.profile(actor.user_id, user).await.map(Some)
    }

    /// Users whose username or display name starts with `query` (all, when it is absent).
    pub async fn search(
        &self,
        actor: &Actor,
        query: Option<&str>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Profile, UserId>> {
        let query = query.map_or(Ok(None), |query| text::optional_line("query", query, 100))?;
        let prefix = query.as_deref().unwrap_or_default();
        let page = self
            .context
            .storage
            .users()
            .search(actor.user_id, prefix, after, limit)
            .await?;
        let mut items = Vec::with_capacity(page.items.len());
        for user in page.items {
            items.push(self.context.profile(actor.user_id, user).await?);
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }
}

impl Context {
    /// A user as the user sees itself.
    pub(crate) fn own_profile(&self, user: User) -> Profile {
        let presence = self.presence_of(&user);
        Profile {
            last_seen_at: user.last_seen_at,
            presence,
            user,
        }
    }

    /// A user as seen by all who share a conversation with it.
    pub(crate) fn shared_profile(&self, user: User) -> Profile {
        if user.privacy.presence == Visibility::Nobody {
            hidden(user)
        } else {
            self.own_profile(user)
        }
    }

    /// A user as seen by one who shares a conversation with it.
    pub(crate) fn contact_profile(&self, viewer: UserId, user: User) -> Profile {
        if user.id == viewer {
            self.own_profile(user)
        } else {
            self.shared_profile(user)
        }
    }

    /// A user as seen by anybody.
    pub(crate) async fn profile(&self, viewer: UserId, user: User) -> Result<Profile> {
        let visible = user.id == viewer
            || match user.privacy.presence {
                _ if self.are_apart(viewer, user.id).await? => false,
                Visibility::Everyone => true,
                Visibility::Nobody => false,
                Visibility::Contacts => {
                    self.storage
                        .conversations()
                        .share_conversation(viewer, user.id)
                        .await?
                }
            };
        Ok(if visible {
            self.own_profile(user)
        } else {
            hidden(user)
        })
    }

    /// Users who share a conversation with `viewer`, by id. Of those who block the viewer, or are
    /// blocked, no presence is shown.
    pub(crate) async fn contact_profiles(
        &self,
        viewer: UserId,
        ids: &[UserId],
    ) -> Result<HashMap<UserId, Profile>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = HashMap::with_capacity(ids.len());
        let users = self.storage.users();
        let (users, apart) = try_join(users.get_many(ids), self.apart_among(viewer, ids)).await?;
        for user in users {
            let profile = if apart.contains(&user.id) {
                hidden(user)
            } else {
                self.contact_profile(viewer, user)
            };
            found.insert(profile.user.id, profile);
        }
        Ok(found)
    }

    pub(crate) fn presence_of(&self, user: &User) -> Presence {
        if self.presence.is_connected(user.id) {
            Presence::Connected(user.status)
        } else {
            Presence::Offline
        }
    }
}

pub(crate) fn hidden(user: User) -> Profile {
    let user = User {
        status_text: None,
        ..user
    };
    Profile {
        presence: Presence::Offline,
        last_seen_at: None,
        user,
    }
}

fn checked(change: ProfileChange, privacy: Privacy) -> Result<UserPatch> {
    let mut wrong = Vec::new();
    let patch = UserPatch {
        username: match change.username {
            Some(name) => collect(&mut wrong, Username::parse(&name))?,
            None => None,
        },
        display_name: match change.display_name {
            Some(name) => collect(
                &mut wrong,
                text::line("display_name", &name, DISPLAY_NAME_MAX),
            )?,
            None => None,
        },
        avatar_url: match change.avatar_url {
            Some(link) => collect(
                &mut wrong,
                text::optional_link("avatar_url", link.as_deref().unwrap_or_default()),
            )?,
            None => None,
        },
        bio: match change.bio {
            Some(bio) => collect(
                &mut wrong,
                text::optional_block("bio", bio.as_deref().unwrap_or_default(), BIO_MAX),
            )?,
            None => None,
        },
        status: change.status,
        status_text: match change.status_text {
            Some(line) => collect(
                &mut wrong,
                text::optional_line(
                    "status_text",
                    line.as_deref().unwrap_or_default(),
                    STATUS_TEXT_MAX,
                ),
            )?,
            None => None,
        },
        privacy: change.privacy.apply(privacy),
    };
    if wrong.is_empty() {
        Ok(patch)
    } else {
        Err(Error::Invalid(wrong))
    }
}
