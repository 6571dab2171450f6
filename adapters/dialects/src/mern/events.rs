//! Events in this dialect's words. Its clients know no more of them than these: what else changes, they see when
//! they load a chat again.

use connexus_application::hub::{Audience, Delivery};
use connexus_application::scene::Scene;
use connexus_domain::{Event, Receipt};
use connexus_socketio::Packet;
use connexus_wire::text::Id;
use serde_json::json;

use super::shapes::{self, Crowd};
use crate::links::Links;
use crate::voice::{To, Told};

/// What this dialect's sockets are told of an event.
pub fn tell(delivery: &Delivery, links: &Links) -> Vec<Told> {
    let Some(scene) = delivery.scene() else {
        return Vec::new();
    };
    match delivery.event() {
        Event::MessageCreated(message) => {
            let crowd = Crowd::in_scene(scene, links);
            vec![Told::to(
                To::Others(message.sender_id),
                "message recieved",
                &shapes::fresh(message, scene, crowd, links),
            )]
        }
        Event::Typing { typing, .. } => {
            let name = if *typing { "typing" } else { "stop typing" };
            vec![Told {
                to: To::All,
                packet: Packet::event("/", name, &()),
            }]
        }
        Event::ReceiptUpdated { receipt, read } => {
            let told = receipt_told(delivery, scene, receipt, *read);
            told.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A receipt names the newest message that it is about, if there is one among those that the scene names.
fn receipt_told(delivery: &Delivery, scene: &Scene, receipt: &Receipt, read: bool) -> Option<Told> {
    let reader = receipt.user_id;
    let newest = scene.named.iter().find(|named| match delivery.audience() {
        // a sender is told of the own messages
        Audience::One(to) if *to != reader => named.sender_id == *to,
        _ => named.sender_id != reader,
    })?;
    let name = if read {
        "message read"
    } else {
        "message delivered"
    };
    Some(Told::to(
        To::Others(reader),
        name,
        &json!({
            "chatId": Id::from(receipt.conversation_id),
            "userId": Id::from(reader),
            "messageId": Id::from(newest.id),
        }),
    ))
}
