//! Packets as they are sent: encoded once, with the header of their WebSocket frame in front, so that all
//! receivers share the bytes and polling takes a slice of them.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::Frame;

/// Types of Socket.IO packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// How much a packet matters to a reader that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Dropped when half of the queue is used.
    Fleeting,
    /// Dropped when three quarters of the queue are used.
    Refreshable,
    /// Never dropped: when it does not fit, the session ends and the client reconnects.
    Essential,
}

/// A packet that is encoded. Clones share its bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub(crate) head: Option<Frame>,
    pub(crate) attachments: Option<Arc<[Frame]>>,
}

impl Packet {
    /// An event. `args` is the list of arguments: a tuple, an array, a slice, `()` for none. What cannot
    /// be written as JSON makes a packet that is never sent.
    pub fn event(namespace: &str, name: &str, args: &impl Serialize) -> Self {
        Self::arguments(Kind::Event, namespace, None, Some(name), args, &[])
    }

    /// An event with attachments; in `args`, their places are `{"_placeholder":true,"num":0}`.
    #[expect(clippy::needless_pass_by_value, reason = "the same as everywhere else")]
    pub fn binary_event(
        namespace: &str,
        name: &str,
        args: &impl Serialize,
        attachments: Vec<Bytes>,
    ) -> Self {
        Self::arguments(Kind::Event, namespace, None, Some(name), args, &attachments)
    }

    pub(crate) fn arguments(
        kind: Kind,
        namespace: &str,
        id: Option<u64>,
        name: Option<&str>,
        args: &impl Serialize,
        attachments: &[Bytes],
    ) -> Self {
        let mut text = start(kind, namespace, id, attachments.len());
        if let Err(error) = write_arguments(&mut text, name, args) {
            tracing::error!(%error, ?name, "these arguments cannot be written as JSON");
            return Self {
                head: None,
                attachments: None,
            };
        }
        let attachments = (!attachments.is_empty()).then(|| {
            attachments
                .iter()
                .map(|bytes| Frame::binary(bytes))
                .collect()
        });
        Self {
            head: Some(Frame::reserved(text)),
            attachments,
        }
    }

    pub(crate) fn connect(namespace: &str, id: &str) -> Self {
        Self::object(Kind::Connect, namespace, &json!({ "sid": id }))
    }

    pub(crate) fn connect_error(namespace: &str, message: &str, data: Option<Value>) -> Self {
        let mut error = json!({ "message": message });
        if let Some(data) = data {
            error["data"] = data;
        }
        Self::object(Kind::ConnectError, namespace, &error)
    }

    pub(crate) fn disconnect(namespace: &str) -> Self {
        Self {
            head: Some(Frame::reserved(start(Kind::Disconnect, namespace, None, 0))),
            attachments: None,
        }
    }

    fn object(kind: Kind, namespace: &str, value: &Value) -> Self {
        let mut text = start(kind, namespace, None, 0);
        text.extend_from_slice(value.to_string().as_bytes());
        Self {
            head: Some(Frame::reserved(text)),
            attachments: None,
        }
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = &Frame> + Clone {
        let attachments = self.attachments.as_deref().unwrap_or_default();
        self.head.iter().chain(attachments)
    }
}

/// The beginning of a packet, behind the place of the frame's header and the Engine.IO type.
fn start(kind: Kind, namespace: &str, id: Option<u64>, attachments: usize) -> Vec<u8> {
    let mut text = Frame::reserve();
    text.push(match (kind, attachments) {
        (Kind::Connect, _) => b'0',
        (Kind::Disconnect, _) => b'1',
        (Kind::Event, 0) => b'2',
        (Kind::Ack, 0) => b'3',
        (Kind::ConnectError, _) => b'4',
        (Kind::Event, _) => b'5',
        (Kind::Ack, _) => b'6',
    });
    // writing to memory does not fail
    if attachments > 0 {
        let _ = write!(text, "{attachments}-");
    }
    if namespace != "/" {
        let _ = write!(text, "{namespace},");
    }
    if let Some(id) = id {
        let _ = write!(text, "{id}");
    }
    text
}

/// Writes `["name",…args]`, taking the brackets of the arguments' own JSON away.
fn write_arguments(
    text: &mut Vec<u8>,
    name: Option<&str>,
    args: &impl Serialize,
) -> serde_json::Result<()> {
    text.push(b'[');
    if let Some(name) = name {
        serde_json::to_writer(&mut *text, name)?;
    }
    let at = text.len();
    text.push(b',');
    serde_json::to_writer(&mut *text, args)?;
    match &text[at + 1..] {
        b"null" | b"[]" => text.truncate(at),
        [b'[', ..] => {
            text.pop();
            if name.is_some() {
                text.remove(at + 1);
            } else {
                text.drain(at..at + 2);
            }
        }
        // one argument that is no list
        _ => {
            if name.is_none() {
                text.remove(at);
            }
        }
    }
    text.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(packet: &Packet) -> String {
        let head = packet.head.as_ref().expect("a packet");
        String::from_utf8(head.content().to_vec()).expect("text")
    }

    #[test]
    fn arguments_are_spliced_into_the_list() {
        let event = |args: Value| text(&Packet::event("/", "e", &args));
        assert_eq!(event(json!([1, "[2]", [3]])), r#"42["e",1,"[2]",[3]]"#);
        assert_eq!(event(json!([])), r#"42["e"]"#);
        assert_eq!(event(Value::Null), r#"42["e"]"#);
        assert_eq!(event(json!({"a": 1})), r#"42["e",{"a":1}]"#);
        assert_eq!(text(&Packet::event("/n", "e", &())), r#"42/n,["e"]"#);
        assert_eq!(
            text(&Packet::event("/", "e", &(1, "x"))),
            r#"42["e",1,"x"]"#
        );
        let ack = |args: &Value, with: &[Bytes]| {
            text(&Packet::arguments(
                Kind::Ack,
                "/n",
                Some(7),
                None,
                args,
                with,
            ))
        };
        assert_eq!(ack(&json!([1, 2]), &[]), "43/n,7[1,2]");
        assert_eq!(ack(&json!([]), &[]), "43/n,7[]");
        assert_eq!(ack(&json!(5), &[]), "43/n,7[5]");
        assert_eq!(ack(&json!([1]), &[Bytes::from_static(b"x")]), "461-/n,7[1]");
    }

    #[test]
    fn what_is_no_json_is_never_sent() {
        let bad = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(Packet::event("/", "e", &(bad,)).head.is_none());
    }

    #[test]
    fn other_packets() {
        assert_eq!(text(&Packet::disconnect("/")), "41");
        assert_eq!(text(&Packet::disconnect("/n")), "41/n,");
        assert_eq!(text(&Packet::connect("/n", "i")), r#"40/n,{"sid":"i"}"#);
        let refused = Packet::connect_error("/n", "no", Some(json!(1)));
        let value: Value = serde_json::from_str(&text(&refused)[5..]).expect("JSON");
        assert_eq!(value, json!({"message": "no", "data": 1}));
    }
}
