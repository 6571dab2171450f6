//! Getting, making and entering conversations.

use std::collections::HashSet;

use bson::Document;
use connexus_domain::conversation::direct_key;
use connexus_domain::ports::{NewDirect, NewGroup, NewRoom, Opened};
use connexus_domain::{
    Conversation, ConversationId, ConversationKind, Entity, Error, Member, Result, Role, Timestamp,
    UserId,
};

use super::membership::has_owner;
use super::store;
use crate::documents::{ConversationDoc, conversation_id};
use crate::error::Tried;
use crate::storage::MongoStorage;
use crate::tx::Tx;

pub(super) async fn direct(storage: &MongoStorage, new: &NewDirect) -> Result<Opened> {
    let key = &direct_key(new.creator, new.peer);
    // mostly it is there, and needs no transaction
    let existing = storage
        .read(|tx| Box::pin(existing_direct(tx, key, new.creator)))
        .await?;
    if let Some(opened) = existing {
        return Ok(opened);
    }
    storage
        .transact(|tx| Box::pin(make_direct(tx, new, key)))
        .await
}

async fn existing_direct(tx: &mut Tx<'_>, key: &str, asker: UserId) -> Tried<Option<Opened>> {
    let found: Option<ConversationDoc> = tx.find_one(store::by_direct_key(key)).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let id = conversation_id(found.id);
    let me = store::find_membership(tx, id, asker)
        .await?
        .ok_or_else(|| Error::corrupt("conversations", "direct_key", id))?;
    let me = me.having(&found.sent).into_member()?;
    Ok(Some(present(found.into_conversation()?, me)))
}

async fn find(tx: &mut Tx<'_>, filter: Document) -> Tried<Option<Conversation>> {
    let found: Option<ConversationDoc> = tx.find_one(filter).await?;
    Ok(found.map(ConversationDoc::into_conversation).transpose()?)
}

async fn make_direct(tx: &mut Tx<'_>, new: &NewDirect, key: &str) -> Tried<Opened> {
    if let Some(opened) = existing_direct(tx, key, new.creator).await? {
        return Ok(opened);
    }
    let mut conversation = first_state(new.id, ConversationKind::Direct, new.creator, new.now);
    let both = [new.creator, new.peer];
    let members = store::enter(tx, &mut conversation, &both, Role::Member, 2, new.now).await?;
    tx.insert(&[ConversationDoc::new(&conversation, Some(key))])
        .await?;
    made(conversation, members)
}

pub(super) async fn group(storage: &MongoStorage, new: &NewGroup) -> Result<Opened> {
    storage.transact(|tx| Box::pin(make_group(tx, new))).await
}

async fn make_group(tx: &mut Tx<'_>, new: &NewGroup) -> Tried<Opened> {
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
    let owner = [new.creator];
    let me = store::enter(tx, &mut conversation, &owner, Role::Owner, 2, new.now).await?;
    store::enter(tx, &mut conversation, &others, Role::Member, 3, new.now).await?;
    tx.insert(&[ConversationDoc::new(&conversation, None)])
        .await?;
    made(conversation, me)
}

pub(super) async fn room(storage: &MongoStorage, new: &NewRoom) -> Result<Opened> {
    storage.transact(|tx| Box::pin(open_room(tx, new))).await
}

async fn open_room(tx: &mut Tx<'_>, new: &NewRoom) -> Tried<Opened> {
    if let Some(room) = find(tx, store::by_slug(&new.slug)).await? {
        return enter_room(tx, room, new.creator, new.now).await;
    }
    let mut conversation = Conversation {
        slug: Some(new.slug.clone()),
        name: Some(new.name.clone()),
        description: new.description.clone(),
        ..first_state(new.id, ConversationKind::Room, new.creator, new.now)
    };
    let owner = [new.creator];
    let me = store::enter(tx, &mut conversation, &owner, Role::Owner, 2, new.now).await?;
    tx.insert(&[ConversationDoc::new(&conversation, None)])
        .await?;
    made(conversation, me)
}

pub(super) async fn join(
    storage: &MongoStorage,
    id: ConversationId,
    user: UserId,
    now: Timestamp,
) -> Result<Opened> {
    storage
        .transact(|tx| {
            Box::pin(async move {
                let room = store::find(tx, id)
                    .await?
                    .filter(|conversation| conversation.kind == ConversationKind::Room)
                    .ok_or(Error::NotFound(Entity::Conversation))?;
                enter_room(tx, room, user, now).await
            })
        })
        .await
}

async fn enter_room(
    tx: &mut Tx<'_>,
    room: Conversation,
    user: UserId,
    now: Timestamp,
) -> Tried<Opened> {
    if let Some(me) = store::find_present(tx, room.id, user).await? {
        return Ok(present(room, me));
    }
    let mut room = store::lock(tx, room.id)
        .await?
        .ok_or(Error::NotFound(Entity::Conversation))?;
    let role = if has_owner(tx, room.id).await? {
        Role::Member
    } else {
        Role::Owner
    };
    let first = room.rev;
    let me = store::enter(tx, &mut room, &[user], role, first, now).await?;
    store::save(tx, &room).await?;
    let created = false;
    Ok(Opened {
        created,
        ..made(room, me)?
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

/// What one gets to know who was in it before.
fn present(conversation: Conversation, me: Member) -> Opened {
    Opened {
        conversation,
        me,
        created: false,
        joined: false,
    }
}

/// What the first of `members` gets to know.
fn made(conversation: Conversation, members: Vec<Member>) -> Tried<Opened> {
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
