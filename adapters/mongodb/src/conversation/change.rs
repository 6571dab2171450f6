//! Changes of a conversation itself, and its end.

use bson::{Document, doc};
use connexus_domain::attachment::AvatarOwner;
use connexus_domain::member::PreferencesPatch;
use connexus_domain::{
    Conversation, ConversationId, ConversationPatch, Error, Limit, Member, Result, Rev, Timestamp,
    UserId,
};
use mongodb::Collection;
use mongodb::options::{Hint, ReadConcern};
use serde::Deserialize;

use super::store;
use crate::attachment::condemn_avatar;
use crate::documents::{ConversationDoc, MemberDoc, MemberKey, Record as _, conversation_id, date};
use crate::error::{InDomain as _, Tried};
use crate::message;
use crate::query::statement;
use crate::storage::MongoStorage;
use crate::tx::Tx;

/// How many members of a deleted conversation go at once.
const MEMBERS: i64 = 1_000;

pub(super) async fn update(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    patch: &ConversationPatch,
) -> Tried<Conversation> {
    let (locked, access) = store::lock_with_access(tx, id, by).await?;
    locked.check_changeable()?;
    access.require_admin()?;
    let after = patch.apply(locked.clone(), locked.rev);
    let changed_rev = locked.changed_rev;
    if (Conversation {
        changed_rev,
        ..after.clone()
    }) == locked
    {
        return unchanged(tx, locked).await;
    }
    store::save(tx, &after).await?;
    if after.avatar_url != locked.avatar_url {
        condemn_avatar(tx, AvatarOwner::Group(id)).await?;
    }
    Ok(after)
}

/// The conversation as it was before it was [locked](store::lock).
async fn unchanged(tx: &mut Tx<'_>, locked: Conversation) -> Tried<Conversation> {
    store::unlock(tx, locked.id).await?;
    Ok(Conversation {
        rev: locked.rev - 1,
        ..locked
    })
}

/// Gives a group or room another picture, by the rule of [`update`].
pub(crate) async fn depict(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    link: String,
) -> Tried<Conversation> {
    let (locked, access) = store::lock_with_access(tx, id, by).await?;
    locked.check_changeable()?;
    access.require_admin()?;
    if locked.avatar_url.as_ref() == Some(&link) {
        return unchanged(tx, locked).await;
    }
    let patch = ConversationPatch {
        avatar_url: Some(Some(link)),
        ..ConversationPatch::default()
    };
    let rev = locked.rev;
    let after = patch.apply(locked, rev);
    store::save(tx, &after).await?;
    condemn_avatar(tx, AvatarOwner::Group(id)).await?;
    Ok(after)
}

pub(super) async fn delete(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
    now: Timestamp,
) -> Tried<Rev> {
    let (conversation, access) = store::lock_with_access(tx, id, by).await?;
    conversation.check_changeable()?;
    access.require_owner()?;
    store::mark_deleted(tx, id, now).await?;
    Ok(conversation.rev)
}

pub(super) async fn set_preferences(
    tx: &mut Tx<'_>,
    id: ConversationId,
    user: UserId,
    patch: PreferencesPatch,
) -> Tried<Option<Member>> {
    if store::find(tx, id).await?.is_none() {
        return Ok(None);
    }
    let Some(member) = store::find_present(tx, id, user).await? else {
        return Ok(None);
    };
    let preferences = patch.apply(member.preferences);
    let fields = doc! {
        "archived": preferences.archived, "pinned": preferences.pinned,
        "muted_until": preferences.muted_until.map(date),
    };
    let key = MemberKey::new(id, user);
    tx.update::<MemberDoc>(vec![statement(
        doc! { "_id": key },
        doc! { "$set": fields },
    )])
    .await?;
    Ok(Some(Member {
        preferences,
        ..member
    }))
}

/// Messages first, in steps; a conversation that has none left goes with its members. No transaction: what
/// is deleted is seen by nobody, and a step that fails halfway is just done again.
pub(super) async fn purge_deleted(storage: &MongoStorage, limit: Limit) -> Result<u64> {
    storage.purging(purge(storage, limit.and_one() - 1)).await
}

async fn purge(storage: &MongoStorage, limit: i64) -> Result<u64> {
    let conversations: Collection<Document> =
        storage.database.collection(ConversationDoc::COLLECTION);
    let mut purged = 0;
    // as many conversations as messages, so that empty ones do not make a step long
    for _ in 0..limit {
        let some_deleted = conversations
            .find_one(doc! { "deleted_at": { "$type": "date" } })
            .read_concern(ReadConcern::majority())
            .hint(Hint::Name("conversations_deleted".into()))
            .projection(doc! { "_id": 1 });
        let Some(deleted) = some_deleted.await.in_domain()? else {
            break;
        };
        let id = deleted
            .get("_id")
            .and_then(|id| match id {
                bson::Bson::Binary(binary) => binary.to_uuid().ok(),
                _ => None,
            })
            .ok_or_else(|| Error::corrupt(ConversationDoc::COLLECTION, "_id", &deleted))?;
        let room = limit - purged;
        let gone = message::purge(storage, id, room).await?;
        purged += gone;
        if gone == room {
            break;
        }
        let group = conversation_id(id);
        storage
            .transact(|tx| {
                Box::pin(async move {
                    message::forget(tx, group).await?;
                    condemn_avatar(tx, AvatarOwner::Group(group)).await
                })
            })
            .await?;
        remove_members(storage, id).await?;
        conversations
            .delete_one(doc! { "_id": id })
            .await
            .in_domain()?;
    }
    Ok(purged.unsigned_abs())
}

async fn remove_members(storage: &MongoStorage, id: bson::Uuid) -> Result<()> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "_id")]
        id: MemberKey,
    }
    let filter = &doc! { "_id.c": id };
    loop {
        let some: Vec<Named> = storage
            .read(|tx| {
                let query = crate::query::Query::of::<MemberDoc>(filter.clone())
                    .limit(MEMBERS)
                    .fields(doc! { "_id": 1 });
                Box::pin(tx.find_parts(query))
            })
            .await?;
        if some.is_empty() {
            return Ok(());
        }
        let keys: Vec<MemberKey> = some.into_iter().map(|member| member.id).collect();
        storage
            .delete_many::<MemberDoc>(doc! { "_id": { "$in": keys } })
            .await?;
    }
}
