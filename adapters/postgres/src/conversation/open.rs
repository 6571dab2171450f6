//! Getting, making and entering conversations.

use std::collections::HashSet;
use std::io;

use connexus_domain::conversation::direct_key;
use connexus_domain::ports::{NewDirect, NewGroup, NewRoom, Opened};
use connexus_domain::{
    Conversation, ConversationId, ConversationKind, Entity, Error, Member, Result, Role, Timestamp,
    UserId,
};

use sqlx::PgExecutor;

use super::membership::has_owner;
use super::store;
use crate::error::InDomain as _;
use crate::storage::{PostgresStorage, Tx};

/// How often to look for a room that is deleted whenever we come.
const ROOM_ATTEMPTS: u32 = 5;

pub(super) async fn direct(storage: &PostgresStorage, new: &NewDirect) -> Result<Opened> {
    let key = direct_key(new.creator, new.peer);
    // mostly it is there, and needs no transaction
    if let Some(opened) = existing_direct(storage.look().await?, &key, new.creator).await? {
        return Ok(opened);
    }
    let mut tx = storage.write().await?;
    let mut conversation = first_state(new.id, ConversationKind::Direct, new.creator, new.now);
    if !store::insert(&mut tx, &conversation, Some(&key)).await? {
        // somebody was faster; a direct conversation never goes
        return existing_direct(&mut *tx, &key, new.creator)
            .await?
            .ok_or_else(|| Error::corrupt("conversations", "direct_key", new.id));
    }
    let both = [new.creator, new.peer];
    let members = store::enter(&mut tx, &mut conversation, &both, Role::Member, new.now).await?;
    tx.commit().await.in_domain()?;
    made(conversation, members)
}

async fn existing_direct(
    executor: impl PgExecutor<'_>,
    key: &str,
    asker: UserId,
) -> Result<Option<Opened>> {
    let Some((conversation, me)) = store::find_direct(executor, key, asker).await? else {
        return Ok(None);
    };
    let me = me.ok_or_else(|| Error::corrupt("conversations", "direct_key", conversation.id))?;
    Ok(Some(Opened {
        conversation,
        me,
        created: false,
        joined: false,
    }))
}

pub(super) async fn group(storage: &PostgresStorage, new: &NewGroup) -> Result<Opened> {
    let mut seen = HashSet::from([new.creator]);
    let others: Vec<UserId> = new
        .member_ids
        .iter()
        .copied()
        .filter(|user| seen.insert(*user))
        .collect();
    let mut conversation = Conversation {
        name: Some(new.name.clone()),
        description: new.description.clone(),
        avatar_url: new.avatar_url.clone(),
        ..first_state(new.id, ConversationKind::Group, new.creator, new.now)
    };
    let mut tx = storage.write().await?;
    store::insert(&mut tx, &conversation, None).await?;
    let owner = [new.creator];
    let me = store::enter(&mut tx, &mut conversation, &owner, Role::Owner, new.now).await?;
    store::enter(&mut tx, &mut conversation, &others, Role::Member, new.now).await?;
    tx.commit().await.in_domain()?;
    made(conversation, me)
}

pub(super) async fn room(storage: &PostgresStorage, new: &NewRoom) -> Result<Opened> {
    let mut tx = storage.write().await?;
    for _ in 0..ROOM_ATTEMPTS {
        let opened = match store::lock_by_slug(&mut tx, &new.slug).await? {
            Some(room) => Some(enter_room(&mut tx, room, new.creator, new.now).await?),
            None => make_room(&mut tx, new).await?,
        };
        if let Some(opened) = opened {
            tx.commit().await.in_domain()?;
            return Ok(opened);
        }
    }
    Err(Error::unavailable(io::Error::other(
        "others make and delete the room all the time",
    )))
}

/// `None` when somebody was faster.
async fn make_room(tx: &mut Tx, new: &NewRoom) -> Result<Option<Opened>> {
    let mut conversation = Conversation {
        slug: Some(new.slug.clone()),
        name: Some(new.name.clone()),
        description: new.description.clone(),
        ..first_state(new.id, ConversationKind::Room, new.creator, new.now)
    };
    if !store::insert(tx, &conversation, None).await? {
        return Ok(None);
    }
    let owner = [new.creator];
    let me = store::enter(tx, &mut conversation, &owner, Role::Owner, new.now).await?;
    made(conversation, me).map(Some)
}

pub(super) async fn join(
    storage: &PostgresStorage,
    id: ConversationId,
    user: UserId,
    now: Timestamp,
) -> Result<Opened> {
    let mut tx = storage.write().await?;
    let room = store::lock(&mut tx, id)
        .await?
        .filter(|conversation| conversation.kind == ConversationKind::Room)
        .ok_or(Error::NotFound(Entity::Conversation))?;
    let opened = enter_room(&mut tx, room, user, now).await?;
    tx.commit().await.in_domain()?;
    Ok(opened)
}

async fn enter_room(
    tx: &mut Tx,
    mut conversation: Conversation,
    user: UserId,
    now: Timestamp,
) -> Result<Opened> {
    if let Some(me) = store::find_present(tx, conversation.id, user).await? {
        return Ok(Opened {
            conversation,
            me,
            created: false,
            joined: false,
        });
    }
    let role = if has_owner(tx, conversation.id).await? {
        Role::Member
    } else {
        Role::Owner
    };
    let me = store::enter(tx, &mut conversation, &[user], role, now).await?;
    let created = false;
    Ok(Opened {
        created,
        ..made(conversation, me)?
    })
}

/// A conversation before anybody is in it.
fn first_state(
    id: ConversationId,
    kind: ConversationKind,
    created_by: UserId,
    now: Timestamp,
) -> Conversation {
    Conversation {
        id,
        kind,
        slug: None,
        name: None,
        description: None,
        avatar_url: None,
        created_by,
        created_at: now,
        last_activity_at: now,
        last_seq: 0,
        rev: 1,
        changed_rev: 1,
        member_count: 0,
    }
}

/// What the first of `members` gets to know.
fn made(conversation: Conversation, members: Vec<Member>) -> Result<Opened> {
    let me = members
        .into_iter()
        .next()
        .ok_or(Error::NotFound(Entity::Member))?;
    Ok(Opened {
        conversation,
        me,
        created: true,
        joined: true,
    })
}
