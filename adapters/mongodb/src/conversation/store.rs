//! Single conversations and members, for all that reads or changes them.

use std::collections::HashSet;

use bson::{Document, doc};
use connexus_domain::{
    Conversation, ConversationId, Denial, Entity, Error, Member, MemberAccess, Result, Role, Slug,
    Timestamp, UserId,
};
use serde::Deserialize;

use crate::documents::{
    ConversationDoc, Id as _, MemberDoc, MemberKey, Sent, conversation_id, date, ids, user_id,
};
use crate::error::Tried;
use crate::indexes::MEMBERS_PRESENT;
use crate::query::{Query, statement, upsert};
use crate::tx::Tx;
use crate::user;

/// A membership of which only the key is wanted.
#[derive(Deserialize)]
pub(super) struct Place {
    #[serde(rename = "_id")]
    pub key: MemberKey,
}

pub(crate) fn live(id: ConversationId) -> Document {
    doc! { "_id": id.bson(), "deleted_at": null }
}

/// The conversation, unless it is deleted. That is looked at here: a filter of nothing but the id takes the server
/// no planning, which is a third of what such a query costs it, and each page of a history makes one.
pub(crate) async fn find_stored(
    tx: &mut Tx<'_>,
    id: ConversationId,
) -> Tried<Option<ConversationDoc>> {
    let found: Option<ConversationDoc> = tx.find_one(doc! { "_id": id.bson() }).await?;
    Ok(found.filter(|found| found.deleted_at.is_none()))
}

/// The same, without what only its document knows.
pub(crate) async fn find(tx: &mut Tx<'_>, id: ConversationId) -> Tried<Option<Conversation>> {
    let found = find_stored(tx, id).await?;
    Ok(found.map(ConversationDoc::into_conversation).transpose()?)
}

pub(crate) fn by_slug(slug: &Slug) -> Document {
    doc! { "slug": slug.as_str(), "deleted_at": null }
}

pub(crate) fn by_direct_key(key: &str) -> Document {
    doc! { "direct_key": key, "deleted_at": null }
}

/// The conversation that matches, from now on this transaction's: its next rev is taken, and who else
/// wants it has to try again later.
pub(crate) async fn lock_stored(
    tx: &mut Tx<'_>,
    id: ConversationId,
) -> Tried<Option<ConversationDoc>> {
    tx.want(id);
    tx.change(live(id), doc! { "$inc": { "rev": 1_i64 } }).await
}

/// The same, without what only its document knows.
pub(crate) async fn lock(tx: &mut Tx<'_>, id: ConversationId) -> Tried<Option<Conversation>> {
    let locked = lock_stored(tx, id).await?;
    Ok(locked.map(ConversationDoc::into_conversation).transpose()?)
}

/// Gives back the rev that the [lock] has taken when nothing is to be changed. The transaction is committed all the
/// same: what is stored already is not promised before a majority has it.
pub(crate) async fn unlock(tx: &mut Tx<'_>, id: ConversationId) -> Tried<()> {
    let back = doc! { "$inc": { "rev": -1_i64 } };
    tx.update::<ConversationDoc>(vec![statement(doc! { "_id": id.bson() }, back)])
        .await
}

/// The membership, present or past. How far it has come, its conversation may know [better](MemberDoc::having).
pub(super) async fn find_membership(
    tx: &mut Tx<'_>,
    id: ConversationId,
    user: UserId,
) -> Tried<Option<MemberDoc>> {
    tx.find_one(doc! { "_id": MemberKey::new(id, user) }).await
}

/// The member, present or past.
async fn find_member(tx: &mut Tx<'_>, id: ConversationId, user: UserId) -> Tried<Option<Member>> {
    match find_membership(tx, id, user).await? {
        Some(found) => Ok(Some(found.having(&sent(tx, id).await?).into_member()?)),
        None => Ok(None),
    }
}

/// What a conversation knows of how far its members have come.
pub(super) async fn sent(tx: &mut Tx<'_>, id: ConversationId) -> Tried<Sent> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        sent: Sent,
    }
    let query = Query::of::<ConversationDoc>(doc! { "_id": id.bson() }).fields(doc! { "sent": 1 });
    let found: Option<Part> = tx.find_parts(query).await?.pop();
    Ok(found.map(|part| part.sent).unwrap_or_default())
}

pub(super) async fn find_present(
    tx: &mut Tx<'_>,
    id: ConversationId,
    user: UserId,
) -> Tried<Option<Member>> {
    let member = find_member(tx, id, user).await?;
    Ok(member.filter(Member::is_present))
}

/// Those who are present members.
pub(crate) async fn present_among(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = (ConversationId, UserId)>,
) -> Tried<HashSet<(ConversationId, UserId)>> {
    let present: Vec<Place> = tx.find_parts(among(keys).fields(doc! { "_id": 1 })).await?;
    let present = present
        .into_iter()
        .map(|Place { key }| (conversation_id(key.c), user_id(key.u)));
    Ok(present.collect())
}

pub(crate) fn among(keys: impl IntoIterator<Item = (ConversationId, UserId)>) -> Query {
    let keys: Vec<MemberKey> = keys
        .into_iter()
        .map(|(conversation, user)| MemberKey::new(conversation, user))
        .collect();
    Query::of::<MemberDoc>(doc! { "_id": { "$in": keys }, "left_at": null })
}

/// Present members after `after`. By the index of those, which the planner might not take: a room may have
/// had far more members than it has.
pub(crate) fn members(id: ConversationId, after: Option<UserId>) -> Query {
    let mut filter = doc! { "_id.c": id.bson(), "left_at": null };
    if let Some(after) = after {
        filter.insert("_id.u", doc! { "$gt": after.bson() });
    }
    Query::of::<MemberDoc>(filter)
        .sort(doc! { "_id.u": 1 })
        .by(MEMBERS_PRESENT)
}

/// Proof that `user` is a member now.
pub(crate) async fn access(
    tx: &mut Tx<'_>,
    id: ConversationId,
    user: UserId,
) -> Tried<MemberAccess> {
    let member = find_membership(tx, id, user).await?;
    let member = member.ok_or(Error::Forbidden(Denial::NotMember))?;
    Ok(member.into_member()?.access()?)
}

/// The conversation at its next rev, [locked](lock), and proof that `by` is a member now.
pub(super) async fn lock_with_access(
    tx: &mut Tx<'_>,
    id: ConversationId,
    by: UserId,
) -> Tried<(Conversation, MemberAccess)> {
    let conversation = lock(tx, id)
        .await?
        .ok_or(Error::NotFound(Entity::Conversation))?;
    let access = access(tx, id, by).await?;
    Ok((conversation, access))
}

/// Writes back what changes other than by messages.
pub(super) async fn save(tx: &mut Tx<'_>, conversation: &Conversation) -> Tried<()> {
    let fields = doc! {
        "name": &conversation.name, "description": &conversation.description,
        "avatar_url": &conversation.avatar_url, "rev": conversation.rev,
        "changed_rev": conversation.changed_rev,
        "member_count": i64::from(conversation.member_count),
    };
    let filter = doc! { "_id": conversation.id.bson() };
    tx.update::<ConversationDoc>(vec![statement(filter, doc! { "$set": fields })])
        .await
}

pub(super) async fn mark_deleted(tx: &mut Tx<'_>, id: ConversationId, now: Timestamp) -> Tried<()> {
    let deleted = doc! { "$set": { "deleted_at": date(now) } };
    tx.update::<ConversationDoc>(vec![statement(doc! { "_id": id.bson() }, deleted)])
        .await
}

/// Lets `users` in, who are not present, the first at rev `first`, each at a rev of its own; and counts
/// them.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    conversation: &mut Conversation,
    users: &[UserId],
    role: Role,
    first: i64,
    now: Timestamp,
) -> Tried<Vec<Member>> {
    if !user::all_exist(tx, users).await? {
        return Err(Error::NotFound(Entity::User).into());
    }
    let members: Vec<Member> = users
        .iter()
        .zip(first..)
        .map(|(user, rev)| Member::joining(conversation, *user, role, rev, now))
        .collect();
    save_members(tx, &members).await?;
    if let Some(last) = members.last() {
        conversation.rev = last.rev;
    }
    conversation.member_count += u32::try_from(members.len()).map_err(Error::internal)?;
    Ok(members)
}

/// Writes members, new or as they are now.
pub(super) async fn save_members(tx: &mut Tx<'_>, members: &[Member]) -> Tried<()> {
    let statements = members
        .iter()
        .map(|member| {
            let stored = bson::serialize_to_document(&MemberDoc::from(member))?;
            let key = MemberKey::new(member.conversation_id, member.user_id);
            Ok(upsert(doc! { "_id": key }, stored))
        })
        .collect::<Result<_, bson::error::Error>>()
        .map_err(Error::internal)?;
    tx.update::<MemberDoc>(statements).await
}

/// Where conversations stand, of those that are not deleted.
pub(crate) fn heads(conversations: impl IntoIterator<Item = ConversationId>) -> Query {
    Query::of::<ConversationDoc>(doc! { "_id": { "$in": ids(conversations) }, "deleted_at": null })
        .fields(doc! { "last_seq": 1, "rev": 1, "last_activity_at": 1, "kind": 1 })
}
