//! Reactions: a document for each user's each, which is exact however many there are, and on the message
//! the groups that are shown, with a count and the first who reacted.

use bson::doc;
use connexus_domain::message::{Changed, REACTION_USERS_MAX, REACTIONS_MAX, Reaction};
use connexus_domain::{Emoji, Error, Limit, Message, MessageId, Timestamp, UserId};
use serde::Deserialize;

use super::change::Target;
use crate::documents::{
    Id as _, MessageDoc, ReactionDoc, ReactionGroup, ReactionKey, date, user_id,
};
use crate::error::Tried;
use crate::query::{Query, statement};
use crate::tx::Tx;

/// The first who reacted with an emoji, in the order of reacting.
pub(crate) fn first_named(id: MessageId, emoji: &Emoji) -> Query {
    const NAMED: Limit = Limit::of(100);
    const { assert!(NAMED.rows() == REACTION_USERS_MAX) };
    Query::of::<ReactionDoc>(doc! { "_id.m": id.bson(), "_id.e": emoji.as_str() })
        .sort(doc! { "rev": 1 })
        .limit(NAMED.and_one() - 1)
        .fields(doc! { "_id": 1 })
}

pub(super) async fn add(
    tx: &mut Tx<'_>,
    id: MessageId,
    by: UserId,
    emoji: &Emoji,
    now: Timestamp,
) -> Tried<Changed> {
    let target = Target::find(tx, id, by).await?;
    target.message.check_live()?;
    let key = ReactionKey::new(id, emoji, by);
    if exists(tx, &key).await? {
        return target.unchanged(tx).await;
    }
    let mut message = target.message;
    let kinds = message.reactions.len();
    match message.reactions.iter_mut().find(|r| r.emoji == *emoji) {
        Some(group) => {
            // those named are the first, so who comes is one of them only while all are
            if group.user_ids.len() < REACTION_USERS_MAX {
                group.user_ids.push(by);
            }
            group.count += 1;
        }
        None if kinds >= REACTIONS_MAX => {
            return Err(Error::invalid(
                "emoji",
                format!("must be one of the {REACTIONS_MAX} that are there"),
            )
            .into());
        }
        None => message.reactions.push(Reaction {
            emoji: emoji.clone(),
            count: 1,
            user_ids: vec![by],
        }),
    }
    message.rev = target.rev;
    tx.insert(&[ReactionDoc {
        id: key,
        rev: target.rev,
        reacted_at: date(now),
    }])
    .await?;
    save(tx, &message).await?;
    Ok(Changed {
        message,
        changed: true,
    })
}

pub(super) async fn remove(
    tx: &mut Tx<'_>,
    id: MessageId,
    by: UserId,
    emoji: &Emoji,
) -> Tried<Changed> {
    let target = Target::find(tx, id, by).await?;
    target.message.check_live()?;
    let key = ReactionKey::new(id, emoji, by);
    if !exists(tx, &key).await? {
        return target.unchanged(tx).await;
    }
    tx.delete::<ReactionDoc>(doc! { "_id": &key }).await?;
    let mut message = target.message;
    let place = message
        .reactions
        .iter()
        .position(|group| group.emoji == *emoji)
        .ok_or_else(|| Error::corrupt("messages", "reactions", id))?;
    let group = &mut message.reactions[place];
    group.count = group.count.saturating_sub(1);
    let was_named = group.user_ids.contains(&by);
    group.user_ids.retain(|user| *user != by);
    let named = u32::try_from(group.user_ids.len()).map_err(Error::internal)?;
    if was_named && named < group.count {
        group.user_ids = named_now(tx, id, emoji).await?;
    }
    if group.count == 0 {
        message.reactions.remove(place);
    }
    message.rev = target.rev;
    save(tx, &message).await?;
    Ok(Changed {
        message,
        changed: true,
    })
}

/// The message names only the first of those who reacted.
async fn exists(tx: &mut Tx<'_>, key: &ReactionKey) -> Tried<bool> {
    let found: Option<ReactionDoc> = tx.find_one(doc! { "_id": key }).await?;
    Ok(found.is_some())
}

async fn named_now(tx: &mut Tx<'_>, id: MessageId, emoji: &Emoji) -> Tried<Vec<UserId>> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "_id")]
        key: ReactionKey,
    }
    let found: Vec<Named> = tx.find_parts(first_named(id, emoji)).await?;
    Ok(found
        .into_iter()
        .map(|named| user_id(named.key.u))
        .collect())
}

async fn save(tx: &mut Tx<'_>, message: &Message) -> Tried<()> {
    let groups: Vec<ReactionGroup> = message.reactions.iter().map(ReactionGroup::from).collect();
    let fields = doc! { "reactions": groups, "rev": message.rev };
    let filter = doc! { "_id": message.id.bson() };
    tx.update::<MessageDoc>(vec![statement(filter, doc! { "$set": fields })])
        .await
}
