//! Parts of a message that are rows of other tables. They come with it as JSON, in columns of their own: one
//! statement reads a page of messages, so that all of it is of one moment.

use connexus_domain::attachment::{Attachment, AttachmentState, ContentHash, MediaKind, Purpose};
use connexus_domain::message::Reaction;
use connexus_domain::{AttachmentId, ConversationId, Emoji, MessageId, Timestamp, UserId};
use uuid::Uuid;

/// An emoji, how many reacted with it, and the first of those.
pub type ReactionRow = (String, u32, Vec<Uuid>);

/// Of a message's file what the message itself does not say: id, kind, name, media type, size, hash in
/// hexadecimal, width, height, duration, thumbnails, time.
pub type FileRow = (
    Uuid,
    String,
    String,
    String,
    u64,
    String,
    Option<u32>,
    Option<u32>,
    Option<u64>,
    bool,
    i64,
);

/// The reactions to a message; none when an emoji is not one.
pub fn reactions(rows: Vec<ReactionRow>) -> Option<Vec<Reaction>> {
    let reactions = rows.into_iter().map(|(emoji, count, user_ids)| {
        Some(Reaction {
            emoji: Emoji::parse(&emoji).ok()?,
            count,
            user_ids: user_ids.into_iter().map(UserId::from_uuid).collect(),
        })
    });
    reactions.collect()
}

/// Files as parts of their message, whose sender has uploaded them; none when one is not what the domain knows.
pub fn files(
    rows: Vec<FileRow>,
    to: MessageId,
    at: ConversationId,
    by: UserId,
) -> Option<Vec<Attachment>> {
    rows.into_iter().map(|row| file(row, to, at, by)).collect()
}

fn file(row: FileRow, to: MessageId, at: ConversationId, by: UserId) -> Option<Attachment> {
    let (id, kind, name, media_type, size, sha256, width, height, duration_ms, thumbnails, made) =
        row;
    Some(Attachment {
        id: AttachmentId::from_uuid(id),
        uploader_id: by,
        purpose: Purpose::Message(at),
        state: AttachmentState::Attached,
        message_id: Some(to),
        kind: MediaKind::parse(&kind)?,
        name,
        media_type,
        size,
        sha256: hash_of_hex(&sha256)?,
        width,
        height,
        duration_ms,
        thumbnails,
        created_at: Timestamp::from_millis(made),
    })
}

fn hash_of_hex(digits: &str) -> Option<ContentHash> {
    let mut hash = [0; 32];
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(ContentHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<Attachment> {
        let [to, at, by] = [2, 3, 4].map(Uuid::from_u128);
        let found = files(
            vec![serde_json::from_str(json).unwrap()],
            MessageId::from_uuid(to),
            ConversationId::from_uuid(at),
            UserId::from_uuid(by),
        );
        found.and_then(|mut files| files.pop())
    }

    fn row(kind: &str, hash: &str) -> String {
        format!(
            r#"["0192F0C1A5B67C8D9E0F112233445566","{kind}","a.png","image/png",5,"{hash}",1,2,null,true,7]"#
        )
    }

    #[test]
    fn a_file_is_its_sender_s_in_the_message_s_conversation() {
        let hash = "0aFF".repeat(16);
        let found = parse(&row("image", &hash)).unwrap();
        assert_eq!(found.sha256.0[..2], [10, 255]);
        assert_eq!(found.uploader_id, UserId::from_uuid(Uuid::from_u128(4)));
        assert_eq!((found.width, found.height), (Some(1), Some(2)));
        assert!(found.thumbnails && found.duration_ms.is_none());
    }

    #[test]
    fn what_is_no_kind_and_no_hash_is_no_file() {
        let hash = "0aFF".repeat(16);
        assert_eq!(parse(&row("mood", &hash)), None);
        for wrong in ["", "0a", &hash[1..], &hash.replace('a', "g")] {
            assert_eq!(parse(&row("image", wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn reactions_are_of_emoji_alone() {
        let one = |emoji: &str| reactions(vec![(emoji.into(), 2, vec![Uuid::from_u128(1)])]);
        let found = one("👍").unwrap();
        assert_eq!((found[0].count, found[0].user_ids.len()), (2, 1));
        assert_eq!(one(""), None);
    }
}
