//! Watermarks: how far a member has received and read.

use crate::id::{ConversationId, UserId};
use crate::sync::Seq;
use crate::time::Timestamp;

/// How far one member has come. Both only move forward, never past `last_seq`, and read implies delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// Newest message handed to one of the member's connections.
    pub delivered_seq: Seq,
    /// When that moved last.
    pub delivered_at: Option<Timestamp>,
    /// Newest message the member has read.
    pub read_seq: Seq,
    /// When that moved last.
    pub read_at: Option<Timestamp>,
}

impl Receipt {
    /// As others see it of a member who does not tell what it has read.
    #[must_use]
    pub fn without_reading(self) -> Self {
        Self {
            read_seq: 0,
            read_at: None,
            ..self
        }
    }
}

/// A wish to move a member's watermarks to at least these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkAdvance {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// Delivered up to here.
    pub delivered_seq: Seq,
    /// Read up to here; 0 leaves it.
    pub read_seq: Seq,
}

/// Status of a message for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Stored.
    Sent,
    /// Every other member has received it.
    Delivered,
    /// Every other member has read it.
    Read,
}

impl DeliveryStatus {
    /// From the watermarks of the *other* members; of nobody else there is, it stays sent.
    pub fn of(seq: Seq, others: impl IntoIterator<Item = Receipt>) -> Self {
        let lowest = others.into_iter().fold(None, |low: Option<(Seq, Seq)>, r| {
            let (d, s) = low.unwrap_or((Seq::MAX, Seq::MAX));
            Some((d.min(r.delivered_seq), s.min(r.read_seq)))
        });
        match lowest {
            Some((_, read)) if read >= seq => Self::Read,
            Some((delivered, _)) if delivered >= seq => Self::Delivered,
            _ => Self::Sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn receipt(delivered_seq: Seq, read_seq: Seq) -> Receipt {
        Receipt {
            conversation_id: ConversationId::from_uuid(Uuid::nil()),
            user_id: UserId::from_uuid(Uuid::nil()),
            delivered_seq,
            delivered_at: None,
            read_seq,
            read_at: None,
        }
    }

    #[test]
    fn the_slowest_member_decides() {
        assert_eq!(DeliveryStatus::of(3, []), DeliveryStatus::Sent);
        assert_eq!(
            DeliveryStatus::of(3, [receipt(3, 3), receipt(2, 1)]),
            DeliveryStatus::Sent
        );
        assert_eq!(
            DeliveryStatus::of(3, [receipt(3, 3), receipt(4, 1)]),
            DeliveryStatus::Delivered
        );
        assert_eq!(
            DeliveryStatus::of(3, [receipt(3, 3), receipt(4, 4)]),
            DeliveryStatus::Read
        );
    }
}
