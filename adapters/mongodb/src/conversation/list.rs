//! What users see of their conversations and of each other.

use std::collections::{HashMap, HashSet};

use bson::{Document, doc};
use connexus_domain::ports::{ConversationSummary, Unread};
use connexus_domain::{
    ActivityCursor, ConversationId, Head, Limit, Member, Message, Page, Result, Seq, UserId,
};
use serde::Deserialize;

use super::store::{self, Place};
use crate::block::Blocked;
use crate::documents::{
    BlockDoc, BlockKey, ConversationDoc, DateTime, Id as _, MemberDoc, MemberKey, MessageDoc,
    Record as _, Sent, Uuid, conversation_id, date, ids, user_id,
};
use crate::error::Tried;
use crate::message;
use crate::query::Query;
use crate::storage::MongoStorage;
use crate::tx::Tx;

/// A membership, and how far it has come.
#[derive(Deserialize)]
struct Progress {
    #[serde(rename = "_id")]
    key: MemberKey,
    delivered_seq: i64,
}

/// A conversation, its last message, and who sent last.
#[derive(Deserialize)]
pub(crate) struct Latest {
    #[serde(rename = "_id")]
    id: Uuid,
    pub last_seq: i64,
    #[serde(default)]
    pub sent: Sent,
}

/// A member and how much of it is unread.
#[derive(Deserialize)]
struct Reader {
    member: MemberDoc,
    unread: Vec<Count>,
}

#[derive(Deserialize)]
struct Count {
    n: u32,
}

/// Conversations of which one of `users` is a present member.
pub(crate) fn places(users: &[UserId], archived: Option<bool>) -> Query {
    let mut filter = doc! { "_id.u": { "$in": ids(users.iter().copied()) }, "left_at": null };
    if let Some(archived) = archived {
        filter.insert("archived", archived);
    }
    Query::of::<MemberDoc>(filter)
        .by("members_user")
        .fields(doc! { "_id": 1 })
}

/// All conversations of a user are sorted for a page: to keep an order of activity per member would cost
/// every message a write per member. What is counted and looked up is the page's alone.
pub(crate) fn page(mine: Vec<Uuid>, after: Option<ActivityCursor>, limit: Limit) -> Query {
    let mut filter = doc! { "_id": { "$in": mine }, "deleted_at": null };
    if let Some(after) = after {
        let at = date(after.last_activity_at);
        let later = [
            doc! { "last_activity_at": { "$lt": at } },
            doc! { "last_activity_at": at, "_id": { "$lt": after.id.bson() } },
        ];
        filter.insert("$or", later.to_vec());
    }
    Query::of::<ConversationDoc>(filter)
        .sort(doc! { "last_activity_at": -1, "_id": -1 })
        .limit(limit.and_one())
}

/// What `user` has not read of conversations, and the memberships. With each conversation goes the last message that
/// `user` has sent there, as far as the conversation knows.
pub(crate) fn unread(user: UserId, conversations: &[(Uuid, Seq)]) -> Vec<Document> {
    let keys: Vec<Document> = conversations
        .iter()
        .map(|(id, _)| doc! { "c": *id, "u": user.bson() })
        .collect();
    let (ids, sent): (Vec<Uuid>, Vec<Seq>) = conversations.iter().copied().unzip();
    let sent = doc! { "$arrayElemAt": [sent, { "$indexOfArray": [ids, "$member._id.c"] }] };
    let read = doc! { "$max": ["$member.read_seq", sent] };
    let counted = vec![
        doc! { "$match": {
            "$expr": { "$and": [
                { "$eq": ["$conversation_id", "$$conversation"] },
                { "$gt": ["$seq", "$$read"] },
            ] },
            "sender_id": { "$ne": user.bson() },
            "deleted_at": null,
        } },
        doc! { "$limit": i64::from(Unread::CAP) },
        doc! { "$count": "n" },
    ];
    vec![
        doc! { "$match": { "_id": { "$in": keys }, "left_at": null } },
        doc! { "$project": { "_id": 0, "member": "$$ROOT" } },
        doc! { "$lookup": {
            "from": MessageDoc::COLLECTION,
            "let": { "conversation": "$member._id.c", "read": read },
            "pipeline": counted,
            "as": "unread",
        } },
    ]
}

pub(super) async fn summary(
    tx: &mut Tx<'_>,
    id: ConversationId,
    user: UserId,
) -> Tried<Option<ConversationSummary>> {
    let found: Option<ConversationDoc> = tx.find_one(store::live(id)).await?;
    let summaries = summaries(tx, user, found.into_iter().collect()).await?;
    Ok(summaries.into_iter().next())
}

pub(super) async fn list(
    tx: &mut Tx<'_>,
    user: UserId,
    archived: Option<bool>,
    after: Option<ActivityCursor>,
    limit: Limit,
) -> Tried<Page<ConversationSummary, ActivityCursor>> {
    let mine: Vec<Place> = tx.find_parts(places(&[user], archived)).await?;
    let mine = mine.into_iter().map(|place| place.key.c).collect();
    let found: Vec<ConversationDoc> = tx.find(page(mine, after, limit)).await?;
    let page = Page::cut(found, limit, |last| ActivityCursor {
        last_activity_at: crate::documents::time(last.last_activity_at),
        id: conversation_id(last.id),
    });
    Ok(Page {
        items: summaries(tx, user, page.items).await?,
        next: page.next,
    })
}

/// Of those conversations of which `user` is a present member, in their order.
async fn summaries(
    tx: &mut Tx<'_>,
    user: UserId,
    conversations: Vec<ConversationDoc>,
) -> Tried<Vec<ConversationSummary>> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<(Uuid, Seq)> = conversations
        .iter()
        .map(|found| (found.id, found.sent.seq_of(user.bson())))
        .collect();
    let readers: Vec<Reader> = tx
        .aggregate(MemberDoc::COLLECTION, unread(user, &places))
        .await?;
    let mut readers: HashMap<Uuid, Reader> = readers
        .into_iter()
        .map(|reader| (reader.member.id.c, reader))
        .collect();
    let mut newest = newest(tx, &conversations).await?;
    let mut summaries = Vec::with_capacity(conversations.len());
    for conversation in conversations {
        let Some(reader) = readers.remove(&conversation.id) else {
            continue;
        };
        let peer = conversation.peer(user)?;
        let me = reader.member.having(&conversation.sent);
        let conversation = conversation.into_conversation()?;
        summaries.push(ConversationSummary {
            me: me.into_member()?,
            unread: Unread {
                count: reader.unread.first().map_or(0, |count| count.n),
            },
            last_message: newest.remove(&conversation.id),
            conversation,
            peer,
        });
    }
    Ok(summaries)
}

async fn newest(
    tx: &mut Tx<'_>,
    conversations: &[ConversationDoc],
) -> Tried<HashMap<ConversationId, Message>> {
    let places = conversations
        .iter()
        .filter(|conversation| conversation.last_seq > 0)
        .map(|conversation| (conversation.id, conversation.last_seq));
    let found = message::at(tx, places.collect()).await?;
    let named = found
        .into_iter()
        .map(|message| (message.conversation_id, message));
    Ok(named.collect())
}

#[derive(Deserialize)]
struct HeadPart {
    #[serde(rename = "_id")]
    id: Uuid,
    last_seq: i64,
    rev: i64,
    last_activity_at: DateTime,
}

/// The newest of those of the conversations that are not deleted.
pub(crate) async fn latest(
    tx: &mut Tx<'_>,
    conversations: &HashSet<Uuid>,
) -> Tried<HashMap<Uuid, Latest>> {
    let fields = doc! { "_id": 1, "last_seq": 1, "sent": 1 };
    let query = small(conversations, None).fields(fields);
    let found: Vec<Latest> = tx.find_parts(query).await?;
    Ok(found.into_iter().map(|found| (found.id, found)).collect())
}

fn head(part: &HeadPart) -> Head {
    Head {
        conversation_id: conversation_id(part.id),
        last_seq: part.last_seq,
        rev: part.rev,
    }
}

pub(super) async fn heads(tx: &mut Tx<'_>, user: UserId) -> Tried<Vec<Head>> {
    let mine: Vec<Place> = tx.find_parts(places(&[user], None)).await?;
    let mine = mine.into_iter().map(|place| conversation_id(place.key.c));
    let mut found: Vec<HeadPart> = tx.find_parts(store::heads(mine)).await?;
    found.sort_by_key(|part| std::cmp::Reverse((part.last_activity_at, part.id.bytes())));
    Ok(found.iter().map(head).collect())
}

/// Present members in the order of their user ids.
pub(crate) async fn members_page(
    storage: &MongoStorage,
    id: ConversationId,
    after: Option<UserId>,
    limit: Limit,
) -> Result<Page<Member, UserId>> {
    let members = storage
        .read(|tx| {
            Box::pin(async move {
                let Some(conversation) = store::find_stored(tx, id).await? else {
                    return Ok(Vec::new());
                };
                let query = store::members(id, after).limit(limit.and_one());
                let found: Vec<MemberDoc> = tx.find(query).await?;
                let members = found
                    .into_iter()
                    .map(|member| member.having(&conversation.sent).into_member());
                Ok(members.collect::<Result<Vec<_>>>()?)
            })
        })
        .await?;
    Ok(Page::cut(members, limit, |member| member.user_id))
}

pub(super) async fn member_ids(tx: &mut Tx<'_>, id: ConversationId) -> Tried<Vec<UserId>> {
    if store::find(tx, id).await?.is_none() {
        return Ok(Vec::new());
    }
    let query = store::members(id, None).fields(doc! { "_id": 1 });
    let found: Vec<Place> = tx.find_parts(query).await?;
    Ok(found
        .into_iter()
        .map(|place| user_id(place.key.u))
        .collect())
}

/// Those of the conversations that live and have at most so many members.
pub(crate) fn small(conversations: &HashSet<Uuid>, max_members: Option<u32>) -> Query {
    let all: Vec<Uuid> = conversations.iter().copied().collect();
    let mut filter = doc! { "_id": { "$in": all }, "deleted_at": null };
    if let Some(max) = max_members {
        filter.insert("member_count", doc! { "$lte": i64::from(max) });
    }
    Query::of::<ConversationDoc>(filter).fields(doc! { "_id": 1 })
}

/// Present members of all of `conversations`.
pub(crate) fn together(conversations: Vec<Uuid>) -> Query {
    Query::of::<MemberDoc>(doc! { "_id.c": { "$in": conversations }, "left_at": null })
        .by(crate::indexes::MEMBERS_PRESENT)
        .fields(doc! { "_id": 1 })
}

#[derive(Deserialize)]
struct Bare {
    #[serde(rename = "_id")]
    id: Uuid,
}

pub(super) async fn behind(tx: &mut Tx<'_>, users: &[UserId]) -> Tried<Vec<UserId>> {
    let marks = places(users, None).fields(doc! { "_id": 1, "delivered_seq": 1 });
    let marks: Vec<Progress> = tx.find_parts(marks).await?;
    let conversations = marks.iter().map(|mark| mark.key.c).collect();
    let latest = latest(tx, &conversations).await?;
    let has_all = |mark: &Progress, latest: &Latest| {
        let sent = latest.sent.seq_of(mark.key.u);
        mark.delivered_seq.max(sent) >= latest.last_seq
    };
    let behind: HashSet<UserId> = marks
        .into_iter()
        .filter(|mark| {
            let latest = latest.get(&mark.key.c);
            latest.is_some_and(|latest| !has_all(mark, latest))
        })
        .map(|mark| user_id(mark.key.u))
        .collect();
    Ok(behind.into_iter().collect())
}

pub(super) async fn peers(
    tx: &mut Tx<'_>,
    users: &[UserId],
    max_members: Option<u32>,
) -> Tried<Vec<(UserId, UserId)>> {
    let mine: Vec<Place> = tx.find_parts(places(users, None)).await?;
    let conversations = mine.iter().map(|place| place.key.c).collect();
    let small: Vec<Bare> = tx.find_parts(small(&conversations, max_members)).await?;
    let small = small.into_iter().map(|found| found.id).collect();
    let all: Vec<Place> = tx.find_parts(together(small)).await?;
    let mut of: HashMap<Uuid, Vec<UserId>> = HashMap::new();
    for place in all {
        of.entry(place.key.c)
            .or_default()
            .push(user_id(place.key.u));
    }
    let mut pairs = HashSet::new();
    for place in mine {
        let me = user_id(place.key.u);
        let others = of.get(&place.key.c).into_iter().flatten();
        pairs.extend(
            others
                .filter(|other| **other != me)
                .map(|other| (me, *other)),
        );
    }
    let blocked = blocked(tx, &pairs).await?;
    pairs.retain(|(a, b)| !blocked.contains(&(*a, *b)) && !blocked.contains(&(*b, *a)));
    Ok(pairs.into_iter().collect())
}

/// Who of the pairs blocks the other.
async fn blocked(
    tx: &mut Tx<'_>,
    pairs: &HashSet<(UserId, UserId)>,
) -> Tried<HashSet<(UserId, UserId)>> {
    /// Keys in one query, of 16 MiB at most.
    const KEYS: usize = 50_000;
    let keys: Vec<BlockKey> = pairs
        .iter()
        .flat_map(|(a, b)| [BlockKey::new(*a, *b), BlockKey::new(*b, *a)])
        .collect();
    let mut blocked = HashSet::new();
    for some in keys.chunks(KEYS) {
        let query = Query::of::<BlockDoc>(doc! { "_id": { "$in": some.to_vec() } })
            .fields(doc! { "_id": 1 });
        let found: Vec<Blocked> = tx.find_parts(query).await?;
        blocked.extend(
            found
                .into_iter()
                .map(|block| (user_id(block.key.by), user_id(block.key.whom))),
        );
    }
    Ok(blocked)
}

pub(super) async fn share_conversation(tx: &mut Tx<'_>, a: UserId, b: UserId) -> Tried<bool> {
    let mine: Vec<Place> = tx.find_parts(places(&[a], None)).await?;
    let keys = mine.iter().map(|place| (conversation_id(place.key.c), b));
    let shared: Vec<Place> = tx
        .find_parts(store::among(keys).fields(doc! { "_id": 1 }))
        .await?;
    let shared = shared.iter().map(|place| place.key.c).collect();
    let query = small(&shared, None).limit(1);
    let living: Vec<Bare> = tx.find_parts(query).await?;
    Ok(!living.is_empty())
}

/// Where `viewer` may look: in all living conversations of which this is a present member, or only in
/// `only`; and how far each goes.
pub(crate) async fn scope(
    tx: &mut Tx<'_>,
    viewer: UserId,
    only: Option<ConversationId>,
) -> Tried<Vec<(ConversationId, Seq)>> {
    let mine: Vec<Place> = match only {
        Some(only) => {
            let query = store::among([(only, viewer)]).fields(doc! { "_id": 1 });
            tx.find_parts(query).await?
        }
        None => tx.find_parts(places(&[viewer], None)).await?,
    };
    let mine = mine.into_iter().map(|place| conversation_id(place.key.c));
    let living: Vec<HeadPart> = tx.find_parts(store::heads(mine)).await?;
    Ok(living
        .into_iter()
        .map(|found| (conversation_id(found.id), found.last_seq))
        .collect())
}
